// Tables that Citus has distributed. The library reads and writes tables by itself, below the planner, where Citus never
// sees it: on such a table it would find the empty shell, and a chain without an event is intact. So it refuses.
#pragma once

#include "server/pg.h"

extern "C" {
#include <utils/rel.h>
}

namespace spine {

// Raises SP170 where the table is one that Citus has made distributed or a reference table, or is a shard of one, as the
// catalog of this node tells. Costs a look into a cache where Citus is not there.
void require_undistributed(Relation table);

// The same of any table of schema spine.
void require_undistributed_spine();

// A relation changed: Citus invalidates the tables that it distributes.
void forget_distributed();

}  // namespace spine
