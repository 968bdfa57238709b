// What capture and the rule are called for by the server, through src/people_os_spine.cpp, and what they offer others.
#pragma once

#include "server/pg.h"

extern "C" {
#include <executor/execdesc.h>
#include <nodes/plannodes.h>
}

namespace spine {

// Once a query has started: refuses the one kind whose changes triggers do not see. Raises SP026.
void refuse_unseen_moves(const PlannedStmt *statement);

// The query whose AFTER triggers run: where its events stand among those that wait.
struct CapturedQuery {
  uint64 moment;    // 0: there is none, or its beginning was not seen
  bool is_compound; // WITH has it change tables in more than one way, whose triggers run in no order that says what happened
};

// Around the end of a query, where its AFTER triggers run, and around each utility statement (null): returns the one that it
// runs in, which is to be given back, also after an error.
CapturedQuery begin_triggers(const QueryDesc *query);
void end_triggers(const CapturedQuery &outer);

// A query of what was said to be captured or held to the rule and is not: guard, expected, found, remedy, a row each. It has no
// parameters, and its names are qualified by search_path pg_catalog.
extern const char *const broken_watches;

}  // namespace spine
