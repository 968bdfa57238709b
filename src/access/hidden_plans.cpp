// The refusal to explain to a role what is hidden from it.
#include "access/access.h"

#include "server/compat.h"
#include "server/errors.h"

extern "C" {
#include <access/parallel.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <executor/executor.h>
#include <miscadmin.h>
#include <tcop/utility.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/rls.h>
}

namespace spine {

namespace {

int explaining;         // EXPLAINs that run, one in another
TimestampTz loaded_in;  // the statement that loaded the library, whose beginning the hook did not see

[[noreturn]] void refuse_plan(const char *what, const char *table) {
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("%s of spine.%s is refused to role \"%s\", which sees a part of it", what, table,
                         GetUserNameFromId(GetUserId(), false)),
                  errhint("Plans tell how many events others have: ask an auditor of all organizations, or the table's "
                          "owner.")));
}

// auto_explain instruments queries too, but writes what it learns to the server's log. It cannot have come before this
// hook in the very statement that loaded the library. A worker has the timestamp of its leader, who has judged the plan.
bool is_explained(const QueryDesc *query, int flags) {
  if (flags & EXEC_FLAG_EXPLAIN_ONLY) return true;
  return query->instrument_options != 0 && !IsParallelWorker() &&
         (explaining > 0 || GetCurrentStatementStartTimestamp() == loaded_in);
}

}  // namespace

void note_load() { loaded_in = GetCurrentStatementStartTimestamp(); }

void begin_explain() { explaining++; }

void end_explain() { explaining--; }

void refuse_hidden_plan(const QueryDesc *query, int flags) {
  if (!is_explained(query, flags)) return;
  Oid schema = get_namespace_oid("spine", true);
  ListCell *cell;
  foreach (cell, query->plannedstmt->rtable) {
    const RangeTblEntry *entry = static_cast<const RangeTblEntry *>(lfirst(cell));
    // spine.events, and what is counted of it. Row security is that of a view's owner, what spine.may_read lets through
    // that of who asks.
    if (entry->rtekind == RTE_RELATION && OidIsValid(schema) && get_rel_namespace(entry->relid) == schema &&
        check_enable_rls(entry->relid, compat_checked_role(query->plannedstmt, entry), true) == RLS_ENABLED &&
        !sees_all_events(GetUserId()))
      refuse_plan("EXPLAIN", get_rel_name(entry->relid));
  }
}

extern "C" {

// Planning calls it, so the hooks are there before a plan that row security shaped is run or shown.
PG_FUNCTION_INFO_V1(spine_may_read_support);
PGDLLEXPORT Datum spine_may_read_support(FunctionCallInfo) {
  if (Debug_print_plan && client_min_messages <= LOG && !sees_all_events(GetUserId())) refuse_plan("debug_print_plan", "events");
  PG_RETURN_POINTER(nullptr);
}

}  // extern "C"

}  // namespace spine
