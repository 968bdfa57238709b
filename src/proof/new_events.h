// Verifying what a chain got since its last checkpoint, and nothing else.
#pragma once

#include "core/chain_check.h"
#include "proof/checkpoints.h"
#include "proof/recent_events.h"
#include "store/anchors.h"
#include "store/event_scan.h"

namespace spine {

// The events and anchors of all chains, opened once for many.
class OpenChains {
 public:
  // recent: events that were read before, or null.
  void begin(const RecentEvents *recent);
  ChainScan &events() { return events_; }  // as of the moment of begin, with all columns
  AnchorReader &anchors() { return anchors_; }
  const RecentEvents *recent() const { return recent_; }
  void end();

 private:
  ChainScan events_;
  AnchorReader anchors_;
  const RecentEvents *recent_;
};

// Whether an error says that something stored cannot be read, which is a finding.
bool is_unreadable(const ErrorData &error);

// What was found behind a checkpoint. A chain that is at fault is followed to its end, for the faults to be counted.
struct NewEvents {
  int64 events;         // that were checked
  int64 last_sequence;  // of the last one; the checkpoint's size without one
  Hash head_hash;       // of it
  int64 faults;
  int64 first_fault_sequence;
  const char *first_fault;  // as spine.verify_chain names it, or checkpoint_broken: the checkpoint itself is not sound
  // Where there is no fault: the tree goes on so.
  CompactRange range;
  TreeNode *nodes;  // that became complete, where they are asked for
  int64 node_count;
};

inline constexpr int64 unknown_end = -1;

// Verifies the events behind a checkpoint, or all events of a chain that has none (null), up to and with a sequence:
// content, links, order, gaps, and that the checkpoint's last event is still what it was. open: what is unreadable is
// raised; null: the chain is opened for it alone, and what is unreadable is a fault. known_end: the chain's last event, where
// that was read already, else unknown_end. with_tree: goes on with the tree; else range and nodes are nothing.
NewEvents check_new_events(OpenChains *open, const Uuid &organization, const ChainCheckpoint *from, int64 to, int64 known_end,
                           bool with_tree);

// Takes a checkpoint of one chain up to and with a sequence, where there is something new, and writes the nodes; the row is the
// caller's to write. Connected to SPI, with lock_checkpoints. newest: the chain's newest checkpoint, or null. Returns what was
// found; *taken is the new one where there were new events and no faults. open, known_end: as for check_new_events.
NewEvents extend_chain(OpenChains *open, const Uuid &organization, const ChainCheckpoint *newest, int64 to, int64 known_end,
                       int64 directory_number, TimestampTz now, ChainCheckpoint *taken);

}  // namespace spine
