// spine.place_hold, spine.release_hold, and the trigger that has nobody else write spine.legal_holds.
#include "privacy/privacy.h"

#include "access/access.h"
#include "core/event_name.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/sql.h"
#include "server/transaction_lock.h"
#include "store/emit.h"
#include "store/event_arguments.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"

extern "C" {
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <common/hashfn.h>
#include <replication/logicalworker.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// The columns of spine.legal_holds that are read.
enum HoldColumn { id_column, organization_column, domain_column, entity_type_column, entity_column, from_column, to_column, released_column, hold_columns };

constexpr const char *insert_hold =
    "INSERT INTO spine.legal_holds (id, organization_id, domain, entity_type, entity_id, from_timestamp, to_timestamp, reason, placed_at, placed_by)"
    " VALUES (pg_catalog.gen_random_uuid(), $1, $3, $4, $5, $6, $7, $2, pg_catalog.clock_timestamp(), $8)"
    " RETURNING id, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('hold', id, 'reason', reason, 'by', placed_by,"
    "   'domain', domain, 'entity_type', entity_type, 'entity_id', entity_id, 'from', from_timestamp, 'to', to_timestamp))";

constexpr const char *release =
    "UPDATE spine.legal_holds SET released_at = pg_catalog.clock_timestamp(), released_by = $3, release_reason = $2"
    " WHERE id = $1 AND released_at IS NULL"
    " RETURNING id, pg_catalog.jsonb_build_object('hold', id, 'reason', release_reason, 'by', released_by)";

bool is_changing;  // place_hold or release_hold writes

[[noreturn]] void unknown_hold(const char *id, const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_HOLD), errmsg("%s hold %s", why, id),
                  errhint("Those that stand are in spine.legal_holds, where released_at is null.")));
}

void require_text(FunctionCallInfo fcinfo, int argument, const char *name) {
  if (PG_ARGISNULL(argument) || VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(argument)) == 0)
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s is null or empty", name),
                    errhint("Say in a line why, without a person's data: it is recorded as an event.")));
}

// One that could be no part of an event's name would hold nothing.
void check_scope(FunctionCallInfo fcinfo) {
  const char *domain = PG_ARGISNULL(2) ? "x" : text_to_cstring(PG_GETARG_TEXT_PP(2));
  const char *entity_type = PG_ARGISNULL(3) ? "x" : text_to_cstring(PG_GETARG_TEXT_PP(3));
  EventName parts;
  (void)event_name_or_error(CStringGetTextDatum(psprintf("%s.%s.x", domain, entity_type)), false, &parts);
  if (!PG_ARGISNULL(5) && !PG_ARGISNULL(6) && PG_GETARG_TIMESTAMPTZ(5) > PG_GETARG_TIMESTAMPTZ(6))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("from_timestamp is after to_timestamp"),
                    errhint("Leave either out where the hold has no such end.")));
}

// Writes with the owner's rights, once. Returns the hold's id and the payload of its event.
bool write(const char *statement, std::initializer_list<SqlArgument> arguments, Datum *id, Datum *payload) {
  OwnersRights owner;
  owner.begin_as_owner_of(spine_table("legal_holds"));
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
  if (rows != 1) return false;
  bool null;
  *id = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
  *payload = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null);
  return true;
}

void name_privacy(void *organization) {
  errcontext("waiting for another transaction that erases events of organization %s, or holds them", uuid_text(*static_cast<const Uuid *>(organization)));
}

}  // namespace

void lock_privacy(const Uuid &organization) {
  LOCKTAG tag = lock_tag(hash_bytes_extended(organization.data(), static_cast<int>(organization.size()), 0), LockClass::privacy);
  ErrorContextCallback context;
  context.callback = name_privacy;
  context.arg = const_cast<Uuid *>(&organization);
  context.previous = error_context_stack;
  error_context_stack = &context;
  for_transaction([&] { (void)LockAcquire(&tag, ExclusiveLock, false, false); });
  error_context_stack = context.previous;
}

Holds holds_of(const Uuid *organization) {
  Relation relation = open_kept_table(spine_table("legal_holds"), {UUIDOID, UUIDOID, TEXTOID, TEXTOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID});
  if (relation == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table \"spine.legal_holds\" is missing, or not as CREATE EXTENSION made it"),
                    errhint("It says what may not be erased; have a superuser put it back.")));
  Holds holds{};
  int room = 0;
  each_row_now(relation, hold_columns, [&](const Datum *value, const bool *null) {
    if (null[id_column] || null[organization_column] || !null[released_column]) return;
    Uuid of = uuid_of(value[organization_column]);
    if (organization != nullptr && of != *organization) return;
    auto said = [&](HoldColumn column) {
      return null[column] ? std::string_view() : std::string_view(text_to_cstring(DatumGetTextPP(value[column])));
    };
    make_room(CurrentMemoryContext, &holds.hold, holds.count, &room);
    holds.hold[holds.count++] = {uuid_of(value[id_column]),
                                 of,
                                 said(domain_column),
                                 said(entity_type_column),
                                 !null[entity_column],
                                 null[entity_column] ? Uuid{} : uuid_of(value[entity_column]),
                                 null[from_column] ? DT_NOBEGIN : DatumGetTimestampTz(value[from_column]),
                                 null[to_column] ? DT_NOEND : DatumGetTimestampTz(value[to_column])};
  });
  table_close(relation, AccessShareLock);
  return holds;
}

