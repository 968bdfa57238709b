#include "core/policy.h"

#include <algorithm>
#include <new>

#include "core/base64.h"
#include "core/text_lines.h"

namespace spine {

namespace {

constexpr std::string_view blank = " \t";

// Takes the first item off a line; empty where there is none.
std::string_view take_item(std::string_view *line) {
  size_t begin = line->find_first_not_of(blank);
  if (begin == std::string_view::npos) {
    *line = {};
    return {};
  }
  size_t end = line->find_first_of(blank, begin);
  std::string_view item = line->substr(begin, end == std::string_view::npos ? end : end - begin);
  line->remove_prefix(end == std::string_view::npos ? line->size() : end);
  return item;
}

bool is_allowed(char c) {
  uint8_t byte = static_cast<uint8_t>(c);
  return byte == '\t' || byte == '\n' || (byte >= 0x20 && byte != 0x7f);
}

constexpr uint8_t type_of_log = static_cast<uint8_t>(SignatureType::ed25519);
constexpr uint8_t type_of_witness = static_cast<uint8_t>(SignatureType::cosignature);

}  // namespace

const char *Policy::parse(std::string_view text, size_t *line) noexcept {
  *line = 0;
  keys_.clear();
  log_keys_.clear();
  witness_keys_.clear();
  signers_.clear();
  has_quorum_ = false;
  quorum_ = nullptr;
  if (text.size() > max_size) return "the policy is longer than 1 MiB";
  if (!std::all_of(text.begin(), text.end(), is_allowed)) return "the policy holds a control character";
  try {
    signers_.reserve(2 * max_definitions);  // quorum_ points into it
    std::string_view one;
    while (!text.empty()) {
      ++*line;
      if (!take_line(&text, &one)) return "the last line does not end with a line feed";
      const char *why = read_line(one);
      if (why != nullptr) return why;
    }
  } catch (const std::bad_alloc &) {
    return "there is no memory for the policy";
  }
  *line = 0;
  if (log_keys_.empty()) return "the policy names no log";
  if (!has_quorum_) return "the policy has no quorum line";
  return nullptr;
}

const char *Policy::read_line(std::string_view line) {
  std::string_view rest = line, word = take_item(&rest);
  if (word.empty() || word[0] == '#') return nullptr;
  if (word == "log") return read_log(rest);
  if (word == "witness") return read_witness(rest);
  if (word == "group") return read_group(rest);
  if (word == "quorum") return read_quorum(rest);
  return "the line begins with none of log, witness, group, quorum";
}

const char *Policy::read_log(std::string_view rest) {
  std::string_view key = take_item(&rest);
  take_item(&rest);  // a URL, which nothing here needs
  if (!take_item(&rest).empty()) return "a log has a key, perhaps a URL, and nothing else";
  size_t index;
  return read_key(key, SignatureType::ed25519, &log_keys_, &index);
}

const char *Policy::read_witness(std::string_view rest) {
  Signer witness{};
  witness.name = take_item(&rest);
  std::string_view key = take_item(&rest);
  take_item(&rest);
  if (!take_item(&rest).empty()) return "a witness has a name, a key, perhaps a URL, and nothing else";
  const char *why = check_new_name(witness.name);
  if (why == nullptr) why = read_key(key, SignatureType::cosignature, &witness_keys_, &witness.key);
  if (why == nullptr) signers_.push_back(std::move(witness));
  return why;
}

const char *Policy::read_group(std::string_view rest) {
  Signer group{};
  group.name = take_item(&rest);
  std::string_view threshold = take_item(&rest), name;
  const char *why = check_new_name(group.name);
  if (why != nullptr) return why;
  if (std::count_if(signers_.begin(), signers_.end(), [](const Signer &s) { return s.is_group; }) == max_definitions)
    return "the policy has more than 1024 groups";
  while (!(name = take_item(&rest)).empty()) {
    Signer *member = find(name);
    if (member == nullptr) return "a member of the group is no witness and no group of a line before";
    if (member->is_member) return "a member of the group is a member of a group already";
    member->is_member = true;
    group.members.push_back(static_cast<size_t>(member - signers_.data()));
  }
  if (group.members.empty()) return "the group has no members";
  if (threshold == "any")
    group.threshold = 1;
  else if (threshold == "all")
    group.threshold = group.members.size();
  else if (!parse_decimal(threshold, &group.threshold) || group.threshold < 1 || group.threshold > group.members.size())
    return "how many of the group must sign is neither any nor all nor a number from 1 to as many as it has";
  group.is_group = true;
  signers_.push_back(std::move(group));
  return nullptr;
}

const char *Policy::read_quorum(std::string_view rest) {
  std::string_view name = take_item(&rest);
  if (name.empty() || !take_item(&rest).empty()) return "a quorum line has one name";
  if (has_quorum_) return "the policy has a second quorum line";
  has_quorum_ = true;
  if (name == "none") return nullptr;
  quorum_ = find(name);
  return quorum_ == nullptr ? "the quorum is no witness and no group of a line before" : nullptr;
}

// key: its place among those that count.
const char *Policy::read_key(std::string_view text, SignatureType type, std::vector<std::string_view> *known, size_t *key) {
  size_t first = text.find('+');
  size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return "a key has three parts, joined by plus signs";
  std::string_view name = text.substr(0, first), id = text.substr(first + 1, second - first - 1);
  std::string_view base64 = text.substr(second + 1);
  if (base64.empty() || !is_base64(base64)) return "the key's last part is not base64";
  if (std::find(known->begin(), known->end(), base64) != known->end()) return "the same key stands in a line before";
  if (known->size() == max_definitions) return "the policy has more than 1024 logs, or more than 1024 witnesses";
  uint8_t beginning[3];
  (void)read_base64(base64.substr(0, 4), beginning);
  if (beginning[0] == type_of_log || beginning[0] == type_of_witness) {
    VerifierKey read;
    const char *why = parse_verifier_key(text, &read);
    if (why != nullptr) return why;
    if (read.type != type)
      return type == SignatureType::ed25519 ? "the key is a witness's, for cosignatures; a log has another"
                                            : "the key is a log's; a witness has one for cosignatures";
    *key = keys_.size();
    keys_.push_back(read);
  } else {
    // How such a key's id follows from it is not known here.
    if (!is_key_name(name)) return "the key's name is empty, not UTF-8, or holds a space or a control character";
    if (id.size() != 8 || id.find_first_not_of(hex_digits) != std::string_view::npos)
      return "the key's id is not 8 lower-case hex digits";
    *key = no_key;
  }
  known->push_back(base64);
  return nullptr;
}

const char *Policy::check_new_name(std::string_view name) const {
  if (name.empty()) return "a witness or group has no name";
  if (name == "none") return "no witness and no group can be called none";
  bool taken = std::any_of(signers_.begin(), signers_.end(), [&](const Signer &s) { return s.name == name; });
  return taken ? "the name stands in a line before" : nullptr;
}

Policy::Signer *Policy::find(std::string_view name) {
  auto found = std::find_if(signers_.begin(), signers_.end(), [&](const Signer &s) { return s.name == name; });
  return found == signers_.end() ? nullptr : &*found;
}

bool Policy::quorum_reached(const SignedBy *by) noexcept {
  if (quorum_ == nullptr) return has_quorum_;
  // A group stands behind its members.
  for (Signer &signer : signers_) {
    if (!signer.is_group) {
      signer.has_signed = signer.key != no_key && by[signer.key].verified;
      continue;
    }
    uint64_t signed_by = 0;
    for (size_t member : signer.members) signed_by += signers_[member].has_signed ? 1 : 0;
    signer.has_signed = signed_by >= signer.threshold;
  }
  return quorum_->has_signed;
}

}  // namespace spine
