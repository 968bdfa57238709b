#include "notary/judge.h"

#include <algorithm>
#include <set>

namespace spine {

namespace {

// What one entry says, given the chains as its rows left them. Empty, or what is wrong.
std::string judge_entry(TreeHasher &hasher, const State &next, std::string_view text, DirectoryEntry *entry) {
  const char *malformed = parse_directory_entry(text, entry);
  if (malformed != nullptr) return malformed;
  if (entry->number != next.number + 1) return "it has the number " + std::to_string(entry->number);
  if (next.number > 0 && entry->incarnation != next.read_entry().incarnation)
    return "it is of another incarnation of the database";
  if (entry->chains != next.chains.size())
    return "it says " + std::to_string(entry->chains) + " chains, and there are " +
           std::to_string(next.chains.size());
  if (entry->chains_root != tree_of_chains(hasher, next.chains)) return "its tree of chains is not that of its chains";
  return {};
}

// Puts a row into the chains. Empty, or what is wrong.
std::string apply(TreeHasher &hasher, const CheckpointRow &row, Judged &judged) {
  if (row.size == 0) return "a chain has no event";
  Chain &chain = judged.next.chains[row.organization];
  if (row.size < chain.size) return "a chain is smaller than it was";
  if (row.size == chain.size && (row.root != chain.root || row.head_hash != chain.head_hash))
    return "a chain of one size has another root or head";
  if (row.size == chain.size) return {};
  if (chain.size > 0) judged.growth.push_back({row.organization, chain.size, row.size, chain.root, row.root});
  chain = {row.size, row.root, row.head_hash, {}};
  chain.leaf_hash = leaf_hash_of(hasher, row.organization, chain);
  return {};
}

}  // namespace

Judged judge(TreeHasher &hasher, const State &state, const LogPart &part) {
  Judged judged;
  judged.next = state;
  judged.next.wal = part.wal;
  std::set<Uuid> changed;
  size_t at = 0;
  for (const std::string &text : part.entries) {
    State &next = judged.next;
    judged.wrong_number = next.number + 1;
    for (; at < part.rows.size() && part.rows[at].number <= next.number + 1; at++) {
      judged.why = apply(hasher, part.rows[at], judged);
      if (!judged.why.empty()) {
        judged.wrong_chain = part.rows[at].organization;
        return judged;
      }
      changed.insert(part.rows[at].organization);
    }
    DirectoryEntry entry;
    judged.why = judge_entry(hasher, next, text, &entry);
    if (!judged.why.empty()) return judged;
    Hash leaf;
    if (hasher.leaf(text, &leaf) != Status::ok || next.log.append(hasher, leaf) != Status::ok ||
        next.log.root(hasher, &next.root) != Status::ok)
      throw Failure(Exit::unavailable, "hashing the directory log failed");
    next.number++;
    next.entry = text;
  }
  if (judged.next.root != part.root) judged.why = "the log's root is not that of its entries";
  judged.changed.assign(changed.begin(), changed.end());
  return judged;
}

ChainState state_of(const ChainView &chain) {
  if (chain.agreed == chain.kept.size()) return ChainState::agrees;
  if (chain.size == 0) return ChainState::removed;
  return chain.kept[chain.agreed].second <= chain.size ? ChainState::rewritten : ChainState::shrunken;
}

namespace {

// Whether all chains and the log can be those of one moment of the database's own past. A chain grew to a size that
// was signed some time before that checkpoint, so it may be one checkpoint ahead of the log.
bool is_one_moment(const Circumstances &seen) {
  uint64_t newest = 0, oldest = UINT64_MAX;
  for (const ChainView &chain : seen.chains) {
    if (chain.agreed > 0) newest = std::max(newest, chain.kept[chain.agreed - 1].first);
    if (chain.agreed < chain.kept.size()) oldest = std::min(oldest, chain.kept[chain.agreed].first);
  }
  uint64_t ahead = seen.next_kept > 0 ? seen.next_kept : seen.common;
  return newest <= oldest && newest <= ahead && oldest > seen.common;
}

}  // namespace

Diagnosis diagnose(const Circumstances &seen) {
  if (!seen.same_incarnation)
    return {Exit::other_database, "another database", "its extension was created apart from the one that was signed",
            "point the notary at the right database; a new database needs a new origin and state"};
  if (seen.common == seen.kept_number)
    return {Exit::rewritten, "a rewrite", "the log goes on from what was signed, but chains do not",
            "keep the server's files as they are, and ask who had superuser's rights or the files"};
  if (!is_one_moment(seen))
    return {Exit::rewritten, "a rewrite", "no moment of its past had these chains and this log together",
            "keep the server's files as they are, and ask who had superuser's rights or the files"};
  bool ran_then = seen.server_started < seen.kept_taken_at;
  // A promotion begins a new timeline, and one was signed: what runs on the older one was left behind by it.
  if (seen.same_system && seen.timeline < seen.kept_timeline && ran_then)
    return {Exit::cloned, "a former primary that went on",
            "a standby was promoted and signed since, and this server ran all the time on the timeline before",
            "stop it; what it stored since is in no chain that was signed. pg_rewind makes it a standby"};
  if (!seen.other_taken_at.empty() && seen.other_taken_at < seen.kept_taken_at)
    return {Exit::cloned, "a clone that went on", "it took checkpoints of its own before the newest one was signed",
            "find the database that was signed, and stop the clone"};
  if (seen.same_system && seen.timeline > seen.kept_timeline && ran_then)
    return {Exit::failover_lost, "a promoted standby that lacks the end",
            "its timeline grew, and its server ran before the newest checkpoint was signed",
            "what was signed and is not there was lost in the failover, unless the former primary still goes on; "
            "begin a new origin and state once it is known what was lost"};
  if (seen.same_system && ran_then && seen.wal >= seen.kept_wal)
    return {Exit::rewritten, "a rewrite", "its server ran all the time and wrote on, and yet what was signed is gone",
            "keep the server's files as they are, and ask who had superuser's rights or the files"};
  if (seen.same_system && ran_then)
    return {Exit::cloned, "a clone", "its server ran before the newest checkpoint was signed, and wrote less",
            "find the database that was signed, and stop the clone"};
  if (!seen.same_system)
    return {Exit::restored, "a restore from a dump",
            "it lies in another cluster than the one that was signed, and all of it is of one earlier moment",
            "if it was meant to be, begin a new origin and state; else find the newer database"};
  return {Exit::restored, "a restore from a backup",
          "its server started after the newest checkpoint was signed, and all of it is of one earlier moment",
          "if it was meant to be, begin a new origin and state; else find the newer database"};
}

}  // namespace spine
