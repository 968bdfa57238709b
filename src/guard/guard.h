// The guard: what stands below the triggers and holds whatever is disabled, and the refusal of what would change or expose
// stored events, or replace what the spine runs. It works in each session that has loaded the library. Where that is
// not preloaded, the event trigger people_os_spine_guard loads it before any DDL runs.
#pragma once

#include "server/pg.h"

extern "C" {
#include <catalog/objectaccess.h>
#include <nodes/plannodes.h>
#include <tcop/cmdtag.h>
}

namespace spine {

// Once a query has started, for the server says first who has no right to begin with. Raises SP013 where it would change
// stored events, SP024 where it would write what the catalogs say of objects. text: the query's, or null.
void judge_query(const PlannedStmt *statement, const char *text);

// Whether a relation is a catalog by whose rows objects are what they are.
bool defines_objects(Oid relid);

// The utility statement that runs; those that it runs in turn have their own.
struct GuardedStatement {
  bool was_judged;
  CommandTag tag;
  const char *text;  // null: whatever the client sent
  int length;
  bool is_own;       // the spine's (store/own_statement.h)
  bool is_recorded;  // as let through; nothing of what it does is judged
  bool is_harmless;  // whatever it does to whichever object
  Oid cleared;       // the table that it alters in a way that was judged harmless, with its partitions
  bool makes_partition;  // creates a table that may become one
  Oid unattached;        // such a table, which it alters
  Oid attached;          // such a table, which it attaches: judged fit
};

// Around each utility statement: returns the one that it runs in, which is to be given back, also after an error.
// is_part: it is a step of that one.
GuardedStatement begin_statement(const PlannedStmt *planned, const char *text, bool is_part);
void end_statement(const GuardedStatement &outer);

// Before the statement begun runs. Raises SP024 where the guard refuses it.
void judge_statement(Node *statement);

// As the server creates, alters, truncates or drops an object. Raises SP024, SP013.
void judge_object(ObjectAccessType access, Oid classid, Oid object, void *argument);

}  // namespace spine
