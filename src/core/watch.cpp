#include "core/watch.h"

#include <algorithm>
#include <new>

namespace spine {

Watch::Held *Watch::hold(const GroupKey &key, uint32_t rule) {
  auto [place, is_new] = groups_.try_emplace(key);
  if (is_new) {
    place->second.rule = rule;
    wanted_.push_back(key);
  }
  return &place->second;
}

Status Watch::note(const Uuid &organization, int64_t sequence, int64_t time, const RuleSet::Plan &plan, const FieldValue *fields) noexcept {
  try {
    hits_.clear();
    if (Status status = rules_.match(plan, fields, &hits_); status != Status::ok) return status;
    for (const RuleHit &hit : hits_) {
      const Rule &rule = rules_.rule(hit.rule);
      Noted noted{organization, sequence, time, hit, nullptr, nullptr};
      if (rule.has_state()) noted.group = hold({organization, hit.group}, hit.rule);
      if (rule.type == RuleType::first_seen) {
        RuleDigest start;
        if (Status status = rules_.rule_digest(hit.rule, &start); status != Status::ok) return status;
        noted.start = hold({organization, start}, hit.rule);
        noted.start->is_start = true;
      }
      noted_.push_back(noted);
    }
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::give(const GroupKey &key, std::string_view stored) noexcept {
  try {
    Held &held = groups_[key];
    held.is_stored = true;
    return read_group(stored, &held.group) ? Status::ok : Status::malformed;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::id_of(const std::string &cause, Uuid *id) {
  Hash hash;
  if (Status status = sha256_.digest(cause, &hash); status != Status::ok) return status;
  std::memcpy(id->data(), hash.data(), id->size());
  (*id)[6] = static_cast<uint8_t>(((*id)[6] & 0x0f) | 0x80);  // version 8: our own
  (*id)[8] = static_cast<uint8_t>(((*id)[8] & 0x3f) | 0x80);
  return Status::ok;
}

// Notes a finding, or that one comes again.
Status Watch::find(const Noted &noted, const RuleDigest &group, RuleGroup *remembered, RuleVerdict &verdict) {
  const Rule &rule = rules_.rule(noted.hit.rule);
  WatchFinding finding{noted.hit.rule, noted.organization, {}, false, noted.time, std::move(verdict)};
  if (remembered != nullptr && remembered->quiet_until != 0 && noted.time <= remembered->quiet_until) {
    finding.is_repeat = true;
    finding.id = remembered->finding;
  } else {
    std::string cause = "finding";
    cause.append(reinterpret_cast<const char *>(noted.organization.data()), noted.organization.size());
    cause.append(reinterpret_cast<const char *>(group.data()), group.size());
    cause += rule.name + '\0' + std::to_string(rule.definition) + '\0' + std::to_string(noted.sequence) + (finding.verdict.is_late ? "late" : "") + (rule.is_series() ? std::to_string(noted.time) : "");
    if (Status status = id_of(cause, &finding.id); status != Status::ok) return status;
    if (remembered != nullptr && rule.suppress > 0) {
      remembered->quiet_until = noted.time + rule.suppress;
      remembered->finding = finding.id;
    }
  }
  findings_.push_back(std::move(finding));
  return Status::ok;
}

Status Watch::decide() noexcept {
  try {
    RuleGroup nothing;
    for (const Noted &noted : noted_) {
      const Rule &rule = rules_.rule(noted.hit.rule);
      int64_t began = noted.time;
      if (noted.start != nullptr) {
        RuleGroup &start = noted.start->group;
        if (start.entries.empty()) {
          start.entries.push_back({noted.time, noted.sequence, 0, 1, 0, {}});
          noted.start->is_changed = true;
        }
        began = start.entries[0].time;
      }
      RuleGroup *group = &nothing;
      if (noted.group != nullptr) {
        group = &noted.group->group;
        noted.group->is_changed = true;
      } else {
        nothing = {};
      }
      RuleVerdict verdict;
      if (noted.group != nullptr)
        if (Status status = end({noted.organization, noted.hit.group}, noted.group, noted.time); status != Status::ok) return status;
      if (Status status = step_group(rule, noted.hit, noted.time, noted.sequence, began, group, &verdict); status != Status::ok) return status;
      if (!verdict.fires) continue;
      if (Status status = find(noted, noted.hit.group, noted.group == nullptr ? nullptr : group, verdict); status != Status::ok) return status;
    }
    noted_.clear();
    wanted_.clear();
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::end_waiting(const GroupKey &key, uint32_t rule, std::string_view stored, int64_t until) noexcept {
  try {
    Held *held = hold(key, rule);
    wanted_.clear();
    held->rule = rule;
    held->is_changed = true;
    if (Status status = give(key, stored); status != Status::ok) return status;
    return held->group.due == 0 ? Status::malformed : end(key, held, until);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::end(const GroupKey &key, Held *held, int64_t until) {
  RuleGroup &group = held->group;
  while (group.due != 0 && group.due < until) {
    held->is_changed = true;
    RuleVerdict verdict;
    Noted late{key.organization, group.entries.empty() ? 0 : group.entries[0].sequence, group.due, {held->rule, 0, key.digest, {}, 0, {}}, held, nullptr};
    if (Status status = spine::end_waiting(rules_.rule(held->rule), &group, &verdict); status != Status::ok) return status;
    if (!verdict.fires) continue;
    if (Status status = find(late, key.digest, &group, verdict); status != Status::ok) return status;
  }
  return Status::ok;
}

Status Watch::end_all_waiting(int64_t moment) noexcept {
  try {
    std::vector<std::pair<const GroupKey, Held> *> late;
    for (auto &group : groups_)
      if (group.second.group.due != 0 && group.second.group.due < moment) late.push_back(&group);
    std::sort(late.begin(), late.end(), [](const auto *a, const auto *b) {
      return std::make_pair(a->second.group.due, a->first.digest) < std::make_pair(b->second.group.due, b->first.digest);
    });
    for (auto *group : late)
      if (Status status = end(group->first, &group->second, moment); status != Status::ok) return status;
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::periodic_key(uint32_t rule, GroupKey *key) noexcept {
  key->organization = {};
  return rules_.rule_digest(rule, &key->digest);
}

Status Watch::look_at(const GroupKey &key, uint32_t rule, int64_t moment) noexcept {
  try {
    Held &held = groups_[key];
    held.rule = rule;
    held.group.due = moment;
    held.is_changed = true;
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::report(uint32_t rule, const Uuid &organization, std::string_view cause, int64_t time, std::string_view told, const int64_t *sequences, size_t count) noexcept {
  try {
    WatchFinding finding{rule, organization, {}, false, time, {}};
    std::string whole = "report";
    whole.append(reinterpret_cast<const char *>(organization.data()), organization.size());
    whole += rules_.rule(rule).name + '\0' + std::to_string(rules_.rule(rule).definition) + '\0';
    whole += cause;
    if (Status status = id_of(whole, &finding.id); status != Status::ok) return status;
    finding.verdict.fires = finding.verdict.is_late = true;
    finding.verdict.first_time = finding.verdict.last_time = time;
    finding.verdict.told = told;
    finding.verdict.sequences.assign(sequences, sequences + count);
    findings_.push_back(std::move(finding));
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status Watch::take_changes(std::vector<ChangedGroup> *changes) noexcept {
  try {
    changes->clear();
    for (auto &[key, held] : groups_) {
      if (!held.is_changed) continue;
      ChangedGroup changed{key, held.rule, !held.is_stored, held.group.is_empty(), held.group.due, INT64_MAX, {}};
      if (!held.is_start) changed.ends = group_end(rules_.rule(held.rule), held.group);
      write_group(held.group, &changed.stored);
      held.is_changed = false;
      held.is_stored = !changed.is_empty;
      if (!changed.is_empty || !changed.is_new) changes->push_back(std::move(changed));
    }
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

}  // namespace spine
