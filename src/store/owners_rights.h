#pragma once

#include "server/pg.h"

namespace spine {

// From begin to end statements run with the rights of the owner of spine.events, so that a caller needs none on the
// tables that the spine keeps for itself. An error ends it too, with the (sub)transaction.
class OwnersRights {
 public:
  void begin();
  void end();

 private:
  Oid role_;
  int security_;
};

}  // namespace spine
