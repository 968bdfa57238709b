// spine.place_hold and spine.release_hold.
#include "privacy/privacy.h"

#include "access/access.h"
#include "core/event_name.h"
#include "privacy/kept_table.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/sql.h"
#include "server/transaction_lock.h"
#include "store/emit.h"
#include "store/event_arguments.h"
#include "store/event_types.h"
#include "store/platform_event.h"

extern "C" {
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <common/hashfn.h>
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

[[noreturn]] void unknown_hold(const char *id, const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_HOLD), errmsg("%s hold %s", why, id),
                  errhint("Those that stand are in spine.legal_holds, where released_at is null.")));
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

// Writes a hold. Returns its id and the payload of its event.
bool write(const char *statement, std::initializer_list<SqlArgument> arguments, Datum *id, Datum *payload) {
  if (!write_kept("legal_holds", statement, arguments)) return false;
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
  require_reason(fcinfo, 1);
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
  require_reason(fcinfo, 1);
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

}  // extern "C"

}  // namespace spine
