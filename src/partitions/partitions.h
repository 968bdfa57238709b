// Partitions of spine.events: made, filled and attached.
#pragma once

#include "server/pg.h"

extern "C" {
#include <nodes/parsenodes.h>
}

namespace spine {

// After such a statement has run: where it attached a partition to spine.events that has events, spine.chain_partitions says
// so of their chains.
void note_attached(const AlterTableStmt *statement);

}  // namespace spine
