// The functions that show the bytes behind a hash, and spine.entity_uuid.
#include "core/event_name.h"
#include "core/uuid.h"
#include "server/errors.h"
#include "store/event_table.h"

extern "C" {
#include <utils/memutils.h>
}

namespace spine {

namespace {

// What fits in a text value, whatever the settings of emission say.
constexpr JsonLimits display_limits{MaxAllocSize - VARHDRSZ - 1, SIZE_MAX, false};

std::string_view canonical(Bytes stored, const char *what) {
  std::string_view json;
  Status status = hasher().canonical_json(stored, display_limits, &json);
  if (status == Status::too_large)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the canonical form of %s exceeds 1 GB", what),
                    errhint("A text value cannot be longer.")));
  if (status != Status::ok) report(status, what);
  return json;
}

std::string_view payload_of(const Event &event) {
  return event.has(Column::payload) ? canonical(event.payload, "payload") : std::string_view();
}

// The namespace of entity_uuid: version 5 of "entity.spine.people-os" in RFC 9562's namespace for DNS names.
// 955bbf14-14c9-5566-88a4-2eba1e0fac41
constexpr Uuid entity_namespace = {{0x95, 0x5b, 0xbf, 0x14, 0x14, 0xc9, 0x55, 0x66, 0x88, 0xa4, 0x2e, 0xba, 0x1e, 0x0f, 0xac, 0x41}};

std::string_view name_part(const text *value, const char *what) {
  std::string_view part = text_view(value);
  if (!is_name_part(part))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("\"%s\" is no %s", clipped(part), what),
                    errhint("It is the part of an event name: a lower-case letter, then at most 62 lower-case "
                            "letters, digits and underscores.")));
  return part;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_canonical_json);
PGDLLEXPORT Datum spine_canonical_json(PG_FUNCTION_ARGS) {
  return text_datum(canonical(bytes_view(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0))), "the value"));
}

PG_FUNCTION_INFO_V1(spine_canonical_event);
PGDLLEXPORT Datum spine_canonical_event(PG_FUNCTION_ARGS) {
  EventValues values;
  Event event;
  event_of_row(PG_GETARG_HEAPTUPLEHEADER(0), &values, &event);
  std::string_view document;
  Status status = hasher().document(event, payload_of(event), &document);
  if (status != Status::ok) report(status, "event");
  if (document.size() > MaxAllocSize - VARHDRSZ - 1)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the canonical form of the event exceeds 1 GB"),
                    errhint("A text value cannot be longer.")));
  return text_datum(document);
}

PG_FUNCTION_INFO_V1(spine_event_digest);
PGDLLEXPORT Datum spine_event_digest(PG_FUNCTION_ARGS) {
  EventValues values;
  Event event;
  event_of_row(PG_GETARG_HEAPTUPLEHEADER(0), &values, &event);
  Hash hash;
  Status status = hasher().digest(event, payload_of(event), &hash);
  if (status != Status::ok) report(status, "event");
  return bytea_datum({hash.data(), hash.size()});
}

PG_FUNCTION_INFO_V1(spine_entity_uuid);
PGDLLEXPORT Datum spine_entity_uuid(PG_FUNCTION_ARGS) {
  std::string_view domain = name_part(PG_GETARG_TEXT_PP(0), "domain");
  std::string_view entity_type = name_part(PG_GETARG_TEXT_PP(1), "entity type");
  std::string_view key = text_view(PG_GETARG_TEXT_PP(2));
  // No part holds a dot, so two different triples never give one name.
  size_t size = domain.size() + entity_type.size() + key.size() + 2;
  char *name = static_cast<char *>(palloc(size));
  char *p = name;
  for (std::string_view part : {domain, std::string_view("."), entity_type, std::string_view("."), key}) {
    memcpy(p, part.data(), part.size());
    p += part.size();
  }
  Uuid uuid;
  Status status = make_uuid_v5(entity_namespace, {name, size}, &uuid);
  if (status != Status::ok) report(status, "entity");
  return uuid_datum(uuid);
}

}  // extern "C"

}  // namespace spine
