// What was stored since this session took checkpoints the last time, read in the order in which it was stored: the
// events of many chains lie side by side there, and each chain by itself would read the same pages again.
//
// It is a faster way to the same events and no other truth. What is not here, a chain's own index finds: what
// transactions stored that were in progress then, restored rows, and all that did not turn out to be right.
#pragma once

#include "core/chain_check.h"

namespace spine {

struct RecentEvent {
  Link link;
  bool is_right;  // content and parts are; else nothing may be told from it
};

class RecentEvents {
 public:
  // Reads them, in place of those before. None, in a session that reads for the first time. At most 65,536, the oldest.
  void read();

  // A chain's events from a sequence on, by sequence; one behind the last of them in *end.
  const RecentEvent *from(const Uuid &organization, int64_t sequence, const RecentEvent **end) const;

 private:
  void read_since(uint64_t transaction);

  RecentEvent *events_ = nullptr;  // by organization and sequence
  int64_t count_ = 0, room_ = 0;
  uint64_t next_ = 0;  // the first transaction that had not begun then; 0: nothing was read yet
};

// The session's only ones.
RecentEvents &recent_events();

}  // namespace spine
