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

// Whether events may lie in a partition that begins later than this, or in the default one: false means that none does,
// of no chain that this transaction has locked. Mostly known without a look at the table.
bool may_lie_later(TimestampTz starts);

// After rows of the table were written by a statement, or deleted, with the partitions that they name locked: every session
// looks anew where the latest events may lie.
void announce_partitions();

// The transaction ended, or a subtransaction was rolled back.
void forget_noted_partitions();

// A relation changed; InvalidOid: any may have.
void forget_latest_partition(Oid relid);

}  // namespace spine
