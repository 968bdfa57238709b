#include "core/evidence.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "../tools/evidence_maker.h"
#include "support.h"

using evidence::Options;
using spine::EvidenceFault;
using spine::EvidenceKind;
using spine::EvidenceVerifier;
using spine::Policy;
using namespace std::string_literals;

namespace {

using Lines = std::vector<std::string>;

// Keeps what it hears.
class Listener final : public spine::EvidenceListener {
 public:
  struct Event {
    uint64_t sequence;
    bool sound, proved, payload_erased, personal_erased;
    spine::PartShown payload, personal;
  };

  void failure(const spine::EvidenceFailure &failure) noexcept override {
    if (!faults.empty()) faults += ' ';
    faults += spine::evidence_fault_names[static_cast<int>(failure.fault)];
    if (failure.sequence != 0) faults += ":" + std::to_string(failure.sequence);
    EXPECT_GT(std::string(failure.why).size(), 5u);
  }
  void event(const spine::EvidenceEvent &event) noexcept override {
    EXPECT_EQ(event.organization.size(), 36u);
    EXPECT_EQ(event.id.size(), 36u);
    EXPECT_EQ(event.timestamp.size(), 27u);
    events.push_back({event.sequence, event.sound, false, false, false, event.payload, event.personal});
  }
  void settled(uint64_t count, bool proved) noexcept override {
    ASSERT_LE(settled_events + count, events.size());
    for (; count > 0; count--) events[settled_events++].proved = proved;
  }
  void erased(uint64_t sequence, bool payload, bool personal) noexcept override {
    for (size_t i = chain_begin; i < events.size(); i++)
      if (events[i].sequence == sequence) {
        events[i].payload_erased = payload;
        events[i].personal_erased = personal;
      }
  }
  void chain(const spine::EvidenceChain &chain) noexcept override {
    chain_begin = events.size();
    chains.push_back(chain.counts);
    sizes.push_back(chain.size);
  }

  std::string faults;
  std::vector<Event> events;
  std::vector<spine::EventCounts> chains;
  std::vector<uint64_t> sizes;
  size_t settled_events = 0, chain_begin = 0;
};

struct Verified {
  Listener heard;
  EvidenceVerifier verifier;

  Verified(const std::string &text, Policy *policy) : verifier(policy, &heard) {
    size_t begin = 0, end;
    bool more = true;
    while (more && (end = text.find('\n', begin)) != std::string::npos) {
      Copy copy(text.substr(begin, end - begin));
      more = verifier.line({reinterpret_cast<const char *>(copy.bytes().data), copy.bytes().size});
      begin = end + 1;
    }
    if (more) verifier.finish(text.substr(begin));
    EXPECT_EQ(heard.settled_events, heard.events.size());
    const spine::EventCounts &counts = verifier.counts();
    EXPECT_EQ(counts.events, heard.events.size());
    EXPECT_EQ(counts.events, counts.proved + counts.unproved + counts.refuted);
    EXPECT_EQ(verifier.has_failed(), !heard.faults.empty());
  }

  uint64_t proved() const { return verifier.counts().proved; }
  // What spine-verify calls proved.
  bool all_proved() const { return !verifier.has_failed() && verifier.counts().events > 0 && proved() == verifier.counts().events; }
};

std::string bundle_of(const Options &options) {
  std::ostringstream out;
  evidence::Evidence(options).print_bundle(out);
  return out.str();
}

std::string export_of(const Options &options) {
  std::ostringstream out;
  evidence::Evidence(options).print_export(out);
  return out.str();
}

// The policy that a maker of evidence goes with.
class Trust {
 public:
  explicit Trust(const Options &options) : text_(evidence::Evidence(options).policy()) {
    size_t line;
    EXPECT_EQ(policy_.parse(text_, &line), nullptr);
  }
  Policy *operator&() { return &policy_; }

 private:
  std::string text_;
  Policy policy_;
};

Lines lines_of(const std::string &text) {
  Lines lines;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) lines.push_back(text.substr(begin, end - begin));
  return lines;
}

