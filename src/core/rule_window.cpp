#include "core/rule_window.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <new>

#include "core/rule_series.h"

namespace spine {

namespace {

constexpr size_t most_awaiting = 16;  // events that wait for the same answer and are named

void rest_on(RuleVerdict *verdict, const std::vector<GroupEntry> &entries) {
  verdict->fires = true;
  std::vector<GroupEntry> sorted(entries);
  std::sort(sorted.begin(), sorted.end(), [](const GroupEntry &a, const GroupEntry &b) { return a.sequence < b.sequence; });
  for (const GroupEntry &entry : sorted) {
    if (!verdict->sequences.empty() && verdict->sequences.back() == entry.sequence) continue;
    verdict->sequences.push_back(entry.sequence);
  }
  verdict->first_time = sorted.front().time;
  verdict->last_time = sorted.back().time;
}

bool in_bounds(const Rule &rule, double number) {
  return std::all_of(rule.bounds.begin(), rule.bounds.end(), [number](const RuleBound &bound) {
    switch (bound.op) {
      case RuleOperator::gt: return number > bound.value;
      case RuleOperator::gte: return number >= bound.value;
      case RuleOperator::lt: return number < bound.value;
      case RuleOperator::lte: return number <= bound.value;
      default: return (number == bound.value) != bound.is_not;
    }
  });
}

GroupEntry *entry_of(std::vector<GroupEntry> &entries, uint32_t selection) {
  auto found = std::find_if(entries.begin(), entries.end(), [selection](const GroupEntry &e) { return e.selection == selection; });
  return found == entries.end() ? nullptr : &*found;
}

// Of a selection the latest alone.
void keep_latest(std::vector<GroupEntry> &entries, const GroupEntry &latest) {
  entries.erase(std::remove_if(entries.begin(), entries.end(), [&](const GroupEntry &e) { return e.selection == latest.selection; }), entries.end());
  entries.push_back(latest);
}

void count(const Rule &rule, const GroupEntry &entry, std::vector<GroupEntry> &entries, RuleVerdict *verdict) {
  if (rule.type == RuleType::value_count)
    entries.erase(std::remove_if(entries.begin(), entries.end(), [&](const GroupEntry &e) { return e.value == entry.value; }), entries.end());
  entries.push_back(entry);
  // The latest ones decide whether there are enough of them.
  if (entries.size() > rule.most_entries) entries.erase(entries.begin());
  verdict->number = static_cast<double>(entries.size());
  if (in_bounds(rule, verdict->number)) rest_on(verdict, entries);
}

void add_up(const Rule &rule, const GroupEntry &entry, std::vector<GroupEntry> &entries, RuleVerdict *verdict) {
  entries.push_back(entry);
  // The two oldest become one, which stays as long as the younger would.
  if (entries.size() > rule.most_entries) {
    entries[1].number += entries[0].number;
    entries[1].events += entries[0].events;
    entries.erase(entries.begin());
  }
  double sum = 0, events = 0;
  for (const GroupEntry &e : entries) {
    sum += e.number;
    events += e.events;
  }
  verdict->number = rule.type == RuleType::value_sum ? sum : sum / events;
  if (in_bounds(rule, verdict->number)) rest_on(verdict, entries);
}

// Of each selection the chain of events in order that ends there and began last: entries with its number, in order.
void put_in_order(const Rule &rule, const GroupEntry &entry, std::vector<GroupEntry> &entries, RuleVerdict *verdict) {
  std::vector<GroupEntry> chain;
  if (entry.selection > 0) {
    for (const GroupEntry &e : entries)
      if (e.selection == entry.selection - 1 && e.sequence != entry.sequence) chain.push_back(e);
    if (chain.size() != entry.selection) return;
  }
  chain.push_back(entry);
  for (GroupEntry &e : chain) e.selection = entry.selection;
  entries.erase(std::remove_if(entries.begin(), entries.end(), [&](const GroupEntry &e) { return e.selection == entry.selection; }), entries.end());
  entries.insert(entries.end(), chain.begin(), chain.end());
  if (entry.selection + 1 == rule.selections.size()) rest_on(verdict, chain);
}

// What lies before the window.
void forget_old(const Rule &rule, int64_t time, std::vector<GroupEntry> &entries) {
  int64_t oldest = time - rule.timespan;
  if (rule.type != RuleType::temporal_ordered) {
    entries.erase(std::remove_if(entries.begin(), entries.end(), [oldest](const GroupEntry &e) { return e.time < oldest; }), entries.end());
    return;
  }
  // A chain goes as a whole.
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin + entries[begin].selection + 1;
    if (entries[begin].time < oldest)
      entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(begin), entries.begin() + static_cast<std::ptrdiff_t>(std::min(end, entries.size())));
    else
      begin = end;
  }
}

