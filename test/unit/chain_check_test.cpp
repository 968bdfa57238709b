#include "core/chain_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "chain_reference.h"
#include "support.h"

using spine::ChainWalker;
using spine::Fault;
using spine::FaultKind;
using spine::Hash;
using spine::Link;
using spine::Range;
using spine::Segment;
using spine::SegmentFolder;
using spine::Status;
using spine::StructureFault;
using spine::StructureFaults;
using spine::Uuid;
using spine::Verdict;
using spine::Verdicts;
using spine::Verifier;

namespace {

Hash hash_number(uint64_t n) {
  Hash hash{};
  std::memcpy(hash.data(), &n, sizeof n);
  hash[31] = 0xaa;
  return hash;
}

Uuid uuid_number(uint32_t n) {
  Uuid uuid{};
  for (size_t i = 0; i < 4; i++) uuid[15 - i] = static_cast<uint8_t>(n >> (8 * i));
  return uuid;
}

// Events `first` … `first + count - 1` of one organization, each a second after the one before.
std::vector<Link> chain(uint32_t organization, int64_t count, int64_t first = 1) {
  std::vector<Link> links;
  for (int64_t i = 0; i < count; i++) {
    Link link;
    link.organization = uuid_number(organization);
    link.sequence = first + i;
    link.id = uuid_number(static_cast<uint32_t>(link.sequence) * 1000);
    link.timestamp = (link.sequence % 1000000) * 1000000;
    uint64_t key = uint64_t{organization} << 40;
    link.event_hash = hash_number(key + static_cast<uint64_t>(link.sequence));
    link.previous_hash = link.sequence == 1 ? spine::zero_hash : hash_number(key + static_cast<uint64_t>(link.sequence) - 1);
    links.push_back(link);
  }
  return links;
}

std::string show(const Verdicts &verdicts) {
  std::string out;
  for (const auto &[organization, v] : verdicts) {
    out += hex_of(organization.data(), 16) + ": " + std::to_string(v.events) + " events, " + std::to_string(v.first) + " to " +
           std::to_string(v.last) + ", head " + hex_of(v.head) + "\n";
    for (const auto &[sequence, kind, last_missing, id] : v.faults)
      out += "  " + std::to_string(sequence) + " " + spine::fault_names[static_cast<int>(kind)] + " " + std::to_string(last_missing) +
             " " + id + "\n";
  }
  return out;
}

class ChainCheck : public testing::Test {
 protected:
  // The only organization's faults as "kind@sequence", where a gap also has its end; checked against the reference.
  std::vector<std::string> faults(const std::vector<Link> &table, const Range &range = {}) {
    Verdicts verdicts = verifier_.verify(table, range);
    EXPECT_EQ(show(verdicts), show(reference(table, range)));
    EXPECT_EQ(verdicts.size(), 1u);
    verdict_ = verdicts.begin()->second;
    std::vector<std::string> out;
    for (const auto &[sequence, kind, last_missing, id] : verdict_.faults) {
      std::string text = spine::fault_names[static_cast<int>(kind)];
      text += "@" + std::to_string(sequence);
      if (kind == FaultKind::event_missing) text += "-" + std::to_string(last_missing);
      out.push_back(text);
    }
    return out;
  }
  using List = std::vector<std::string>;

  std::vector<Link> links_ = chain(1, 10);
  Link &at(int64_t sequence) { return links_[static_cast<size_t>(sequence - 1)]; }
  void drop(int64_t sequence) { links_.erase(links_.begin() + (sequence - links_.front().sequence)); }
  // Another event with that sequence, linked as the first one is.
  Link twin(int64_t sequence) {
    Link link = at(sequence);
    link.id[0] = 0xff;
    link.event_hash[0] ^= 0xff;
    return link;
  }

  Verifier verifier_;
  Verdict verdict_;
};

}  // namespace

TEST_F(ChainCheck, AHealthyChainIsOneSegment) {
  EXPECT_EQ(faults(links_), List());
  EXPECT_EQ(verifier_.stored, 1u);
  EXPECT_EQ(verdict_.events, 10);
  EXPECT_EQ(verdict_.first, 1);
  EXPECT_EQ(verdict_.last, 10);
  EXPECT_EQ(verdict_.head, at(10).event_hash);
}

