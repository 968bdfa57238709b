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
  e.occurred_at = input.take<int64_t>();
  e.correlation_id = input.take<spine::Uuid>();
  e.causation_id = input.take<spine::Uuid>();
  for (spine::Bytes *bytes : {&e.previous_hash, &e.event_hash, &e.payload_salt, &e.payload_hash, &e.personal, &e.personal_salt,
                              &e.personal_hash}) {
    std::string_view view = input.text(input.take<uint8_t>());
    *bytes = {reinterpret_cast<const uint8_t *>(view.data()), view.size()};
  }
  std::string_view stored = input.rest(), document;
  e.payload = {reinterpret_cast<const uint8_t *>(stored.data()), stored.size()};
  // A part that is no JSON leaves what is in its place.
  spine::PartHashes parts;
  if (hasher->hash_parts(e, &parts) != Status::ok) parts = {e.payload_hash, e.personal_hash};

  REQUIRE(hasher->document(e, parts, &document) == Status::ok);
  std::string text(document);
  REQUIRE(CanonicalReader::accepts(text));
  REQUIRE(text.front() == '{');
  spine::Hash hash, other;
  REQUIRE(hasher->digest(e, parts, &hash) == Status::ok);

  // The event's own hash is no part of it, its id is.
  e.event_hash = {};
  REQUIRE(hasher->digest(e, parts, &other) == Status::ok);
  REQUIRE(hash == other);
  e.id[0] ^= 1;
  REQUIRE(hasher->digest(e, parts, &other) == Status::ok);
  REQUIRE((hash != other) == e.has(Column::id));

  char timestamp[40];
  char *end = spine::write_timestamp(timestamp, e.timestamp);
  REQUIRE(end > timestamp && end <= timestamp + sizeof timestamp && end[-1] == 'Z');
  return 0;
}
