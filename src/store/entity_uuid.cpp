#include "store/entity_uuid.h"

#include "core/event_name.h"
#include "core/uuid.h"
#include "server/errors.h"

namespace spine {

namespace {

// The namespace of entity_uuid: version 5 of "entity.spine.people-os" in RFC 9562's namespace for DNS names.
// 955bbf14-14c9-5566-88a4-2eba1e0fac41
constexpr Uuid entity_namespace = {{0x95, 0x5b, 0xbf, 0x14, 0x14, 0xc9, 0x55, 0x66, 0x88, 0xa4, 0x2e, 0xba, 0x1e, 0x0f, 0xac, 0x41}};

void require_name_part(std::string_view part, const char *what) {
  if (!is_name_part(part))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("\"%s\" is no %s", clipped(part), what),
                    errhint("It is the part of an event name: a lower-case letter, then at most 62 lower-case "
                            "letters, digits and underscores.")));
}

}  // namespace

Uuid entity_uuid(std::string_view domain, std::string_view entity_type, std::string_view key) {
  require_name_part(domain, "domain");
  require_name_part(entity_type, "entity type");
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
  pfree(name);
  return uuid;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_entity_uuid);
PGDLLEXPORT Datum spine_entity_uuid(PG_FUNCTION_ARGS) {
  return uuid_datum(entity_uuid(text_view(PG_GETARG_TEXT_PP(0)), text_view(PG_GETARG_TEXT_PP(1)), text_view(PG_GETARG_TEXT_PP(2))));
}

}  // extern "C"

}  // namespace spine
