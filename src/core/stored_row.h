// An event from the bytes in which PostgreSQL stores a row, of which not one is trusted: a verifier meets damaged
// pages. What only the server can look up, labels of enums and values that lie elsewhere, is left to the caller.
#pragma once

#include "core/event.h"

namespace spine {

// Where the columns of a relation lie in its rows.
struct StoredAttribute {
  int16_t length;  // -1: varlena
  uint8_t align;   // 1, 2, 4 or 8
  int8_t column;   // a Column, or -1: one that is none of the event's
};
struct RowShape {
  int count;
  const StoredAttribute *attributes;  // in the order in which they are stored
};

inline constexpr uint32_t enum_columns = bit(Column::actor_type) | bit(Column::environment) | bit(Column::severity);

// What read_row leaves to its caller, by Column.
struct RowRest {
  uint32_t labels;     // bits of the enums that were read
  uint32_t elsewhere;  // bits of the values that are out of line or compressed
  uint32_t enum_value[column_count];
  const uint8_t *value[column_count];  // of elsewhere: at its varlena header
};

// As a wanted bit: the attributes behind the wanted ones are looked at too, so that whoever trusts the row may read it.
inline constexpr uint32_t whole_row = uint32_t{1} << 31;

// Reads the wanted columns (bits) of a row, its header included; nothing outside row is read, whatever it says.
// Null: done, and the columns of *event's present and of *rest are what the row holds. Else why it cannot be read.
const char *read_row(const RowShape &shape, Bytes row, uint32_t wanted, Event *event, RowRest *rest) noexcept;

// Sets a column that is no enum from its stored bytes, known to be complete: fixed ones as they are, varlenas neither
// compressed nor out of line.
void set_column(Event *event, Column column, const uint8_t *stored) noexcept;

// The server counts microseconds from 2000-01-01, the core from 1970-01-01. Wraps around for infinities.
inline int64_t unix_time(int64_t server_timestamp) {
  return static_cast<int64_t>(static_cast<uint64_t>(server_timestamp) + uint64_t{946684800} * 1000000);
}

}  // namespace spine