void step(const Rule &rule, const RuleHit &hit, int64_t began, const GroupEntry &entry, RuleGroup *group, RuleVerdict *verdict) {
  std::vector<GroupEntry> &entries = group->entries;
  bool awaits = rule.type == RuleType::requires_after || rule.type == RuleType::absence || rule.is_series();
  if (!awaits) forget_old(rule, entry.time, entries);
  switch (rule.type) {
    case RuleType::detection:
      rest_on(verdict, {entry});
      return;
    case RuleType::event_count:
    case RuleType::value_count:
      count(rule, entry, entries, verdict);
      return;
    case RuleType::value_sum:
    case RuleType::value_avg:
      add_up(rule, entry, entries, verdict);
      return;
    case RuleType::temporal:
      keep_latest(entries, entry);
      if (entries.size() == rule.selections.size()) rest_on(verdict, entries);
      return;
    case RuleType::temporal_ordered:
      put_in_order(rule, entry, entries, verdict);
      return;
    case RuleType::four_eyes:
    case RuleType::separation:
      keep_latest(entries, entry);
      for (const GroupEntry &e : entries)
        if (e.selection != entry.selection && e.sequence != entry.sequence) rest_on(verdict, entries);
      return;
    case RuleType::requires_before:
      if (hit.selection == 1) keep_latest(entries, entry);
      else if (entry_of(entries, 1) == nullptr) rest_on(verdict, {entry});
      return;
    case RuleType::requires_after:
      if (hit.selection == 1) {
        entries.clear();
        group->due = 0;
      } else {
        if (group->due == 0) group->due = entry.time + rule.timespan;
        if (entries.size() < most_awaiting) entries.push_back(entry);
      }
      return;
    case RuleType::absence:
      keep_latest(entries, entry);
      group->due = entry.time + rule.timespan;
      return;
    case RuleType::first_seen:
      if (entries.empty() && entry.time >= began + rule.learn) rest_on(verdict, {entry});
      entries = {entry};
      return;
    case RuleType::baseline:
    case RuleType::forecast:
    case RuleType::drift:
    case RuleType::benford:
      add_to_series(rule, hit, entry, group);
      return;
    case RuleType::reconcile:
    case RuleType::unverified:
      return;  // no event is theirs
  }
}

template <class T>
void put(std::string *out, const T &value) {
  out->append(reinterpret_cast<const char *>(&value), sizeof value);
}
template <class T>
bool take(std::string_view *in, T *value) {
  if (in->size() < sizeof *value) return false;
  std::memcpy(value, in->data(), sizeof *value);
  in->remove_prefix(sizeof *value);
  return true;
}

constexpr uint8_t stored_form = 1, stored_series_form = 2;

void put_text(std::string *out, const std::string &text) {
  put(out, static_cast<uint16_t>(text.size()));
  out->append(text);
}
bool take_text(std::string_view *in, std::string *text) {
  uint16_t size;
  if (!take(in, &size) || in->size() < size) return false;
  text->assign(in->substr(0, size));
  in->remove_prefix(size);
  return true;
}

void put_series(std::string *out, const RuleSeries &series) {
  put(out, static_cast<uint8_t>(series.is_partial));
  put(out, series.begin);
  put(out, series.value);
  put(out, series.events);
  put(out, series.silent);
  put_text(out, series.model);
  put(out, static_cast<uint8_t>(series.bins.size()));
  for (const SeriesBin &bin : series.bins) {
    put_text(out, bin.name);
    put(out, bin.before);
    put(out, bin.now);
    put(out, bin.time);
    put(out, bin.sequence);
  }
}
// So that no sum and no difference of two moments overflows.
bool is_moment(int64_t time) { return time <= INT64_MAX / 2 && time >= INT64_MIN / 2; }

