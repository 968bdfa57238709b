#pragma once

#include "store/event_table.h"

namespace spine {

// From begin to end statements run with the rights of the owner of spine.events, so that a caller needs none on the
// tables that the spine keeps for itself. An error ends it too, with the (sub)transaction.
class OwnersRights {
 public:
  void begin() { begin_as_owner_of(events_relid()); }
  // Of another table of the spine's, which may have been given to another role.
  void begin_as_owner_of(Oid table);
  // Of another role altogether, as the caller judges.
  void begin_as(Oid role);
  void end();

 private:
  Oid role_;
  int security_;
};

}  // namespace spine
