#include "capture/row_payload.h"

#include <algorithm>

#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "store/event_arguments.h"

extern "C" {
#include <utils/lsyscache.h>
#include <utils/numeric.h>
}

namespace spine {

namespace {

// A value of more bytes that did not change stands in the row after alone.
constexpr size_t large_value = 8192;

constexpr const char *reason_unchanged = "unchanged";
constexpr const char *reason_size = "too large";
constexpr const char *side_names[] = {"before", "after"};

size_t size_of(const JsonbValue &value) {
  switch (value.type) {
    case jbvString:
      return static_cast<size_t>(value.val.string.len);
    case jbvBinary:
      return static_cast<size_t>(value.val.binary.len);
    case jbvNumeric:
      return VARSIZE_ANY(value.val.numeric);
    default:
      return 0;
  }
}

JsonbValue json_int(int64 number) {
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = int64_to_numeric(number);
  return value;
}

// Whether the value might be too deep, or a number out of range. A numeric in the server's short form (on disk, so of every
// version) has at most 64 digits of base 10000 before or after the point.
bool is_risky(const JsonbValue &value) {
  if (value.type != jbvNumeric) return value.type == jbvBinary;
  uint16 header;
  memcpy(&header, VARDATA_ANY(value.val.numeric), sizeof header);
  return (header & 0xc000) != 0x8000;
}

const char *hex(const Hash &hash) {
  char *text = static_cast<char *>(palloc(2 * hash.size() + 1));
  for (size_t i = 0; i < hash.size(); i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
  return text;
}

// What a jsonb is put together from at most: its own limit is 256 MB.
size_t most_stored() { return Min(8 * static_cast<size_t>(settings.max_payload_size), size_t{200} * 1024 * 1024); }

// What a member costs at most, without its value: a character of a name is at most six.
size_t size_of_name(const RowColumn &column) { return 6 * strlen(column.name) + 4; }

// What a value that is told costs at most: reason, type, size and digest.
constexpr size_t size_of_omission = 600;

}  // namespace

void RowPayload::begin(const char *table, const RowColumn *columns, int count) {
  table_ = table;
  columns_ = columns;
  count_ = count;
  has_personal_ = false;
  for (int i = 0; i < count; i++) has_personal_ |= columns[i].is_personal;
  for (Cell *&cells : cells_) cells = static_cast<Cell *>(palloc(sizeof(Cell) * static_cast<Size>(Max(count, 1))));
}

void RowPayload::read_image(Side side, const bool *is_changed, const bool *is_same) {
  TupleTableSlot *row = rows_[side];
  for (int i = 0; i < count_; i++) {
    Cell &cell = cells_[side][i];
    const RowColumn &column = columns_[i];
    // What is the same is converted once for both rows.
    if (side == after_side && is_changed != nullptr && is_same[i]) {
      cell = cells_[before_side][i];
      continue;
    }
    cell.omitted = nullptr;
    int a = column.attnum - 1;
    if (column.is_masked)
      cell.value = json_text("***");  // whether there is a value is hidden, too
    else if (!json_of(column, row->tts_values[a], row->tts_isnull[a], &cell.value))
      cell.omitted = column.can_fail ? reason_json : reason_size;
  }
}

bool RowPayload::has_risky_values() const {
  for (int side = 0; side < sides; side++)
    for (int i = 0; rows_[side] != nullptr && i < count_; i++)
      if (is_in_image(side, i) && is_risky(cells_[side][i].value)) return true;
  return false;
}

bool RowPayload::is_fit(const Jsonb *payload) const {
  size_t limit = static_cast<size_t>(settings.max_payload_size);
  // A canonical form is never more than six times what is stored.
  if (!has_risky_values() && 6 * size_t{VARSIZE(payload)} <= limit) return true;
  std::string_view canonical;
  return hasher().canonical_json(bytes_view(payload), {limit, max_payload_depth, true}, &canonical) == Status::ok;
}

// Takes out the values that no event can hold, then the largest until the rest fits: of the row before first, for the row
// after is what an event is read for.
void RowPayload::fit() {
  size_t limit = static_cast<size_t>(settings.max_payload_size);
  size_t *sizes = static_cast<size_t *>(palloc0(sizeof(size_t) * static_cast<Size>(sides * Max(count_, 1))));
  size_t total = 6 * strlen(table_) + 256;
  for (int side = 0; side < sides; side++) {
    if (rows_[side] == nullptr) continue;
    for (int i = 0; i < count_; i++) {
      Cell &cell = cells_[side][i];
      total += (has_personal_ ? 3 : 2) * size_of_name(columns_[i]);  // also in changed, and in personal
      if (!is_in_part(i)) continue;
      if (cell.omitted == nullptr) {
        std::string_view canonical;
        Jsonb *alone = size_of(cell.value) > most_stored() ? nullptr : JsonbValueToJsonb(&cell.value);
        // The payload and the image are two levels.
        Status status = alone == nullptr ? Status::too_large
                                         : hasher().canonical_json(bytes_view(alone), {limit, max_payload_depth - 2, true}, &canonical);
        if (status == Status::out_of_memory) report(status, "a captured row");
        if (status != Status::ok)
          cell.omitted = status == Status::too_large ? reason_size : reason_json;
        else
          sizes[side * count_ + i] = canonical.size();
      }
      total += cell.omitted != nullptr ? size_of_omission : sizes[side * count_ + i];
    }
  }
  omit_to_fit(total, limit, sizes);
}

void RowPayload::omit_to_fit(size_t size, size_t limit, const size_t *sizes) {
  int *order = static_cast<int *>(palloc(sizeof(int) * static_cast<Size>(Max(count_, 1))));
  for (int side = 0; side < sides && size > limit; side++) {
    if (rows_[side] == nullptr) continue;
    for (int i = 0; i < count_; i++) order[i] = i;
    const size_t *of_side = sizes + side * count_;
    std::sort(order, order + count_, [of_side](int a, int b) { return of_side[a] != of_side[b] ? of_side[a] > of_side[b] : a < b; });
    for (int n = 0; n < count_ && size > limit; n++) {
      Cell &cell = cells_[side][order[n]];
      if (!is_in_image(side, order[n]) || of_side[order[n]] <= size_of_omission) continue;
      cell.omitted = reason_size;
      size -= of_side[order[n]] - size_of_omission;
    }
  }
}

void RowPayload::push_omission(JsonbParseState **state, Side side, int i) const {
  const RowColumn &column = columns_[i];
  const char *reason = cells_[side][i].omitted;
  if (side == before_side && is_changed_ != nullptr && !is_changed_[i]) reason = reason_unchanged;
  push_key(state, column.name);
  pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
  push_member(state, "reason", json_text(reason));
  if (reason != reason_unchanged) {
    int64 size;
    Hash digest;
    push_member(state, "type", json_text(format_type_be(column.type)));
    if (describe(column, rows_[side]->tts_values[column.attnum - 1], &size, &digest)) {
      push_member(state, "bytes", json_int(size));
      push_member(state, "sha256", json_text(hex(digest)));
    }
  }
  pushJsonbValue(state, WJB_END_OBJECT, nullptr);
}

void RowPayload::push_omitted(JsonbParseState **state) const {
  bool any = false;
  for (int side = 0; side < sides; side++) {
    bool of_side = false;
    for (int i = 0; rows_[side] != nullptr && i < count_; i++) {
      if (!is_in_part(i) || cells_[side][i].omitted == nullptr) continue;
      if (!any) {
        push_key(state, "omitted");
        pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
      }
      if (!of_side) {
        push_key(state, side_names[side]);
        pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
      }
      any = of_side = true;
      push_omission(state, static_cast<Side>(side), i);
    }
    if (of_side) pushJsonbValue(state, WJB_END_OBJECT, nullptr);
  }
  if (any) pushJsonbValue(state, WJB_END_OBJECT, nullptr);
}

void RowPayload::push_names(JsonbParseState **state, const char *member, bool (RowPayload::*is_listed)(int) const) const {
  push_key(state, member);
  pushJsonbValue(state, WJB_BEGIN_ARRAY, nullptr);
  for (int i = 0; i < count_; i++)
    if ((this->*is_listed)(i)) push(state, WJB_ELEM, json_text(columns_[i].name));
  pushJsonbValue(state, WJB_END_ARRAY, nullptr);
}

// A row is as to_jsonb gives it, without what is left out. The payload names what the other part has, so that whoever reads
// it alone knows what it lacks.
Jsonb *RowPayload::write() const {
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  if (part_ == Part::payload) {
    push_member(&state, capture_member, json_int(1));
    push_member(&state, "table", json_text(table_));
    if (is_changed_ != nullptr) push_names(&state, "changed", &RowPayload::is_changed);
    if (has_personal_) push_names(&state, "personal", &RowPayload::is_personal);
  }
  for (int side = 0; side < sides; side++) {
    if (rows_[side] == nullptr) continue;
    push_key(&state, side_names[side]);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (int i = 0; i < count_; i++)
      if (is_in_image(side, i)) push_member(&state, columns_[i].name, cells_[side][i].value);
    pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
  }
  push_omitted(&state);
  return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

// Where not even the names of the columns fit: that there was a row.
Jsonb *RowPayload::write_least() const {
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  if (part_ == Part::payload) {
    push_member(&state, capture_member, json_int(1));
    push_member(&state, "table", json_text(table_));
  }
  push_member(&state, "omitted", json_text(reason_size));
  return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

void RowPayload::read(TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed, const bool *is_same) {
  rows_[before_side] = before;
  rows_[after_side] = after;
  is_changed_ = is_changed;
  for (int side = 0; side < sides; side++)
    if (rows_[side] != nullptr) read_image(static_cast<Side>(side), is_changed, is_same);
  for (int i = 0; is_changed != nullptr && i < count_; i++) {
    Cell &cell = cells_[before_side][i];
    if (!is_changed[i] && cell.omitted == nullptr && size_of(cell.value) > large_value) cell.omitted = reason_unchanged;
  }
}

Jsonb *RowPayload::build(Part part) {
  part_ = part;
  if (part == Part::personal && !has_personal_) return nullptr;
  size_t stored = 0;
  for (int side = 0; side < sides; side++)
    for (int i = 0; rows_[side] != nullptr && i < count_; i++)
      if (is_in_image(side, i)) stored += size_of(cells_[side][i].value);
  if (stored <= most_stored()) {
    Jsonb *object = write();
    if (is_fit(object)) return object;
  }
  fit();
  Jsonb *object = write();
  return is_fit(object) ? object : write_least();
}

}  // namespace spine
