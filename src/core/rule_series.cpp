#include "core/rule_series.h"

#include <algorithm>
#include <cmath>

#include "core/distribution.h"
#include "core/seasonal.h"

namespace spine {

namespace {

constexpr int64_t day = int64_t{86400} * 1000000;
constexpr int64_t first_monday = 4 * day;  // of 1970: weeks begin on Mondays
constexpr size_t most_named = 16;          // events of a step
constexpr size_t most_bins = 64;
constexpr double most_counted = 1e15;
constexpr int64_t longest_silence = 56 * day;  // after which a series is forgotten
constexpr double least_events = 100;  // on each side, for a drift
constexpr double fading = 0.75;       // of the steps before, with each step
constexpr const char *other_values = "others";

int64_t step_of(const Rule &rule, int64_t time) {
  int64_t origin = rule.timespan % (7 * day) == 0 ? first_monday : 0;
  int64_t rest = (time - origin) % rule.timespan;
  return time - (rest < 0 ? rest + rule.timespan : rest);
}

// As people write it, to the minute.
std::string moment_text(int64_t time) {
  char text[41];
  std::string told(text, write_timestamp(text, time));
  size_t t = told.find('T');
  told[t] = ' ';
  return told.substr(0, t + 6);
}

bool counts(const Rule &rule) { return rule.field_name.empty(); }

std::string what(const Rule &rule) { return counts(rule) ? " events" : " of " + rule.field_name; }

// To the third digit behind the point, as nobody needs more to judge.
double rounded(double number) { return std::abs(number) < 1e12 ? std::round(number * 1000) / 1000 : number; }
std::string rounded_text(double number) { return number_text(rounded(number)); }

void rest_on_entries(const RuleGroup &group, int64_t begin, RuleVerdict *verdict) {
  for (const GroupEntry &entry : group.entries) verdict->sequences.push_back(entry.sequence);
  std::sort(verdict->sequences.begin(), verdict->sequences.end());
  verdict->sequences.erase(std::unique(verdict->sequences.begin(), verdict->sequences.end()), verdict->sequences.end());
  verdict->fires = true;
  verdict->first_time = begin;
  verdict->last_time = group.due;
}

// The largest of a sum, the last of a count.
void remember(const Rule &rule, const GroupEntry &entry, std::vector<GroupEntry> &entries) {
  if (entries.size() < most_named) {
    entries.push_back(entry);
    return;
  }
  auto least = entries.begin();
  if (!counts(rule))
    least = std::min_element(entries.begin(), entries.end(), [](const GroupEntry &a, const GroupEntry &b) { return std::abs(a.number) < std::abs(b.number); });
  if (!counts(rule) && std::abs(least->number) > std::abs(entry.number)) return;
  entries.erase(least);
  entries.push_back(entry);
}

SeriesBin &bin_of(RuleSeries &series, const std::string &name) {
  auto find = [&series](const std::string &wanted) {
    return std::find_if(series.bins.begin(), series.bins.end(), [&wanted](const SeriesBin &bin) { return bin.name == wanted; });
  };
  auto found = find(name);
  if (found != series.bins.end()) return *found;
  bool is_full = series.bins.size() + 1 >= most_bins;
  if (is_full && (found = find(other_values)) != series.bins.end()) return *found;
  series.bins.push_back({is_full ? other_values : name, 0, 0, 0, 0});
  return series.bins.back();
}

bool judge_values(const Rule &rule, const RuleGroup &group, int64_t begin, RuleSeries &series, RuleVerdict *verdict) {
  SeasonalSetting setting = rule.timespan == day ? by_day : by_hour;
  if (counts(rule)) setting.least_deviation = 0.5;
  SeasonalSmoother smoother(setting);
  if (!series.model.empty() && !smoother.read({reinterpret_cast<const uint8_t *>(series.model.data()), series.model.size()})) return false;
  double x = series.value;
  std::string when = "from " + moment_text(begin) + " to " + moment_text(begin + rule.timespan) + " UTC";
  if (rule.type == RuleType::baseline && smoother.has_learned()) {
    SeasonalSmoother::Forecast next = smoother.forecast(1);
    double foreseen = counts(rule) ? std::max(0.0, next.value) : next.value;
    // Independent events scatter by the root of their number, and a sum that never moved is still allowed to.
    double deviation = std::max(next.deviation, counts(rule) ? std::sqrt(std::max(1.0, foreseen)) : 0.01 * std::abs(foreseen));
    double half = rule.threshold * deviation;
    if ((rule.above && x > foreseen + half) || (rule.below && x < foreseen - half)) {
      rest_on_entries(group, begin, verdict);
      double lower = counts(rule) ? std::max(0.0, foreseen - half) : foreseen - half;
      verdict->told = when + ": " + rounded_text(x) + what(rule) + ", where " + rounded_text(foreseen) + " is foreseen, and from " + rounded_text(lower) + " to " +
                      rounded_text(foreseen + half) + " is usual";
      verdict->numbers = {{"value", x}, {"foreseen", rounded(foreseen)}, {"lower", rounded(lower)}, {"upper", rounded(foreseen + half)}};
    }
  }
  if (!smoother.add(x)) return true;  // a sum that no detector takes teaches nothing
  if (rule.type == RuleType::forecast && smoother.has_learned()) {
    SeasonalSmoother::Reached reached = smoother.reaches(rule.threshold, !rule.below, 0, rule.horizon);
    if (reached.by_forecast != 0) {
      rest_on_entries(group, begin, verdict);
      double foreseen = smoother.forecast(reached.by_forecast).value;
      verdict->told = "if it goes on like this, the step from " + moment_text(begin + reached.by_forecast * rule.timespan) + " UTC on brings " + rounded_text(foreseen) + what(rule) +
                      ", and the limit is " + rounded_text(rule.threshold) + "; " + when + ": " + rounded_text(x);
      verdict->numbers = {{"value", x}, {"foreseen", rounded(foreseen)}, {"limit", rule.threshold}, {"steps", reached.by_forecast}};
    }
  }
  uint8_t state[SeasonalSmoother::max_state_size];
  series.model.assign(reinterpret_cast<const char *>(state), smoother.write(state));
  return true;
}

// The bins that make the difference, as the finding rests on the last event of each.
void rest_on_bins(const std::vector<const SeriesBin *> &bins, int64_t begin, int64_t end, RuleVerdict *verdict) {
  for (const SeriesBin *bin : bins)
    if (bin->sequence != 0) verdict->sequences.push_back(bin->sequence);
  std::sort(verdict->sequences.begin(), verdict->sequences.end());
  verdict->fires = true;
  verdict->first_time = begin;
  verdict->last_time = end;
}

std::string percent(double share) { return number_text(std::round(share * 1000) / 10) + " percent"; }

void judge_shares(const Rule &rule, const RuleGroup &group, int64_t begin, RuleSeries &series, RuleVerdict *verdict) {
  std::vector<DriftBin> bins;
  double before = 0, now = 0;
  for (const SeriesBin &bin : series.bins) {
    bins.push_back({bin.before, bin.now});
    before += bin.before;
    now += bin.now;
  }
  if (before >= least_events && now >= least_events) {
    double divergence = measure_drift(bins.data(), bins.size()).divergence;
    // What chance alone brings where nothing moved, to the first order.
    double by_chance = static_cast<double>(bins.size() - 1) * (1 / before + 1 / now) / (8 * std::log(2));
    if (divergence >= rule.threshold + by_chance) {
      std::vector<size_t> order(bins.size());
      for (size_t i = 0; i < order.size(); i++) order[i] = i;
      std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return bins[a].divergence != bins[b].divergence ? bins[a].divergence > bins[b].divergence : series.bins[a].name < series.bins[b].name;
      });
      order.resize(std::min<size_t>(order.size(), 3));
      std::vector<const SeriesBin *> named;
      verdict->told = "from " + moment_text(begin) + " to " + moment_text(begin + rule.timespan) + " UTC the shares of " + rule.field_name + " moved by " + rounded_text(divergence) +
                      " of 1";
      for (size_t i : order) {
        named.push_back(&series.bins[i]);
        verdict->told += ", " + series.bins[i].name + " from " + percent(bins[i].share_before) + " to " + percent(bins[i].share_now);
      }
      rest_on_bins(named, begin, group.due, verdict);
      verdict->numbers = {{"divergence", rounded(divergence)}, {"before", rounded(before)}, {"now", now}};
    }
  }
  for (SeriesBin &bin : series.bins) {
    bin.before = fading * bin.before + bin.now;
    bin.now = 0;
  }
  series.bins.erase(std::remove_if(series.bins.begin(), series.bins.end(), [](const SeriesBin &bin) { return bin.before < 0.01; }), series.bins.end());
}

