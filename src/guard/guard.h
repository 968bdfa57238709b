// The guard: what stands below the triggers and holds whatever is disabled, and the refusal of DDL that would change
// or expose stored events, or replace what the spine runs.
#pragma once

#include "server/pg.h"

namespace spine {

// Raises SP013. change: UPDATE, DELETE or TRUNCATE.
[[noreturn]] void refuse_change(const char *change, const char *table);

// For _PG_init.
void watch_statements();

}  // namespace spine