std::string text_of(const Lines &lines) {
  std::string text;
  for (const std::string &line : lines) text += line + "\n";
  return text;
}

std::string changed(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A chain of 7 events: 2 to 4 as a stretch, 7 by its proof, which erased a part of 3.
Options usual() {
  Options options;
  options.events = 7;
  options.chains = 3;
  options.erased = {3};
  options.first = 2;
  options.last = 4;
  options.singles = {7};
  options.entries = 6;
  options.entry = 5;
  options.witnesses = 2;
  return options;
}

// All events of a chain as a stretch.
Options whole(uint64_t events) {
  Options options;
  options.events = events;
  options.first = 1;
  options.last = events;
  return options;
}

std::string faults_of(const Options &options) {
  Trust trust(options);
  return Verified(bundle_of(options), &trust).heard.faults;
}

void change_text(spine::Event *event, std::string_view spine::Event::*member, std::string_view to) { event->*member = to; }

}  // namespace

TEST(Evidence, AGoodBundleIsProved) {
  Trust trust(usual());
  Verified verified(bundle_of(usual()), &trust);
  EXPECT_EQ(verified.heard.faults, "");
  EXPECT_TRUE(verified.all_proved());
  EXPECT_EQ(verified.verifier.kind(), EvidenceKind::bundle);
  ASSERT_EQ(verified.heard.events.size(), 4u);
  EXPECT_TRUE(verified.heard.events[1].personal_erased);
  EXPECT_FALSE(verified.heard.events[1].payload_erased);
  ASSERT_EQ(verified.heard.chains.size(), 1u);
  const spine::EventCounts &counts = verified.heard.chains[0];
  EXPECT_EQ(counts.links, 2u);
  EXPECT_EQ(counts.payload.shown, 4u);
  EXPECT_EQ(counts.personal.erased, 1u);
  EXPECT_EQ(counts.personal.withheld, 0u);
  EXPECT_EQ(verified.heard.sizes[0], 7u);
  EXPECT_TRUE(verified.verifier.is_trusted());
  EXPECT_EQ(verified.verifier.checkpoint().origin, "spine.example/directory");
  EXPECT_EQ(verified.verifier.checkpoint().size, 6u);
  EXPECT_EQ(verified.verifier.entry().number, 5u);
  EXPECT_EQ(verified.verifier.entry().chains, 3u);
  for (int i = 0; i < 3; i++) EXPECT_TRUE(verified.verifier.signed_by()[i].verified);
}

