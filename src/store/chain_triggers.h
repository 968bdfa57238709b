// Immutability's one error.
#pragma once

#include "server/pg.h"

namespace spine {

// Raises SP013. change: UPDATE, DELETE or TRUNCATE.
[[noreturn]] void refuse_change(const char *change, const char *table);

}  // namespace spine
