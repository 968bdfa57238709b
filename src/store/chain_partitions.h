// spine.chain_partitions: which partitions of spine.events hold events of which chain. A row says where a chain may have
// events; where none says so, it has none.
#pragma once

#include "store/partitions.h"

extern "C" {
#include <access/genam.h>
#include <executor/tuptable.h>
}

namespace spine {

// Where the partitions of one chain begin, the latest first, as committed or stored by this transaction; the default
// partition, if it is one of them, before all others.
class ChainPartitionScan {
 public:
  // False: there is no such table.
  bool begin(const Uuid &organization);
  bool next(TimestampTz *starts);
  void end();

 private:
  Relation relation_, index_;
  IndexScanDesc scan_;
  TupleTableSlot *slot_;
  pg_uuid_t key_organization_;
};

// Says so of a partition that gets an event of the chain. Cheap where it was said in this transaction before.
void note_partition(const Uuid &organization, TimestampTz starts);

// The transaction ended, or a subtransaction was rolled back.
void forget_noted_partitions();

}  // namespace spine
