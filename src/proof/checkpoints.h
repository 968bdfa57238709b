// spine.checkpoints: what was found of a chain up to some event, and where its tree goes on from there. Also who may
// take them.
#pragma once

#include "core/merkle.h"
#include "server/key_scan.h"

extern "C" {
#include <datatype/timestamp.h>
}

namespace spine {

// The backend's one TreeHasher. Raises 53200 where there is no memory for it.
TreeHasher &tree_hasher();

// Raises what keeps the core from hashing.
void require_hashed(Status status);

struct ChainCheckpoint {
  Uuid organization;
  int64 size;
  Hash root;
  Hash head_hash;
  CompactRange range;  // nothing of it is known to be right: see is_sound
  bool range_is_read;
  int64 directory_number;  // of the first directory checkpoint that covers it, which may be still to come
  TimestampTz taken_at;

  // Whether the range is one of so many leaves and gives the root.
  bool is_sound() const;
};

class CheckpointReader {
 public:
  void begin();
  // The chain's checkpoint of the greatest size up to that one, or of the smallest from that one on; false: there is
  // none.
  bool last_upto(const Uuid &organization, int64 size, ChainCheckpoint *found) {
    return find(organization, size, BackwardScanDirection, found);
  }
  bool first_from(const Uuid &organization, int64 size, ChainCheckpoint *found) {
    return find(organization, size, ForwardScanDirection, found);
  }
  bool newest(const Uuid &organization, ChainCheckpoint *found) { return last_upto(organization, PG_INT64_MAX, found); }
  void end() { scan_.end(); }

 private:
  bool find(const Uuid &organization, int64 size, ScanDirection direction, ChainCheckpoint *found);

  KeyScan scan_;
  pg_uuid_t key_organization_;
};

// The newest checkpoints of all chains that a directory checkpoint covers, or of all there are, from the last
// organization to the first.
class NewestCheckpoints {
 public:
  // number: covered by this directory checkpoint; PG_INT64_MAX: all.
  void begin(int64 number);
  bool next(ChainCheckpoint *found);
  void end() { scan_.end(); }

 private:
  KeyScan scan_;
  int64 number_;
  bool is_open_;  // the scan stands behind the row that it found last
  bool at_end_;
  Uuid last_;     // the organization that was found last
  pg_uuid_t key_last_;
};

// Writes rows, connected to SPI. Raises SP015.
void put_checkpoints(const ChainCheckpoint *checkpoints, int count);

// A chain's inner nodes: the roots of its perfect subtrees of levels that are multiples of this.
inline constexpr unsigned levels_a_node = 8;
inline constexpr int64 leaves_a_node = 1 << levels_a_node;

struct TreeNode {
  int16 level;
  int64 index;
  Hash hash;
};

// Writes nodes of a chain, connected to SPI.
void put_nodes(const Uuid &organization, const TreeNode *nodes, int64 count);

// The nodes of a chain, of a level, from an index on.
class NodeReader {
 public:
  void begin();
  // Calls use(index, hash) with each node of that level whose index is first or up to last.
  template <class Use>
  void each(const Uuid &organization, unsigned level, int64 first, int64 last, Use use) {
    find(organization, level, first, last);
    while (scan_.next()) use(DatumGetInt64(scan_.value(3)), scan_.hash(4));
  }
  void end() { scan_.end(); }

 private:
  void find(const Uuid &organization, unsigned level, int64 first, int64 last);

  KeyScan scan_;
  pg_uuid_t key_organization_;
};

}  // namespace spine
