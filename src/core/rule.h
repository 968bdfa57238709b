// Rules of the watch: what a definition says, and whether an event matches it. The form is Sigma's, as JSON, with types of
// our own beside its correlations; docs/watch.md tells it to those who write rules.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/event.h"

namespace spine {

enum class RuleType : uint8_t {
  detection,
  event_count,
  value_count,
  value_sum,
  value_avg,
  temporal,
  temporal_ordered,
  // Not Sigma's.
  four_eyes,
  separation,
  requires_before,
  requires_after,
  absence,
  first_seen,
  // A series of steps of the same length, judged as each of them ends.
  baseline,
  forecast,
  drift,
  benford,
  // Looked at now and then, whatever events come.
  reconcile,
  unverified,
};

// Why a definition is refused: a JSON pointer (RFC 6901) to the member at fault, and what is wrong with it.
struct RuleProblem {
  std::string pointer;
  std::string what;
};

// What an event says of a field.
struct FieldValue {
  enum class Kind : uint8_t { absent, null, boolean, number, text, other };
  Kind kind = Kind::absent;
  bool boolean = false;
  double number = 0;
  std::string_view text;
};

// Where the value of a field is.
struct RuleField {
  enum class Source : uint8_t { column, payload, calendar_hour, calendar_weekday, calendar_holiday, calendar_open, recorded_after };
  std::string name;  // as rules write it
  Source source;
  Column column;                  // source column
  std::vector<std::string> path;  // source payload
};

enum class RuleOperator : uint8_t { equals, contains, starts_with, ends_with, gt, gte, lt, lte, exists, same_as, multiple_of };

// One line of a selection: a field, and what it may be.
struct RuleTest {
  struct Value {
    FieldValue::Kind kind;
    bool boolean;
    double number;
    std::string text;  // lower case where the test ignores case
    bool has_wildcard;
    size_t field;  // same_as
  };
  size_t field;
  RuleOperator op;
  bool cased;
  bool needs_all;  // of the values; else any
  std::vector<Value> values;
};

// A condition as a tree, whose root is the last node.
struct RuleNode {
  enum class Kind : uint8_t { all, any, none, test };
  Kind kind;
  std::vector<size_t> children;  // all, any; none: one
  size_t test;
};

// What one document of the definition selects.
struct Selection {
  std::string name;
  std::vector<RuleTest> tests;
  std::vector<RuleNode> nodes;
  std::vector<size_t> group_by;  // fields; with four_eyes and separation their field is the last
  std::vector<size_t> counted;   // value_count, value_sum, value_avg: the fields
  bool has_types;                // whether only events of event_types can match
  std::vector<std::string> event_types;
};

struct RuleBound {
  RuleOperator op;
  double value;
  bool is_not = false;  // neq
};

struct Rule {
  std::string name;     // in the rule set
  int64_t definition;   // a number that changes with the definition
  RuleType type;
  std::vector<Selection> selections;
  std::vector<std::string> group_names;  // of the fields to group by, as the definition has them
  std::vector<bool> group_is_column;
  std::vector<RuleBound> bounds;
  std::string field_name;     // of the counted field, or of who must differ
  std::string timespan_text;  // as the definition has it
  int64_t timespan = 0;       // microseconds
  int64_t suppress = 0;
  int64_t learn = 0;
  std::string title;
  std::string product;        // of the log source, where it is not ours
  std::string not_evaluated;  // what Sigma has and we do not evaluate; empty: all is
  size_t most_entries = 0;    // that a group need remember
  double threshold = 0;       // baseline: deviations; forecast: the limit; drift: the divergence
  bool above = true, below = false;  // baseline: which side is found; forecast: below, where the limit is reached from above
  uint32_t horizon = 0;       // forecast: steps
  std::string table;          // reconcile

  bool is_grouped() const { return !group_names.empty(); }
  // Whether anything of it is remembered from one event to the next.
  bool has_state() const { return type != RuleType::detection || suppress > 0; }
  bool is_series() const { return type >= RuleType::baseline && type <= RuleType::benford; }
  bool is_periodic() const { return type == RuleType::reconcile || type == RuleType::unverified; }
};

inline constexpr size_t max_selections = 8;
inline constexpr size_t max_counted = 1000;  // the highest count that a rule may ask for

// 16 bytes of a SHA-256.
using RuleDigest = std::array<uint8_t, 16>;

// That an event matched a selection of a rule.
struct RuleHit {
  uint32_t rule;
  uint32_t selection;
  RuleDigest group;
  RuleDigest value;  // value_count
  double number;     // value_sum, value_avg; baseline and forecast of sums
  std::string bin;   // drift, benford
};

// The rules that are evaluated together. Views that were given out hold until the next add.
class RuleSet {
 public:
  // Adds a rule: definition is canonical JSON, an object or an array of them. ok, out_of_memory, or malformed with *problem.
  Status add(std::string_view name, int64_t definition_number, std::string_view definition, RuleProblem *problem) noexcept;

  size_t size() const { return rules_.size(); }
  const Rule &rule(size_t i) const { return rules_[i]; }
  const std::vector<RuleField> &fields() const { return fields_; }

  // What events of a type can match.
  struct Plan {
    std::vector<std::pair<uint32_t, uint32_t>> selections;  // rule and selection: rules in order, selections from last to first
    std::vector<size_t> fields;                             // those that they look at
  };
  // Null where there is no memory. Holds until the next add, or until there are too many of them.
  const Plan *plan(std::string_view event_type) noexcept;

  // Appends the hits of an event of whose fields those of the plan are known, by number. ok, out_of_memory, crypto_failed.
  Status match(const Plan &plan, const FieldValue *fields, std::vector<RuleHit> *hits) noexcept;

  // The number of a group that belongs to the rule as a whole.
  Status rule_digest(size_t rule, RuleDigest *digest) noexcept;

 private:
  friend class RuleReader;

  Status digest(size_t rule, char kind, const std::vector<size_t> &of, const FieldValue *fields, RuleDigest *out, bool *complete);

  std::vector<Rule> rules_;
  std::vector<RuleField> fields_;
  std::unordered_map<std::string, Plan> plans_;
  Sha256 sha256_;
  std::string scratch_;
};

}  // namespace spine