TEST_F(ChainCheck, NothingGivesNoVerdict) { EXPECT_TRUE(verifier_.verify({}, {}).empty()); }

TEST_F(ChainCheck, OrderOnDiskDoesNotMatter) {
  std::mt19937 random(5);
  for (int i = 0; i < 100; i++) {
    std::shuffle(links_.begin(), links_.end(), random);
    ASSERT_EQ(faults(links_), List());
    ASSERT_EQ(verdict_.events, 10);
  }
  std::sort(links_.begin(), links_.end(), [](const Link &a, const Link &b) { return a.sequence > b.sequence; });
  EXPECT_EQ(faults(links_), List());
}

// More organizations than slots, so some must share one.
TEST_F(ChainCheck, OrganizationsThatDisplaceEachOther) {
  constexpr uint32_t organizations = 2 * SegmentFolder::sets * SegmentFolder::ways;
  std::vector<Link> table;
  for (int64_t sequence = 1; sequence <= 3; sequence++)
    for (uint32_t organization = 0; organization < organizations; organization++) table.push_back(chain(organization, 1, sequence)[0]);
  table[organizations + 77].previous_hash[5] ^= 1;
  Verdicts verdicts = verifier_.verify(table, {});
  EXPECT_GT(verifier_.displaced, organizations / 2);
  ASSERT_EQ(verdicts.size(), organizations);
  for (const auto &[organization, verdict] : verdicts) {
    ASSERT_EQ(verdict.events, 3);
    ASSERT_EQ(verdict.faults.size(), organization == uuid_number(77) ? 1u : 0u);
  }
  EXPECT_EQ(std::get<1>(verdicts[uuid_number(77)].faults[0]), FaultKind::link_broken);
}

// The same for ranges: a segment that only says that the chain goes on is displaced and comes back, too.
TEST_F(ChainCheck, OrganizationsThatDisplaceEachOtherBeyondARange) {
  constexpr uint32_t organizations = 2 * SegmentFolder::sets * SegmentFolder::ways;
  std::vector<Link> table;
  for (int64_t sequence : {9, 1, 2})
    for (uint32_t organization = 0; organization < organizations; organization++) table.push_back(chain(organization, 1, sequence)[0]);
  Range range;
  range.to = 5;
  Verdicts verdicts = verifier_.verify(table, range);
  ASSERT_EQ(verdicts.size(), organizations);
  for (const auto &[organization, verdict] : verdicts) {
    ASSERT_EQ(verdict.faults.size(), 1u);
    ASSERT_EQ(verdict.faults[0], Fault(3, FaultKind::event_missing, 5, ""));
  }
}

TEST_F(ChainCheck, ABrokenLinkIsNamedWithBothHashes) {
  at(4).previous_hash[9] ^= 1;
  EXPECT_EQ(faults(links_), List({"link_broken@4"}));
  ChainWalker walker;
  StructureFaults found;
  walker.begin({}, false);
  Segment head{};
  head.first = at(3);
  head.first.sequence = 1;
  head.first.previous_hash = spine::zero_hash;
  head.last_sequence = 3;
  head.last_hash = at(3).event_hash;
  walker.add(head, &found);
  ASSERT_EQ(found.count, 0);
  Segment tail{};
  tail.first = at(4);
  tail.last_sequence = 4;
  walker.add(tail, &found);
  ASSERT_EQ(found.count, 1);
  EXPECT_TRUE(found.fault[0].has_expected && found.fault[0].has_found && found.fault[0].has_id);
  EXPECT_EQ(found.fault[0].expected, at(3).event_hash);
  EXPECT_EQ(found.fault[0].found, at(4).previous_hash);
  EXPECT_EQ(found.fault[0].id, at(4).id);
}

TEST_F(ChainCheck, AChangedHashBreaksTheLinkOfTheNext) {
  at(4).event_hash[9] ^= 1;
  EXPECT_EQ(faults(links_), List({"link_broken@5"}));
  links_ = chain(1, 10);
  at(10).event_hash[9] ^= 1;  // nothing follows that could tell
  EXPECT_EQ(faults(links_), List());
}

