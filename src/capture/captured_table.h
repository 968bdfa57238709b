// A captured table as its trigger defines it: whose event a row's change is, and how the row shows in it.
#pragma once

#include "capture/key_text.h"
#include "capture/row_payload.h"

extern "C" {
#include <utils/reltrigger.h>
}

namespace spine {

struct CapturedTable {
  Relation relation;
  const char *name;  // of the table that is captured with all that inherits from it
  const char *domain, *entity_type;
  RowColumn entity_id, organization;
  bool has_organization_column;
  RowColumn *columns;  // those that are shown, in the order of jsonb's keys
  int count;
  RowPayload payload;
  bool needs_pinned_settings;  // entity_of and payload

  // What it needs lives in the current memory context. trigger: that of the table itself. Raises SP026, 39P01.
  void open(Relation its, const Trigger *trigger);

  // Raises SP003 where the row has no id.
  Uuid entity_of(TupleTableSlot *row);
  // False: the row does not say it.
  bool organization_of(TupleTableSlot *row, Uuid *found) const;

 private:
  void read_columns(const Trigger *trigger);

  KeyText key_text_;  // of an entity id that is no uuid
};

}  // namespace spine