TEST(Evidence, TheVectorsAreProved) {
  auto read = [](const char *name) {
    std::ifstream in(SPINE_VECTORS "/evidence/"s + name, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  };
  std::string policy_text = read("policy.txt");
  Policy policy;
  size_t line;
  ASSERT_EQ(policy.parse(policy_text, &line), nullptr);
  EXPECT_TRUE(Verified(read("bundle.ndjson"), &policy).all_proved());
  Verified two(read("two_chains.ndjson"), &policy);
  EXPECT_TRUE(two.all_proved());
  EXPECT_EQ(two.heard.chains.size(), 2u);
  Verified plain(read("export.ndjson"), nullptr);
  EXPECT_EQ(plain.heard.faults, "");
  EXPECT_EQ(plain.verifier.counts().unproved, 8u);
}

TEST(Evidence, EverySizeAndStretchIsProved) {
  for (uint64_t events = 1; events <= 9; events++)
    for (uint64_t first = 1; first <= events; first++)
      for (uint64_t last = first; last <= events; last++) {
        Options options = whole(events);
        options.first = first;
        options.last = last;
        for (uint64_t i = 1; i <= events; i++)
          if (i < first || i > last) options.singles.push_back(i);
        options.entries = events;
        options.entry = first;
        options.chains = last;
        Trust trust(options);
        Verified verified(bundle_of(options), &trust);
        EXPECT_EQ(verified.heard.faults, "") << events << " " << first << " " << last;
        EXPECT_EQ(verified.proved(), events);
        EXPECT_EQ(verified.verifier.counts().links, events);
      }
}

TEST(Evidence, PartsCanBeWithheldAndErased) {
  Options options = usual();
  options.withhold = options.hide_payload = true;
  options.first = 1;
  options.last = 6;
  options.erased = {3, 5};
  Trust trust(options);
  Verified verified(bundle_of(options), &trust);
  ASSERT_TRUE(verified.all_proved()) << verified.heard.faults;
  const spine::EventCounts &counts = verified.heard.chains[0];
  EXPECT_EQ(counts.payload.shown, 1u);  // the erasure's own
  EXPECT_EQ(counts.payload.withheld, 6u);
  EXPECT_EQ(counts.personal.erased, 2u);
  EXPECT_EQ(counts.personal.withheld, 1u);
  EXPECT_TRUE(verified.heard.events[2].personal_erased && verified.heard.events[4].personal_erased);
  // An erasure that is not in the bundle, or is not proved, says nothing.
  options.singles.clear();
  Verified without(bundle_of(options), &trust);
  EXPECT_EQ(without.heard.chains[0].personal.withheld, 3u);
  Lines lines = lines_of(bundle_of(usual()));
  lines[8] = changed(lines[8], "\"proof\":[\"", "\"proof\":[\"0000000000000000000000000000000000000000000000000000000000000000\",\"");
  Verified unproved(text_of(lines), &trust);
  EXPECT_EQ(unproved.heard.faults, "event_not_in_chain:7");
  EXPECT_EQ(unproved.heard.chains[0].personal.erased, 0u);
  EXPECT_EQ(unproved.heard.chains[0].personal.withheld, 1u);
}

TEST(Evidence, AnErasureCountsForEarlierEventsInItsFormAlone) {
  auto erased = [](const std::string &payload) {
    Options options = whole(8);
    options.withhold = options.hide_payload = true;
    options.erasures = {{4, payload}};
    Trust trust(options);
    Verified verified(bundle_of(options), &trust);
    EXPECT_TRUE(verified.all_proved()) << verified.heard.faults;
    std::string found;
    for (const Listener::Event &event : verified.heard.events) {
      if (event.payload_erased) found += " payload " + std::to_string(event.sequence);
      if (event.personal_erased) found += " personal " + std::to_string(event.sequence);
    }
    return found;
  };
  EXPECT_EQ(erased(R"({"erased":{"payload":[{"id":"","sequence":2},{"id":"","sequence":3}],"personal":[{"sequence":3},{"sequence":1}]}})"),
            " personal 1 payload 2 payload 3 personal 3");
  // Of itself and of what comes behind it, of no such part, of none at all, twice.
  EXPECT_EQ(erased(R"({"erased":{"payload":[{"sequence":4},{"sequence":5}],"personal":[{"sequence":5},{"sequence":2}]}})"), "");
  EXPECT_EQ(erased(R"({"erased":{"payload":[{"sequence":0},{"sequence":9223372036854775807}],"personal":[{"sequence":3},{"sequence":3}]}})"), " personal 3");
  for (const char *payload : {"{}", R"({"erased":[]})", R"({"erased":{"personal":{}}})", R"({"erased":{"personal":"3"}})", R"({"erased":{"personal":[3,[3],"3",null]}})",
                              R"({"erased":{"personal":[{"sequence":"3"},{"sequence":3.5},{"sequence":-3},{"a":{"sequence":3}}]}})", R"({"personal":[{"sequence":3}]})",
                              R"({"a":{"erased":{"personal":[{"sequence":3}]}}})"})
    EXPECT_EQ(erased(payload), "") << payload;
}

TEST(Evidence, HiddenPartsAreRememberedWhereverTheyAre) {
  Options options = whole(3000);
  options.first = 0;
  options.last = 0;
  options.withhold = true;
  for (uint64_t i : {1, 3, 35, 37, 165, 167, 2001, 3000}) options.singles.push_back(i);
  options.erased = {3, 37, 165, 2001};
  Trust trust(options);
  Verified verified(bundle_of(options), &trust);
  ASSERT_TRUE(verified.all_proved()) << verified.heard.faults;
  EXPECT_EQ(verified.heard.chains[0].personal.erased, 4u);
  EXPECT_EQ(verified.heard.chains[0].personal.withheld, 3u);
  for (const Listener::Event &event : verified.heard.events) EXPECT_EQ(event.personal_erased, options.erased.count(event.sequence) > 0) << event.sequence;
}

TEST(Evidence, EveryTruncationFails) {
  Trust trust(usual());
  std::string text = bundle_of(usual());
  for (size_t n = 0; n < text.size(); n++) {
    Verified verified(text.substr(0, n), &trust);
    EXPECT_TRUE(verified.verifier.has_failed()) << n;
  }
}

TEST(Evidence, EveryChangedByteFails) {
  Trust trust(usual());
  const std::string text = bundle_of(usual());
  const size_t header = text.find('\n'), witnesses = text.find("witness.example"), directory = text.find("{\"directory\"");
  constexpr int flips[] = {1, 4, 32, 128};
  for (size_t i = 0; i < text.size(); i++) {
    std::string other = text;
    other[i] = static_cast<char>(other[i] ^ flips[i % 4]);
    Verified verified(other, &trust);
    // Nothing vouches for the header's claims, but for the organization. A signature that names nobody's key counts for
    // nothing; here one witness suffices.
    if (verified.all_proved() && (i < header || (i >= witnesses && i < directory))) continue;
    EXPECT_FALSE(verified.all_proved()) << i << " " << text.substr(i, 20);
    EXPECT_TRUE(verified.verifier.has_failed()) << i;
  }
}

TEST(Evidence, EveryLineDroppedDoubledOrSwappedFails) {
  for (Options options : {usual(), whole(5)}) {
    Trust trust(options);
    const Lines lines = lines_of(bundle_of(options));
    for (size_t i = 0; i < lines.size(); i++) {
      Lines other = lines;
      other.erase(other.begin() + static_cast<long>(i));
      EXPECT_TRUE(Verified(text_of(other), &trust).verifier.has_failed()) << "dropped " << i;
      other = lines;
      other.insert(other.begin() + static_cast<long>(i), lines[i]);
      EXPECT_TRUE(Verified(text_of(other), &trust).verifier.has_failed()) << "doubled " << i;
      for (size_t j = 0; j < i; j++) {
        other = lines;
        std::swap(other[i], other[j]);
        EXPECT_TRUE(Verified(text_of(other), &trust).verifier.has_failed()) << "swapped " << i << " " << j;
      }
    }
  }
}

TEST(Evidence, SaysWhatIsWrong) {
  Trust trust(usual());
  const Lines lines = lines_of(bundle_of(usual()));
  const std::string zeros(64, '0');
  auto faults = [&](size_t line, const std::string &from, const std::string &to) {
    Lines other = lines;
    other[line] = changed(other[line], from, to);
    return Verified(text_of(other), &trust).heard.faults;
  };
  EXPECT_EQ(faults(0, "\"format\":1", "\"format\":2"), "format_unknown");
  EXPECT_EQ(faults(0, "\"format\":1,", ""), "format_unknown");
  EXPECT_EQ(faults(0, "-000000000001\"", "-000000000002\""), "line_unexpected");  // the chain is of another
  EXPECT_EQ(faults(1, "\\n6\\n", "\\n7\\n"), "checkpoint_untrusted");
  EXPECT_EQ(faults(1, "\\n\\n", "\\n"), "checkpoint_untrusted");
  EXPECT_EQ(faults(2, "directory v1", "directory v2"), "entry_malformed");
  EXPECT_EQ(faults(2, "\"index\":4", "\"index\":3"), "entry_malformed");
  EXPECT_EQ(faults(2, "v1\\n5\\n3", "v1\\n5\\n4"), "entry_not_in_log");
  EXPECT_EQ(faults(2, "\"proof\":[\"", "\"proof\":[\"" + zeros + "\",\""), "entry_not_in_log");
  EXPECT_EQ(faults(3, "\"index\":0", "\"index\":1"), "chain_not_in_directory");
  EXPECT_EQ(faults(3, "\"index\":0", "\"index\":3"), "chain_not_in_directory");
  EXPECT_EQ(faults(3, "\"proof\":[\"", "\"proof\":[\"" + zeros + "\",\""), "chain_not_in_directory");
  EXPECT_EQ(faults(3, "\"size\":7", "\"size\":9223372036854775807"), "chain_not_in_directory line_unexpected");
  EXPECT_EQ(faults(3, "\"size\":7", "\"size\":9223372036854775808"), "line_unexpected");
  EXPECT_EQ(faults(3, "\"size\":7", "\"size\":0"), "line_unexpected");
  EXPECT_EQ(faults(3, "\"size\":7", "\"size\":-7"), "line_unexpected");
  EXPECT_EQ(faults(3, "\"size\":7", "\"size\":7.5"), "line_unexpected");
  EXPECT_EQ(faults(3, "\"size\":7", "\"size\":\"7\""), "line_unexpected");
  EXPECT_EQ(faults(4, "\"before\":[\"", "\"before\":[\"" + zeros + "\",\""), "line_unexpected");
  EXPECT_EQ(faults(4, "\"first\":2", "\"first\":3"), "line_unexpected");
  EXPECT_EQ(faults(4, "\"last\":4", "\"last\":8"), "line_unexpected");
  EXPECT_EQ(faults(5, "\"human\"", "\"robot\""), "content_altered:2");
  EXPECT_EQ(faults(5, "\"d-2\"", "\"d-3\""), "part_altered:2");
  EXPECT_EQ(faults(5, "\"payload_salt\":\"0", "\"payload_salt\":\"1"), "part_altered:2");
  EXPECT_EQ(faults(5, "\"sequence\":2", "\"sequence\":3"), "line_unexpected");
  EXPECT_EQ(faults(5, "\"sequence\":2", "\"sequence\":2.0"), "line_malformed");
  EXPECT_EQ(faults(5, "\"payload\":{\"department\":\"d-2\",\"grade\":2.5},", ""), "line_unexpected");  // a salt without its part
  EXPECT_EQ(faults(5, ",\"previous_hash\"", ",\"personal_salt\":\"00000000000000000000000000000000\",\"previous_hash\""), "line_unexpected");
  EXPECT_EQ(faults(5, "\"id\":\"0", "\"format\":1,\"id\":\"0"), "format_unknown");
  EXPECT_EQ(faults(5, "-000000000001\",\"payload\"", "-000000000002\",\"payload\""), "line_unexpected");
  EXPECT_EQ(faults(8, "\"proof\":[\"", "\"proof\":[\"" + zeros + "\",\""), "event_not_in_chain:7");
  EXPECT_EQ(faults(8, "\"proof\":[\"", "\"proof\":[\"0"), "line_unexpected");
  EXPECT_EQ(faults(8, "\"sequence\":7,\"severity\"", "\"sequence\":6,\"severity\""), "content_altered:6 event_not_in_chain:6");
  EXPECT_EQ(faults(8, "\"sequence\":7,\"severity\"", "\"sequence\":8,\"severity\""), "line_unexpected");
  EXPECT_EQ(faults(9, "4", "5"), "count_wrong");
  EXPECT_EQ(faults(9, "4", "true"), "line_unexpected");

  Lines other = lines;
  other.pop_back();
  EXPECT_EQ(Verified(text_of(other), &trust).heard.faults, "truncated");
  std::string text = text_of(lines);
  EXPECT_EQ(Verified(text.substr(0, text.size() - 1), &trust).heard.faults, "truncated");
  EXPECT_EQ(Verified(text + "\n", &trust).heard.faults, "line_unexpected");
  EXPECT_EQ(Verified(text + "x", &trust).heard.faults, "line_unexpected");
  EXPECT_EQ(Verified(text + text, &trust).heard.faults, "line_unexpected");
}

TEST(Evidence, OneFaultLeavesTheOtherEventsProved) {
  Trust trust(usual());
  Lines lines = lines_of(bundle_of(usual()));
  lines[5] = changed(lines[5], "\"d-2\"", "\"d-3\"");
  Verified verified(text_of(lines), &trust);
  EXPECT_EQ(verified.proved(), 3u);
  EXPECT_EQ(verified.verifier.counts().refuted, 1u);
  // A false event_hash takes its stretch with it, and the link behind it.
  lines = lines_of(bundle_of(usual()));
  size_t at = lines[5].find("event_hash\":\"") + 13;
  lines[5][at] = lines[5][at] == '0' ? '1' : '0';
  Verified false_hash(text_of(lines), &trust);
  EXPECT_EQ(false_hash.heard.faults, "content_altered:2 link_broken:3 stretch_not_in_chain");
  EXPECT_EQ(false_hash.proved(), 1u);
  EXPECT_EQ(false_hash.verifier.counts().unproved, 1u);
  EXPECT_EQ(false_hash.verifier.counts().refuted, 2u);
}

// An event that fits: its hash is made anew, but what is signed is another.
TEST(Evidence, AForgedEventIsNotInTheTree) {
  Options forged = usual();
  forged.change = [](uint64_t sequence, spine::Event *event) {
    if (sequence == 4) change_text(event, &spine::Event::recorded_by, "nobody");
  };
  Trust trust(usual());
  Lines lines = lines_of(bundle_of(usual())), others = lines_of(bundle_of(forged));
  lines[7] = others[7];
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "stretch_not_in_chain");
  lines = lines_of(bundle_of(usual()));
  lines[8] = others[8];
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "head_differs:7 event_not_in_chain:7");
  EXPECT_EQ(Verified(text_of(lines), &trust).proved(), 3u);
  // With its chain's line, too.
  for (size_t i = 3; i < lines.size(); i++) lines[i] = others[i];
  Verified chain(text_of(lines), &trust);
  EXPECT_EQ(chain.heard.faults, "chain_not_in_directory");
  EXPECT_EQ(chain.verifier.counts().unproved, 4u);
  lines[2] = others[2];
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "entry_not_in_log");
  lines[1] = others[1];  // whoever has the key can say what he wants
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "");
}