// Walks links one by one, behind an anchor.
static std::vector<std::string> behind_anchor(const spine::Anchor &anchor, const std::vector<Link> &links, const Range &range = {}) {
  std::vector<std::string> out;
  ChainWalker walker;
  EXPECT_EQ(walker.begin(range, true, &anchor), Status::ok);
  StructureFaults found;
  auto note = [&] {
    for (int i = 0; i < found.count; i++)
      out.push_back(std::string(spine::fault_names[static_cast<int>(found.fault[i].kind)]) + "@" + std::to_string(found.fault[i].sequence));
  };
  for (const Link &link : links) {
    Segment one{};
    one.first = link;
    one.last_sequence = link.sequence;
    one.last_timestamp = link.timestamp;
    one.last_hash = link.event_hash;
    EXPECT_EQ(walker.add(one, &found), Status::ok);
    note();
  }
  walker.finish(&found);
  note();
  out.push_back(std::to_string(walker.events()) + " events");
  return out;
}

TEST_F(ChainCheck, AChainGoesOnFromItsAnchor) {
  spine::Anchor anchor{4, at(4).timestamp, at(4).event_hash};
  std::vector<Link> rest(links_.begin() + 4, links_.end());
  EXPECT_EQ(behind_anchor(anchor, rest), List({"6 events"}));
  EXPECT_EQ(behind_anchor(anchor, {}), List({"0 events"}));
  EXPECT_EQ(behind_anchor({3, at(3).timestamp, at(3).event_hash}, rest), List({"event_missing@4", "6 events"}));
  EXPECT_EQ(behind_anchor({4, at(4).timestamp, at(3).event_hash}, rest), List({"link_broken@5", "6 events"}));
  EXPECT_EQ(behind_anchor({4, at(9).timestamp, at(4).event_hash}, rest), List({"order_violated@5", "6 events"}));
  EXPECT_EQ(behind_anchor({5, at(5).timestamp, at(5).event_hash}, rest), List({"event_duplicated@5", "6 events"}));
}

TEST_F(ChainCheck, ARangeAndAnAnchor) {
  spine::Anchor anchor{4, at(4).timestamp, at(4).event_hash};
  auto from = [&](int64_t sequence) { return std::vector<Link>(links_.begin() + sequence - 1, links_.end()); };
  auto range = [](int64_t first, int64_t last) {
    Range r;
    r.from = first;
    r.to = last;
    return r;
  };
  EXPECT_EQ(behind_anchor(anchor, from(5), range(3, INT64_MAX)), List({"6 events"}));
  EXPECT_EQ(behind_anchor(anchor, from(5), range(5, INT64_MAX)), List({"6 events"}));
  EXPECT_EQ(behind_anchor(anchor, from(5), range(6, INT64_MAX)), List({"5 events"}));
  EXPECT_EQ(behind_anchor(anchor, from(7), range(6, INT64_MAX)), List({"event_missing@5", "4 events"}));
  EXPECT_EQ(behind_anchor(anchor, {}, range(2, 3)), List({"0 events"}));
}

TEST_F(ChainCheck, TheFirstEventLinksToZeros) {
  at(1).previous_hash[31] = 1;
  EXPECT_EQ(faults(links_), List({"link_broken@1"}));
}

// Of a previous_hash that was stored with another length only 32 bytes are kept: they may match, and do not count.
TEST_F(ChainCheck, AHashOfAnotherLengthLinksToNothing) {
  at(1).previous_is_hash = false;
  EXPECT_EQ(faults(links_), List({"link_broken@1"}));
  at(1).previous_is_hash = true;
  at(6).previous_is_hash = false;
  EXPECT_EQ(faults(links_), List({"link_broken@6"}));
  links_.push_back(twin(5));
  EXPECT_EQ(faults(links_), List({"event_duplicated@5", "link_broken@6"}));
}

TEST_F(ChainCheck, ADrainedFolderIsAsNew) {
  SegmentFolder folder;
  ASSERT_EQ(folder.prepare(), Status::ok);
  Segment segment;
  for (int round = 0; round < 2; round++) {
    for (const Link &link : links_) EXPECT_FALSE(folder.add(link, &segment));
    ASSERT_TRUE(folder.drain(&segment));
    EXPECT_EQ(segment.first.sequence, 1);
    EXPECT_EQ(segment.last_sequence, 10);
    EXPECT_FALSE(folder.drain(&segment));
  }
}

