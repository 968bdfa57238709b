// Partitions that were retired: their chains go on from anchors, until the partition comes back.
#pragma once

#include "server/pg.h"

namespace spine {

// For a table that becomes a partition again: its chains begin where they began before it was retired. Nothing is done for one
// that was not. Raises SP088 where a later part of one of its chains is retired, or its events are not those that were.
void remove_anchors(Oid leaf);

}  // namespace spine
