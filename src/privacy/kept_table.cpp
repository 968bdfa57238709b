#include "privacy/kept_table.h"

#include "server/cached_table.h"
#include "server/errors.h"
#include "store/owners_rights.h"

extern "C" {
#include <commands/trigger.h>
#include <replication/logicalworker.h>
#include <utils/rel.h>
}

namespace spine {

namespace {

constexpr const char *kept_tables[] = {"legal_holds", "retention_policies"};

bool is_changing;  // write_kept is at work

bool is_kept(Oid relid) {
  for (const char *table : kept_tables)
    if (relid == spine_table(table)) return true;
  return false;
}

}  // namespace

bool write_kept(const char *table, const char *statement, std::initializer_list<SqlArgument> arguments) {
  OwnersRights owner;
  owner.begin_as_owner_of(spine_table(table));
  uint64 rows = 0;
  PG_TRY();
  {
    is_changing = true;
    rows = run_sql(statement, arguments);
  }
  PG_FINALLY();
  {
    is_changing = false;
  }
  PG_END_TRY();
  owner.end();
  return rows == 1;
}

extern "C" {

// A row comes from a function of the spine's, from a backup or by logical replication; nobody takes one away, and none is changed
// but by its end.
PG_FUNCTION_INFO_V1(spine_keep_decision);
PGDLLEXPORT Datum spine_keep_decision(PG_FUNCTION_ARGS) {
  TriggerData *data = CALLED_AS_TRIGGER(fcinfo) ? reinterpret_cast<TriggerData *>(fcinfo->context) : nullptr;
  if (data == nullptr || !TRIGGER_FIRED_BEFORE(data->tg_event) || !is_kept(RelationGetRelid(data->tg_relation)))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.keep_decision() is the trigger function of spine.legal_holds and spine.retention_policies"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  bool is_update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  bool is_applied = TRIGGER_FIRED_FOR_ROW(data->tg_event) && is_update && IsLogicalWorker();
  if (!is_applied && !(is_update && is_changing))
    ereport(ERROR, (errcode(ERRCODE_SPINE_DECISION_IS_KEPT),
                    errmsg("%s of table \"spine.%s\" is refused",
                           is_update                                 ? "UPDATE"
                           : TRIGGER_FIRED_BY_DELETE(data->tg_event) ? "DELETE"
                                                                     : "TRUNCATE",
                           RelationGetRelationName(data->tg_relation)),
                    errhint("What it says stays on record. spine.release_hold ends a hold, spine.set_retention a policy.")));
  if (TRIGGER_FIRED_FOR_STATEMENT(data->tg_event)) return PointerGetDatum(nullptr);
  return PointerGetDatum(data->tg_newtuple);
}

}  // extern "C"

}  // namespace spine