TEST_F(ChainCheck, EveryGapIsOneFault) {
  drop(1);
  EXPECT_EQ(faults(links_), List({"event_missing@1-1"}));
  links_ = chain(1, 10);
  drop(5);
  EXPECT_EQ(faults(links_), List({"event_missing@5-5"}));
  links_ = chain(1, 10);
  links_.erase(links_.begin() + 3, links_.begin() + 7);
  EXPECT_EQ(faults(links_), List({"event_missing@4-7"}));
  links_.erase(links_.begin());
  EXPECT_EQ(faults(links_), List({"event_missing@1-1", "event_missing@4-7"}));
  EXPECT_EQ(verdict_.events, 5);
  EXPECT_EQ(verdict_.first, 2);
}

TEST_F(ChainCheck, AGapHidesNoForgedLinkBehindIt) {
  drop(5);
  links_[6].previous_hash[0] ^= 1;  // event 8
  EXPECT_EQ(faults(links_), List({"event_missing@5-5", "link_broken@8"}));
}

TEST_F(ChainCheck, EarlierTimestamps) {
  at(6).timestamp = at(5).timestamp - 1;
  EXPECT_EQ(faults(links_), List({"order_violated@6"}));
  at(6).timestamp = at(5).timestamp;
  EXPECT_EQ(faults(links_), List());
  at(6).timestamp = at(7).timestamp + 1;
  EXPECT_EQ(faults(links_), List({"order_violated@7"}));
}

TEST_F(ChainCheck, SeveralFaultsAtOneEvent) {
  at(6).timestamp = 0;
  at(6).previous_hash[0] ^= 1;
  EXPECT_EQ(faults(links_), List({"link_broken@6", "order_violated@6"}));
  links_.push_back(twin(6));
  EXPECT_EQ(faults(links_), List({"link_broken@6", "link_broken@6", "event_duplicated@6", "order_violated@6", "order_violated@6"}));
}

TEST_F(ChainCheck, ADuplicateIsNamedAndLeadsToTheSecondWalk) {
  links_.push_back(twin(4));
  EXPECT_EQ(faults(links_), List({"event_duplicated@4"}));
  EXPECT_EQ(verifier_.overlapping.size(), 1u);
  EXPECT_EQ(verdict_.events, 11);
  EXPECT_EQ(std::get<3>(verdict_.faults[0]).substr(0, 2), "ff");
}

TEST_F(ChainCheck, TwinsOfEachPlace) {
  for (int64_t sequence = 1; sequence <= 10; sequence++) {
    std::vector<Link> table = links_;
    table.push_back(twin(sequence));
    ASSERT_EQ(faults(table), List({"event_duplicated@" + std::to_string(sequence)}));
    std::rotate(table.begin(), table.end() - 1, table.end());
    ASSERT_EQ(faults(table), List({"event_duplicated@" + std::to_string(sequence)}));
  }
}

TEST_F(ChainCheck, ASuccessorMayLinkToAnyTwin) {
  Link second = twin(4);
  at(5).previous_hash = second.event_hash;
  links_.push_back(second);
  EXPECT_EQ(faults(links_), List({"event_duplicated@4"}));
  at(5).previous_hash[7] ^= 1;
  EXPECT_EQ(faults(links_), List({"event_duplicated@4", "link_broken@5"}));
}

TEST_F(ChainCheck, AWholeForkIsNamedEventByEvent) {
  for (int64_t sequence = 6; sequence <= 10; sequence++) {
    Link link = twin(sequence);
    if (sequence > 6) link.previous_hash = links_.back().event_hash;
    links_.push_back(link);
  }
  EXPECT_EQ(faults(links_), List({"event_duplicated@6", "event_duplicated@7", "event_duplicated@8", "event_duplicated@9", "event_duplicated@10"}));
}

TEST_F(ChainCheck, TheOverlapOfOneOrganizationLeavesTheOthersAlone) {
  std::vector<Link> other = chain(2, 10);
  links_.push_back(twin(4));
  links_.insert(links_.end(), other.begin(), other.end());
  EXPECT_EQ(show(verifier_.verify(links_, {})), show(reference(links_, {})));
  EXPECT_EQ(verifier_.overlapping, std::set<Uuid>({uuid_number(1)}));
}

