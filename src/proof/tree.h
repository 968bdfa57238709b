// The tree of one chain, made of what is stored: its events, its inner nodes, its checkpoints. None of the stored
// hashes is believed: what is proved leads to a root that a checkpoint has, or that its compact range gives with the
// events behind it.
#pragma once

#include "proof/checkpoints.h"
#include "store/anchors.h"
#include "store/event_scan.h"

namespace spine {

class ChainTree final : public TreeSource {
 public:
  // Opens what all trees are read from. Raises what reading raises.
  void begin();
  // Goes to an organization's tree, and to that of another then. Whose the caller may see is his to ask. Raises SP102.
  void seek(const Uuid &organization);

  // The events that there are now, the retired ones included.
  int64 events();

  // The last retired event's sequence; 0 where none is.
  int64 retired() const { return retired_; }

  // Raises SP100 where the chain has never had so many events.
  void require_size(int64 size);

  // The root of the chain's first so many events, 1 or more. Raises SP100, SP101, SP102, and SP090 where an event is
  // missing.
  Hash root(int64 size);

  // Proofs, known to lead to those roots. An event is named by its sequence. They raise the same.
  void prove_inclusion(int64 sequence, int64 size, const Hash &root, Proof *proof);
  void prove_consistency(int64 old_size, int64 new_size, Hash *old_root, Hash *new_root, Proof *proof);

  // The compact range of the events of index begin to end - 1. Nothing is known of it to be right. Raises SP101, SP090.
  void range(int64 begin, int64 end, CompactRange *range);

  // The event_hash of an event that is there, or of the last retired one. Raises SP101, SP090.
  Hash event_hash(int64 sequence);

  void end();

  // For the core, which an error may not jump over: one is kept, and raised behind the core's call.
  Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept override;

 private:
  // Hashes of 256 siblings that were read last: of events, or of nodes of a level.
  struct Group {
    unsigned level;
    int64 number;  // of the first, divided by 256; -1: nothing was read yet
    uint64 used;   // when
    Hash hash[leaves_a_node];
    bool has[leaves_a_node];
  };
  static constexpr int groups = 6;

  // The same, of roots that are known. proof: null where it does not matter.
  void require_consistency(int64 old_size, int64 new_size, const Hash &old_root, const Hash &new_root, Proof *proof);
  // The same where both are checkpoints, between which are few events: by these, and nothing older than them. false:
  // they are not.
  bool prove_growth(int64 old_size, int64 new_size, Hash *old_root, Hash *new_root, Proof *proof);
  // The leaves behind a checkpoint up to a size, from the events.
  void read_leaves(const ChainCheckpoint &from, int64 new_size, Hash *leaves);

  // After a seek of the events: whether the next one is that one, with a hash.
  bool next_is(int64 sequence);
  [[noreturn]] void report_missing(int64 sequence);
  Group *group(unsigned level, int64 number);
  void read_events(Group *group, int64 number);
  void read_nodes(Group *group, unsigned level, int64 number);
  // Raises what kept a call of the core from its end. size: of the tree that was asked for.
  void require(ProofStatus status, int64 size);
  [[noreturn]] void report_broken(int64 size);
  // Whether a stored node is not what lies below it, where all of that is there.
  bool is_broken(unsigned level, int64 index, const Hash &stored);

  Uuid organization_;
  CheckpointReader checkpoints_;
  NodeReader nodes_;
  ChainScan events_;
  AnchorReader anchors_;
  int64 count_;    // of the events; -1: not known yet
  int64 retired_;
  CompactRange before_;  // of the retired events
  Hash last_retired_;
  Group *groups_;
  uint64 uses_;
  ErrorData *error_;
  MemoryContext memory_;
};

}  // namespace spine
