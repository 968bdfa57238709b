#include "core/rule.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "support.h"

using spine::FieldValue;
using spine::RuleField;
using spine::RuleProblem;
using spine::RuleSet;
using spine::Status;
using namespace std::string_literals;

namespace {

// What an event says: by the name of a field.
struct Said {
  std::map<std::string, FieldValue> values;
  std::map<std::string, std::string> texts;

  Said &text(const std::string &name, const std::string &value) {
    texts[name] = value;
    values[name].kind = FieldValue::Kind::text;
    return *this;
  }
  Said &number(const std::string &name, double value) {
    values[name].kind = FieldValue::Kind::number;
    values[name].number = value;
    return *this;
  }
  Said &null(const std::string &name) {
    values[name].kind = FieldValue::Kind::null;
    return *this;
  }
  std::vector<FieldValue> of(const RuleSet &rules) const {
    std::vector<FieldValue> fields;
    for (const RuleField &field : rules.fields()) {
      auto found = values.find(field.name);
      FieldValue value = found == values.end() ? FieldValue() : found->second;
      if (value.kind == FieldValue::Kind::text) value.text = texts.at(field.name);
      fields.push_back(value);
    }
    return fields;
  }
};

// Where a definition is refused; "ok" where it is not.
std::string refused_at(const std::string &definition) {
  RuleSet rules;
  RuleProblem problem;
  Status status = rules.add("r", 1, definition, &problem);
  if (status == Status::ok) return "ok";
  EXPECT_EQ(status, Status::malformed);
  EXPECT_NE(problem.what, "");
  EXPECT_EQ(rules.size(), 0u);
  return problem.pointer;
}

std::string detecting(const std::string &detection) { return R"({"detection":)" + detection + R"(,"title":"t"})"; }
std::string selecting(const std::string &selection) { return detecting(R"({"condition":"s","s":)" + selection + "}"); }

// How many selections of the one rule an event matches.
size_t matches(const std::string &definition, const Said &said, const std::string &event_type = "hcm.employee.created") {
  RuleSet rules;
  RuleProblem problem;
  EXPECT_EQ(rules.add("r", 1, definition, &problem), Status::ok) << problem.pointer << ": " << problem.what;
  Said whole = said;
  whole.text("event_type", event_type);
  std::vector<spine::RuleHit> hits;
  const RuleSet::Plan *plan = rules.plan(event_type);
  EXPECT_NE(plan, nullptr);
  EXPECT_EQ(rules.match(*plan, whole.of(rules).data(), &hits), Status::ok);
  return hits.size();
}

std::string correlating(std::string correlation, const std::string &more = "") {
  size_t behind = correlation.find("\"timespan\"");  // members are sorted
  correlation.insert(behind == std::string::npos ? correlation.find("\"type\"") : behind, R"("rules":["one","two"],)");
  return R"([{"detection":{"condition":"s","s":{"event_type":"a.b.c"}},"name":"one","title":"t"},)"
         R"({"detection":{"condition":"s","s":{"event_type":"a.b.d"}},"name":"two","title":"t"},)"
         R"({"correlation":{)" + correlation + "}" + more + R"(,"title":"t"}])";
}

std::string file(const std::filesystem::path &path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  std::string all = text.str();
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all;
}

}  // namespace

// A correlation names rules of other files: here stand ones in their place.
TEST(Rule, ReadsTheExamplesOfTheSpecification) {
  size_t read = 0, not_evaluated = 0;
  for (const auto &entry : std::filesystem::directory_iterator(SPINE_VECTORS "/sigma")) {
    if (entry.path().extension() != ".json") continue;
    std::string text = file(entry.path()), definition = text;
    if (entry.path().filename().string().rfind("correlation_", 0) == 0) {
      std::string list = text.substr(text.find(R"("rules":[)") + 9);
      list.resize(list.find(']'));
      definition = "[";
      std::stringstream names(list);
      for (std::string name; std::getline(names, name, ',');)
        definition += R"({"detection":{"condition":"s","s":{"a":1}},"name":)" + name + R"(,"title":"stands in"},)";
      definition += text + "]";
    }
    RuleSet rules;
    RuleProblem problem;
    EXPECT_EQ(rules.add("r", 1, definition, &problem), Status::ok) << entry.path() << " at " << problem.pointer << ": " << problem.what;
    if (rules.size() == 1 && !rules.rule(0).not_evaluated.empty()) not_evaluated++;
    read++;
  }
  EXPECT_EQ(read, 12u);
  EXPECT_EQ(not_evaluated, 3u);  // two filters and value_percentile
}