void judge_digits(const Rule &rule, const RuleGroup &group, int64_t begin, RuleSeries &series, RuleVerdict *verdict) {
  uint64_t digits[9] = {};
  uint64_t all = 0;
  for (const SeriesBin &bin : series.bins) {
    size_t digit = static_cast<size_t>(bin.name[0] - '1');
    if (bin.name.size() != 1 || digit > 8) continue;
    digits[digit] = static_cast<uint64_t>(bin.now);
    all += digits[digit];
  }
  BenfordTest test = test_benford(digits);
  // Too few are added to those of the next step.
  if (test.verdict == Benford::too_few) return;
  if (test.verdict == Benford::nonconforming) {
    std::vector<const SeriesBin *> named;
    size_t most = 0;
    for (size_t i = 1; i < 9; i++)
      if (test.share[i] - test.expected[i] > test.share[most] - test.expected[most]) most = i;
    for (const SeriesBin &bin : series.bins)
      if (bin.name == std::string(1, static_cast<char>('1' + most))) named.push_back(&bin);
    verdict->told = "until " + moment_text(begin + rule.timespan) + " UTC the first digits of " + std::to_string(all) + " numbers in " + rule.field_name +
                    " do not follow Benford's law: their shares are off by " + rounded_text(test.distance) + " on average, and " + std::string(1, static_cast<char>('1' + most)) + " begins " +
                    percent(test.share[most]) + " of them, where " + percent(test.expected[most]) + " are expected";
    rest_on_bins(named, begin, group.due, verdict);
    verdict->numbers = {{"numbers", static_cast<double>(all)}, {"distance", rounded(test.distance)}, {"chi_square", rounded(test.chi_square)}};
  }
  series.bins.clear();
}

}  // namespace

