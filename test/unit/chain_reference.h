// A table of links verified in memory as the server verifies one, and a reference to compare that with.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "core/chain_check.h"
#include "support.h"

namespace spine {

using Fault = std::tuple<int64_t, FaultKind, int64_t, std::string>;  // sequence, kind, last missing, id or nothing

struct Verdict {
  std::vector<Fault> faults;
  int64_t events = 0, first = 0, last = 0;
  Hash head{};
};
inline bool operator==(const Verdict &a, const Verdict &b) {
  return a.faults == b.faults && a.events == b.events && a.first == b.first && a.last == b.last && a.head == b.head;
}
using Verdicts = std::map<Uuid, Verdict>;

inline bool in_scope(const Link &link, const Range &range) {
  return link.sequence <= range.to && (!range.has_context() || link.sequence >= range.from - 1);
}

inline bool segment_order(const Segment &a, const Segment &b) {
  auto key = [](const Segment &s) {
    return std::make_tuple(s.first.organization, s.empty ? INT64_MAX : s.first.sequence, s.first.id);
  };
  return key(a) < key(b);
}

// What the server does with a table, in memory: fold, sort, walk, and once more with single events where they overlap.
class Verifier {
 public:
  // folders: among how many the folder's memory is shared. Many make it small, and full soon.
  explicit Verifier(size_t folders = 1) : folders_(folders) {}
  Verdicts verify(const std::vector<Link> &table, const Range &range) {
    SegmentFolder folder;
    require(folder.prepare(folders_) == Status::ok);
    std::vector<Segment> segments;
    Segment segment;
    for (const Link &link : table) {
      bool stores = in_scope(link, range) ? folder.add(link, &segment)
                                          : folder.add_outside(link.organization, link.sequence > range.to ? link.sequence : 0, &segment);
      if (stores) segments.push_back(segment);
    }
    displaced = segments.size();
    while (folder.drain(&segment)) segments.push_back(segment);
    stored = segments.size();

    Verdicts verdicts;
    overlapping.clear();
    walk(segments, range, false, &verdicts);
    segments.clear();
    for (const Link &link : table) {
      if (overlapping.count(link.organization) == 0) continue;
      segment = Segment{};
      segment.first = link;
      segment.last_sequence = link.sequence;
      segment.last_timestamp = link.timestamp;
      segment.last_hash = link.event_hash;
      segment.empty = !in_scope(link, range);
      segment.known_last = link.sequence > range.to ? link.sequence : 0;
      segments.push_back(segment);
    }
    walk(segments, range, true, &verdicts);
    return verdicts;
  }

  size_t displaced = 0, stored = 0;
  std::set<Uuid> overlapping;

 private:
  static void require(bool holds) {
    if (!holds) throw std::logic_error("the walk failed");
  }
  void walk(std::vector<Segment> &segments, const Range &range, bool singles, Verdicts *verdicts) {
    std::sort(segments.begin(), segments.end(), segment_order);
    ChainWalker walker;
    for (size_t i = 0; i < segments.size();) {
      Uuid organization = segments[i].first.organization;
      Verdict verdict;
      StructureFaults faults;
      auto keep = [&] {
        for (int k = 0; k < faults.count; k++) {
          const StructureFault &f = faults.fault[k];
          verdict.faults.emplace_back(f.sequence, f.kind, f.last_missing, f.has_id ? hex_of(f.id.data(), 16) : "");
        }
      };
      walker.begin(range, singles);
      for (; i < segments.size() && segments[i].first.organization == organization; i++) {
        require(walker.add(segments[i], &faults) == Status::ok);
        keep();
      }
      walker.finish(&faults);
      keep();
      if (walker.overlapped()) {
        require(!singles);
        overlapping.insert(organization);
        continue;
      }
      verdict.events = walker.events();
      verdict.first = walker.first_sequence();
      verdict.last = walker.last_sequence();
      verdict.head = walker.head_hash();
      std::sort(verdict.faults.begin(), verdict.faults.end());
      (*verdicts)[organization] = verdict;
    }
  }

  size_t folders_;
};

// The same by holding everything: each sequence with all of its events, judged by the sequence before.
inline Verdicts reference(const std::vector<Link> &table, const Range &range) {
  std::map<Uuid, std::map<int64_t, std::vector<Link>>> organizations;
  std::set<Uuid> beyond;
  Verdicts verdicts;
  for (const Link &link : table) {
    auto &groups = organizations[link.organization];
    if (link.sequence > range.to)
      beyond.insert(link.organization);
    else if (in_scope(link, range))
      groups[link.sequence].push_back(link);
  }
  for (auto &[organization, groups] : organizations) {
    Verdict v;
    auto put = [&](int64_t sequence, FaultKind kind, int64_t last_missing, const Link *link) {
      v.faults.emplace_back(sequence, kind, last_missing, link == nullptr ? "" : hex_of(link->id.data(), 16));
    };
    int64_t expected = range.has_context() ? range.from - 1 : 1;
    bool ended = false;  // INT64_MAX was there: nothing can be missing after it
    for (auto &[sequence, group] : groups) {
      std::sort(group.begin(), group.end(), [](const Link &a, const Link &b) { return a.id < b.id; });
      if (sequence < 1) {
        for (const Link &link : group) put(sequence, FaultKind::malformed, 0, &link);
        continue;
      }
      if (sequence > expected) put(expected, FaultKind::event_missing, sequence - 1, nullptr);
      auto before = sequence > 1 ? groups.find(sequence - 1) : groups.end();
      bool judged = !range.has_context() || sequence >= range.from;
      for (const Link &link : group) {
        if (!judged) continue;
        if (&link != &group.front()) put(sequence, FaultKind::event_duplicated, 0, &link);
        if (sequence == 1 && (link.previous_hash != zero_hash || !link.previous_is_hash)) put(1, FaultKind::link_broken, 0, &link);
        if (before == groups.end()) continue;
        bool linked = false;
        int64_t earliest = INT64_MAX;
        for (const Link &other : before->second) {
          linked |= other.event_hash == link.previous_hash && link.previous_is_hash;
          earliest = std::min(earliest, other.timestamp);
        }
        if (!linked) put(sequence, FaultKind::link_broken, 0, &link);
        if (link.timestamp < earliest) put(sequence, FaultKind::order_violated, 0, &link);
      }
      if (sequence >= range.from) {
        if (v.events == 0) v.first = sequence;
        v.events += static_cast<int64_t>(group.size());
        v.last = sequence;
        v.head = group.back().event_hash;
      }
      ended = sequence == INT64_MAX;
      if (!ended) expected = sequence + 1;
    }
    if (beyond.count(organization) != 0 && !ended && expected <= range.to)
      put(expected, FaultKind::event_missing, range.to, nullptr);
    std::sort(v.faults.begin(), v.faults.end());
    verdicts[organization] = v;
  }
  return verdicts;
}

}  // namespace spine
