// The context of a transaction: who acts and for whom, as spine.set_context said.
#pragma once

#include "server/pg.h"

namespace spine {

// Raises SP042 where this transaction, or the client's statement before it committed or rolled back within, had a context
// and the setting's value of that number is older: the context ended, and what counts again is what the session says,
// which behind a pooler is another client's. setting: its name.
void require_context(const char *setting, uint64 number);

}  // namespace spine
