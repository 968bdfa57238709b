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

// What the hashed form of a timestamp can write: years 1 to 9999.
constexpr TimestampTz first_moment = INT64CONST(-63082281600000000), end_of_moments = INT64CONST(252455616000000000);

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

// Asking for randomness costs more than what it is for: it is taken for many at once.
template <size_t size>
const uint8_t *random_bytes() {
  static uint8_t random[512];
  static size_t left = 0;
  if (left < size) {
    if (!pg_strong_random(random, sizeof random))
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bits for an event"),
                      errhint("The operating system's source of randomness failed; retry.")));
    left = sizeof random;
  }
  left -= size;
  return random + left;
}

// Checks a part, gives it a salt and hashes both. Returns its canonical form, until the Hasher's next.
std::string_view resolve_part(EventValues *values, Column column, Column salt_column, const char *which, Hash *hash) {
  Datum datum = values->get(column);
  // A stored value is never more than eight times its canonical form, so this one need not even be fetched.
  size_t limit = static_cast<size_t>(settings.max_payload_size);
  if (toast_raw_datum_size(datum) > 8 * limit + 64) report(Status::too_large, named(*values, which));
  varlena *part = PG_DETOAST_DATUM_PACKED(datum);
  values->set(column, PointerGetDatum(part));
  Bytes stored = bytes_view(part);
  uint32 header = 0;
  if (stored.size >= sizeof header) memcpy(&header, stored.data, sizeof header);
  if (!(header & JB_FOBJECT)) report(Status::not_an_object, named(*values, which));
  std::string_view canonical;
  Status status = hasher().canonical_json(stored, {limit, max_payload_depth, true}, &canonical);
  if (status != Status::ok) report(status, named(*values, which), canonical);
  Bytes salt{random_bytes<16>(), 16};
  status = hasher().part_hash(salt, canonical, hash);
  if (status != Status::ok) report(status, named(*values, which));
  values->set(salt_column, bytea_datum(salt));
  return canonical;
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

void resolve_parts(EventValues *values, bool may_be_marked) {
  static struct {
    int32 header;
    uint32 container;
  } empty_object;
  SET_VARSIZE(&empty_object, sizeof empty_object);
  empty_object.container = JB_FOBJECT;

  if (!values->has(Column::payload)) values->set(Column::payload, PointerGetDatum(&empty_object));
  std::string_view canonical = resolve_part(values, Column::payload, Column::payload_salt, "the payload of ", &values->payload_hash);
  if (!may_be_marked) refuse_capture_member(*values, canonical);
  if (values->has(Column::personal))
    (void)resolve_part(values, Column::personal, Column::personal_salt, "the personal part of ", &values->personal_hash);
}

void resolve_moment(const EventValues &values) {
  if (!values.has(Column::occurred_at)) return;
  TimestampTz moment = DatumGetTimestampTz(values.get(Column::occurred_at));
  if (moment >= first_moment && moment < end_of_moments) return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_OCCURRED_AT),
                  errmsg("occurred_at of %s is %s", named(values, ""), timestamptz_to_str(moment)),
                  errhint("Pass a moment of the years 1 to 9999, or leave it out.")));
}

Datum session_user_name() {
  const char *name = GetUserNameFromId(GetSessionUserId(), false);
  if (!pg_verify_mbstr(PG_UTF8, name, static_cast<int>(strlen(name)), true))
    ereport(ERROR, (errcode(ERRCODE_SPINE_ROLE_NAME_NOT_UTF8),
                    errmsg("the name of session user %u is not valid UTF-8", GetSessionUserId()),
                    errhint("It was made in a database of another encoding: ALTER ROLE … RENAME TO a name in UTF-8.")));
  return text_datum(name);
}

Uuid new_event_id() { return make_uuid_v7(static_cast<uint64_t>(unix_time(GetCurrentTimestamp())), random_bytes<8>()); }

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

void check_event(const EventTable *table, EventValues *values, const EventValues *emitted) {
  refuse_given_columns(*values);
  std::string_view name = resolve_name(values);
  if (!values->is_of_spine) refuse_reserved(name);
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
  if (!values->has(Column::correlation_id) && settings.has_correlation_id) {
    require_context("people_os_spine.correlation_id", settings.correlation_id_number);
    values->set(Column::correlation_id, uuid_datum(settings.correlation_id));
  }
  resolve_moment(*values);
  resolve_parts(values, emitted != nullptr || values->is_captured);
}

void stamp_event(EventValues *values) {
  values->set(Column::recorded_by, session_user_name());
  // In this order: an event has no id that is older than its transaction's, from which consume/daily_counts.cpp concludes.
  values->set(Column::transaction_id, FullTransactionIdGetDatum(GetTopFullTransactionId()));
  values->set(Column::id, uuid_datum(new_event_id()));
}

}  // namespace spine
