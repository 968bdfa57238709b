// The parts of the event of one row: its images, as far as an event can hold them.
#pragma once

#include "capture/row_value.h"

extern "C" {
#include <executor/tuptable.h>
}

namespace spine {

// Why an image lacks a value that is none of JSON's, whatever the limits.
inline constexpr const char *reason_json = "no event can hold it";

// The columns that speak of persons have images of their own, in the personal part.
enum class Part { payload, personal };

class RowPayload {
 public:
  // columns: in the order of jsonb's keys. What it needs lives in the current memory context.
  void begin(const char *table, const RowColumn *columns, int count);

  // before and after: the row's images, either of which may be null. is_changed: by column, where both are there; what is
  // the same to the byte, by is_same.
  void read(TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed, const bool *is_same);
  // A part of the row that was read: an object that may be emitted, whatever the row holds; null where no column is personal.
  Jsonb *build(Part part);

 private:
  enum Side { before_side, after_side, sides };
  // Why an image lacks a value; null: it does not.
  struct Cell {
    JsonbValue value;
    const char *omitted;
  };

  void read_image(Side side, const bool *is_changed, const bool *is_same);
  bool is_in_part(int column) const { return columns_[column].is_personal == (part_ == Part::personal); }
  bool is_in_image(int side, int column) const { return is_in_part(column) && cells_[side][column].omitted == nullptr; }
  void fit();
  void omit_to_fit(size_t size, size_t limit, const size_t *sizes);
  Jsonb *write() const;
  void push_names(JsonbParseState **state, const char *member, bool (RowPayload::*is_listed)(int) const) const;
  bool is_personal(int column) const { return columns_[column].is_personal; }
  bool is_changed(int column) const { return is_changed_[column]; }
  void push_omitted(JsonbParseState **state) const;
  void push_omission(JsonbParseState **state, Side side, int column) const;
  Jsonb *write_least() const;
  bool has_risky_values() const;
  bool is_fit(const Jsonb *payload) const;

  const char *table_;
  const RowColumn *columns_;
  int count_;
  bool has_personal_;
  Part part_;  // that is built
  TupleTableSlot *rows_[sides];
  Cell *cells_[sides];
  const bool *is_changed_;
};

}  // namespace spine
