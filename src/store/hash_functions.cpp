// The functions that show the bytes behind a hash.
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

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_canonical_json);
PGDLLEXPORT Datum spine_canonical_json(PG_FUNCTION_ARGS) {
  return text_datum(canonical(bytes_view(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0))), "the value"));
}

PG_FUNCTION_INFO_V1(spine_canonical_event);
PGDLLEXPORT Datum spine_canonical_event(PG_FUNCTION_ARGS) {
  Event event;
  event_of_row(PG_GETARG_HEAPTUPLEHEADER(0), &event);
  std::string_view document;
  Status status = hasher().document(event, part_hashes(event), &document);
  if (status != Status::ok) report(status, "event");
  if (document.size() > MaxAllocSize - VARHDRSZ - 1)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the canonical form of the event exceeds 1 GB"),
                    errhint("A text value cannot be longer.")));
  return text_datum(document);
}

PG_FUNCTION_INFO_V1(spine_event_digest);
PGDLLEXPORT Datum spine_event_digest(PG_FUNCTION_ARGS) {
  Event event;
  event_of_row(PG_GETARG_HEAPTUPLEHEADER(0), &event);
  Hash hash;
  Status status = hasher().digest(event, part_hashes(event), &hash);
  if (status != Status::ok) report(status, "event");
  return bytea_datum({hash.data(), hash.size()});
}

}  // extern "C"

}  // namespace spine