// Memory for one sequence is bounded: a successor that links to a twin past the bound counts as broken.
TEST_F(ChainCheck, MoreTwinsThanAreRemembered) {
  links_ = chain(1, 2);
  std::vector<Link> table;
  constexpr uint32_t twins = 65536 + 10;
  for (uint32_t i = 0; i < twins; i++) {
    Link link = at(1);
    link.id = uuid_number(i);
    link.event_hash = hash_number(i);
    table.push_back(link);
  }
  Link successor = at(2);
  successor.previous_hash = hash_number(65535);
  table.push_back(successor);
  Verdicts verdicts = verifier_.verify(table, {});
  EXPECT_EQ(verdicts.begin()->second.faults.size(), twins - 1);
  table.back().previous_hash = hash_number(65536);
  verdicts = verifier_.verify(table, {});
  EXPECT_EQ(verdicts.begin()->second.faults.size(), twins);
}

TEST_F(ChainCheck, ARangeIsCheckedWithTheEventBeforeIt) {
  Range range;
  range.from = 4;
  range.to = 7;
  EXPECT_EQ(faults(links_, range), List());
  EXPECT_EQ(verdict_.events, 4);
  EXPECT_EQ(verdict_.first, 4);
  EXPECT_EQ(verdict_.last, 7);
  EXPECT_EQ(verdict_.head, at(7).event_hash);
  at(3).event_hash[0] ^= 1;
  EXPECT_EQ(faults(links_, range), List({"link_broken@4"}));
  links_ = chain(1, 10);
  at(3).previous_hash[0] ^= 1;  // the link of the event before is out of the range
  at(8).previous_hash[0] ^= 1;
  at(3).timestamp = -5;
  EXPECT_EQ(faults(links_, range), List());
  links_ = chain(1, 10);
  at(4).timestamp = 0;
  EXPECT_EQ(faults(links_, range), List({"order_violated@4"}));
}

TEST_F(ChainCheck, ARangeWhoseContextIsMissing) {
  Range range;
  range.from = 4;
  drop(3);
  EXPECT_EQ(faults(links_, range), List({"event_missing@3-3"}));
  links_ = chain(1, 10);
  links_.erase(links_.begin() + 2, links_.begin() + 5);
  EXPECT_EQ(faults(links_, range), List({"event_missing@3-5"}));
}

TEST_F(ChainCheck, AGapAtTheEndOfARangeShowsByWhatComesAfter) {
  Range range;
  range.to = 8;
  links_.erase(links_.begin() + 5, links_.begin() + 9);  // 6 to 9; 10 is beyond the range
  EXPECT_EQ(faults(links_, range), List({"event_missing@6-8"}));
  range.to = 5;
  EXPECT_EQ(faults(links_, range), List());
  links_.pop_back();  // nothing after 5: a chain may end before the range does
  range.to = 8;
  EXPECT_EQ(faults(links_, range), List());
}

TEST_F(ChainCheck, ARangeOfWhichNothingIsLeft) {
  Range range;
  range.from = 4;
  range.to = 6;
  std::vector<Link> table = {at(1), at(2), at(9)};
  EXPECT_EQ(faults(table, range), List({"event_missing@3-6"}));
  EXPECT_EQ(verdict_.events, 0);
  range.from = 1;
  range.to = 1;
  table = {at(9)};
  EXPECT_EQ(faults(table, range), List({"event_missing@1-1"}));
}

// The organization is there, nothing of it was checked.
TEST_F(ChainCheck, ARangeAfterTheEndOfTheChain) {
  Range range;
  range.from = 20;
  EXPECT_EQ(faults(links_, range), List());
  EXPECT_EQ(verdict_.events, 0);
  range.to = 25;
  links_.push_back(chain(1, 1, 30)[0]);
  EXPECT_EQ(faults(links_, range), List({"event_missing@19-25"}));
}

TEST_F(ChainCheck, TwinsOfTheEventBeforeARangeAreNotItsFaults) {
  Range range;
  range.from = 4;
  links_.push_back(twin(3));
  EXPECT_EQ(faults(links_, range), List());
  at(4).previous_hash = links_.back().event_hash;
  EXPECT_EQ(faults(links_, range), List());
}

