#include "core/watch.h"

#include <gtest/gtest.h>

#include <map>

#include "support.h"

using spine::FieldValue;
using spine::RuleProblem;
using spine::Status;
using spine::Watch;
using namespace std::string_literals;

namespace {

constexpr int64_t minute = 60000000;

// A watch with one rule, whose groups are stored and given again after as many events as asked for.
struct Watched {
  Watch watch;
  std::map<std::pair<spine::Uuid, spine::RuleDigest>, std::string> stored;
  int64_t sequence = 0;
  unsigned every;  // events
  std::vector<std::string> found;  // the sequences of each finding; with "again" where it is a repeat

  explicit Watched(const std::string &correlation, const std::string &more = "", unsigned portion = 1) : every(portion) {
    auto one = [](const std::string &name) {
      return R"({"detection":{"condition":"s","s":{"event_type":"x.y.)" + name + R"("}},"name":")" + name + R"(","title":"t"},)";
    };
    std::string documents;
    for (const char *name : {"a", "b", "c"})
      if (correlation.find("\""s + name + "\"") != std::string::npos) documents += one(name);
    RuleProblem problem;
    EXPECT_EQ(watch.rules().add("r", 1, "[" + documents + R"({"correlation":)" + correlation + more + R"(,"title":"t"}])", &problem), Status::ok)
        << problem.pointer << ": " << problem.what;
  }

  // An event x.y.<what> at a minute, by this actor.
  Watched &event(const std::string &what, int64_t at, const std::string &actor = "ada", double amount = 1) {
    std::string type = "x.y." + what;
    const auto *plan = watch.rules().plan(type);
    std::vector<FieldValue> fields;
    for (const auto &field : watch.rules().fields()) {
      FieldValue value;
      value.kind = FieldValue::Kind::text;
      if (field.name == "event_type") value.text = type;
      else if (field.name == "actor_id") value.text = actor;
      else if (field.name == "entity_id") value.text = "e1";
      else value = {FieldValue::Kind::number, false, amount, {}};
      fields.push_back(value);
    }
    EXPECT_EQ(watch.note({}, ++sequence, at * minute, *plan, fields.data()), Status::ok);
    if (sequence % every == 0) decide();
    return *this;
  }

  void decide() {
    for (const auto &key : watch.wanted()) {
      auto known = stored.find({key.organization, key.digest});
      if (known == stored.end()) continue;
      EXPECT_EQ(watch.give(key, known->second), Status::ok);
    }
    EXPECT_EQ(watch.decide(), Status::ok);
    keep();
  }

  void keep() {
    std::vector<spine::ChangedGroup> changes;
    EXPECT_EQ(watch.take_changes(&changes), Status::ok);
    for (const auto &changed : changes) {
      std::pair<spine::Uuid, spine::RuleDigest> key{changed.key.organization, changed.key.digest};
      EXPECT_EQ(changed.is_new, stored.count(key) == 0);
      if (changed.is_empty) stored.erase(key);
      else stored[key] = changed.stored;
    }
    for (const auto &finding : watch.findings()) {
      std::string text = finding.is_repeat ? "again" : "";
      for (int64_t s : finding.verdict.sequences) text += (text.empty() ? "" : " ") + std::to_string(s);
      found.push_back(text + (finding.verdict.is_late ? " late" : ""));
    }
    watch.forget_findings();
    watch.forget_groups();
  }

  // Time passes up to this minute.
  Watched &wait(int64_t at) {
    for (auto &[key, state] : std::map(stored)) {
      spine::RuleGroup group;
      EXPECT_TRUE(spine::read_group(state, &group));
      if (group.due == 0 || group.due >= at * minute) continue;
      EXPECT_EQ(watch.end_waiting({key.first, key.second}, 0, state, at * minute), Status::ok);
    }
    keep();
    return *this;
  }
};

using Texts = std::vector<std::string>;

std::string count(const std::string &bound, const std::string &type = "event_count", const std::string &field = "") {
  return R"({"condition":{)" + field + bound + R"(},"group-by":["actor_id"],"rules":["a"],"timespan":"10m","type":")" + type + R"("})";
}

}  // namespace

