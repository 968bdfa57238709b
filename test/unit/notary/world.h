// A database in memory: chains of made-up events, and the log of its directory checkpoints.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/merkle.h"
#include "notary/judge.h"

class World {
 public:
  spine::Uuid incarnation{1};
  uint64_t system_identifier = 77;
  uint32_t timeline = 1;

  spine::Uuid organization(int n) const { return spine::Uuid{static_cast<uint8_t>(n)}; }

  // Appends events to a chain; the same number and seed give the same events.
  void grow(int n, uint64_t events, const std::string &seed = "") {
    std::vector<spine::Hash> &chain = events_[organization(n)];
    for (; events > 0; events--) chain.push_back(hash_of(seed + std::to_string(n) + "/" + std::to_string(chain.size())));
  }

  // What spine.checkpoints says of a chain as it is.
  spine::CheckpointRow row(int n) {
    const std::vector<spine::Hash> &chain = events_[organization(n)];
    return {number_ + 1, organization(n), chain.size(), root_of(chain), chain.back()};
  }

  // Takes a directory checkpoint of all chains.
  void checkpoint() {
    spine::Chains chains;
    for (const auto &[organization, events] : events_) {
      spine::Chain chain{events.size(), root_of(events), events.back(), {}};
      chain.leaf_hash = spine::leaf_hash_of(hasher_, organization, chain);
      rows_.push_back({number_ + 1, organization, chain.size, chain.root, chain.head_hash});
      chains[organization] = chain;
    }
    number_++;
    entries_.push_back(entry(number_, chains.size(), spine::tree_of_chains(hasher_, chains)));
    spine::Hash leaf;
    (void)hasher_.leaf(entries_.back(), &leaf);
    (void)log_.append(hasher_, leaf);
    chains_ = chains;
  }

  std::string entry(uint64_t number, uint64_t chains, const spine::Hash &root) {
    spine::Buffer out;
    char taken_at[] = "2026-01-19T09:30:00.000000Z";
    taken_at[18] = static_cast<char>('0' + number % 10);
    (void)spine::append_directory_entry({number, chains, root, taken_at, system_identifier, timeline, incarnation},
                                        &out);
    return std::string(out.view());
  }

  // The state of a notary that signed the newest checkpoint.
  spine::State signed_state() {
    spine::State state;
    state.origin = "log.example";
    state.number = number_;
    state.log = log_;
    (void)log_.root(hasher_, &state.root);
    state.entry = entries_.empty() ? "" : entries_.back();
    state.wal = 1000 * number_;
    state.chains = chains_;
    return state;
  }

  // What the database shows behind that number.
  spine::LogPart behind(uint64_t number) {
    spine::LogPart part;
    part.entries.assign(entries_.begin() + static_cast<ptrdiff_t>(number), entries_.end());
    for (const spine::CheckpointRow &row : rows_)
      if (row.number > number) part.rows.push_back(row);
    (void)log_.root(hasher_, &part.root);
    part.wal = 1000 * number_;
    return part;
  }

  spine::TreeHasher &hasher() { return hasher_; }

 private:
  spine::Hash hash_of(const std::string &text) {
    spine::Hash hash;
    (void)hasher_.leaf(text, &hash);
    return hash;
  }
  spine::Hash root_of(const std::vector<spine::Hash> &chain) {
    spine::CompactRange range;
    spine::Hash leaf, root;
    for (const spine::Hash &event : chain) {
      (void)hasher_.leaf(event, &leaf);
      (void)range.append(hasher_, leaf);
    }
    (void)range.root(hasher_, &root);
    return root;
  }

  spine::TreeHasher hasher_;
  std::map<spine::Uuid, std::vector<spine::Hash>> events_;
  uint64_t number_ = 0;
  std::vector<std::string> entries_;
  std::vector<spine::CheckpointRow> rows_;
  spine::CompactRange log_;
  spine::Chains chains_;
};
