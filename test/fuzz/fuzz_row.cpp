// Any bytes as a stored row: what is read lies inside it, and does not depend on what else is wanted.
#include <memory>

#include "../unit/row_shape.h"
#include "fuzz.h"

using spine::Bytes;
using spine::Column;
using spine::Event;
using spine::RowRest;

namespace {

bool same(std::string_view a, std::string_view b) { return a.data() == b.data() && a.size() == b.size(); }
bool same(Bytes a, Bytes b) { return a.data == b.data && a.size == b.size; }

bool same(const Event &a, const Event &b, Column column) {
  switch (column) {
    case Column::id: return a.id == b.id;
    case Column::entity_id: return a.entity_id == b.entity_id;
    case Column::actor_id: return a.actor_id == b.actor_id;
    case Column::organization_id: return a.organization_id == b.organization_id;
    case Column::timestamp: return a.timestamp == b.timestamp;
    case Column::sequence: return a.sequence == b.sequence;
    case Column::transaction_id: return a.transaction_id == b.transaction_id;
    case Column::event_type: return same(a.event_type, b.event_type);
    case Column::domain: return same(a.domain, b.domain);
    case Column::entity_type: return same(a.entity_type, b.entity_type);
    case Column::action: return same(a.action, b.action);
    case Column::recorded_by: return same(a.recorded_by, b.recorded_by);
    case Column::payload: return same(a.payload, b.payload);
    case Column::previous_hash: return same(a.previous_hash, b.previous_hash);
    case Column::event_hash: return same(a.event_hash, b.event_hash);
    case Column::payload_salt: return same(a.payload_salt, b.payload_salt);
    case Column::payload_hash: return same(a.payload_hash, b.payload_hash);
    case Column::personal: return same(a.personal, b.personal);
    case Column::personal_salt: return same(a.personal_salt, b.personal_salt);
    case Column::personal_hash: return same(a.personal_hash, b.personal_hash);
    case Column::occurred_at: return a.occurred_at == b.occurred_at;
    case Column::correlation_id: return a.correlation_id == b.correlation_id;
    case Column::causation_id: return a.causation_id == b.causation_id;
    default: return false;  // labels are the caller's
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static std::unique_ptr<spine::Hasher> hasher = spine::Hasher::create();
  Input input(data, size);
  const spine::RowShape &shape = input.take<uint8_t>() & 1 ? crowded_shape : events_shape;
  uint32_t wanted = input.take<uint32_t>() & spine::all_columns;
  std::string_view rest = input.rest();
  Bytes row{reinterpret_cast<const uint8_t *>(rest.data()), rest.size()};

  Event all, some;
  RowRest all_rest, some_rest;
  const char *why = spine::read_row(shape, row, spine::all_columns, &all, &all_rest);
  const char *why_some = spine::read_row(shape, row, wanted, &some, &some_rest);
  REQUIRE(((some.present | some_rest.labels | some_rest.elsewhere) & ~wanted) == 0);
  REQUIRE((all.present & all_rest.labels) == 0 && (all.present & all_rest.elsewhere) == 0);
  REQUIRE((all_rest.labels & ~spine::enum_columns) == 0);
  if (why == nullptr) {
    REQUIRE(why_some == nullptr);
    REQUIRE(some.present == (all.present & wanted));
    REQUIRE(some_rest.labels == (all_rest.labels & wanted) && some_rest.elsewhere == (all_rest.elsewhere & wanted));
  }
  for (int c = 0; c < spine::column_count; c++) {
    Column column = static_cast<Column>(c);
    if (some.has(column) && all.has(column)) REQUIRE(same(some, all, column));
    if (all_rest.elsewhere & spine::bit(column))
      REQUIRE(all_rest.value[c] >= row.data && all_rest.value[c] + 8 <= row.data + row.size);
  }

  // Read on as verification does, so that a sanitizer sees each byte of the views read.
  for (std::string_view *label : {&all.actor_type, &all.environment, &all.severity}) *label = "label";
  spine::PartHashes parts;
  if (hasher->hash_parts(all, &parts) != spine::Status::ok) parts = {};
  spine::Hash hash;
  REQUIRE(hasher->digest(all, parts, &hash) == spine::Status::ok);
  return 0;
}