TEST(Watch, CountsInAWindowThatSlides) {
  EXPECT_EQ(Watched(count(R"("gte":3)")).event("a", 1).event("a", 9).event("a", 11).found, Texts{"1 2 3"});
  EXPECT_EQ(Watched(count(R"("gte":3)")).event("a", 1).event("a", 9).event("a", 12).found, Texts{});
  EXPECT_EQ(Watched(count(R"("gte":3)")).event("a", 1).event("a", 9).event("a", 12).event("a", 13).found, Texts{"2 3 4"});
  EXPECT_EQ(Watched(count(R"("gte":2)")).event("a", 1).event("a", 2, "bob").event("b", 3).found, Texts{});
  EXPECT_EQ(Watched(count(R"("gt":2)")).event("a", 1).event("a", 2).event("a", 3).found, Texts{"1 2 3"});
  EXPECT_EQ(Watched(count(R"("eq":1)")).event("a", 1).event("a", 2).event("a", 30).found, (Texts{"1", "3"}));
}

// The same whether a window is in one portion or each event is one of its own.
TEST(Watch, IsTheSameAcrossBorders) {
  for (unsigned portion : {1u, 2u, 3u, 7u}) {
    Watched watched(count(R"("gte":3)"), "", portion);
    for (int64_t at : {1, 2, 3, 4, 20, 21, 40, 41, 42, 60, 61, 62, 63, 64}) watched.event("a", at);
    watched.decide();
    EXPECT_EQ(watched.found, (Texts{"1 2 3", "again 2 3 4", "7 8 9", "10 11 12", "again 11 12 13", "again 12 13 14"})) << portion;
  }
}

TEST(Watch, TellsTheSameOnceInItsTime) {
  Watched watched(count(R"("gte":2)"), R"(,"suppress":"1h")");
  watched.event("a", 1).event("a", 2).event("a", 3).event("a", 60).event("a", 62).event("a", 63).event("a", 64);
  EXPECT_EQ(watched.found, (Texts{"1 2", "again 2 3", "again 4 5", "5 6", "again 6 7"}));
}

TEST(Watch, CountsValues) {
  std::string rule = count(R"("gte":2)", "value_count", R"("field":"payload.n",)");
  EXPECT_EQ(Watched(rule).event("a", 1, "ada", 5).event("a", 2, "ada", 5).found, Texts{});
  EXPECT_EQ(Watched(rule).event("a", 1, "ada", 5).event("a", 2, "ada", 6).found, Texts{"1 2"});
  EXPECT_EQ(Watched(rule).event("a", 1, "ada", 5).event("a", 12, "ada", 6).found, Texts{});
}

TEST(Watch, AddsUp) {
  std::string sum = count(R"("gte":10)", "value_sum", R"("field":"payload.n",)"), average = count(R"("lt":3)", "value_avg", R"("field":"payload.n",)");
  EXPECT_EQ(Watched(sum).event("a", 1, "ada", 4).event("a", 2, "ada", 5).event("a", 3, "ada", 1).found, Texts{"1 2 3"});
  EXPECT_EQ(Watched(sum).event("a", 1, "ada", 4).event("a", 12, "ada", 6).found, Texts{});
  EXPECT_EQ(Watched(average).event("a", 1, "ada", 5).event("a", 2, "ada", 2).event("a", 3, "ada", 1).found, Texts{"1 2 3"});
}

// More events than are remembered one by one: none is lost from the sum.
TEST(Watch, AddsUpMany) {
  Watched watched(count(R"("gte":5000)", "value_sum", R"("field":"payload.n",)"), "", 100);
  for (int i = 0; i < 5000; i++) watched.event("a", 1);
  EXPECT_EQ(watched.found.size(), 1u);
  EXPECT_LT(watched.stored.begin()->second.size(), 60000u);
}

TEST(Watch, FindsWhatBelongsTogether) {
  auto rule = [](const char *type) { return R"({"group-by":["entity_id"],"rules":["a","b","c"],"timespan":"10m","type":")"s + type + "\"}"; };
  EXPECT_EQ(Watched(rule("temporal")).event("c", 1).event("a", 2).event("b", 3).found, Texts{"1 2 3"});
  EXPECT_EQ(Watched(rule("temporal")).event("c", 1).event("a", 2).event("b", 12).found, Texts{});
  EXPECT_EQ(Watched(rule("temporal_ordered")).event("c", 1).event("a", 2).event("b", 3).found, Texts{});
  EXPECT_EQ(Watched(rule("temporal_ordered")).event("a", 1).event("b", 2).event("c", 3).found, Texts{"1 2 3"});
  EXPECT_EQ(Watched(rule("temporal_ordered")).event("a", 1).event("b", 2).event("c", 12).found, Texts{});
  // The latest beginning that leads there counts.
  EXPECT_EQ(Watched(rule("temporal_ordered")).event("a", 1).event("b", 2).event("a", 8).event("b", 9).event("c", 15).found, Texts{"3 4 5"});
  EXPECT_EQ(Watched(rule("temporal_ordered")).event("a", 1).event("b", 2).event("a", 3).event("c", 4).found, Texts{"1 2 4"});
}

