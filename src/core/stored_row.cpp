#include "core/stored_row.h"

#include <cstring>

namespace spine {

namespace {

// src/include/access/htup_details.h in PostgreSQL: 23 bytes of header, then a bit for each attribute where one is
// null, then at the next multiple of eight the attributes. The format is on disk, so it outlives server versions.
constexpr size_t infomask2_at = 18, infomask_at = 20, hoff_at = 22, nulls_at = 23;
constexpr uint16_t natts_mask = 0x07ff;
constexpr uint16_t has_null = 0x0001;

// src/include/varatt.h: the form of a varlena is in the low bits of its first byte.
constexpr uint8_t out_of_line = 0x01;     // all of the first byte; the second says where it lies
constexpr uint8_t on_disk = 18;           // there, in a TOAST table
constexpr size_t on_disk_size = 2 + 16;   // with the pointer
constexpr size_t compressed_header = 8;   // length, and how it was compressed

template <class T>
T load(const uint8_t *p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

size_t align_up(size_t at, size_t align) { return (at + align - 1) & ~(align - 1); }

// Of a varlena that is neither compressed nor out of line.
Bytes content(const uint8_t *varlena) {
  if (*varlena & 1) return {varlena + 1, size_t{*varlena} / 2 - 1};
  return {varlena + 4, size_t{load<uint32_t>(varlena) >> 2} - 4};
}

inline void set(Event *event, Column column, const uint8_t *p) {
  auto uuid = [&](Uuid *out) { std::memcpy(out->data(), p, out->size()); };
  auto text = [&](std::string_view *out) {
    Bytes bytes = content(p);
    *out = {reinterpret_cast<const char *>(bytes.data), bytes.size};
  };
  switch (column) {
    case Column::id:
      uuid(&event->id);
      break;
    case Column::entity_id:
      uuid(&event->entity_id);
      break;
    case Column::actor_id:
      uuid(&event->actor_id);
      break;
    case Column::organization_id:
      uuid(&event->organization_id);
      break;
    case Column::event_type:
      text(&event->event_type);
      break;
    case Column::domain:
      text(&event->domain);
      break;
    case Column::entity_type:
      text(&event->entity_type);
      break;
    case Column::action:
      text(&event->action);
      break;
    case Column::recorded_by:
      text(&event->recorded_by);
      break;
    case Column::timestamp:
      event->timestamp = unix_time(load<int64_t>(p));
      break;
    case Column::sequence:
      event->sequence = load<int64_t>(p);
      break;
    case Column::transaction_id:
      event->transaction_id = load<uint64_t>(p);
      break;
    case Column::payload:
      event->payload = content(p);
      break;
    case Column::previous_hash:
      event->previous_hash = content(p);
      break;
    case Column::event_hash:
      event->event_hash = content(p);
      break;
    case Column::payload_salt:
      event->payload_salt = content(p);
      break;
    case Column::payload_hash:
      event->payload_hash = content(p);
      break;
    case Column::personal:
      event->personal = content(p);
      break;
    case Column::personal_salt:
      event->personal_salt = content(p);
      break;
    case Column::personal_hash:
      event->personal_hash = content(p);
      break;
    case Column::occurred_at:
      event->occurred_at = unix_time(load<int64_t>(p));
      break;
    case Column::correlation_id:
      uuid(&event->correlation_id);
      break;
    case Column::causation_id:
      uuid(&event->causation_id);
      break;
    case Column::actor_type:
    case Column::environment:
    case Column::severity:
      return;
  }
  event->present |= bit(column);
}

}  // namespace

const char *read_row(const RowShape &shape, Bytes row, uint32_t wanted, Event *event, RowRest *rest) noexcept {
  event->present = 0;
  rest->labels = rest->elsewhere = 0;
  if (row.size < nulls_at) return "its header is damaged";
  int natts = load<uint16_t>(row.data + infomask2_at) & natts_mask;
  const uint8_t *nulls = load<uint16_t>(row.data + infomask_at) & has_null ? row.data + nulls_at : nullptr;
  size_t header = align_up(nulls_at + (nulls != nullptr ? static_cast<size_t>(natts + 7) / 8 : 0), 8);
  if (natts > shape.count || row.data[hoff_at] != header || header > row.size) return "its header is damaged";

  constexpr const char *past_the_end = "a column runs past the end of the row";
  const uint8_t *p = row.data + header;
  size_t left = row.size - header;
  size_t at = 0;
  for (int i = 0; i < natts && wanted != 0; i++) {
    if (nulls != nullptr && !(nulls[i / 8] >> (i % 8) & 1)) continue;
    const StoredAttribute &attribute = shape.attributes[i];
    size_t length;
    bool plain = true;
    if (attribute.length == -1) {
      if (at >= left) return past_the_end;
      if (p[at] == 0) at = align_up(at, attribute.align);  // a zero byte can only be padding
      if (at >= left) return past_the_end;
      const uint8_t *value = p + at;
      if (*value == out_of_line) {
        if (left - at < 2 || value[1] != on_disk) return past_the_end;
        length = on_disk_size;
        plain = false;
      } else if (*value & 1) {
        length = size_t{*value} / 2;
      } else {
        if (left - at < 4 || align_up(at, attribute.align) != at) return past_the_end;
        length = load<uint32_t>(value) >> 2;
        if (length < 4) return past_the_end;
        plain = (*value & 2) == 0;
        if (!plain && length < compressed_header) return past_the_end;
      }
    } else {
      at = align_up(at, attribute.align);
      length = static_cast<size_t>(attribute.length);
    }
    if (at > left || length > left - at) return past_the_end;
    if (attribute.column >= 0 && (wanted & (uint32_t{1} << attribute.column))) {
      Column column = static_cast<Column>(attribute.column);
      wanted &= ~bit(column);
      if (!plain) {
        rest->value[attribute.column] = p + at;
        rest->elsewhere |= bit(column);
      } else if (enum_columns & bit(column)) {
        rest->enum_value[attribute.column] = load<uint32_t>(p + at);
        rest->labels |= bit(column);
      } else {
        set(event, column, p + at);
      }
    }
    at += length;
  }
  return nullptr;
}

void set_column(Event *event, Column column, const uint8_t *stored) noexcept { set(event, column, stored); }

}  // namespace spine
