#include "notary/refusal.h"

#include <algorithm>
#include <map>

#include "notary/encoding.h"

namespace spine {

namespace {

constexpr size_t most_examined = 10000, most_told = 100;

struct Kept {
  uint64_t number = 0, size = 0;
  Hash root{};
};

// The history of chosen chains, and of the log.
struct Past {
  std::map<Uuid, std::vector<Kept>> chains;
  std::map<uint64_t, std::string> taken_at;
  std::vector<uint64_t> numbers;
};

// A name for a time that may not be known, for its file was moved away.
std::string time_of(const Past &past, uint64_t number) {
  auto found = past.taken_at.find(number);
  return found == past.taken_at.end() ? "an unknown time" : found->second;
}

// The newest of the signed checkpoints that the database's log agrees with; 0: none. A log that agrees at one size
// agrees below it.
uint64_t common_number(const History &history, const State &state, Database &database) {
  auto agrees = [&database](uint64_t number, const Hash &root) {
    std::optional<Hash> theirs = database.log_root(number);
    return theirs && *theirs == root;
  };
  if (agrees(state.number, state.root)) return state.number;
  const std::vector<uint64_t> &numbers = history.numbers();
  auto first_other = std::partition_point(numbers.begin(), numbers.end(), [&](uint64_t number) {
    return agrees(number, history.read(number).root);
  });
  return first_other == numbers.begin() ? 0 : *(first_other - 1);
}

// The chains to look at: those that are suspected, those that changed behind the common checkpoint, then others.
Past past_of(const History &history, const State &state, uint64_t common, const std::set<Uuid> &suspects) {
  Past past;
  past.numbers = history.numbers();
  auto choose = [&past](const Uuid &organization) {
    if (past.chains.size() < most_examined) past.chains[organization];
  };
  for (const Uuid &organization : suspects)
    if (state.chains.count(organization) > 0) choose(organization);
  std::vector<HistoryEntry> entries;
  for (uint64_t number : past.numbers) {
    HistoryEntry entry = history.read(number);
    past.taken_at[number] = entry.taken_at;
    if (number > common)
      for (const ChainLeaf &leaf : entry.changed) choose(leaf.organization);
  }
  for (const auto &[organization, chain] : state.chains) choose(organization);
  for (uint64_t number : past.numbers)
    for (const ChainLeaf &leaf : history.read(number).changed)
      if (auto found = past.chains.find(leaf.organization); found != past.chains.end())
        found->second.push_back({number, leaf.size, leaf.root});
  return past;
}

ChainView view_of(const Uuid &organization, const std::vector<Kept> &kept, Database &database) {
  ChainView view;
  for (const Kept &one : kept) view.kept.emplace_back(one.number, one.size);
  auto agrees = [&](const Kept &one) {
    std::optional<Hash> theirs = database.tree_root(organization, one.size);
    return theirs && *theirs == one.root;
  };
  if (kept.empty() || agrees(kept.back())) {
    view.agreed = kept.size();
    return view;
  }
  view.agreed = static_cast<size_t>(std::partition_point(kept.begin(), kept.end(), agrees) - kept.begin());
  view.size = database.events(organization);
  return view;
}

void tell_chain(const Uuid &organization, const ChainView &view, const Past &past, const Messages &messages) {
  auto [signed_number, signed_size] = view.kept.back();
  std::string of = "organization " + text_of(organization) + ": " + std::to_string(signed_size) +
                   " events were signed with checkpoint " + std::to_string(signed_number) + ", " +
                   (view.size == 0 ? std::string("none is") : std::to_string(view.size) + " are") + " there";
  Message message(chain_state_names[static_cast<size_t>(state_of(view))],
                  view.agreed == 0
                      ? of + "; it agrees with no checkpoint"
                      : of + "; it agrees with its " + std::to_string(view.kept[view.agreed - 1].second) +
                            " events of checkpoint " + std::to_string(view.kept[view.agreed - 1].first) + ", taken " +
                            time_of(past, view.kept[view.agreed - 1].first));
  message.add("organization_id", text_of(organization))
      .add("signed_size", signed_size)
      .add("signed_number", signed_number)
      .add("size", view.size);
  if (view.agreed > 0)
    message.add("agreed_size", view.kept[view.agreed - 1].second)
        .add("agreed_number", view.kept[view.agreed - 1].first)
        .add("agreed_at", time_of(past, view.kept[view.agreed - 1].first));
  messages.say(message);
}

// A database that was never under a checkpoint has no incarnation. Where it has organizations that were signed, it is
// taken for an older copy.
bool is_same_incarnation(const State &state, const Identity &identity, Database &database) {
  if (identity.incarnation == state.read_entry().incarnation) return true;
  if (identity.incarnation != nil_uuid) return false;
  size_t asked = 0;
  for (const auto &[organization, chain] : state.chains) {
    if (organization == nil_uuid) continue;  // every database has the platform's own chain
    if (asked++ == most_told) break;
    if (database.events(organization) > 0) return true;
  }
  return false;
}

Circumstances circumstances_of(const State &state, const Identity &identity, Database &database) {
  Circumstances seen;
  DirectoryEntry entry = state.read_entry();
  seen.same_incarnation = is_same_incarnation(state, identity, database);
  seen.same_system = identity.system_identifier == std::to_string(entry.system_identifier);
  seen.kept_timeline = entry.timeline;
  seen.timeline = identity.timeline;
  seen.kept_wal = state.wal;
  seen.wal = identity.wal;
  seen.kept_number = state.number;
  seen.kept_taken_at = entry.taken_at;
  seen.server_started = identity.server_started;
  return seen;
}

}  // namespace

void refuse(const std::string &directory, const State &state, const Identity &identity,
            const std::set<Uuid> &suspects, Database &database, const Messages &messages) {
  History history(directory);
  Circumstances seen = circumstances_of(state, identity, database);
  uint64_t lost = 0, disagreeing = 0;
  std::string agreed_at;
  if (seen.same_incarnation) {
    seen.common = common_number(history, state, database);
    Past past = past_of(history, state, seen.common, suspects);
    auto next = std::upper_bound(past.numbers.begin(), past.numbers.end(), seen.common);
    seen.next_kept = next == past.numbers.end() ? 0 : *next;
    DirectoryEntry entry;
    std::string text = seen.next_kept == 0 ? std::string() : database.log_entry(seen.next_kept);
    if (!text.empty() && parse_directory_entry(text, &entry) == nullptr) seen.other_taken_at = entry.taken_at;
    if (seen.common > 0) agreed_at = time_of(past, seen.common);
    for (const auto &[organization, kept] : past.chains) {
      ChainView view = view_of(organization, kept, database);
      seen.chains.push_back(view);
      if (state_of(view) == ChainState::agrees) continue;
      if (++disagreeing <= most_told) tell_chain(organization, view, past, messages);
      if (view.kept.back().second > view.size) lost += view.kept.back().second - view.size;
    }
  }
  Diagnosis diagnosis = diagnose(seen);
  Message message("refused", std::string("not signed; it looks like ") + diagnosis.looks_like + ": " +
                                 diagnosis.reason);
  message.add("looks_like", diagnosis.looks_like)
      .add("exit_code", static_cast<uint64_t>(diagnosis.code))
      .add("signed_number", state.number)
      .add("signed_at", seen.kept_taken_at)
      .add("agreed_number", seen.common)
      .add("agreed_at", agreed_at)
      .add("chains_examined", seen.chains.size())
      .add("chains_disagreeing", disagreeing)
      .add("events_missing", lost)
      .add("timeline", seen.timeline)
      .add("signed_timeline", seen.kept_timeline)
      .add("system_identifier", identity.system_identifier)
      .add("signed_system_identifier", std::to_string(state.read_entry().system_identifier))
      .add("wal", seen.wal)
      .add("signed_wal", seen.kept_wal)
      .add("server_started", seen.server_started)
      .add("last_replayed", identity.replayed);
  messages.say(message);
  throw Failure(diagnosis.code, std::string("looks like ") + diagnosis.looks_like, diagnosis.hint);
}

}  // namespace spine