TEST(Evidence, WhatIsSignedCanBeWrong) {
  Options options = whole(6);
  options.change = [](uint64_t sequence, spine::Event *event) {
    if (sequence == 3) event->timestamp -= 10 * 1000000;
  };
  EXPECT_EQ(faults_of(options), "order_violated:3");
  static const spine::Hash other_hash{};
  options.change = [](uint64_t sequence, spine::Event *event) {
    if (sequence == 3) event->previous_hash = {other_hash.data(), other_hash.size()};
  };
  EXPECT_EQ(faults_of(options), "link_broken:3");
  options.change = [](uint64_t sequence, spine::Event *event) {
    static const spine::Hash full = [] {
      spine::Hash hash;
      hash.fill(0xff);
      return hash;
    }();
    if (sequence == 1) event->previous_hash = {full.data(), full.size()};
  };
  EXPECT_EQ(faults_of(options), "link_broken:1");
  options.change = nullptr;
  options.other_head = true;
  EXPECT_EQ(faults_of(options), "head_differs:6");
  options.other_head = false;
  for (auto [member, to] : {std::pair(&spine::Event::domain, "Hcm"), std::pair(&spine::Event::entity_type, "person"), std::pair(&spine::Event::action, ""),
                            std::pair(&spine::Event::event_type, "hcm.employee.created.v2")}) {
    options.change = [member = member, to = to](uint64_t sequence, spine::Event *event) {
      if (sequence == 2) change_text(event, member, to);
    };
    EXPECT_EQ(faults_of(options), "event_malformed:2") << to;
  }
  // A sequence of another's place.
  options.change = [](uint64_t sequence, spine::Event *event) {
    if (sequence == 2) event->sequence = 5;
  };
  EXPECT_EQ(faults_of(options), "line_unexpected");
}

