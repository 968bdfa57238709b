// Finds out why a database does not extend what was signed.
#pragma once

#include <set>
#include <string>

#include "notary/database.h"
#include "notary/message.h"
#include "notary/state.h"

namespace spine {

// Says what became of which chain, and ends with a Failure that says what all of it looks like. suspects: chains that
// are known to differ; those that changed since the newest checkpoint that the database agrees with are looked at as
// well.
[[noreturn]] void refuse(const std::string &directory, const State &state, const Identity &identity,
                         const std::set<Uuid> &suspects, Database &database, const Messages &messages);

}  // namespace spine
