// The link rule: what makes a row of stored events a chain, and how its breaks are found.
//
// Events come in any order (a table is read as it lies on disk) and in unbounded number. Runs of events that
// do link are folded into segments on the way, so that a healthy table, which lies almost in order, leaves a
// handful of them; sorted by organization and first sequence, the segments are then walked once. Nothing is
// held for an event that links, and every comparison is exact.
#pragma once

#include <vector>

#include "core/bytes.h"

namespace spine {

inline constexpr Hash zero_hash{};

enum class FaultKind : uint8_t {
  content_altered,   // the content does not give event_hash
  link_broken,       // previous_hash is not the predecessor's event_hash
  event_missing,     // a gap in the sequence; one fault a gap
  event_duplicated,  // another event holds the same sequence
  order_violated,    // timestamp before the predecessor's
  malformed,         // the parts do not join to event_type, or the row does not say whose it is
  unreadable,        // the server cannot read a block, or not all of a row
  part_missing,      // a part is gone, and no event of the chain says that it was erased
};
inline constexpr const char *fault_names[] = {"content_altered", "link_broken", "event_missing", "event_duplicated",
                                              "order_violated",  "malformed",   "unreadable",    "part_missing"};

// What linking needs of one event.
struct Link {
  Uuid organization;
  Uuid id;
  int64_t sequence;
  int64_t timestamp;  // microseconds
  Hash previous_hash;
  Hash event_hash;
  bool previous_is_hash = true;  // false: it was stored with another length

  bool links_to(const Hash &hash) const { return previous_is_hash && previous_hash == hash; }
};

// A run of events of one organization, each linked to the one before.
struct Segment {
  Link first;
  int64_t last_sequence;
  int64_t last_timestamp;
  Hash last_hash;
  int64_t known_last;  // that an event of this sequence was stored is known, read or not, so a gap before it is one; 0: of none
  bool empty;          // no event that was read
};

// Which sequences are checked: from … to, and the event before from, which is there for its link alone.
struct Range {
  int64_t from = 1;
  int64_t to = INT64_MAX;
  bool has_context() const { return from > 1; }
};

// Where a chain begins whose older events were retired: the last of those.
struct Anchor {
  int64_t sequence;
  int64_t timestamp;  // microseconds
  Hash hash;
};

// Folds links into segments in memory of a fixed size (6 MB at most): a few slots for the organizations that share
// a hash; one that finds them all occupied displaces a segment, which the caller stores.
class SegmentFolder {
 public:
  static constexpr size_t sets = 8192;
  static constexpr size_t ways = 4;

  // out_of_memory or ok; once, before anything else. divisor: how many folders share that memory.
  Status prepare(size_t divisor = 1) noexcept;

  // Takes one event. True: *displaced is to be stored.
  bool add(const Link &link, Segment *displaced) noexcept;

  // Notes that the organization has an event that is not checked. known_last: its sequence where it is after the range,
  // else 0. True: *displaced is to be stored.
  bool add_outside(const Uuid &organization, int64_t known_last, Segment *displaced) noexcept;

  // Takes the remaining segments out, one a call; false when there is none left, and the folder is as new.
  bool drain(Segment *segment) noexcept;

 private:
  struct Slot {
    bool used = false;
    Segment segment;
  };
  // The organization's slot, else a free one, else one to displace, in turn.
  Slot &slot_of(const Uuid &organization);

  std::vector<Slot> table_;
  unsigned turn_ = 0;
  size_t drained_ = 0;
};

struct StructureFault {
  FaultKind kind;
  int64_t sequence;
  int64_t last_missing;  // event_missing: the gap's end
  bool has_id;
  Uuid id;
  bool has_expected;
  Hash expected;
  bool has_found;
  Hash found;
};

// What one call can find at most: a gap, a duplicate, a broken link, a violated order.
struct StructureFaults {
  StructureFault fault[4];
  int count = 0;
};

// Walks the segments of one organization, sorted by first sequence.
class ChainWalker {
 public:
  // singles: every segment holds one event, which is what naming duplicates needs. anchor: null where the chain begins at
  // its first event. What it covers counts as if it were there; an event that is there all the same shares a sequence with it.
  // ok, or out_of_memory.
  Status begin(const Range &range, bool singles, const Anchor *anchor = nullptr) noexcept;

  // ok, or out_of_memory.
  Status add(const Segment &segment, StructureFaults *faults) noexcept;

  // After the last segment: the gap between the last event and the last that is known, if there is one.
  void finish(StructureFaults *faults) noexcept;

  // Segments overlap, so events share a sequence: the faults found are void, walk single events instead.
  bool overlapped() const { return overlapped_; }

  // Scope of what was checked, without the context event.
  int64_t events() const { return events_; }
  int64_t first_sequence() const { return first_; }
  int64_t last_sequence() const { return last_; }
  const Hash &head_hash() const { return head_; }

 private:
  // A sequence that more events than this share is judged by its first ones: memory stays bounded.
  static constexpr size_t max_group = 65536;

  void judge(const Segment &segment, StructureFaults *faults) const;

  Range range_;
  bool singles_ = false;
  bool overlapped_ = false;
  int64_t known_last_ = 0;
  int64_t events_ = 0, first_ = 0, last_ = 0;
  Hash head_{};

  bool has_current_ = false;
  int64_t current_sequence_ = 0;
  int64_t current_timestamp_ = 0;   // the earliest at that sequence
  std::vector<Hash> current_;       // hashes of the events at that sequence: one, but for duplicates
  bool has_previous_ = false;       // the sequence before the current one is there
  int64_t previous_timestamp_ = 0;
  std::vector<Hash> previous_;
};

}  // namespace spine
