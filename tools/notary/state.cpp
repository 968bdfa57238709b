#include "notary/state.h"

#include <unistd.h>

#include <algorithm>

#include "core/checkpoint.h"
#include "core/text_lines.h"
#include "notary/encoding.h"
#include "notary/failure.h"
#include "notary/files.h"

namespace spine {

namespace {

constexpr std::string_view state_title = "spine-notary state v1\n", history_title = "spine-notary chains v1\n";
constexpr std::string_view history_suffix = ".chains";
constexpr size_t max_file = size_t{4} << 30;
constexpr int entry_lines = 6, leaf_lines = 4;

void require(Status status) {
  if (status != Status::ok) throw Failure(Exit::unavailable, "hashing or writing a record failed");
}

void append_leaf(Buffer &out, const Uuid &organization, const Chain &chain) {
  require(append_chain_leaf({organization, chain.size, chain.root, chain.head_hash}, &out));
}

// Takes so many lines off text, newlines included. False: there are not so many.
bool take_lines(std::string_view *text, int count, std::string_view *lines) {
  size_t end = 0;
  for (; count > 0; count--) {
    end = text->find('\n', end);
    if (end == std::string_view::npos) return false;
    end++;
  }
  *lines = text->substr(0, end);
  text->remove_prefix(end);
  return true;
}

bool take_title(std::string_view *text, std::string_view title) {
  bool there = text->substr(0, title.size()) == title;
  if (there) text->remove_prefix(title.size());
  return there;
}

[[noreturn]] void throw_damaged(const std::string &path, const char *why) {
  throw Failure(Exit::usage, path + " is damaged: " + why,
                "put the newest note that was signed into a new state directory: spine-notary init --adopt NOTE");
}

std::string text_of_state(const State &state) {
  Buffer out;
  uint8_t range[CompactRange::max_bytes];
  size_t size = state.log.write(range);
  out.append(state_title);
  out.append(state.origin);
  out.append('\n');
  append_decimal(out, state.wal);
  out.append('\n');
  append_base64(out, {range, size});
  out.append('\n');
  out.append(state.entry);
  for (const auto &[organization, chain] : state.chains) append_leaf(out, organization, chain);
  return std::string(out.view());
}

// Null, or what is wrong. What a state says of the log and the chains must lead to the roots that it says.
const char *parse_state(std::string_view text, State *state) {
  std::string_view origin, wal, range, lines;
  if (!take_title(&text, state_title) || !take_line(&text, &origin) || !take_line(&text, &wal) ||
      !take_line(&text, &range))
    return "it does not begin as a state does";
  state->origin = origin;
  std::vector<uint8_t> bytes(base64_bytes(range));
  if (!parse_decimal(wal, &state->wal) || !is_base64(range) || !read_base64(range, bytes.data()) ||
      !state->log.read({bytes.data(), bytes.size()}) || state->log.begin() != 0)
    return "its WAL position or its compact range is none";
  TreeHasher hasher;
  require(state->log.root(hasher, &state->root));
  state->number = state->log.end();
  if (state->number == 0) return text.empty() ? nullptr : "it has chains, and yet nothing was signed";
  DirectoryEntry entry;
  if (!take_lines(&text, entry_lines, &lines)) return "it has no entry";
  state->entry = lines;
  if (parse_directory_entry(state->entry, &entry) != nullptr || entry.number != state->number)
    return "its entry is not that of its number";
  while (!text.empty()) {
    ChainLeaf leaf;
    if (!take_lines(&text, leaf_lines, &lines) || parse_chain_leaf(lines, &leaf) != nullptr)
      return "a chain is malformed";
    Chain chain{leaf.size, leaf.root, leaf.head_hash, {}};
    require(hasher.leaf(lines, &chain.leaf_hash));
    state->chains.emplace_hint(state->chains.end(), leaf.organization, chain);
  }
  if (state->chains.size() != entry.chains || tree_of_chains(hasher, state->chains) != entry.chains_root)
    return "its chains are not those of its entry";
  return nullptr;
}

std::string history_name(uint64_t number) { return std::to_string(number) + std::string(history_suffix); }

}  // namespace

Hash leaf_hash_of(TreeHasher &hasher, const Uuid &organization, const Chain &chain) {
  Buffer text;
  Hash hash;
  append_leaf(text, organization, chain);
  require(hasher.leaf(text.view(), &hash));
  return hash;
}

Hash tree_of_chains(TreeHasher &hasher, const Chains &chains) {
  CompactRange range;
  Hash root;
  for (const auto &[organization, chain] : chains) require(range.append(hasher, chain.leaf_hash));
  require(range.root(hasher, &root));
  return root;
}

DirectoryEntry State::read_entry() const {
  DirectoryEntry read;
  const char *why = parse_directory_entry(entry, &read);
  if (why != nullptr) throw Failure(Exit::usage, "the state's entry: " + std::string(why));
  return read;
}

std::string State::checkpoint_text() const {
  Buffer out;
  Checkpoint checkpoint;
  checkpoint.origin = origin;
  checkpoint.size = number;
  checkpoint.root = root;
  require(append_checkpoint(checkpoint, &out));
  return std::string(out.view());
}

std::optional<State> read_state(const std::string &directory, const std::string &origin) {
  std::string path = directory + "/state";
  std::optional<std::string> text = read_file(path, max_file);
  if (!text) return std::nullopt;
  State state;
  const char *why = parse_state(*text, &state);
  if (why != nullptr) throw_damaged(path, why);
  if (state.origin != origin)
    throw Failure(Exit::usage, path + " is of the origin " + state.origin + ", not of " + origin,
                  "an origin has a state directory of its own");
  return state;
}

void write_state(const std::string &directory, const State &state, const std::vector<Uuid> &changed) {
  Buffer history;
  history.append(history_title);
  append_base64(history, {state.root.data(), state.root.size()});
  history.append('\n');
  history.append(state.entry);
  for (const Uuid &organization : changed) append_leaf(history, organization, state.chains.at(organization));
  write_file(directory, history_name(state.number), history.view());
  write_file(directory, "state", text_of_state(state));
}

void drop_unsigned_history(const std::string &directory, uint64_t number) {
  History history(directory);
  for (uint64_t n : history.numbers())
    if (n > number && unlink((directory + "/" + history_name(n)).c_str()) != 0)
      throw_of_errno("removing", directory + "/" + history_name(n));
}

std::string note_name(uint64_t number) { return std::to_string(number) + ".checkpoint"; }

History::History(std::string directory) : directory_(std::move(directory)) {
  for (const std::string &name : names_in(directory_, history_suffix)) {
    uint64_t number;
    if (parse_decimal(name, &number) && number > 0) numbers_.push_back(number);
  }
  std::sort(numbers_.begin(), numbers_.end());
}

HistoryEntry History::read(uint64_t number) const {
  std::string path = directory_ + "/" + history_name(number);
  std::optional<std::string> text = read_file(path, max_file);
  HistoryEntry read;
  DirectoryEntry entry;
  std::string_view rest = text ? std::string_view(*text) : std::string_view(), root, lines;
  if (!take_title(&rest, history_title) || !take_line(&rest, &root) || !read_base64(root, &read.root) ||
      !take_lines(&rest, entry_lines, &lines) || parse_directory_entry(lines, &entry) != nullptr ||
      entry.number != number)
    throw_damaged(path, "it does not begin as what changed with a checkpoint does");
  read.number = number;
  read.taken_at = entry.taken_at;
  while (!rest.empty()) {
    ChainLeaf leaf;
    if (!take_lines(&rest, leaf_lines, &lines) || parse_chain_leaf(lines, &leaf) != nullptr)
      throw_damaged(path, "a chain is malformed");
    read.changed.push_back(leaf);
  }
  return read;
}

}  // namespace spine