TEST(Evidence, OthersSignaturesDoNotCount) {
  Options mine = usual(), theirs = usual();
  Trust trust(mine);
  theirs.seed = 9;  // the same names, other keys
  EXPECT_EQ(Verified(bundle_of(theirs), &trust).heard.faults, "checkpoint_untrusted");
  theirs = usual();
  theirs.origin = "spine.example/other";
  EXPECT_EQ(Verified(bundle_of(theirs), &trust).heard.faults, "checkpoint_untrusted");
  theirs = usual();
  theirs.witnesses = 0;
  Verified alone(bundle_of(theirs), &trust);
  EXPECT_EQ(alone.heard.faults, "quorum_missing");
  EXPECT_EQ(alone.proved(), 0u);
  EXPECT_EQ(alone.verifier.counts().unproved, 4u);
  EXPECT_FALSE(alone.verifier.is_trusted() || alone.verifier.has_entry());
  theirs.witnesses = 1;
  EXPECT_EQ(Verified(bundle_of(theirs), &trust).heard.faults, "");
  EXPECT_EQ(Verified(bundle_of(mine), nullptr).heard.faults, "checkpoint_untrusted");
}

TEST(Evidence, ChainsRise) {
  Options options = whole(3);
  options.chains = 4;
  options.bundled = 2;
  Trust trust(options);
  const Lines lines = lines_of(bundle_of(options));  // 3 above, 5 a chain, the end
  EXPECT_TRUE(Verified(text_of(lines), &trust).all_proved());
  Lines other(lines.begin(), lines.begin() + 3);
  other.insert(other.end(), lines.begin() + 8, lines.begin() + 13);
  other.insert(other.end(), lines.begin() + 3, lines.begin() + 8);
  other.push_back(lines.back());
  EXPECT_EQ(Verified(text_of(other), &trust).heard.faults, "line_unexpected");
  other = lines;
  std::copy(lines.begin() + 3, lines.begin() + 8, other.begin() + 8);
  EXPECT_EQ(Verified(text_of(other), &trust).heard.faults, "line_unexpected");
  // Of one organization, as the header says.
  other = lines;
  other[0] = changed(other[0], "\"format\":1", "\"format\":1,\"organization_id\":\"00000000-0000-4000-8000-000000000001\"");
  Verified verified(text_of(other), &trust);
  EXPECT_EQ(verified.heard.faults, "line_unexpected");
  EXPECT_EQ(verified.proved(), 3u);
  other[0] = changed(lines[0], "\"format\":1", "\"format\":1,\"organization_id\":\"x\"");
  EXPECT_EQ(Verified(text_of(other), &trust).heard.faults, "line_unexpected");
}

