// spine.set_context.
#include "core/uuid.h"
#include "server/errors.h"
#include "store/event_table.h"

extern "C" {
#include <access/xact.h>
#include <tcop/pquery.h>
#include <utils/guc.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

void set_for_transaction(const char *name, const char *value) {
  (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

const char *uuid_argument(FunctionCallInfo fcinfo, int i) { return PG_ARGISNULL(i) ? "" : uuid_text(uuid_of(PG_GETARG_DATUM(i))); }

// Whether it is the client's own statement that calls: those that a function runs have snapshots of their own.
bool is_called_by_client() {
  return ActivePortal != nullptr && ActivePortal->queryDesc != nullptr && ActivePortal->queryDesc->snapshot == GetActiveSnapshot();
}

}  // namespace

extern "C" {

// All four, whatever is given: behind a pooler the session's own are another client's.
PG_FUNCTION_INFO_V1(spine_set_context);
PGDLLEXPORT Datum spine_set_context(PG_FUNCTION_ARGS) {
  WarnNoTransactionBlock(is_called_by_client(), "spine.set_context()");
  const char *actor_type = PG_ARGISNULL(2) ? "human" : enum_label(PG_GETARG_OID(2));
  set_for_transaction("people_os_spine.organization_id", uuid_argument(fcinfo, 0));
  set_for_transaction("people_os_spine.actor_id", uuid_argument(fcinfo, 1));
  set_for_transaction("people_os_spine.actor_type", actor_type == nullptr ? "?" : actor_type);
  set_for_transaction("people_os_spine.correlation_id", uuid_argument(fcinfo, 3));
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