void add_to_series(const Rule &rule, const RuleHit &hit, const GroupEntry &entry, RuleGroup *group) {
  RuleSeries &series = group->series;
  if (!series.is_on) {
    series = {};
    series.is_on = series.is_partial = true;
    series.begin = step_of(rule, entry.time);
    group->due = series.begin + rule.timespan - 1;
  }
  if (series.events++ == 0) {
    // What a step without events rested on.
    group->entries.clear();
    series.value = 0;
  }
  if (rule.type == RuleType::drift || rule.type == RuleType::benford) {
    SeriesBin &bin = bin_of(series, hit.bin);
    bin.now = std::min(most_counted, bin.now + 1);
    bin.time = entry.time;
    bin.sequence = entry.sequence;
    return;
  }
  remember(rule, entry, group->entries);
  series.value += counts(rule) ? 1 : entry.number;
}

bool end_step(const Rule &rule, RuleGroup *group, RuleVerdict *verdict) {
  RuleSeries &series = group->series;
  int64_t begin = series.begin;
  verdict->is_late = true;
  bool is_whole = true;
  if (rule.type == RuleType::drift)
    judge_shares(rule, *group, begin, series, verdict);
  else if (rule.type == RuleType::benford)
    judge_digits(rule, *group, begin, series, verdict);
  else if (!series.is_partial)
    is_whole = judge_values(rule, *group, begin, series, verdict);
  series.is_partial = false;
  series.silent = series.events == 0 ? series.silent + 1 : 0;
  series.events = 0;
  series.value = 0;
  series.begin += rule.timespan;
  group->due += rule.timespan;
  if (series.silent * rule.timespan >= longest_silence) {
    series = {};
    group->entries.clear();
    group->due = 0;
  }
  return is_whole;
}

}  // namespace spine