TEST(Evidence, ABundleWithoutEventsProvesNothing) {
  Options options = whole(3);
  options.first = options.last = 0;
  Trust trust(options);
  Verified verified(bundle_of(options), &trust);
  EXPECT_EQ(verified.heard.faults, "");
  EXPECT_FALSE(verified.all_proved());
  Lines lines = lines_of(bundle_of(options));
  lines.erase(lines.begin() + 3);
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "");
}

TEST(Evidence, LinesHaveALimit) {
  Trust trust(usual());
  Lines lines = lines_of(bundle_of(usual()));
  std::string padded = changed(lines[0], "audit 2026", "");
  padded = changed(lines[0], "audit 2026", std::string(EvidenceVerifier::max_line - padded.size() - 1, 'x'));
  lines[0] = padded;
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "");
  lines[0] = changed(padded, "xx", "xxx");
  EXPECT_EQ(Verified(text_of(lines), &trust).heard.faults, "line_too_long");
  EXPECT_EQ(Verified(std::string(EvidenceVerifier::max_line, '{'), &trust).heard.faults, "line_too_long");
}

TEST(Evidence, APlainExportIsCheckedAndNotProved) {
  Options options = whole(4);
  options.chains = options.bundled = 2;
  const Lines lines = lines_of(export_of(options));
  Verified good(text_of(lines), nullptr);
  EXPECT_EQ(good.heard.faults, "");
  EXPECT_EQ(good.verifier.kind(), EvidenceKind::plain_export);
  EXPECT_EQ(good.verifier.counts().unproved, 8u);
  EXPECT_EQ(good.verifier.counts().links, 8u);
  EXPECT_EQ(good.heard.chains.size(), 2u);
  auto faults = [&](size_t line, const std::string &from, const std::string &to) {
    Lines other = lines;
    other[line] = changed(other[line], from, to);
    return Verified(text_of(other), nullptr).heard.faults;
  };
  EXPECT_EQ(faults(1, "\"human\"", "\"robot\""), "content_altered:2");
  EXPECT_EQ(faults(1, "\"d-2\"", "\"d-3\""), "part_altered:2");
  EXPECT_EQ(faults(1, "{", "{ "), "line_malformed");
  EXPECT_EQ(faults(1, "\"action\"", "\"acTion\""), "line_unexpected");
  Lines other = lines;
  other.erase(other.begin() + 1);  // a selection
  Verified some(text_of(other), nullptr);
  EXPECT_EQ(some.heard.faults, "");
  EXPECT_EQ(some.verifier.counts().links, 6u);
  other = lines;
  std::swap(other[1], other[2]);
  EXPECT_EQ(Verified(text_of(other), nullptr).heard.faults, "line_unexpected");
  std::swap(other[1], other[2]);
  std::swap(other[3], other[4]);
  EXPECT_EQ(Verified(text_of(other), nullptr).heard.faults, "line_unexpected");
  other = lines;
  other.insert(other.begin(), lines[0]);
  EXPECT_EQ(Verified(text_of(other), nullptr).heard.faults, "line_unexpected");
  std::string text = text_of(lines);
  EXPECT_EQ(Verified(text.substr(0, text.size() - 1), nullptr).heard.faults, "truncated");
  // A forged event that was hashed anew breaks the next one's link.
  Options forged = options;
  forged.change = [](uint64_t sequence, spine::Event *event) {
    if (sequence == 2) change_text(event, &spine::Event::recorded_by, "nobody");
  };
  other = lines;
  other[1] = lines_of(export_of(forged))[1];
  EXPECT_EQ(Verified(text_of(other), nullptr).heard.faults, "link_broken:3");
  // All of them hashed anew: no plain export shows that.
  EXPECT_EQ(Verified(export_of(forged), nullptr).heard.faults, "");
}

TEST(Evidence, APlainExportsErasuresCountUnlessTheyAreWrong) {
  Options options = whole(4);
  options.erased = {3};
  Verified good(export_of(options), nullptr);
  EXPECT_EQ(good.verifier.counts().personal.erased, 1u);
  std::string text = changed(export_of(options), "request 2026-118", "request 2026-119");
  Verified wrong(text, nullptr);
  EXPECT_EQ(wrong.heard.faults, "part_altered:4");
  EXPECT_EQ(wrong.verifier.counts().personal.erased, 0u);
}

TEST(Evidence, WhatIsNeitherIsUnknown) {
  for (const std::string &text : {""s, "\n"s, "{}\n"s, "[]\n"s, "hello\n"s, "{\"evidence\":{}}\n"s, "{\"evidence\":{\"format\":2}}\n"s, "{\"evidence\":1}\n"s,
                                  "{\"event\":{}}\n"s, "\xff\n"s, "{\"evidence\""s}) {
    Verified verified(text, nullptr);
    EXPECT_EQ(verified.verifier.kind(), EvidenceKind::unknown) << text;
    EXPECT_TRUE(verified.verifier.has_failed()) << text;
  }
}
