// Judging events one by one, for whoever reads them in another way than spine.verify_chain does.
#pragma once

#include "core/chain_check.h"
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

// The bytes of a stored hash. What is shorter or longer than one is none: it becomes another value.
Hash hash_of(Bytes bytes);

// What linking needs of an event that has what a link is made of.
inline constexpr uint32 link_columns =
    bit(Column::organization_id) | bit(Column::sequence) | bit(Column::id) | bit(Column::timestamp) | bit(Column::previous_hash) | bit(Column::event_hash);
Link link_of(const Event &event);

}  // namespace spine
