// The parts of an event that can be erased: how one is taken from a stored event, and how the events that tell of it name them.
#pragma once

#include "store/event_table.h"

extern "C" {
#include <executor/executor.h>
#include <storage/itemptr.h>
#include <utils/jsonb.h>
}

namespace spine {

// Bits.
enum Parts : unsigned { no_part = 0, payload_part = 1, personal_part = 2 };

struct PartColumns {
  Parts part;
  Column column, salt, hash;
};
inline constexpr PartColumns part_columns[] = {
    {payload_part, Column::payload, Column::payload_salt, Column::payload_hash},
    {personal_part, Column::personal, Column::personal_salt, Column::personal_hash}};

inline const char *part_name(const PartColumns &part) { return column_names[static_cast<int>(part.column)]; }

// The parts that an event has, and those that are gone, their hash in their place.
unsigned parts_there(const Event &event);
unsigned parts_gone(const Event &event);

// Whether one row is what an erasure makes of the other: at least one part and its salt are gone, their hash is there, and
// all that is hashed and all that others added stays. or_same: or it is the same event still.
bool is_erasure(Relation relation, HeapTuple before, HeapTuple after, bool or_same);

// Whether the change of a row that a trigger is told of is one that a PartEraser makes.
bool is_being_erased(Relation relation, HeapTuple before);

// Takes parts from stored events, row by row: triggers for rows run, as they do under logical replication; rules, triggers
// for statements and row security do not.
class PartEraser {
 public:
  void begin();
  // Erases those of the parts that the row has, as it is now, and returns them. Raises SP045 for a damaged event, SP074 where
  // a trigger stands in the way.
  unsigned erase(Oid relid, ItemPointer row, unsigned parts);
  void end();

 private:
  void open(Oid relid);
  void close();

  MemoryContext each_;
  Relation relation_;  // null: none yet
  EState *estate_;
  ResultRelInfo *result_;
  EPQState recheck_;
  TupleTableSlot *old_, *new_;
};

// One part of one event, as events of type erased_event name it in their payload:
//   {"erased": {"personal": [{"id": …, "sequence": …}, …], "payload": […]}, "reason": …, "by": …}
struct ErasedPart {
  Parts part;
  Uuid id;
  int64 sequence;
};

// The parts that such a payload names, in the current memory context; what is none is passed over. stored: known to be JSON,
// without its header, at any address.
ErasedPart *read_erased_parts(Bytes stored, int64 *count);

}  // namespace spine