TEST(Rule, MatchesValues) {
  EXPECT_EQ(matches(selecting(R"({"a":"x"})"), Said().text("a", "X")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|cased":"x"})"), Said().text("a", "X")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a":["x","y"]})"), Said().text("a", "y")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":5})"), Said().number("a", 5)), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":5})"), Said().text("a", "5")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a":null})"), Said()), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":null})"), Said().null("a")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":null})"), Said().text("a", "")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a|contains":"ell"})"), Said().text("a", "Hello")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|startswith":"ell"})"), Said().text("a", "Hello")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a|endswith":"LLO"})"), Said().text("a", "Hello")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|all|contains":["h","o"]})"), Said().text("a", "Hello")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|all|contains":["h","x"]})"), Said().text("a", "Hello")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a":"h?l*o"})"), Said().text("a", "Hello")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":"h\\*o"})"), Said().text("a", "h*o")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":"h\\*o"})"), Said().text("a", "hello")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a":"*a*a*a*a*a*a*a*a*b"})"), Said().text("a", std::string(5000, 'a'))), 0u);
  EXPECT_EQ(matches(selecting(R"({"a|gte":5})"), Said().number("a", 5)), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|lt":5})"), Said().number("a", 5)), 0u);
  EXPECT_EQ(matches(selecting(R"({"a|gt":5})"), Said().text("a", "9")), 0u);
  EXPECT_EQ(matches(selecting(R"({"a|exists":false})"), Said()), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|fieldref":"b"})"), Said().text("a", "x").text("b", "x")), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|fieldref":"b"})"), Said()), 0u);
  EXPECT_EQ(matches(selecting(R"({"a|multiple_of":1000})"), Said().number("a", 5000)), 1u);
  EXPECT_EQ(matches(selecting(R"({"a|multiple_of":1000})"), Said().number("a", 0)), 0u);
  EXPECT_EQ(matches(selecting(R"([{"a":1},{"b":2}])"), Said().number("b", 2)), 1u);
  EXPECT_EQ(matches(selecting(R"({"a":1,"b":2})"), Said().number("b", 2)), 0u);
}

TEST(Rule, ReadsConditions) {
  auto with = [](const std::string &condition) {
    return detecting(R"({"a1":{"a":1},"a2":{"b":1},"c":{"c":1},"condition":")" + condition + R"("})");
  };
  Said first = Said().number("a", 1), both = Said().number("a", 1).number("b", 1), last = Said().number("c", 1);
  EXPECT_EQ(matches(with("a1 and a2"), first), 0u);
  EXPECT_EQ(matches(with("a1 and a2"), both), 1u);
  EXPECT_EQ(matches(with("a1 AND NOT a2"), first), 1u);
  EXPECT_EQ(matches(with("1 of a*"), last), 0u);
  EXPECT_EQ(matches(with("1 of them"), last), 1u);
  EXPECT_EQ(matches(with("all of a*"), both), 1u);
  EXPECT_EQ(matches(with("all of them"), both), 0u);
  EXPECT_EQ(matches(with("c or a1 and a2"), last), 1u);
  EXPECT_EQ(matches(with("(c or a1) and a2"), last), 0u);
  EXPECT_EQ(matches(with("not (c or a2)"), first), 1u);
}

// Only what the condition cannot do without decides which types are looked at.
TEST(Rule, KnowsWhichTypesCanMatch) {
  auto planned = [](const std::string &definition, const std::string &event_type) {
    RuleSet rules;
    RuleProblem problem;
    EXPECT_EQ(rules.add("r", 1, definition, &problem), Status::ok) << problem.what;
    return rules.plan(event_type)->selections.size();
  };
  EXPECT_EQ(planned(selecting(R"({"event_type":["A.b.c","a.b.d"],"x":1})"), "a.b.c"), 1u);
  EXPECT_EQ(planned(selecting(R"({"event_type":["a.b.c","a.b.d"],"x":1})"), "a.b.e"), 0u);
  EXPECT_EQ(planned(selecting(R"({"event_type":"a.b.*"})"), "a.b.e"), 1u);
  EXPECT_EQ(planned(detecting(R"({"a":{"event_type":"a.b.c"},"b":{"x":1},"condition":"a or b"})"), "a.b.e"), 1u);
  EXPECT_EQ(planned(detecting(R"({"a":{"event_type":"a.b.c"},"b":{"event_type":"a.b.d"},"condition":"a or b"})"), "a.b.e"), 0u);
  EXPECT_EQ(planned(detecting(R"({"a":{"event_type":"a.b.c"},"condition":"not a"})"), "a.b.e"), 1u);
}

