// The directory log: one leaf for each directory checkpoint, which says of all chains together how far they are.
#pragma once

#include "core/directory.h"
#include "proof/checkpoints.h"

namespace spine {

struct DirectoryCheckpoint {
  int64 number;  // the log's size with it
  const char *entry;  // its leaf's data
  size_t entry_size;
  int64 chains;
  Hash chains_root;
  Hash root;           // of the log
  CompactRange range;  // of the log
  TimestampTz taken_at;

  std::string_view text() const { return {entry, entry_size}; }
};

// The log, also as a tree: each row has the compact range of the log with it, and so the inner nodes.
class DirectoryLog final : public TreeSource {
 public:
  void begin();
  // Of that number, or the newest; false: there is none. Copies into the current memory context. Raises SP102 where the
  // row's columns do not fit each other.
  bool read(int64 number, DirectoryCheckpoint *found);
  bool newest(DirectoryCheckpoint *found);
  // Known to lead to the roots that the rows of these sizes have. Raises SP100, SP102.
  void prove_inclusion(int64 number, const DirectoryCheckpoint &log, Proof *proof);
  void prove_consistency(const DirectoryCheckpoint &old_log, const DirectoryCheckpoint &new_log, Proof *proof);
  void end();

  // For the core, which an error may not jump over: one is kept, and raised behind the core's call.
  Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept override;

 private:
  bool find(int64 number, ScanDirection direction, DirectoryCheckpoint *found);
  void require(ProofStatus status, int64 size);

  KeyScan scan_;
  ErrorData *error_;
  MemoryContext memory_;
};

// The tree of chains that a directory checkpoint covers, made from the last organization to the first.
class ChainsTree {
 public:
  // In the current memory context, which is to outlive it.
  void begin();
  void add(const ChainCheckpoint &chain);
  void end();
  // From end on:
  const Hash *leaves() const { return leaves_; }  // leaf hashes by organization
  int64 count() const { return count_; }
  const Hash &root() const { return root_; }
  void forget() { pfree(leaves_); }

 private:
  MemoryContext memory_;
  Hash *leaves_;
  int64 count_, room_;
  Hash root_;
};

// The tree of the chains that the directory checkpoint of that number covers. Returns the index of a chain, and its
// checkpoint; -1: it is not among them.
int64 read_chains_tree(int64 number, const Uuid &wanted, ChainsTree *tree, ChainCheckpoint *found);

// The number of the directory checkpoint that comes next. With lock_checkpoints.
int64 next_directory_number();

// Appends the next entry, connected to SPI, with lock_checkpoints, if there is none yet or a chain went on since the
// last. chains: all of them as their newest checkpoints are.
void append_directory_checkpoint(const ChainsTree &chains, TimestampTz now);

}  // namespace spine
