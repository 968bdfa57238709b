// spine.to_cloudevent: an event as CloudEvents 1.0 has it. docs/standards.md says which column goes where.
#include <cinttypes>

#include "core/uuid.h"
#include "server/errors.h"
#include "server/json.h"
#include "store/event_table.h"

namespace spine {

namespace {

// An object in the making. It keeps its members in jsonb's own order, whatever the order of the calls.
class JsonObject {
 public:
  JsonObject() { pushJsonbValue(&state_, WJB_BEGIN_OBJECT, nullptr); }

  void text(const char *name, std::string_view value) { push_member(&state_, name, json_text(value)); }
  void uuid(const char *name, const Uuid &value) {
    char *out = static_cast<char *>(palloc(UUID_LEN * 2 + 4));
    text(name, {out, static_cast<size_t>(write_uuid(out, value) - out)});
  }
  void moment(const char *name, int64_t unix_microseconds) {
    char *out = static_cast<char *>(palloc(40));
    text(name, {out, static_cast<size_t>(write_timestamp(out, unix_microseconds) - out)});
  }
  void hex(const char *name, Bytes value) {
    char *out = static_cast<char *>(palloc(2 * value.size));
    text(name, {out, static_cast<size_t>(write_hex(out, value) - out)});
  }
  // stored: jsonb without its header, at any address.
  void json(const char *name, Bytes stored) {
    JsonbValue value;
    value.type = jbvBinary;
    value.val.binary.len = static_cast<int>(stored.size);
    value.val.binary.data = static_cast<JsonbContainer *>(memcpy(palloc(stored.size), stored.data, stored.size));
    push_member(&state_, name, value);
  }
  Datum end() { return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state_, WJB_END_OBJECT, nullptr))); }

 private:
  JsonbParseState *state_ = nullptr;
};

std::string_view view(const char *text) { return text; }

}  // namespace

extern "C" {

// A column that is NULL has no attribute, as it has no member in the document.
PG_FUNCTION_INFO_V1(spine_to_cloudevent);
PGDLLEXPORT Datum spine_to_cloudevent(PG_FUNCTION_ARGS) {
  Event e;
  event_of_row(PG_GETARG_HEAPTUPLEHEADER(0), &e);
  PartHashes parts = part_hashes(e);  // the server trusts what it puts into the object
  JsonObject cloud;
  cloud.text("specversion", "1.0");
  cloud.text("datacontenttype", "application/json");
  if (e.has(Column::id)) cloud.uuid("id", e.id);
  if (e.has(Column::environment) && e.has(Column::organization_id))
    cloud.text("source", view(psprintf("/people_os/%.*s/organizations/%s", static_cast<int>(e.environment.size()),
                                       e.environment.data(), uuid_text(e.organization_id))));
  if (e.has(Column::event_type)) cloud.text("type", e.event_type);
  if (e.has(Column::entity_type) && e.has(Column::entity_id))
    cloud.text("subject", view(psprintf("%.*s/%s", static_cast<int>(e.entity_type.size()), e.entity_type.data(),
                                        uuid_text(e.entity_id))));
  if (e.has(Column::timestamp)) cloud.moment("time", e.timestamp);
  if (e.has(Column::payload)) cloud.json("data", e.payload);
  if (e.has(Column::payload_salt)) cloud.hex("payloadsalt", e.payload_salt);
  if (e.has(Column::payload_hash)) cloud.hex("payloadhash", e.payload_hash);
  // What speaks of persons stays here; its hash is enough to check the event.
  if (parts.personal.data != nullptr) cloud.hex("personalhash", parts.personal);
  if (e.has(Column::occurred_at)) cloud.moment("occurredat", e.occurred_at);
  if (e.has(Column::correlation_id)) cloud.uuid("correlationid", e.correlation_id);
  if (e.has(Column::causation_id)) cloud.uuid("causationid", e.causation_id);
  if (e.has(Column::organization_id)) cloud.uuid("organizationid", e.organization_id);
  if (e.has(Column::actor_id)) cloud.uuid("actorid", e.actor_id);
  if (e.has(Column::actor_type)) cloud.text("actortype", e.actor_type);
  if (e.has(Column::severity)) cloud.text("severity", e.severity);
  if (e.has(Column::environment)) cloud.text("environment", e.environment);
  if (e.has(Column::domain)) cloud.text("domain", e.domain);
  if (e.has(Column::entity_type)) cloud.text("entitytype", e.entity_type);
  if (e.has(Column::entity_id)) cloud.uuid("entityid", e.entity_id);
  if (e.has(Column::action)) cloud.text("action", e.action);
  // The extension "sequence" asks for strings that sort as the numbers do.
  if (e.has(Column::sequence)) cloud.text("sequence", view(psprintf("%019" PRId64, e.sequence)));
  if (e.has(Column::transaction_id)) cloud.text("transactionid", view(psprintf("%" PRIu64, e.transaction_id)));
  if (e.has(Column::recorded_by)) cloud.text("recordedby", e.recorded_by);
  if (e.has(Column::previous_hash)) cloud.hex("previoushash", e.previous_hash);
  if (e.has(Column::event_hash)) cloud.hex("eventhash", e.event_hash);
  PG_RETURN_DATUM(cloud.end());
}

}  // extern "C"

}  // namespace spine
