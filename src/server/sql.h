// Statements of the spine's own, run through SPI by functions that pin search_path. Their text is constant, or holds
// nothing but names of the catalog's, quoted.
#pragma once

#include <initializer_list>

#include "server/pg.h"

extern "C" {
#include <executor/spi.h>
}

namespace spine {

struct SqlArgument {
  Oid type;
  Datum value;
  bool null = false;
};

// Runs one statement, connected to SPI; what it returns is in SPI_tuptable. Returns how many rows that are. Raises what
// the statement raises.
uint64 run_sql(const char *statement, std::initializer_list<SqlArgument> arguments = {});

}  // namespace spine
