#include "store/event_arguments.h"

#include <cstring>

#include "core/uuid.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/context.h"
#include "store/emission_rights.h"
#include "store/event_types.h"

extern "C" {
#include <access/detoast.h>
#include <access/xact.h>
#include <commands/dbcommands.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

std::string_view text_of(const EventValues &values, Column column) {
  return text_view(PG_DETOAST_DATUM_PACKED(values.get(column)));
}

// Returns the name.
std::string_view resolve_name(EventValues *values) {
  EventName parts;
  std::string_view name = event_name_or_error(values->get(Column::event_type), !values->has(Column::event_type), &parts);
  struct {
    Column column;
    std::string_view part;
  } const derived[] = {{Column::domain, parts.domain},
                       {Column::entity_type, parts.entity_type},
                       {Column::action, parts.action}};
  for (const auto &d : derived) {
    if (values->has(d.column)) {
      std::string_view said = text_of(*values, d.column);
      const char *column = column_names[static_cast<int>(d.column)];
      if (said != d.part)
        ereport(ERROR, (errcode(ERRCODE_SPINE_NAME_DISAGREES),
                        errmsg("%s \"%s\" disagrees with event name \"%s\"", column, clipped(said), clipped(name)),
                        errhint("Leave %s out, or pass \"%s\".", column, clipped(d.part))));
    } else {
      values->set(d.column, text_datum(d.part));
    }
  }
  return name;
}

// The event by name, for messages; its name is known to be one.
const char *named(const EventValues &values, const char *part) {
  std::string_view name = text_of(values, Column::event_type);
  return psprintf("%sevent \"%.*s\"", part, static_cast<int>(name.size()), name.data());
}

void resolve_actor(const EventTable *table, EventValues *values) {
  if (!values->has(Column::actor_id)) {
    if (!settings.has_actor_id)
      ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ACTOR), errmsg("%s has no actor", named(*values, "")),
                      errhint("Pass actor_id, or SET people_os_spine.actor_id.")));
    require_context("people_os_spine.actor_id", settings.actor_id_number);
    values->set(Column::actor_id, uuid_datum(settings.actor_id));
  }
  if (!values->has(Column::actor_type))
    values->set(Column::actor_type,
                ObjectIdGetDatum(enum_value(table->enum_type[0], actor_type_labels[settings.actor_type])));
}

void resolve_environment(const EventTable *table, EventValues *values) {
  const char *ours = environment_labels[settings.environment];
  if (!values->has(Column::environment)) {
    if (settings.environment == 0)
      ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ENVIRONMENT), errmsg("%s has no environment", named(*values, "")),
                      errhint("Say once, as a superuser, what this database is: ALTER DATABASE %s SET "
                              "people_os_spine.environment = 'prod'; (or dev, test, stage), then connect anew.",
                              quote_identifier(get_database_name(MyDatabaseId)))));
    values->set(Column::environment, ObjectIdGetDatum(enum_value(table->enum_type[1], ours)));
    return;
  }
  const char *said = enum_label(DatumGetObjectId(values->get(Column::environment)));
  if (settings.environment != 0 && (said == nullptr || strcmp(said, ours) != 0))
    ereport(ERROR, (errcode(ERRCODE_SPINE_ENVIRONMENT_DISAGREES),
                    errmsg("environment \"%s\" disagrees with this database, which is \"%s\"",
                           said == nullptr ? "?" : said, ours),
                    errhint("Leave environment out, or connect to the database of that environment.")));
}

void resolve_payload(EventValues *values, std::string_view *canonical) {
  static struct {
    int32 header;
    uint32 container;
  } empty_object;
  SET_VARSIZE(&empty_object, sizeof empty_object);
  empty_object.container = JB_FOBJECT;

  if (!values->has(Column::payload)) values->set(Column::payload, PointerGetDatum(&empty_object));
  Datum datum = values->get(Column::payload);
  // A stored value is never more than eight times its canonical form, so this one need not even be fetched.
  size_t limit = static_cast<size_t>(settings.max_payload_size);
  if (toast_raw_datum_size(datum) > 8 * limit + 64) report(Status::too_large, named(*values, "the payload of "));
  varlena *payload = PG_DETOAST_DATUM_PACKED(datum);
  values->set(Column::payload, PointerGetDatum(payload));
  Bytes stored = bytes_view(payload);
  uint32 header = 0;
  if (stored.size >= sizeof header) memcpy(&header, stored.data, sizeof header);
  if (!(header & JB_FOBJECT)) report(Status::not_an_object, named(*values, "the payload of "));
  Status status = hasher().canonical_json(stored, {limit, max_payload_depth, true}, canonical);
  if (status != Status::ok) report(status, named(*values, "the payload of "), *canonical);
}