TEST(Watch, KeepsTwoApart) {
  std::string four_eyes = R"({"rules":["a","b"],"timespan":"10m","type":"four_eyes"})", separation = R"({"rules":["a","b","c"],"timespan":"10m","type":"separation"})";
  EXPECT_EQ(Watched(four_eyes).event("a", 1).event("b", 2).found, Texts{"1 2"});
  EXPECT_EQ(Watched(four_eyes).event("b", 1).event("a", 2).found, Texts{"1 2"});
  EXPECT_EQ(Watched(four_eyes).event("a", 1).event("b", 2, "bob").found, Texts{});
  EXPECT_EQ(Watched(four_eyes).event("a", 1).event("b", 12).found, Texts{});
  EXPECT_EQ(Watched(separation).event("a", 1).event("c", 2).found, Texts{"1 2"});
  EXPECT_EQ(Watched(separation).event("a", 1).event("c", 2, "bob").event("a", 3).found, Texts{});
}

TEST(Watch, Requires) {
  auto rule = [](const char *when) { return R"({"rules":["a","b"],"timespan":"10m","type":"requires","when":")"s + when + "\"}"; };
  EXPECT_EQ(Watched(rule("before")).event("a", 1).found, Texts{"1"});
  EXPECT_EQ(Watched(rule("before")).event("b", 1).event("a", 2).found, Texts{});
  EXPECT_EQ(Watched(rule("before")).event("b", 1).event("a", 12).found, Texts{"2"});
  EXPECT_EQ(Watched(rule("after")).event("a", 1).event("b", 2).wait(99).found, Texts{});
  EXPECT_EQ(Watched(rule("after")).event("a", 1).wait(11).found, Texts{});
  EXPECT_EQ(Watched(rule("after")).event("a", 1).wait(12).wait(99).found, Texts{"1 late"});
  // The answer came, but late: what comes by itself says it as well as time that passes.
  EXPECT_EQ(Watched(rule("after")).event("a", 1).event("b", 12).wait(99).found, Texts{"1 late"});
  EXPECT_EQ(Watched(rule("after")).event("a", 1).event("a", 12).wait(99).found, (Texts{"1 late", "2 late"}));
}

TEST(Watch, MissesWhatDoesNotCome) {
  std::string rule = R"({"rules":["a"],"timespan":"10m","type":"absence"})";
  EXPECT_EQ(Watched(rule).event("a", 1).event("a", 10).wait(20).found, Texts{});
  EXPECT_EQ(Watched(rule).event("a", 1).event("a", 10).wait(21).wait(99).found, Texts{"2 late"});
  EXPECT_EQ(Watched(rule).event("a", 1).event("a", 15).wait(20).found, Texts{"1 late"});
}

TEST(Watch, KnowsWhomItSaw) {
  std::string rule = R"({"group-by":["actor_id"],"learn":"5m","rules":["a"],"timespan":"10m","type":"first_seen"})";
  EXPECT_EQ(Watched(rule).event("a", 1).event("a", 3, "bob").event("a", 7, "eve").event("a", 8, "bob").found, Texts{"3"});
  EXPECT_EQ(Watched(rule).event("a", 1).event("a", 10).event("a", 20).event("a", 31).found, Texts{"4"});
}

// The same events give the same finding, whoever judges them.
TEST(Watch, NamesAFindingByItsCause) {
  auto id = [](int64_t at) {
    Watched watched(R"({"rules":["a","b"],"timespan":"10m","type":"four_eyes"})", "", 3);
    watched.event("a", at).event("b", at + 1);
    EXPECT_EQ(watched.watch.decide(), Status::ok);
    return watched.watch.findings().at(0).id;
  };
  EXPECT_EQ(id(1), id(1));
  EXPECT_EQ(id(1)[6] >> 4, 8);
}

