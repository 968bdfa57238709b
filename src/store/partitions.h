// The partitions of a table of events: which there are, and in which one an event of a moment lies.
#pragma once

#include "store/event_table.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace spine {

// Where a partition begins, for the one that takes what no other does: behind all others.
inline constexpr TimestampTz default_partition_starts = DT_NOEND;

struct Partition {
  Oid relid;
  TimestampTz starts;  // DT_NOBEGIN: it has no lower bound
};

// The tables that hold the rows of this one, in the order of their bounds: itself, or its partitions and theirs, with
// those that are being detached, for they belong to it until that is done. None of them is locked.
List *leaves_of(Oid table);

// The partition of a table that is cut by time in which an event of that moment lies. Raises SP018 where there is none,
// or where it is partitioned itself.
Partition partition_at(Relation root, TimestampTz moment);

// Whether it is the only one.
bool is_only_partition(Relation root, const Partition &partition);

// The partition that begins there, or holds what came in one that did; relid is InvalidOid where there is none.
Partition partition_from(Relation root, TimestampTz starts);

// Whom others than its owner the table's rights were given to, as GRANT names them: the names, connected to SPI. What default
// privileges give on a new table, a partition must not have.
List *grantees_of(Oid table);

}  // namespace spine
