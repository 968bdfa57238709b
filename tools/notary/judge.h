// Judges, without a database at hand, what a database says of itself against what a notary kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "notary/failure.h"
#include "notary/state.h"

namespace spine {

// One row of spine.checkpoints.
struct CheckpointRow {
  uint64_t number = 0;  // of the first directory checkpoint that covers it
  Uuid organization{};
  uint64_t size = 0;
  Hash root{}, head_hash{};
};

// A chain that grew from one row to the next; the database must prove that it only grew.
struct Growth {
  Uuid organization{};
  uint64_t old_size = 0, new_size = 0;
  Hash old_root{}, new_root{};
};

// What is said of the directory log behind the newest checkpoint that was signed.
struct LogPart {
  std::vector<std::string> entries;   // from the next number on, without a gap
  std::vector<CheckpointRow> rows;    // of those numbers, by number
  Hash root{};                        // of the log with all of them
  uint64_t wal = 0;
};

struct Judged {
  State next;                    // what to sign, if why is empty and the growth is proved
  std::vector<Growth> growth;    // of chains that were there before
  std::vector<Uuid> changed;     // chains that next has otherwise than the state; sorted
  std::string why;               // what is wrong with the entry of this number; empty: nothing
  uint64_t wrong_number = 0;
  std::optional<Uuid> wrong_chain;
};

// Every entry is judged, not the newest alone: the signature vouches for all of them. Each must be the next one of the
// same database, its chains the state's with the rows of its number, never smaller and never another of one size.
Judged judge(TreeHasher &hasher, const State &state, const LogPart &part);

// A chain as the history has it, against what the database still has.
struct ChainView {
  std::vector<std::pair<uint64_t, uint64_t>> kept;  // (checkpoint number, size) of each change, rising
  size_t agreed = 0;                                // with so many of them the database agrees
  uint64_t size = 0;                                // events that the database has now; 0: none
};

enum class ChainState : uint8_t { agrees, removed, shrunken, rewritten };
inline constexpr const char *chain_state_names[] = {"chain_agrees", "chain_removed", "chain_shrunken",
                                                    "chain_rewritten"};
ChainState state_of(const ChainView &chain);

// All that tells one way of losing agreement from another. Times are texts that sort: 2026-01-19T09:30:00.000000Z.
struct Circumstances {
  bool same_incarnation = true, same_system = true;
  uint32_t kept_timeline = 0, timeline = 0;
  uint64_t kept_wal = 0, wal = 0;
  uint64_t kept_number = 0;    // the newest that was signed
  uint64_t common = 0;         // the newest of the signed ones that the database's log agrees with
  uint64_t next_kept = 0;      // the signed one behind it
  std::string kept_taken_at;   // when the newest that was signed was taken
  std::string other_taken_at;  // of the database's entry in place of next_kept; empty: its log is not that long
  std::string server_started;  // when the database's server was
  std::vector<ChainView> chains;  // those that were examined
};

// Why the database does not extend what was signed; reason: what tells.
struct Diagnosis {
  Exit code;
  const char *looks_like;
  const char *reason;
  const char *hint;
};
Diagnosis diagnose(const Circumstances &seen);

}  // namespace spine