// Steps end as events come or time passes, whatever lies between two portions.
TEST(Watch, JudgesDaysByTheirPast) {
  std::string rule = R"({"rules":["a"],"side":"both","timespan":"1d","type":"baseline"})";
  auto days = [&](unsigned portion, int many, int64_t passes) {
    Watched watched(rule, "", portion);
    for (int64_t day = 0; day < 20; day++)
      for (int i = 0; i < 3; i++) watched.event("a", day * 1440 + 600 + i);
    for (int i = 0; i < many; i++) watched.event("a", 20 * 1440 + 600);
    watched.decide();
    if (passes > 0) watched.wait(passes);
    return watched.found;
  };
  Texts last16{"75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 late"};
  for (unsigned portion : {1u, 2u, 7u, 100u}) {
    EXPECT_EQ(days(portion, 30, 0), Texts{}) << portion;
    EXPECT_EQ(days(portion, 30, 21 * 1440 - 1), Texts{}) << portion;
    EXPECT_EQ(days(portion, 30, 21 * 1440), last16) << portion;
    EXPECT_EQ(days(portion, 3, 21 * 1440), Texts{}) << portion;
  }
  // Too short a past, and a first day that is not whole.
  Watched young(rule);
  for (int64_t day = 0; day < 14; day++) young.event("a", day * 1440 + 600);
  for (int i = 0; i < 30; i++) young.event("a", 14 * 1440 + 600);
  EXPECT_EQ(young.wait(16 * 1440).found, Texts{});
  // What is silent for eight weeks is forgotten.
  Watched silent(rule);
  for (int64_t day = 0; day < 20; day++) silent.event("a", day * 1440 + 600);
  EXPECT_EQ(silent.wait(70 * 1440).stored.size(), 1u);
  EXPECT_EQ(silent.wait(90 * 1440).stored.size(), 0u);
}

TEST(Watch, SeesALimitComingAndSharesMoving) {
  Watched limit(R"({"field":"payload.n","limit":60,"rules":["a"],"timespan":"1d","type":"forecast"})");
  for (int64_t day = 0; day < 20; day++) limit.event("a", day * 1440 + 600, "ada", day % 7 == 5 ? 80 : 10);
  EXPECT_EQ(limit.found.size(), 5u);
  EXPECT_EQ(limit.found[0], "15 late");
  Watched shares(R"({"field":"event_type","rules":["a"],"timespan":"1d","type":"drift"})");
  for (int i = 0; i < 300; i++) shares.event("a", i * 10);
  EXPECT_EQ(shares.found, Texts{});
  Watched digits(R"({"field":"payload.n","rules":["a"],"timespan":"1d","type":"benford"})");
  for (int i = 0; i < 600; i++) digits.event("a", i, "ada", 5);
  EXPECT_EQ(digits.wait(1439).found, Texts{});
  EXPECT_EQ(digits.wait(1440).found, Texts{"600 late"});
}

// No stored byte is trusted.
void expect_read(const Watched &watched, size_t entries) {
  std::string whole = watched.stored.begin()->second;
  spine::RuleGroup group;
  for (size_t size = 0; size < whole.size(); size++) (void)spine::read_group(whole.substr(0, size), &group);
  for (size_t i = 0; i < whole.size(); i++) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    (void)spine::read_group(changed, &group);
  }
  EXPECT_TRUE(spine::read_group(whole, &group));
  EXPECT_EQ(group.entries.size(), entries);
  std::string again;
  spine::write_group(group, &again);
  EXPECT_EQ(again, whole);
  EXPECT_FALSE(spine::read_group("", &group));
  EXPECT_FALSE(spine::read_group(whole.substr(0, whole.size() - 1), &group));
}

TEST(Watch, ReadsDamagedGroups) {
  Watched watched(count(R"("gte":5)", "value_count", R"("field":"payload.n",)"));
  for (int i = 0; i < 4; i++) watched.event("a", i, "ada", i);
  expect_read(watched, 4);
  Watched series(R"({"rules":["a"],"timespan":"1d","type":"baseline"})");
  for (int64_t day = 0; day < 20; day++) series.event("a", day * 1440);
  expect_read(series, 1);
  Watched shares(R"({"field":"event_type","rules":["a"],"timespan":"1d","type":"drift"})");
  for (int i = 0; i < 9; i++) shares.event("a", i);
  expect_read(shares, 0);
}