bool take_series(std::string_view *in, RuleSeries *series) {
  uint8_t is_partial, bins;
  if (!take(in, &is_partial) || is_partial > 1 || !take(in, &series->begin) || !take(in, &series->value) || !take(in, &series->events) || !take(in, &series->silent) ||
      !take_text(in, &series->model) || !take(in, &bins))
    return false;
  if (!is_moment(series->begin)) return false;
  series->is_on = true;
  series->is_partial = is_partial == 1;
  for (int i = 0; i < bins; i++) {
    SeriesBin bin{};
    if (!take_text(in, &bin.name) || bin.name.empty() || !take(in, &bin.before) || !take(in, &bin.now) || !take(in, &bin.time) || !is_moment(bin.time) || !take(in, &bin.sequence))
      return false;
    auto is_count = [](double count) { return count >= 0 && count <= 1e16; };
    if (!is_count(bin.before) || !is_count(bin.now)) return false;
    series->bins.push_back(std::move(bin));
  }
  return true;
}

std::string events_text(const RuleVerdict &verdict) {
  const auto &s = verdict.sequences;
  std::string text = s.size() == 1 ? "event " : "events ";
  constexpr size_t named = 5;
  for (size_t i = 0; i < std::min(s.size(), named); i++) text += (i == 0 ? "" : i + 1 == s.size() ? " and " : ", ") + std::to_string(s[i]);
  if (s.size() > named) text += " and " + std::to_string(s.size() - named) + " more";
  return text;
}

std::string same_group(const Rule &rule, const char *of = " of the same ") {
  std::string text;
  for (size_t i = 0; i < rule.group_names.size(); i++) text += (i == 0 ? of : i + 1 == rule.group_names.size() ? " and " : ", ") + rule.group_names[i];
  return text;
}

std::string selections_text(const Rule &rule) {
  std::string text;
  const auto &s = rule.selections;
  for (size_t i = 0; i < s.size(); i++) text += (i == 0 ? "" : i + 1 == s.size() ? " and " : ", ") + s[i].name;
  return text;
}

std::string bounds_text(const Rule &rule) {
  std::string text;
  for (const RuleBound &bound : rule.bounds) {
    const char *word = bound.op == RuleOperator::gt    ? "above "
                       : bound.op == RuleOperator::gte ? "at least "
                       : bound.op == RuleOperator::lt  ? "below "
                       : bound.op == RuleOperator::lte ? "at most "
                       : bound.is_not                  ? "not "
                                                       : "exactly ";
    text += (text.empty() ? "" : " and ") + (word + number_text(bound.value));
  }
  return text;
}

std::string what_happened(const Rule &rule, const RuleVerdict &verdict) {
  std::string events = events_text(verdict), within = " within " + rule.timespan_text;
  auto selection = [&](size_t i) { return rule.selections[i].name; };
  switch (rule.type) {
    case RuleType::detection: return events;
    case RuleType::event_count:
      return number_text(verdict.number) + " events" + same_group(rule) + within + ", where the rule asks for " + bounds_text(rule) + ": " + events;
    case RuleType::value_count:
      return number_text(verdict.number) + " different values of " + rule.field_name + same_group(rule) + within + ", where the rule asks for " +
             bounds_text(rule) + ": " + events;
    case RuleType::value_sum:
    case RuleType::value_avg:
      return std::string(rule.type == RuleType::value_sum ? "the sum of " : "the average of ") + rule.field_name + same_group(rule) + within + " is " +
             number_text(verdict.number) + ", where the rule asks for " + bounds_text(rule) + ": " + events;
    case RuleType::temporal: return selections_text(rule) + same_group(rule) + within + ": " + events;
    case RuleType::temporal_ordered: return selections_text(rule) + ", in this order," + same_group(rule) + within + ": " + events;
    case RuleType::four_eyes: return "one and the same " + rule.field_name + " stands on both sides, " + selection(0) + " and " + selection(1) + ": " + events;
    case RuleType::separation: return "one and the same " + rule.field_name + " did what is to be kept apart" + within + ": " + events;
    case RuleType::requires_before: return selection(0) + " came without " + selection(1) + " before it" + within + ": " + events;
    case RuleType::requires_after: return selection(0) + " was not followed by " + selection(1) + within + ": " + events;
    case RuleType::absence: return "nothing more came" + within + " of the last one, " + events;
    case RuleType::first_seen: return "nothing was seen" + same_group(rule, " of this ") + within + " before " + events;
    default: return verdict.told + same_group(rule, ", of one ") + (verdict.sequences.empty() ? "" : ": " + events);
  }
  return events;
}

}  // namespace

