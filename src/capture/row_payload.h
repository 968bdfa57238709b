// The payload of the event of one row: its images, as far as an event can hold them.
#pragma once

#include "capture/row_value.h"

extern "C" {
#include <executor/tuptable.h>
}

namespace spine {

class RowPayload {
 public:
  // columns: in the order of jsonb's keys. What it needs lives in the current memory context.
  void begin(const char *table, const RowColumn *columns, int count);

  // before and after: the row's images, either of which may be null. is_changed: by column, where both are there; what is
  // the same to the byte, by is_same. The result is an object that may be emitted, whatever the row holds.
  Jsonb *build(TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed, const bool *is_same);

 private:
  enum Side { before_side, after_side, sides };
  // Why an image lacks a value; null: it does not.
  struct Cell {
    JsonbValue value;
    const char *omitted;
  };

  void read(Side side, const bool *is_changed, const bool *is_same);
  void fit();
  void omit_to_fit(size_t size, size_t limit, const size_t *sizes);
  Jsonb *write(const bool *is_changed) const;
  void push_omitted(JsonbParseState **state) const;
  void push_omission(JsonbParseState **state, Side side, int column) const;
  Jsonb *write_least() const;
  bool has_risky_values() const;
  bool is_fit(const Jsonb *payload) const;

  const char *table_;
  const RowColumn *columns_;
  int count_;
  TupleTableSlot *rows_[sides];
  Cell *cells_[sides];
  const bool *is_changed_;
};

}  // namespace spine
