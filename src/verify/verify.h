// Judging events one by one, for whoever reads them in another way than spine.verify_chain does.
#pragma once

#include "core/chain_check.h"
#include "server/record_sort.h"
#include "store/event_table.h"

namespace spine {

struct ContentFault {
  FaultKind kind;
  bool has_expected;
  Hash expected;
  const char *detail;
};

// What is wrong with an event's content, whatever its neighbours are. event: read with all its columns.
struct ContentFaults {
  ContentFault fault[2];
  int count = 0;
  bool parts_are_json = true;  // what the parts say can be read
};
ContentFaults judge_content(const Event &event);

inline constexpr char altered_content[] = "the content does not give event_hash";
// Whether the parts of the event's name join to event_type.
bool parts_join(const Event &event);

// Which parts of events of one chain are gone though no event of the chain says that they were erased. Costs nothing where no part is
// gone.
class PartCheck {
 public:
  // In the current memory context, which is to outlive it.
  void begin();
  // An event whose parts can be read.
  void note(const Event &event);
  // How many parts of those events there are, and in *first the sequence of the first event that lacks one. Raises what reading raises.
  int64 end(const Uuid &organization, int64 *first);

 private:
  MemoryContext memory_;
  bool any_;
  RecordSort gone_;
};

// The bytes of a stored hash. What is shorter or longer than one is none: it becomes another value.
Hash hash_of(Bytes bytes);

// What linking needs of an event that has what a link is made of.
inline constexpr uint32 link_columns =
    bit(Column::organization_id) | bit(Column::sequence) | bit(Column::id) | bit(Column::timestamp) | bit(Column::previous_hash) | bit(Column::event_hash);
Link link_of(const Event &event);

}  // namespace spine