TEST(Rule, RefusesWithAPointer) {
  EXPECT_EQ(refused_at("{}"), "");
  EXPECT_EQ(refused_at("[]"), "");
  EXPECT_EQ(refused_at("3"), "");
  EXPECT_EQ(refused_at(R"({"detection":{"condition":"s","s":{"a":1}}})"), "");
  EXPECT_EQ(refused_at(R"({"detection":{"condition":"s","s":{"a":1}},"titel":"t","title":"t"})"), "/titel");
  EXPECT_EQ(refused_at(detecting(R"({"condition":"s"})")), "/detection/condition");
  EXPECT_EQ(refused_at(detecting(R"({"condition":"s and","s":{"a":1}})")), "/detection/condition");
  EXPECT_EQ(refused_at(detecting(R"({"condition":"(s","s":{"a":1}})")), "/detection/condition");
  EXPECT_EQ(refused_at(detecting(R"({"condition":"s s","s":{"a":1}})")), "/detection/condition");
  EXPECT_EQ(refused_at(detecting(R"({"condition":")" + std::string(300, '(') + R"(s","s":{"a":1}})")), "/detection/condition");
  EXPECT_EQ(refused_at(selecting("{}")), "/detection/s");
  EXPECT_EQ(refused_at(selecting(R"(["word"])")), "/detection/s/0");
  EXPECT_EQ(refused_at(selecting(R"({"a|re":"x"})")), "/detection/s/a|re");
  EXPECT_EQ(refused_at(selecting(R"({"a|nonsense":"x"})")), "/detection/s/a|nonsense");
  EXPECT_EQ(refused_at(selecting(R"({"a/b|gt":"x"})")), "/detection/s/a~1b|gt");
  EXPECT_EQ(refused_at(selecting(R"({"a":[1,{}]})")), "/detection/s/a/1");
  EXPECT_EQ(refused_at(selecting(R"({"personal.name":"x"})")), "/detection/s/personal.name");
  EXPECT_EQ(refused_at(selecting(R"({"payload_hash":"x"})")), "/detection/s/payload_hash");
  EXPECT_EQ(refused_at(selecting(R"({"a..b":"x"})")), "/detection/s/a..b");
  EXPECT_EQ(refused_at("[" + selecting(R"({"a":1})") + "," + selecting(R"({"a":1})") + "]"), "/1");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"temporal")")), "ok");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"temporel")")), "/2/correlation/type");
  EXPECT_EQ(refused_at(correlating(R"("type":"temporal")")), "/2/correlation");
  for (const char *span : {"1", "h", "0h", "1y", "-1h", "1.5h", "9999999999", "4000d"})
    EXPECT_EQ(refused_at(correlating(R"("timespan":")"s + span + R"(","type":"temporal")")), "/2/correlation/timespan") << span;
  EXPECT_EQ(refused_at(correlating(R"("condition":{"gte":1001},"timespan":"1h","type":"event_count")")), "/2/correlation/condition/gte");
  EXPECT_EQ(refused_at(correlating(R"("condition":{"lt":3},"timespan":"1h","type":"event_count")")), "/2/correlation/condition/lt");
  EXPECT_EQ(refused_at(correlating(R"("condition":{},"timespan":"1h","type":"event_count")")), "/2/correlation/condition");
  EXPECT_EQ(refused_at(correlating(R"("condition":{"gt":3},"timespan":"1h","type":"value_sum")")), "/2/correlation/condition");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"requires")")), "/2/correlation");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"requires","when":"never")")), "/2/correlation/when");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"absence")")), "/2/correlation/rules");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"temporal","when":"after")")), "/2/correlation/when");
  EXPECT_EQ(refused_at(correlating(R"("aliases":{"x":{"one":"a"}},"group-by":["x"],"timespan":"1h","type":"temporal")")), "/2/correlation/group-by/0");
  EXPECT_EQ(refused_at(correlating(R"("timespan":"1h","type":"temporal")", R"(,"suppress":"x")")), "/2/suppress");
  std::string unknown = correlating(R"("timespan":"1h","type":"temporal")");
  unknown.replace(unknown.rfind("\"two\""), 5, "\"six\"");
  EXPECT_EQ(refused_at(unknown), "/2/correlation/rules/1");
  // Texts that are long, deep or no JSON end in an error, too.
  EXPECT_EQ(refused_at(std::string(100, '[') + std::string(100, ']')), "");
  EXPECT_EQ(refused_at("[" + std::string(300000, '1') + "]"), "");
}

TEST(Rule, GroupsByWhatAnAliasSays) {
  std::string definition = correlating(R"("aliases":{"who":{"one":"entity_id","two":"payload.employee"}},"group-by":["who"],"timespan":"1h","type":"temporal")");
  RuleSet rules;
  RuleProblem problem;
  ASSERT_EQ(rules.add("r", 1, definition, &problem), Status::ok) << problem.what;
  auto group = [&](const std::string &type, const std::string &field) {
    std::vector<spine::RuleHit> hits;
    Said said = Said().text("event_type", type).text(field, "e1");
    EXPECT_EQ(rules.match(*rules.plan(type), said.of(rules).data(), &hits), Status::ok);
    return hits.empty() ? spine::RuleDigest{} : hits[0].group;
  };
  EXPECT_NE(group("a.b.c", "entity_id"), spine::RuleDigest{});
  EXPECT_EQ(group("a.b.c", "entity_id"), group("a.b.d", "payload.employee"));
  // What does not say whose it is, belongs to no group.
  EXPECT_EQ(group("a.b.d", "entity_id"), spine::RuleDigest{});
}
