// What making, filling, attaching and retiring partitions have in common.
#pragma once

#include "partitions/spans.h"
#include "store/owners_rights.h"
#include "store/partitions.h"

extern "C" {
#include <utils/snapshot.h>
}

namespace spine {

// One call of a function that works on the partitions of spine.events. One at a time does so; others wait for it, and emitters
// do not. Runs, connected to SPI, with the rights of the schema's owner: that of spine.events needs none on what its partitions are
// made with.
struct PartitionWork {
  Oid root;    // spine.events; locked, but not open, or it could not be altered
  Oid others;  // the default partition; InvalidOid without one
  OwnersRights rights;

  // Raises 25006, 42501 for whoever does not own spine.events, SP018.
  void begin(const char *function);
  void end();
};

// Makes a table as partitions are, but does not attach it. with_bounds: it says itself by a constraint that it holds nothing
// but the span, until attach_leaf. Returns its Oid. Raises SP087.
Oid make_leaf(const PartitionWork &work, const Span &span, bool with_bounds);

// Takes what emitters of the platform's chain and of these tables wait for, in the order in which they take it: that chain's
// lock, then ACCESS EXCLUSIVE on each. Waits for each of them as long as nobody notices, and tries again for some seconds.
// Raises SP086, which names who is in the way.
void lock_briefly(const PartitionWork &work, const List *relids);

// Attaches a table, with the default partition locked. The caller knows that each of the two holds nothing that belongs to the
// other, so neither is read.
enum class Bounds {
  empty,    // the table has no rows
  made,     // it was made with its bounds
  checked   // the caller has looked, and nobody has written since
};
void attach_leaf(const PartitionWork &work, Oid leaf, const Span &span, Bounds bounds);

// Whether attach_leaf runs.
bool is_attaching();

// Gives a table the trigger and the row security that a partition needs of its own, and takes rights on it from all others.
void guard_leaf(Oid leaf);

// Says in spine.chain_partitions that a partition which starts then has events of the chains that the table has.
void note_chains(Oid leaf, TimestampTz starts);

// As of now: whether the default partition has events of the span; also those that nobody else sees yet, where it is locked.
bool others_have(const PartitionWork &work, const Span &span);

// Has the default partition's index say what lies where, so that others_have is quick.
void summarize_others(const PartitionWork &work);

// Runs a statement under this snapshot, whatever the transaction's own is. Returns how many rows.
uint64 run_sql_as_of(Snapshot snapshot, const char *statement, bool read_only, std::initializer_list<Datum> moments = {});

// Emits an event of the platform's chain about a partition, chained at once. numbers: further members.
struct NumberMember {
  const char *name;
  int64 value;
};
void emit_partition_event(const char *event_type, Oid leaf, const Span &span, std::initializer_list<NumberMember> numbers = {});

// spine.name, quoted.
const char *qualified(Oid relid);

}  // namespace spine
