// Any values in any columns: the document is canonical JSON with a member for each column that is there.
#include <memory>

#include "core/event.h"
#include "fuzz.h"

using spine::Column;
using spine::Status;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static std::unique_ptr<spine::Hasher> hasher = spine::Hasher::create();
  Input input(data, size);
  spine::Event e;
  e.present = input.take<uint32_t>() & spine::all_columns;
  e.id = input.take<spine::Uuid>();
  e.entity_id = input.take<spine::Uuid>();
  e.actor_id = input.take<spine::Uuid>();
  e.organization_id = input.take<spine::Uuid>();
  e.timestamp = input.take<int64_t>();
  e.sequence = input.take<int64_t>();
  e.transaction_id = input.take<uint64_t>();
  for (std::string_view *text : {&e.event_type, &e.domain, &e.entity_type, &e.action, &e.actor_type, &e.environment,
                                 &e.severity, &e.recorded_by})
    *text = input.text(input.take<uint8_t>());
  for (spine::Bytes *bytes : {&e.previous_hash, &e.event_hash}) {
    std::string_view view = input.text(input.take<uint8_t>());
    *bytes = {reinterpret_cast<const uint8_t *>(view.data()), view.size()};
  }
  std::string_view stored = input.rest(), payload, document;
  e.payload = {reinterpret_cast<const uint8_t *>(stored.data()), stored.size()};
  if (hasher->canonical_json(e.payload, {SIZE_MAX, SIZE_MAX, false}, &payload) != Status::ok) payload = "{}";

  REQUIRE(hasher->document(e, payload, &document) == Status::ok);
  std::string text(document);
  REQUIRE(CanonicalReader::accepts(text));
  REQUIRE(text.front() == '{');
  spine::Hash hash, other;
  REQUIRE(hasher->digest(e, payload, &hash) == Status::ok);

  // The event's own hash is no part of it, its id is.
  e.event_hash = {};
  REQUIRE(hasher->digest(e, payload, &other) == Status::ok);
  REQUIRE(hash == other);
  e.id[0] ^= 1;
  REQUIRE(hasher->digest(e, payload, &other) == Status::ok);
  REQUIRE((hash != other) == e.has(Column::id));

  char timestamp[40];
  char *end = spine::write_timestamp(timestamp, e.timestamp);
  REQUIRE(end > timestamp && end <= timestamp + sizeof timestamp && end[-1] == 'Z');
  return 0;
}
