// What a rule remembers of one group, and when that makes a finding. Time is that of the events' timestamps, which never falls
// within a chain, so windows slide and a pair across whatever border is found.
#pragma once

#include "core/rule.h"

namespace spine {

// An event that a group remembers.
struct GroupEntry {
  int64_t time;
  int64_t sequence;
  uint32_t selection;
  uint32_t events;  // that it stands for, where several were merged
  double number;
  RuleDigest value;
};

// One of the values that a distribution is over: how often it came in the steps before, fading, and in this one.
struct SeriesBin {
  std::string name;
  double before, now;
  int64_t time, sequence;  // of its last event
};

// The step at hand of a series, and what the steps before it taught.
struct RuleSeries {
  bool is_on = false;
  bool is_partial = false;  // the step began before the rule did
  int64_t begin = 0;
  double value = 0;         // the count or sum of the step
  uint32_t events = 0;      // of the step
  uint32_t silent = 0;      // how many steps before it had none
  std::string model;        // the state of a SeasonalSmoother; empty: it knows nothing
  std::vector<SeriesBin> bins;
};

struct RuleGroup {
  std::vector<GroupEntry> entries;  // oldest first
  RuleSeries series;
  int64_t due = 0;                  // when what is awaited is late; 0: nothing is awaited
  int64_t quiet_until = 0;          // what fires until then repeats a finding
  Uuid finding{};                   // that one

  bool is_empty() const { return entries.empty() && due == 0 && quiet_until == 0; }
};

// What made a finding.
struct RuleVerdict {
  bool fires = false;
  bool is_late = false;     // because something did not come
  double number = 0;        // the count, sum or average
  int64_t first_time = 0;   // of the events that it rests on
  int64_t last_time = 0;
  std::vector<int64_t> sequences;  // of those events, in order
  std::string told;                // of a series and what is looked at now and then: what was found
  std::vector<std::pair<const char *, double>> numbers;  // that decided, by their names
};

// An event matched a selection of the rule, in this group. began: when the rule began in the organization, for first_seen.
// ok, out_of_memory.
Status step_group(const Rule &rule, const RuleHit &hit, int64_t time, int64_t sequence, int64_t began, RuleGroup *group, RuleVerdict *verdict) noexcept;

// At a moment behind due: what was awaited did not come, and nothing is awaited from then on; or the step of a series ended, and
// its next one is awaited. ok, out_of_memory, malformed.
Status end_waiting(const Rule &rule, RuleGroup *group, RuleVerdict *verdict) noexcept;

// When nothing that the group remembers can matter any more.
int64_t group_end(const Rule &rule, const RuleGroup &group) noexcept;

// The stored form, and back. False: it is damaged. Both throw std::bad_alloc.
void write_group(const RuleGroup &group, std::string *stored);
bool read_group(std::string_view stored, RuleGroup *group);

// A sentence that says what was found, without a value of a payload. Throws std::bad_alloc.
std::string sentence_of(const Rule &rule, const RuleVerdict &verdict);

// A number as JSON and people write it. Throws std::bad_alloc.
std::string number_text(double number);

}  // namespace spine