const Hold *hold_on(const Holds &holds, const Event &event) {
  TimestampTz at = event.timestamp - unix_time(0);
  for (const Hold *hold = holds.hold; hold < holds.hold + holds.count; hold++)
    if (hold->organization == event.organization_id && (hold->domain.empty() || hold->domain == event.domain) &&
        (hold->entity_type.empty() || hold->entity_type == event.entity_type) && (!hold->has_entity || hold->entity == event.entity_id) &&
        hold->from <= at && at <= hold->to)
      return hold;
  return nullptr;
}

const Hold *hold_before(const Holds &holds, const Uuid *organization, TimestampTz moment) {
  for (const Hold *hold = holds.hold; hold < holds.hold + holds.count; hold++)
    if ((organization == nullptr || hold->organization == *organization) && hold->from < moment) return hold;
  return nullptr;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_place_hold);
PGDLLEXPORT Datum spine_place_hold(PG_FUNCTION_ARGS) {
  require_writable("spine.place_hold()");
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("organization_id is null"), errhint("Pass the organization whose events are to be held.")));
  require_text(fcinfo, 1, "reason");
  check_scope(fcinfo);
  Uuid organization = uuid_of(PG_GETARG_DATUM(0));
  require_duty(Duty::hold, organization);
  lock_privacy(organization);
  SPI_connect();
  auto argument = [&](Oid type, int i) { return SqlArgument{type, PG_ARGISNULL(i) ? static_cast<Datum>(0) : PG_GETARG_DATUM(i), PG_ARGISNULL(i)}; };
  SqlArgument by = {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
  Datum id, payload;
  if (!write(insert_hold, {argument(UUIDOID, 0), argument(TEXTOID, 1), argument(TEXTOID, 2), argument(TEXTOID, 3), argument(UUIDOID, 4),
                           argument(TIMESTAMPTZOID, 5), argument(TIMESTAMPTZOID, 6), by}, &id, &payload))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED), errmsg("a trigger on table \"spine.legal_holds\" suppressed the hold"),
                    errhint("Drop the trigger that somebody added.")));
  Uuid placed = uuid_of(id);
  (void)emit_own_event(hold_placed_event, organization, placed, "high", payload, ChainedWhen::at_commit);
  SPI_finish();
  PG_RETURN_DATUM(uuid_datum(placed));
}

PG_FUNCTION_INFO_V1(spine_release_hold);
PGDLLEXPORT Datum spine_release_hold(PG_FUNCTION_ARGS) {
  require_writable("spine.release_hold()");
  if (PG_ARGISNULL(0)) unknown_hold("NULL", "there is no");
  require_text(fcinfo, 1, "reason");
  Uuid id = uuid_of(PG_GETARG_DATUM(0));
  Holds holds = holds_of(nullptr);
  const Hold *found = nullptr;
  for (int i = 0; i < holds.count; i++)
    if (holds.hold[i].id == id) found = &holds.hold[i];
  // To whom it is none of his, there is none.
  if (found == nullptr || !has_duty(Duty::hold, found->organization)) unknown_hold(uuid_text(id), "there is no standing");
  lock_privacy(found->organization);
  SPI_connect();
  Datum same, payload;
  if (!write(release, {{UUIDOID, PG_GETARG_DATUM(0)}, {TEXTOID, PG_GETARG_DATUM(1)}, {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))}}, &same, &payload))
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("hold %s was placed or released meanwhile", uuid_text(id)),
                    errhint("Retry in a new transaction.")));
  (void)emit_own_event(hold_released_event, found->organization, id, "high", payload, ChainedWhen::at_commit);
  SPI_finish();
  PG_RETURN_VOID();
}

// A row comes from place_hold, from a backup or by logical replication; nobody takes one away, and none is changed but by its
// release.
PG_FUNCTION_INFO_V1(spine_keep_hold);
PGDLLEXPORT Datum spine_keep_hold(PG_FUNCTION_ARGS) {
  TriggerData *data = CALLED_AS_TRIGGER(fcinfo) ? reinterpret_cast<TriggerData *>(fcinfo->context) : nullptr;
  if (data == nullptr || !TRIGGER_FIRED_BEFORE(data->tg_event) || RelationGetRelid(data->tg_relation) != spine_table("legal_holds"))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.keep_hold() is the trigger function of spine.legal_holds"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  bool is_update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  bool is_applied = TRIGGER_FIRED_FOR_ROW(data->tg_event) && is_update && IsLogicalWorker();
  if (!is_applied && !(is_update && is_changing))
    ereport(ERROR, (errcode(ERRCODE_SPINE_HOLD_IS_KEPT),
                    errmsg("%s of table \"spine.legal_holds\" is refused", is_update                                 ? "UPDATE"
                                                                           : TRIGGER_FIRED_BY_DELETE(data->tg_event) ? "DELETE"
                                                                                                                     : "TRUNCATE"),
                    errhint("A hold stays on record; spine.release_hold ends it.")));
  if (TRIGGER_FIRED_FOR_STATEMENT(data->tg_event)) return PointerGetDatum(nullptr);
  return PointerGetDatum(data->tg_newtuple);
}

}  // extern "C"

}  // namespace spine
