// The triggers of spine.role_bindings and of the spine's other tables: what a binding says of itself, the events that tell
// of its change, and who may write at all.
#include "server/cached_table.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/event_types.h"
#include "store/platform_event.h"

extern "C" {
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <miscadmin.h>
}

namespace spine {

namespace {

// The columns of spine.role_bindings.
enum BindingNumber { role_number = 1, capability_number, organization_number, personal_number, role_name_number, granted_at_number };

// The rows of a statement as events: one for a role, capability and personal, or for each 1000 organizations of it. $1: rows that were
// not granted at that time are restored ones, whose event is restored too; null: all of them.
constexpr const char *payloads =
    "SELECT role_name::text,"
    "       pg_catalog.jsonb_build_object('role', role_name, 'capability', capability, 'by', CURRENT_USER, 'organizations',"
    "         CASE WHEN bool_and(organization_id IS NOT NULL) THEN pg_catalog.jsonb_agg(organization_id ORDER BY organization_id) END)"
    "         || CASE capability WHEN 'emit' THEN '{}' ELSE pg_catalog.jsonb_build_object('personal', personal) END"
    "  FROM (SELECT role_name, capability, personal, organization_id, organization_id IS NULL AS is_all,"
    "               (pg_catalog.row_number() OVER (PARTITION BY role_name, capability, personal, organization_id IS NULL ORDER BY organization_id) - 1)"
    "               / 1000 AS part"
    "          FROM %s WHERE $1 IS NULL OR granted_at = $1) b"
    " GROUP BY role_name, capability, personal, is_all, part ORDER BY role_name, capability, personal, is_all, part";

TriggerData *bindings_trigger(FunctionCallInfo fcinfo, const char *function) {
  TriggerData *data = CALLED_AS_TRIGGER(fcinfo) ? reinterpret_cast<TriggerData *>(fcinfo->context) : nullptr;
  if (data == nullptr || RelationGetRelid(data->tg_relation) != spine_table("role_bindings"))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("%s is a trigger function of spine.role_bindings", function),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  return data;
}

void emit_rows(std::string_view event_type, const char *rows, SqlArgument granted_at) {
  uint64 count = run_sql(psprintf(payloads, rows), {granted_at});
  SPITupleTable *events = SPI_tuptable;
  for (uint64 i = 0; i < count; i++) {
    bool null;
    const char *role = SPI_getvalue(events->vals[i], events->tupdesc, 1);
    Datum payload = SPI_getbinval(events->vals[i], events->tupdesc, 2, &null);
    emit_platform_event(event_type, role == nullptr ? "" : role, "high", payload, ChainedWhen::at_commit);
  }
}

}  // namespace

extern "C" {

// A row that comes with its role's name and time is a restored one, and stays as it is.
PG_FUNCTION_INFO_V1(spine_own_binding);
PGDLLEXPORT Datum spine_own_binding(PG_FUNCTION_ARGS) {
  TriggerData *data = bindings_trigger(fcinfo, "spine.own_binding()");
  if (!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) || TRIGGER_FIRED_BY_DELETE(data->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.own_binding() does not run where rows are written"),
                    errhint("Attach it BEFORE INSERT OR UPDATE … FOR EACH ROW.")));
  bool is_update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  HeapTuple row = is_update ? data->tg_newtuple : data->tg_trigtuple;
  TupleDesc shape = RelationGetDescr(data->tg_relation);
  bool no_role, no_name, no_time;
  Oid role = DatumGetObjectId(heap_getattr(row, role_number, shape, &no_role));
  (void)heap_getattr(row, role_name_number, shape, &no_name);
  (void)heap_getattr(row, granted_at_number, shape, &no_time);
  if (no_role || (!is_update && !no_name && !no_time)) return PointerGetDatum(row);
  const char *name = GetUserNameFromId(role, true);
  if (name == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no role with number %u", role),
                    errhint("Pass the name of a role that exists.")));
  NameData copy;
  namestrcpy(&copy, name);
  int columns[] = {role_name_number, granted_at_number};
  Datum values[] = {NameGetDatum(&copy), TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())};
  bool nulls[] = {false, false};
  return PointerGetDatum(heap_modify_tuple_by_cols(row, shape, 2, columns, values, nulls));
}

PG_FUNCTION_INFO_V1(spine_record_bindings);
PGDLLEXPORT Datum spine_record_bindings(PG_FUNCTION_ARGS) {
  TriggerData *data = bindings_trigger(fcinfo, "spine.record_bindings()");
  bool is_truncate = TRIGGER_FIRED_BY_TRUNCATE(data->tg_event);
  bool has_old = TRIGGER_FIRED_BY_DELETE(data->tg_event) || TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  bool has_new = TRIGGER_FIRED_BY_INSERT(data->tg_event) || TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  if (TRIGGER_FIRED_FOR_ROW(data->tg_event) || (is_truncate ? !TRIGGER_FIRED_BEFORE(data->tg_event) : !TRIGGER_FIRED_AFTER(data->tg_event)) ||
      (has_old && data->tg_oldtable == nullptr) || (has_new && data->tg_newtable == nullptr))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.record_bindings() does not see what a statement changed"),
                    errhint("Attach it AFTER one of INSERT, UPDATE and DELETE with transition tables old_rows and new_rows, or "
                            "BEFORE TRUNCATE, FOR EACH STATEMENT.")));
  SqlArgument all = {TIMESTAMPTZOID, 0, true};
  SqlArgument fresh = {TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())};
  SPI_connect();
  SPI_register_trigger_data(data);
  if (is_truncate) emit_rows(rights_revoked_event, "spine.role_bindings", all);
  if (has_old) emit_rows(rights_revoked_event, "old_rows", all);
  if (has_new) emit_rows(rights_granted_event, "new_rows", fresh);
  SPI_finish();
  return PointerGetDatum(nullptr);
}

PG_FUNCTION_INFO_V1(spine_refuse_writer);
PGDLLEXPORT Datum spine_refuse_writer(PG_FUNCTION_ARGS) {
  TriggerData *data = CALLED_AS_TRIGGER(fcinfo) ? reinterpret_cast<TriggerData *>(fcinfo->context) : nullptr;
  if (data == nullptr || !TRIGGER_FIRED_BEFORE(data->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.refuse_writer() is a trigger function, BEFORE a table of the spine is written"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  Oid role = GetUserId();
  if (!compat_owns_table(RelationGetRelid(data->tg_relation), role))  // superusers own whatever there is
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_A_WRITER),
                    errmsg("role \"%s\" may not write to table \"spine.%s\"", GetUserNameFromId(role, false),
                           RelationGetRelationName(data->tg_relation)),
                    errhint("The spine's functions write there. By hand its owner or a superuser does.")));
  if (TRIGGER_FIRED_FOR_STATEMENT(data->tg_event)) return PointerGetDatum(nullptr);
  return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}

}  // extern "C"

}  // namespace spine
