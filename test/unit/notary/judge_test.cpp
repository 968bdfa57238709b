#include "notary/judge.h"

#include <gtest/gtest.h>

#include "world.h"

using namespace spine;

namespace {

// Two chains, and one checkpoint that was signed.
struct Begun {
  World world;
  State state;

  Begun() {
    world.grow(1, 5);
    world.grow(2, 7);
    world.checkpoint();
    state = world.signed_state();
  }
  Judged judged(const LogPart &part) { return judge(world.hasher(), state, part); }
  Judged judged() { return judged(world.behind(1)); }
};

TEST(Judge, WhatGrewIsNextToSign) {
  Begun begun;
  begun.world.grow(2, 3);
  begun.world.grow(3, 1);
  begun.world.checkpoint();
  begun.world.grow(2, 1);
  begun.world.checkpoint();
  Judged judged = begun.judged();
  EXPECT_EQ(judged.why, "");
  EXPECT_EQ(judged.next.number, 3u);
  EXPECT_EQ(judged.next.root, begun.world.signed_state().root);
  EXPECT_EQ(judged.next.checkpoint_text(), begun.world.signed_state().checkpoint_text());
  // Each step of the chain that grew twice is to be proved; the new chain extends nothing.
  ASSERT_EQ(judged.growth.size(), 2u);
  EXPECT_EQ(judged.growth[0].old_size, 7u);
  EXPECT_EQ(judged.growth[0].new_size, 10u);
  EXPECT_EQ(judged.growth[1].new_size, 11u);
}

TEST(Judge, FromNothing) {
  Begun begun;
  begun.state = State();
  EXPECT_EQ(begun.judged(begun.world.behind(0)).why, "");
}

TEST(Judge, NothingNew) {
  Begun begun;
  Judged judged = begun.judged();
  EXPECT_EQ(judged.why, "");
  EXPECT_EQ(judged.next.number, 1u);
}

TEST(Judge, AChainThatShrankOrChanged) {
  for (bool smaller : {true, false}) {
    Begun begun;
    begun.world.grow(3, 1);
    begun.world.checkpoint();
    LogPart part = begun.world.behind(1);
    for (CheckpointRow &row : part.rows)
      if (row.organization == begun.world.organization(2)) {
        if (smaller) row.size--;
        row.root[0] ^= 1;
      }
    Judged judged = begun.judged(part);
    EXPECT_EQ(judged.why, smaller ? "a chain is smaller than it was" : "a chain of one size has another root or head");
    ASSERT_TRUE(judged.wrong_chain);
    EXPECT_EQ(*judged.wrong_chain, begun.world.organization(2));
  }
}

TEST(Judge, AChainThatTheDirectoryLeavesOut) {
  Begun begun;
  LogPart part = begun.world.behind(1);
  Chains one = begun.state.chains;
  one.erase(begun.world.organization(1));
  part.entries.push_back(begun.world.entry(2, 1, tree_of_chains(begun.world.hasher(), one)));
  EXPECT_EQ(begun.judged(part).why, "it says 1 chains, and there are 2");
  part.entries.back() = begun.world.entry(2, 2, tree_of_chains(begun.world.hasher(), one));
  EXPECT_EQ(begun.judged(part).why, "its tree of chains is not that of its chains");
}

// A false entry that a right one follows: the signature would vouch for both.
TEST(Judge, AFalseEntryInBetween) {
  Begun begun;
  begun.world.grow(1, 1);
  begun.world.checkpoint();
  begun.world.grow(1, 1);
  begun.world.checkpoint();
  LogPart part = begun.world.behind(1);
  Hash other{};
  part.entries[0] = begun.world.entry(2, 2, other);
  Judged judged = begun.judged(part);
  EXPECT_EQ(judged.why, "its tree of chains is not that of its chains");
  EXPECT_EQ(judged.wrong_number, 2u);
}

TEST(Judge, AnEntryOfAnotherNumberOrDatabase) {
  Begun begun;
  Hash root = tree_of_chains(begun.world.hasher(), begun.state.chains);
  LogPart part = begun.world.behind(1);
  part.entries = {begun.world.entry(3, 2, root)};
  EXPECT_EQ(begun.judged(part).why, "it has the number 3");
  begun.world.incarnation[3] = 9;
  part.entries = {begun.world.entry(2, 2, root)};
  EXPECT_EQ(begun.judged(part).why, "it is of another incarnation of the database");
  part.entries = {"anything\n"};
  EXPECT_NE(begun.judged(part).why, "");
}

TEST(Judge, ARootThatIsNotTheEntries) {
  Begun begun;
  begun.world.grow(1, 1);
  begun.world.checkpoint();
  LogPart part = begun.world.behind(1);
  part.root[5] ^= 1;
  EXPECT_EQ(begun.judged(part).why, "the log's root is not that of its entries");
}

ChainView view(std::vector<std::pair<uint64_t, uint64_t>> kept, size_t agreed, uint64_t size) {
  return {std::move(kept), agreed, size};
}

TEST(ChainState, IsToldFromSizes) {
  std::vector<std::pair<uint64_t, uint64_t>> kept{{3, 10}, {7, 20}, {9, 30}};
  EXPECT_EQ(state_of(view(kept, 3, 0)), ChainState::agrees);
  EXPECT_EQ(state_of(view(kept, 2, 25)), ChainState::shrunken);
  EXPECT_EQ(state_of(view(kept, 1, 25)), ChainState::rewritten);
  EXPECT_EQ(state_of(view(kept, 2, 40)), ChainState::rewritten);
  EXPECT_EQ(state_of(view(kept, 0, 5)), ChainState::shrunken);
  EXPECT_EQ(state_of(view(kept, 0, 0)), ChainState::removed);
}

// Signed: 5, 6, 7, 8, 9, the last at half past nine. The database agrees up to 5, all of it.
Circumstances went_back() {
  Circumstances seen;
  seen.kept_timeline = seen.timeline = 1;
  seen.kept_wal = 9000;
  seen.wal = 5500;
  seen.kept_number = 9;
  seen.common = 5;
  seen.next_kept = 6;
  seen.kept_taken_at = "2026-01-19T09:30:00.000000Z";
  seen.server_started = "2026-01-19T10:00:00.000000Z";
  seen.chains = {view({{1, 10}, {5, 20}, {7, 30}}, 2, 22), view({{2, 10}, {6, 12}}, 2, 0), view({{8, 1}}, 0, 0)};
  return seen;
}

TEST(Diagnose, ARestore) { EXPECT_EQ(diagnose(went_back()).code, Exit::restored); }

TEST(Diagnose, ARestoreThatWentOn) {
  Circumstances seen = went_back();
  seen.other_taken_at = "2026-01-19T10:01:00.000000Z";
  EXPECT_EQ(diagnose(seen).code, Exit::restored);
  seen.timeline = 2;
  EXPECT_EQ(diagnose(seen).code, Exit::restored);
  seen.same_system = false;
  EXPECT_EQ(diagnose(seen).code, Exit::restored);
}

TEST(Diagnose, AClone) {
  Circumstances seen = went_back();
  seen.server_started = "2026-01-19T08:00:00.000000Z";
  EXPECT_EQ(diagnose(seen).code, Exit::cloned);
  seen = went_back();
  seen.other_taken_at = "2026-01-19T09:29:00.000000Z";
  EXPECT_EQ(diagnose(seen).code, Exit::cloned);
  seen.timeline = 2;
  EXPECT_EQ(diagnose(seen).code, Exit::cloned);
}

TEST(Diagnose, AFormerPrimary) {
  Circumstances seen = went_back();
  seen.server_started = "2026-01-19T08:00:00.000000Z";
  seen.kept_timeline = 2;
  EXPECT_STREQ(diagnose(seen).looks_like, "a former primary that went on");
  EXPECT_EQ(diagnose(seen).code, Exit::cloned);
  // However much it wrote, and whoever took checkpoints there.
  seen.wal = 9500;
  seen.other_taken_at = "2026-01-19T09:29:00.000000Z";
  EXPECT_STREQ(diagnose(seen).looks_like, "a former primary that went on");
  // A backup of that time is on that timeline, too.
  seen = went_back();
  seen.kept_timeline = 2;
  EXPECT_EQ(diagnose(seen).code, Exit::restored);
}

TEST(Diagnose, AFailoverThatLost) {
  Circumstances seen = went_back();
  seen.server_started = "2026-01-19T08:00:00.000000Z";
  seen.timeline = 2;
  EXPECT_EQ(diagnose(seen).code, Exit::failover_lost);
}

TEST(Diagnose, AnotherDatabase) {
  Circumstances seen = went_back();
  seen.same_incarnation = false;
  EXPECT_EQ(diagnose(seen).code, Exit::other_database);
}

TEST(Diagnose, ARewrite) {
  // The log goes on, a chain does not.
  Circumstances seen = went_back();
  seen.common = 9;
  seen.next_kept = 0;
  EXPECT_EQ(diagnose(seen).code, Exit::rewritten);
  // A chain lacks what the log has.
  seen = went_back();
  seen.chains[0].agreed = 1;
  EXPECT_EQ(diagnose(seen).code, Exit::rewritten);
  // A chain has what the log lacks.
  seen = went_back();
  seen.chains[0].agreed = 3;
  EXPECT_EQ(diagnose(seen).code, Exit::rewritten);
  // One chain is of a later moment than another.
  seen = went_back();
  seen.next_kept = 7;
  seen.chains[1].agreed = 1;
  seen.chains[0].agreed = 3;
  EXPECT_EQ(diagnose(seen).code, Exit::rewritten);
  // The server wrote on all the time.
  seen = went_back();
  seen.server_started = "2026-01-19T08:00:00.000000Z";
  seen.wal = 9500;
  EXPECT_EQ(diagnose(seen).code, Exit::rewritten);
}

}  // namespace