Status step_group(const Rule &rule, const RuleHit &hit, int64_t time, int64_t sequence, int64_t began, RuleGroup *group, RuleVerdict *verdict) noexcept {
  try {
    *verdict = {};
    step(rule, hit, began, {time, sequence, hit.selection, 1, hit.number, hit.value}, group, verdict);
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status end_waiting(const Rule &rule, RuleGroup *group, RuleVerdict *verdict) noexcept {
  try {
    *verdict = {};
    if (rule.is_series()) return group->series.is_on && end_step(rule, group, verdict) ? Status::ok : Status::malformed;
    if (!group->entries.empty()) rest_on(verdict, group->entries);
    verdict->is_late = true;
    verdict->last_time = group->due;
    group->entries.clear();
    group->due = 0;
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

int64_t group_end(const Rule &rule, const RuleGroup &group) noexcept {
  int64_t end = std::max(group.due, group.quiet_until);
  for (const GroupEntry &entry : group.entries) end = std::max(end, entry.time + rule.timespan);
  return end;
}

void write_group(const RuleGroup &group, std::string *stored) {
  stored->clear();
  put(stored, group.series.is_on ? stored_series_form : stored_form);
  put(stored, group.due);
  put(stored, group.quiet_until);
  if (group.quiet_until != 0) put(stored, group.finding);
  if (group.series.is_on) put_series(stored, group.series);
  for (const GroupEntry &entry : group.entries) {
    put(stored, entry.time);
    put(stored, entry.sequence);
    bool has_number = entry.number != 0 || entry.events != 1, has_value = entry.value != RuleDigest{};
    put(stored, static_cast<uint8_t>(entry.selection | (has_number ? 0x40u : 0u) | (has_value ? 0x80u : 0u)));
    if (has_number) {
      put(stored, entry.number);
      put(stored, entry.events);
    }
    if (has_value) put(stored, entry.value);
  }
}

bool read_group(std::string_view stored, RuleGroup *group) {
  *group = {};
  uint8_t form;
  if (!take(&stored, &form) || (form != stored_form && form != stored_series_form) || !take(&stored, &group->due) || !take(&stored, &group->quiet_until) ||
      !is_moment(group->due) || !is_moment(group->quiet_until))
    return false;
  if (group->quiet_until != 0 && !take(&stored, &group->finding)) return false;
  if (form == stored_series_form) {
    if (!take_series(&stored, &group->series)) return false;
    constexpr int64_t longest_step = int64_t{366} * 86400 * 1000000;
    if (group->due < group->series.begin || group->due - group->series.begin >= longest_step) return false;
  }
  while (!stored.empty()) {
    GroupEntry entry{0, 0, 0, 1, 0, {}};
    uint8_t flags;
    if (!take(&stored, &entry.time) || !is_moment(entry.time) || !take(&stored, &entry.sequence) || !take(&stored, &flags)) return false;
    entry.selection = flags & 0x3f;
    if (entry.selection >= max_selections) return false;
    if ((flags & 0x40) != 0 && (!take(&stored, &entry.number) || !take(&stored, &entry.events) || entry.events == 0)) return false;
    if ((flags & 0x80) != 0 && !take(&stored, &entry.value)) return false;
    group->entries.push_back(entry);
  }
  return true;
}

std::string number_text(double number) {
  char text[32];
  auto end = std::to_chars(text, text + sizeof text, number, std::chars_format::general).ptr;
  if (number == std::floor(number) && std::abs(number) < 1e15) end = std::to_chars(text, text + sizeof text, static_cast<int64_t>(number)).ptr;
  return std::string(text, end);
}

std::string sentence_of(const Rule &rule, const RuleVerdict &verdict) { return rule.title + ": " + what_happened(rule, verdict); }

}  // namespace spine
