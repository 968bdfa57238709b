// Rules at work on events in order: which groups they touch, what those remember, what is found. Where the groups are stored
// between two runs is the caller's matter.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/rule_window.h"

namespace spine {

struct GroupKey {
  Uuid organization;
  RuleDigest digest;

  bool operator==(const GroupKey &other) const { return organization == other.organization && digest == other.digest; }
};

struct WatchFinding {
  uint32_t rule;
  Uuid organization;
  Uuid id;         // the same whenever the same events are judged by the same definition
  bool is_repeat;  // of the finding with that id, within the time in which it is told once
  int64_t time;    // of the event that made it, or when what was awaited was due
  RuleVerdict verdict;
};

// A group as it is to be stored.
struct ChangedGroup {
  GroupKey key;
  uint32_t rule;
  bool is_new;
  bool is_empty;  // it is to be removed
  int64_t due;    // 0: nothing is awaited
  int64_t ends;   // INT64_MAX: never
  std::string stored;
};

class Watch {
 public:
  RuleSet &rules() { return rules_; }

  // Matches an event, and notes what it touches. Events of an organization come in order. ok, out_of_memory, crypto_failed.
  Status note(const Uuid &organization, int64_t sequence, int64_t time, const RuleSet::Plan &plan, const FieldValue *fields) noexcept;
  // The groups of the noted events that were not given and not touched before.
  const std::vector<GroupKey> &wanted() const { return wanted_; }
  // One that is stored. ok, out_of_memory, malformed.
  Status give(const GroupKey &key, std::string_view stored) noexcept;
  // Decides about the noted events. ok, out_of_memory, crypto_failed.
  Status decide() noexcept;

  // All that a stored group of a rule awaited before that moment did not come, and the steps of a series that end before it ended.
  // ok, out_of_memory, malformed, crypto_failed.
  Status end_waiting(const GroupKey &key, uint32_t rule, std::string_view stored, int64_t until) noexcept;

  // The same of all groups at hand, in the order in which they were due. ok, out_of_memory, crypto_failed.
  Status end_all_waiting(int64_t moment) noexcept;

  // For rules that are looked at now and then, whose state is the platform's: where it is.
  // ok, out_of_memory, crypto_failed.
  Status periodic_key(uint32_t rule, GroupKey *key) noexcept;
  // Has one be looked at from a moment on. ok, out_of_memory.
  Status look_at(const GroupKey &key, uint32_t rule, int64_t moment) noexcept;
  // One was looked at, and found something, of a cause that tells it from what it finds elsewhere. ok, out_of_memory, crypto_failed.
  Status report(uint32_t rule, const Uuid &organization, std::string_view cause, int64_t time, std::string_view told, const int64_t *sequences, size_t count) noexcept;
  // What was reported last was raised before.
  void note_repeat() { findings_.back().is_repeat = true; }

  const std::vector<WatchFinding> &findings() const { return findings_; }
  void forget_findings() { findings_.clear(); }

  // What changed since the last call. ok, out_of_memory.
  Status take_changes(std::vector<ChangedGroup> *changes) noexcept;
  // Gives all groups back; what changed and was not taken is lost.
  void forget_groups() { groups_.clear(); }

 private:
  struct KeyHash {
    size_t operator()(const GroupKey &key) const {
      size_t hash;
      std::memcpy(&hash, key.digest.data(), sizeof hash);
      size_t organization;
      std::memcpy(&organization, key.organization.data() + 8, sizeof organization);
      return hash ^ organization;
    }
  };
  struct Held {
    RuleGroup group;
    uint32_t rule = 0;
    bool is_start = false;  // of the rule in the organization
    bool is_stored = false;
    bool is_changed = false;
  };
  struct Noted {
    Uuid organization;
    int64_t sequence;
    int64_t time;
    RuleHit hit;
    Held *group;  // null: the rule remembers nothing
    Held *start;  // of first_seen
  };

  Held *hold(const GroupKey &key, uint32_t rule);
  Status end(const GroupKey &key, Held *held, int64_t until);
  Status find(const Noted &noted, const RuleDigest &group, RuleGroup *remembered, RuleVerdict &verdict);
  Status id_of(const std::string &cause, Uuid *id);

  RuleSet rules_;
  std::unordered_map<GroupKey, Held, KeyHash> groups_;
  std::vector<GroupKey> wanted_;
  std::vector<Noted> noted_;
  std::vector<RuleHit> hits_;
  std::vector<WatchFinding> findings_;
  Sha256 sha256_;
};

}  // namespace spine