TEST_F(ChainCheck, TheEndOfARangeIsNoticedInAnyOrder) {
  Range range;
  range.from = 2;
  range.to = 5;
  std::vector<Link> table = {at(1), at(2), at(3), at(9)};
  std::sort(table.begin(), table.end(), [](const Link &a, const Link &b) { return a.sequence < b.sequence; });
  do {
    ASSERT_EQ(faults(table, range), List({"event_missing@4-5"}));
  } while (std::next_permutation(table.begin(), table.end(), [](const Link &a, const Link &b) { return a.sequence < b.sequence; }));
}

TEST_F(ChainCheck, SequencesBelowOneAreMalformed) {
  for (int64_t sequence : {int64_t{0}, int64_t{-1}, INT64_MIN + 1, INT64_MIN}) {
    std::vector<Link> table = links_;
    Link link = at(1);
    link.id = uuid_number(99);
    link.sequence = sequence;
    table.push_back(link);
    ASSERT_EQ(faults(table), List({"malformed@" + std::to_string(sequence)}));
    std::rotate(table.begin(), table.end() - 1, table.end());
    ASSERT_EQ(faults(table), List({"malformed@" + std::to_string(sequence)}));
    ASSERT_EQ(verdict_.events, 10);
    table.push_back(link);
    ASSERT_EQ(faults(table), List({"malformed@" + std::to_string(sequence), "malformed@" + std::to_string(sequence)}));
  }
}

// 0, 1, 2 … that link must not become one segment that begins at 0.
TEST_F(ChainCheck, AChainThatBeginsAtZero) {
  Link zero = at(1);
  zero.sequence = 0;
  zero.timestamp = 0;
  at(1).previous_hash = zero.event_hash = hash_number(12345);
  links_.insert(links_.begin(), zero);
  EXPECT_EQ(faults(links_), List({"malformed@0", "link_broken@1"}));
}

TEST_F(ChainCheck, TheLastSequenceThereIs) {
  links_ = chain(1, 3, INT64_MAX - 2);
  EXPECT_EQ(faults(links_), List({"event_missing@1-" + std::to_string(INT64_MAX - 3)}));
  EXPECT_EQ(verdict_.last, INT64_MAX);
  EXPECT_EQ(verdict_.events, 3);
  Range range;
  range.from = INT64_MAX;
  EXPECT_EQ(faults(links_, range), List());
  EXPECT_EQ(verdict_.events, 1);
  range.to = INT64_MAX - 1;
  range.from = INT64_MAX - 1;
  EXPECT_EQ(faults(links_, range), List());
  links_.push_back(links_.back());
  EXPECT_EQ(faults(links_), List({"event_missing@1-" + std::to_string(INT64_MAX - 3), "event_duplicated@" + std::to_string(INT64_MAX)}));
}

// The number after the last is not the first: counting must not wrap.
TEST_F(ChainCheck, NothingFollowsTheLastSequence) {
  links_ = chain(1, 1, INT64_MAX);
  Link wrapped = links_[0];
  wrapped.sequence = INT64_MIN;
  wrapped.previous_hash = links_[0].event_hash;
  links_.push_back(wrapped);
  EXPECT_EQ(faults(links_), List({"malformed@" + std::to_string(INT64_MIN), "event_missing@1-" + std::to_string(INT64_MAX - 1)}));
}

TEST_F(ChainCheck, TimestampsAtTheEndsOfTheirRange) {
  at(1).timestamp = INT64_MIN;
  at(10).timestamp = INT64_MAX;
  EXPECT_EQ(faults(links_), List());
  std::swap(at(1).timestamp, at(10).timestamp);
  EXPECT_EQ(faults(links_), List({"order_violated@2", "order_violated@10"}));
}

