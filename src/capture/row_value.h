// A column of a business table, its values as jsonb, and when two of them say the same.
#pragma once

#include "server/pg.h"

extern "C" {
#include <utils/jsonb.h>
#include <utils/rel.h>
}

namespace spine {

struct RowColumn {
  AttrNumber attnum;
  const char *name;
  Oid type;             // what a domain is of
  int16 length;
  bool by_value;
  bool is_masked;
  bool is_personal;     // shown in the personal part of the event
  bool can_fail;        // its conversion: json holds what jsonb cannot, and who made a type is not known
  FmgrInfo *to_jsonb;   // null: of a type that is written here
};

// What its functions need lives as long as the memory context.
RowColumn row_column(Relation relation, AttrNumber attnum, MemoryContext memory);

// Whether json_of and is_changed are to be called with PinnedSettings.
inline bool needs_pinned_settings(const RowColumn &column) { return column.to_jsonb != nullptr; }

// A value as to_jsonb gives it. False: jsonb cannot hold it. Raises no error of a conversion, only that of a cancel and of
// memory.
bool json_of(const RowColumn &column, Datum datum, bool null, JsonbValue *value);

// Whether two values are the same to the byte, wherever they are stored and compressed or not.
bool is_same_value(const RowColumn &column, Datum before, bool before_null, Datum after, bool after_null);

// Whether an event would say something else of the one than of the other: 60 and 60.00 are one number.
bool is_changed(const RowColumn &column, Datum before, bool before_null, Datum after, bool after_null);

// How many bytes the value is said to be of where an event cannot hold it, and their SHA-256: of a bytea and of text, json and
// xml the bytes, else of the text. False: it has no text, for an output function failed.
bool describe(const RowColumn &column, Datum datum, int64 *size, Hash *digest);

// Bytes that are stored, not compressed.
size_t stored_size(const RowColumn &column, Datum datum);

}  // namespace spine
