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

// A row of a captured table that its events do not explain, or of which nobody can tell.
struct UnexplainedRow {
  const Uuid *organization;  // null: the row does not say it
  Uuid entity;
  const char *id;            // as the row says it; null: it has none
  const char *verdict;       // missing, extra, changed or cannot_tell
  Datum columns;             // a text[] of those that are changed, or cannot be told
  int64 sequence;            // of the newest event; 0: there is none
  const char *detail;        // null, or why nobody can tell

  using Use = void (*)(void *context, const UnexplainedRow &row);
};

// Tells of each such row. as_owner: the rows are read as the owner of the table does, else as the caller; events as the caller in
// any case. Raises SP143, SP026, 42501.
void reconcile_table(Oid relid, bool as_owner, UnexplainedRow::Use use, void *context);

// A query of what was said to be captured or held to the rule and is not: guard, expected, found, remedy, a row each. It has no
// parameters, and its names are qualified by search_path pg_catalog.
extern const char *const broken_watches;

}  // namespace spine
