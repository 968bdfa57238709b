// The tables that people's decisions stand in, holds and retention policies: the spine's functions write them, and nothing ever
// leaves them.
#pragma once

#include "server/sql.h"

namespace spine {

// Writes one row of a table of schema spine with its owner's rights, by a statement with RETURNING; connected to SPI, where
// SPI_tuptable has the row. False: the statement found none.
bool write_kept(const char *table, const char *statement, std::initializer_list<SqlArgument> arguments);

}  // namespace spine