// So that what capture says of a row can be told from what somebody emits. The text is looked at first: it is at hand.
void refuse_capture_member(const EventValues &values, std::string_view canonical) {
  if (canonical.find(capture_member) == std::string_view::npos) return;
  Jsonb *payload = DatumGetJsonbP(values.get(Column::payload));
  JsonbValue member;
  if (getKeyJsonValueFromContainer(&payload->root, capture_member.data(), static_cast<int>(capture_member.size()), &member) == nullptr)
    return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_CAPTURE_MEMBER),
                  errmsg("the payload of %s has a member \"%s\"", named(values, ""), capture_member.data()),
                  errhint("It marks the events that captured tables emit: give the member another name.")));
}

Datum session_user_name() {
  const char *name = GetUserNameFromId(GetSessionUserId(), false);
  if (!pg_verify_mbstr(PG_UTF8, name, static_cast<int>(strlen(name)), true))
    ereport(ERROR, (errcode(ERRCODE_SPINE_ROLE_NAME_NOT_UTF8),
                    errmsg("the name of session user %u is not valid UTF-8", GetSessionUserId()),
                    errhint("It was made in a database of another encoding: ALTER ROLE … RENAME TO a name in UTF-8.")));
  return text_datum(name);
}

// Asking for randomness costs more than the rest of an id: take it for many at once.
Uuid new_event_id() {
  static uint8_t random[512];
  static size_t left = 0;
  if (left < 8) {
    if (!pg_strong_random(random, sizeof random))
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bits for an event's id"),
                      errhint("The operating system's source of randomness failed; retry.")));
    left = sizeof random;
  }
  left -= 8;
  return make_uuid_v7(static_cast<uint64_t>(unix_time(GetCurrentTimestamp())), random + left);
}

}  // namespace

std::string_view event_name_or_error(Datum datum, bool is_null, EventName *parts) {
  if (is_null)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("event name is null"),
                    errhint("Pass event_type as <domain>.<entity>.<action>, such as hcm.employee.created.")));
  std::string_view name = text_view(PG_DETOAST_DATUM_PACKED(datum));
  if (!parse_event_name(name, parts))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("\"%s\" is no event name", clipped(name)),
                    errhint("An event name is <domain>.<entity>.<action>, such as hcm.employee.created; each part "
                            "begins with a lower-case letter and has at most 63 lower-case letters, digits and "
                            "underscores.")));
  return name;
}

void refuse_given_columns(const EventValues &values) {
  for (int c = 0; c < column_count; c++) {
    if (values.null[c] || !(given_columns & (uint32_t{1} << c))) continue;
    ereport(ERROR, (errcode(ERRCODE_SPINE_COLUMN_IS_GIVEN),
                    errmsg("column \"%s\" is given by the spine and cannot be set", column_names[c]),
                    errhint("Leave it out. Only a superuser or the table's owner may store complete rows, to restore "
                            "a backup.")));
  }
}

void resolve_organization(EventValues *values) {
  if (values->has(Column::organization_id)) return;
  if (!settings.has_organization_id)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ORGANIZATION), errmsg("event has no organization"),
                    errhint("Pass organization_id, or SET people_os_spine.organization_id.")));
  require_context("people_os_spine.organization_id", settings.organization_id_number);
  values->set(Column::organization_id, uuid_datum(settings.organization_id));
}

void check_event(const EventTable *table, EventValues *values, const EventValues *emitted, std::string_view *payload) {
  refuse_given_columns(*values);
  std::string_view name = resolve_name(values);
  if (settings.require_registered_types && (emitted == nullptr || name != text_of(*emitted, Column::event_type)))
    require_registered(name);
  if (!values->has(Column::entity_id))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ENTITY), errmsg("%s has no entity", named(*values, "")),
                    errhint("Pass entity_id; spine.entity_uuid(domain, entity_type, key) makes one for what has no "
                            "uuid.")));
  resolve_actor(table, values);
  resolve_organization(values);
  Uuid organization = uuid_of(values->get(Column::organization_id));
  if (emitted == nullptr || organization != uuid_of(emitted->get(Column::organization_id)))
    require_emitting(table->root, organization, values->is_captured ? OnBehalf::captured_table : OnBehalf::emitter);
  resolve_environment(table, values);
  if (!values->has(Column::severity)) {
    Oid severity = registered_severity(name);
    values->set(Column::severity, ObjectIdGetDatum(OidIsValid(severity) ? severity : enum_value(table->enum_type[2], "low")));
  }
  resolve_payload(values, payload);
  if (emitted == nullptr && !values->is_captured) refuse_capture_member(*values, *payload);
}

void stamp_event(EventValues *values) {
  values->set(Column::recorded_by, session_user_name());
  values->set(Column::id, uuid_datum(new_event_id()));
  values->set(Column::transaction_id, FullTransactionIdGetDatum(GetTopFullTransactionId()));
}

std::string_view checked_payload(const EventValues &values) {
  Bytes stored = bytes_view(PG_DETOAST_DATUM_PACKED(values.get(Column::payload)));
  std::string_view canonical;
  Status status = hasher().canonical_json(stored, {MaxAllocHugeSize, SIZE_MAX, false}, &canonical);
  if (status != Status::ok) report(status, named(values, "the payload of "), canonical);
  return canonical;
}

}  // namespace spine