// Random damage to random tables, in random order and ranges: the folded walk finds what holding everything finds.
TEST_F(ChainCheck, RandomDamageAgainstTheReference) {
  std::mt19937_64 random(1980);
  auto below = [&](uint64_t n) { return random() % n; };
  size_t overlapped = 0, faulty = 0, healthy = 0;
  Verifier verifier(SegmentFolder::sets / 16);  // small, for each round makes its folder anew
  for (int round = 0; round < 3000; round++) {
    std::vector<Link> table;
    for (uint32_t organization = 0; organization < 1 + below(4); organization++) {
      std::vector<Link> links = chain(organization, static_cast<int64_t>(1 + below(25)));
      table.insert(table.end(), links.begin(), links.end());
    }
    for (uint64_t damage = below(6); damage > 0 && !table.empty(); damage--) {
      size_t victim = below(table.size());
      Link copy = table[victim];
      switch (below(9)) {
        case 0:
          table.erase(table.begin() + static_cast<ptrdiff_t>(victim));
          break;
        case 1:
          table[victim].previous_hash[below(32)] ^= 1;
          break;
        case 2:
          table[victim].event_hash[below(32)] ^= 1;
          break;
        case 3:
          table[victim].timestamp += static_cast<int64_t>(below(5) * 1000000) - 2000000;
          break;
        case 4:
          table[victim].sequence += static_cast<int64_t>(below(7)) - 3;
          break;
        case 5:
          copy.id[1] = static_cast<uint8_t>(random());
          copy.event_hash[1] ^= static_cast<uint8_t>(below(2));
          table.push_back(copy);
          break;
        case 6:
          copy.id[1] = static_cast<uint8_t>(random());
          copy.previous_hash = copy.event_hash;
          copy.sequence = copy.sequence + static_cast<int64_t>(below(2));
          table.push_back(copy);
          break;
        case 7:
          table[victim].previous_is_hash = false;
          break;
        default:
          table[victim].organization = uuid_number(static_cast<uint32_t>(below(4)));
      }
    }
    if (below(3) == 0) std::shuffle(table.begin(), table.end(), random);
    if (below(3) == 0) std::swap_ranges(table.begin(), table.begin() + static_cast<ptrdiff_t>(table.size() / 2), table.begin() + static_cast<ptrdiff_t>(table.size() / 2));
    // Ids of events that share a sequence must differ, for they order them.
    for (size_t i = 0; i < table.size(); i++) {
      table[i].id[2] = static_cast<uint8_t>(i >> 8);
      table[i].id[3] = static_cast<uint8_t>(i);
    }
    Range range;
    if (below(2) == 0) range.from = static_cast<int64_t>(1 + below(12));
    if (below(2) == 0) range.to = range.from + static_cast<int64_t>(below(12));
    Verdicts verdicts = verifier.verify(table, range);
    ASSERT_EQ(show(verdicts), show(reference(table, range))) << "round " << round;
    overlapped += verifier.overlapping.size();
    for (const auto &[organization, verdict] : verdicts) (verdict.faults.empty() ? healthy : faulty)++;
  }
  EXPECT_GT(overlapped, 300u);
  EXPECT_GT(faulty, 1000u);
  EXPECT_GT(healthy, 1000u);
}

TEST_F(ChainCheck, AWalkerServesManyOrganizations) {
  ChainWalker walker;
  StructureFaults found;
  for (int i = 0; i < 2; i++) {
    walker.begin({}, false);
    Segment segment{};
    segment.first = at(1);
    segment.last_sequence = 5;
    segment.known_last = i == 0 ? 5 : 0;
    walker.add(segment, &found);
    EXPECT_EQ(found.count, 0);
    EXPECT_EQ(walker.events(), 5);
  }
  walker.finish(&found);
  EXPECT_EQ(found.count, 0);
}

TEST_F(ChainCheck, AnEventThatIsKnownButNotReadIsMissing) {
  ChainWalker walker;
  StructureFaults found;
  auto walk = [&](const Range &range, int64_t known_last, bool has_events) {
    walker.begin(range, false);
    Segment segment{};
    segment.first = at(1);
    segment.last_sequence = 5;
    if (has_events) walker.add(segment, &found);
    Segment known{};
    known.empty = true;
    known.known_last = known_last;
    walker.add(known, &found);
    walker.finish(&found);
  };
  walk({}, 7, true);
  ASSERT_EQ(found.count, 1);
  EXPECT_EQ(found.fault[0].kind, FaultKind::event_missing);
  EXPECT_EQ(found.fault[0].sequence, 6);
  EXPECT_EQ(found.fault[0].last_missing, 7);
  walk({}, 5, true);
  EXPECT_EQ(found.count, 0);
  walk({}, 2, false);
  ASSERT_EQ(found.count, 1);
  EXPECT_EQ(found.fault[0].sequence, 1);
  EXPECT_EQ(found.fault[0].last_missing, 2);
  Range range;
  range.to = 6;
  walk(range, 9, true);
  ASSERT_EQ(found.count, 1);
  EXPECT_EQ(found.fault[0].last_missing, 6);
}
