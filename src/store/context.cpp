// spine.set_context.
#include "store/context.h"

#include "core/uuid.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/event_table.h"

extern "C" {
#include <access/xact.h>
#include <miscadmin.h>
#include <tcop/pquery.h>
#include <utils/guc.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// The transaction and the client's statement that called set_context last, and the number of its first value: what is
// older was not said in this context. A procedure that commits goes on in the same statement.
struct Context {
  TimestampTz transaction;
  TimestampTz statement;
  uint64 first;
};
Context context;

bool has_context() {
  return context.first != 0 && (context.transaction == GetCurrentTransactionStartTimestamp() ||
                                context.statement == GetCurrentStatementStartTimestamp());
}

void set_for_transaction(const char *name, const char *value) {
  (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

const char *uuid_argument(FunctionCallInfo fcinfo, int i) { return PG_ARGISNULL(i) ? "" : uuid_text(uuid_of(PG_GETARG_DATUM(i))); }

// Whether it is the client's own statement that calls: those that a function runs have snapshots of their own.
bool is_called_by_client() {
  return ActivePortal != nullptr && ActivePortal->queryDesc != nullptr && ActivePortal->queryDesc->snapshot == GetActiveSnapshot();
}

}  // namespace

void require_context(const char *setting, uint64 number) {
  if (!has_context() || number > context.first) return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_CONTEXT_ENDED),
                  errmsg("the context that spine.set_context gave has ended, and %s is what the session says", setting),
                  errhint("ROLLBACK TO, and COMMIT or ROLLBACK in a procedure, take the context back: call spine.set_context "
                          "again after it.")));
}

extern "C" {

// All four, whatever is given: behind a pooler the session's own are another client's.
PG_FUNCTION_INFO_V1(spine_set_context);
PGDLLEXPORT Datum spine_set_context(PG_FUNCTION_ARGS) {
  if (is_called_by_client() && !IsInTransactionBlock(true))
    ereport(ERROR, (errcode(ERRCODE_SPINE_CONTEXT_WITHOUT_TRANSACTION),
                    errmsg("spine.set_context() is called outside of a transaction block"),
                    errhint("Its effect would end with this statement: BEGIN first.")));
  if (PG_ARGISNULL(0) && !PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_SPINE_HALF_CONTEXT),
                    errmsg("the context of actor %s has no organization", uuid_text(uuid_of(PG_GETARG_DATUM(1)))),
                    errhint("Pass the organization; NULL for both says that there is none of either.")));
  if (!has_context()) context.first = next_setting_number();
  context.transaction = GetCurrentTransactionStartTimestamp();
  context.statement = GetCurrentStatementStartTimestamp();
  const char *actor_type = PG_ARGISNULL(2) ? "human" : enum_label(PG_GETARG_OID(2));
  set_for_transaction("people_os_spine.organization_id", uuid_argument(fcinfo, 0));
  set_for_transaction("people_os_spine.actor_id", uuid_argument(fcinfo, 1));
  set_for_transaction("people_os_spine.actor_type", actor_type == nullptr ? "?" : actor_type);
  set_for_transaction("people_os_spine.correlation_id", uuid_argument(fcinfo, 3));
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
