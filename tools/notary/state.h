// What a notary keeps of the database that it watches: how far each chain and the directory log were when it signed
// last, and of each checkpoint that it signed, which chains had changed.
//
// A state directory holds
//   lock                  held by the process that works on it
//   state                 all of State: the one file that says what was signed last
//   <number>.chains       what changed with that directory checkpoint: History reads them
//   <number>.checkpoint   the signed note
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/directory.h"
#include "core/merkle.h"

namespace spine {

struct Chain {
  uint64_t size = 0;
  Hash root{}, head_hash{};
  Hash leaf_hash{};  // of its leaf in the tree of chains
};
using Chains = std::map<Uuid, Chain>;  // in the order of the tree of chains

// The hash of a chain's leaf, and the root of the tree over all of them. Failure: OpenSSL or memory failed.
Hash leaf_hash_of(TreeHasher &hasher, const Uuid &organization, const Chain &chain);
Hash tree_of_chains(TreeHasher &hasher, const Chains &chains);

// The newest directory checkpoint that was signed; number 0: none yet.
struct State {
  std::string origin;
  uint64_t number = 0;
  Hash root = empty_tree_root;  // of the directory log of so many entries
  std::string entry;            // the text of the newest one
  uint64_t wal = 0;             // the server's WAL position when it was read
  CompactRange log;
  Chains chains;

  // What entry says; number must not be 0.
  DirectoryEntry read_entry() const;
  // The text of the checkpoint.
  std::string checkpoint_text() const;
};

// Null where the file is not there. Failure: it is damaged, or of another origin than expected.
std::optional<State> read_state(const std::string &directory, const std::string &origin);
// Writes what changed, then the state. After it returned both outlast a crash; before, the old state counts.
void write_state(const std::string &directory, const State &state, const std::vector<Uuid> &changed);

// Removes what a crash between the two left: what changed with checkpoints that were never signed.
void drop_unsigned_history(const std::string &directory, uint64_t number);

// The note of a directory checkpoint in a state directory.
std::string note_name(uint64_t number);

// What changed with one checkpoint.
struct HistoryEntry {
  uint64_t number = 0;
  Hash root{};  // of the directory log
  std::string taken_at;
  std::vector<ChainLeaf> changed;
};

class History {
 public:
  // The numbers of the checkpoints whose files are there. Files may have been moved away: then less is known.
  explicit History(std::string directory);

  const std::vector<uint64_t> &numbers() const { return numbers_; }
  // Failure: the file is damaged.
  HistoryEntry read(uint64_t number) const;

 private:
  std::string directory_;
  std::vector<uint64_t> numbers_;
};

}  // namespace spine
