#include "core/evidence.h"

#include <algorithm>
#include <new>

#include "core/chain_check.h"
#include "core/event_name.h"
#include "core/text_lines.h"
#include "core/uuid.h"

namespace spine {

namespace {

constexpr std::string_view erasure_type = "platform.personal.erased";
constexpr std::string_view zero_hash_text = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr const char *no_hash = "the hashes could not be computed";
constexpr size_t hash_digits = 64, salt_digits = 32;

// The content of a string as it stands; what has escapes is none of what is asked for here.
bool is_string(std::string_view value) { return value.size() >= 2 && value[0] == '"'; }
std::string_view inside(std::string_view value) { return value.substr(1, value.size() - 2); }
bool is_object(std::string_view value) { return !value.empty() && value[0] == '{'; }
bool is_array(std::string_view value) { return !value.empty() && value[0] == '['; }

struct HexValues {
  uint8_t of[256] = {};
  constexpr HexValues() {
    for (uint8_t &value : of) value = 0x80;
    for (uint8_t i = 0; i < 16; i++) of[static_cast<uint8_t>(hex_digits[i])] = i;
  }
};
constexpr HexValues hex_values;

// Reads lower-case hex digits of so many bytes.
bool read_hex(std::string_view text, uint8_t *out, size_t bytes) {
  if (text.size() != 2 * bytes) return false;
  uint8_t wrong = 0;
  for (size_t i = 0; i < bytes; i++) {
    uint8_t high = hex_values.of[static_cast<uint8_t>(text[2 * i])], low = hex_values.of[static_cast<uint8_t>(text[2 * i + 1])];
    wrong |= high | low;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return (wrong & 0x80) == 0;
}

bool is_hex_string(std::string_view value, size_t digits) {
  if (value.size() != digits + 2 || value[0] != '"') return false;
  uint8_t wrong = 0;
  for (char c : inside(value)) wrong |= hex_values.of[static_cast<uint8_t>(c)];
  return (wrong & 0x80) == 0;
}

bool is_uuid_string(std::string_view value) {
  if (value.size() != 38 || value[0] != '"') return false;
  uint8_t wrong = 0;
  for (size_t i = 0; i < 36; i++) {
    char c = value[i + 1];
    if (i == 8 || i == 13 || i == 18 || i == 23) wrong |= c == '-' ? 0 : 0x80;
    else wrong |= hex_values.of[static_cast<uint8_t>(c)];
  }
  return (wrong & 0x80) == 0;
}

bool is_time_string(std::string_view value) {
  constexpr std::string_view shape = "\"0000-00-00T00:00:00.000000Z\"";
  if (value.size() != shape.size()) return false;
  bool right = true;
  for (size_t i = 0; i < shape.size(); i++)
    right &= shape[i] == '0' ? value[i] >= '0' && value[i] <= '9' : value[i] == shape[i];
  return right;
}

bool read_hash(std::string_view value, Hash *hash) {
  return is_string(value) && read_hex(inside(value), hash->data(), hash->size());
}

// Reads an array of hashes, at most so many, one behind the other.
bool read_hashes(std::string_view array, uint8_t *out, size_t most, size_t *count) {
  constexpr size_t width = hash_digits + 3;  // quotes and a comma
  *count = 0;
  if (!is_array(array)) return false;
  std::string_view rest = array_elements(array);
  if (rest.empty()) return true;
  if ((rest.size() + 1) % width != 0 || (rest.size() + 1) / width > most) return false;
  for (*count = 0; *count < (rest.size() + 1) / width; ++*count) {
    std::string_view hash = rest.substr(*count * width, width - 1);
    if (!is_string(hash) || !read_hex(inside(hash), out + *count * sizeof(Hash), sizeof(Hash))) return false;
  }
  return true;
}

bool read_proof(std::string_view array, Proof *proof) {
  return read_hashes(array, proof->hashes[0].data(), EvidenceVerifier::max_proof, &proof->count);
}

// Reads the compact range [begin, end), which asks for a certain number of hashes.
bool read_range(std::string_view array, uint64_t begin, uint64_t end, CompactRange *range) {
  uint8_t bytes[CompactRange::max_bytes];
  for (size_t i = 0; i < 8; i++) {
    bytes[i] = static_cast<uint8_t>(begin >> (8 * (7 - i)));
    bytes[8 + i] = static_cast<uint8_t>(end >> (8 * (7 - i)));
  }
  size_t count;
  return read_hashes(array, bytes + 16, CompactRange::max_hashes, &count) && range->read({bytes, 16 + count * sizeof(Hash)});
}

const char *why_no_proof(ProofStatus status) {
  switch (status) {
    case ProofStatus::ok: break;
    case ProofStatus::size_out_of_range: return "the tree has no leaves";
    case ProofStatus::index_out_of_range: return "the tree has no leaf of that index";
    case ProofStatus::wrong_length: return "the proof has another number of hashes than index and size ask for";
    case ProofStatus::wrong_root: return "the proof leads to another root";
    case ProofStatus::hash_not_found:
    case ProofStatus::hashing_failed: return no_hash;
  }
  return nullptr;
}

// The members of an event object that are looked at; the readers' order is this one.
enum Field : size_t {
  action, domain, entity_type, event_hash, event_type, format, id, organization_id, payload, payload_hash, payload_salt,
  personal, personal_hash, personal_salt, previous_hash, sequence, timestamp, field_count
};
constexpr std::string_view field_names[field_count] = {
    "action",       "domain",   "entity_type",   "event_hash",    "event_type",    "format",   "id",       "organization_id", "payload",
    "payload_hash", "payload_salt", "personal", "personal_hash", "personal_salt", "previous_hash", "sequence", "timestamp"};

// Is it shown beside the document, and no part of it.
bool is_beside(std::string_view name) {
  return name == field_names[event_hash] || name == field_names[payload] || name == field_names[payload_salt] ||
         name == field_names[personal] || name == field_names[personal_salt];
}

void add(PartCounts *to, const PartCounts &more) {
  to->shown += more.shown;
  to->erased += more.erased;
  to->withheld += more.withheld;
}

}  // namespace

void EventCounts::add(const EventCounts &other) {
  events += other.events;
  proved += other.proved;
  unproved += other.unproved;
  refuted += other.refuted;
  links += other.links;
  spine::add(&payload, other.payload);
  spine::add(&personal, other.personal);
}

// The values of those members; empty where a member is missing.
struct EvidenceVerifier::Fields {
  std::string_view of[field_count];
  uint64_t number = 0;  // the sequence
};

void EvidenceVerifier::fail(EvidenceFault fault, const char *why, uint64_t number) {
  has_failed_ = true;
  std::string_view organization = in_chain_ ? chain_.organization : std::string_view();
  listener_->failure({fault, why, lines_, organization, number});
}

void EvidenceVerifier::refute(EvidenceEvent *event, EvidenceFault fault, const char *why) {
  event->sound = false;
  fail(fault, why, event->sequence);
}

bool EvidenceVerifier::stop(EvidenceFault fault, const char *why) {
  fail(fault, why);
  close();
  return false;
}

// Settles what is open; nothing more is read.
void EvidenceVerifier::close() {
  settle(false);
  end_chain();
  next_ = Next::nothing;
}

bool EvidenceVerifier::line(std::string_view text) noexcept {
  lines_++;
  try {
    return read_line(text);
  } catch (const std::bad_alloc &) {
    return stop(EvidenceFault::failed, "there is no memory for the line");
  }
}

void EvidenceVerifier::finish(std::string_view rest) noexcept {
  if (next_ == Next::nothing) {
    // The end line was read, or something that failed.
    if (!has_failed_ && !rest.empty()) {
      lines_++;
      fail(EvidenceFault::line_unexpected, "something follows the end line");
    }
    return;
  }
  if (!rest.empty()) lines_++;
  if (rest.size() >= max_line)
    stop(EvidenceFault::line_too_long, "the line is longer than 16 MiB");
  else if (!rest.empty())
    stop(EvidenceFault::truncated, "the last line has no line feed");
  else if (next_ != Next::plain)
    stop(EvidenceFault::truncated, "there is no end line");
  else
    close();
}

// Whether the line's object has this member and no other.
bool EvidenceVerifier::is_only(std::string_view name) const { return reader_.count(1) == 1 && reader_.members(1)[0].name == name; }

bool EvidenceVerifier::are_members(unsigned level, std::initializer_list<std::string_view> names) const {
  if (reader_.count(level) != names.size()) return false;
  const JsonMember *member = reader_.members(level);
  return std::all_of(names.begin(), names.end(), [&](std::string_view name) { return (member++)->name == name; });
}

bool EvidenceVerifier::read_line(std::string_view text) {
  if (next_ == Next::nothing) {
    if (!has_failed_) fail(EvidenceFault::line_unexpected, "something follows the end line");
    return false;
  }
  if (text.size() + 1 > max_line) return stop(EvidenceFault::line_too_long, "the line is longer than 16 MiB");
  constexpr std::string_view header_begins = "{\"evidence\":";
  bool is_plain = next_ == Next::plain || (next_ == Next::header && text.substr(0, header_begins.size()) != header_begins);
  const char *why = reader_.read(text, is_plain ? 1 : 2);
  if (why != nullptr) return stop(EvidenceFault::line_malformed, why);
  if (is_plain) return read_plain();

  switch (next_) {
    case Next::header: return read_header();
    case Next::checkpoint: return read_checkpoint();
    case Next::directory: return read_directory();
    case Next::event_of_stretch:
      if (is_only("event") && is_object(value(1, 0))) return read_event(2, {});
      return stop(EvidenceFault::line_unexpected, "an event of the stretch must stand here");
    case Next::chain:
    case Next::event:
      if (is_only("chain")) return read_chain();
      if (is_only("end")) return read_end();
      if (next_ == Next::event && is_only("stretch")) return read_stretch();
      if (next_ == Next::event && are_members(1, {"event", "proof"}) && is_object(value(1, 0)) && is_array(value(1, 1)))
        return read_event(2, value(1, 1));
      return stop(EvidenceFault::line_unexpected, next_ == Next::chain ? "a chain or the end must stand here"
                                                                       : "a stretch, an event with its proof, a chain or the end must stand here");
    case Next::plain:
    case Next::nothing: break;
  }
  return false;
}

bool EvidenceVerifier::read_header() {
  std::string_view format_value;
  if (!is_only("evidence") || !is_object(value(1, 0))) return stop(EvidenceFault::line_unexpected, "the header has other members than evidence");
  for (size_t i = 0; i < reader_.count(2); i++) {
    const JsonMember &member = reader_.members(2)[i];
    if (member.name == "format") format_value = member.value;
    if (member.name != "organization_id") continue;
    if (!is_uuid_string(member.value)) return stop(EvidenceFault::line_unexpected, "the header's organization is no uuid in lower case");
    has_organization_ = true;
    std::memcpy(header_organization_.data(), inside(member.value).data(), header_organization_.size());
  }
  if (format_value != "1") return stop(EvidenceFault::format_unknown, "the bundle is of another format than 1");
  kind_ = EvidenceKind::bundle;
  next_ = Next::checkpoint;
  return true;
}

bool EvidenceVerifier::read_checkpoint() {
  if (!is_only("checkpoint") || !is_string(value(1, 0))) return stop(EvidenceFault::line_unexpected, "the checkpoint must stand here");
  next_ = Next::directory;
  append_unescaped(note_, value(1, 0));
  if (policy_ == nullptr) {
    fail(EvidenceFault::checkpoint_untrusted, "there is no policy");
    return true;
  }
  signed_by_.resize(policy_->key_count());
  const char *why = open_checkpoint(note_.view(), policy_->keys(), policy_->key_count(), signed_by_.data(), &checkpoint_);
  if (why != nullptr) {
    fail(EvidenceFault::checkpoint_untrusted, why);
  } else if (!policy_->quorum_reached(signed_by_.data())) {
    fail(EvidenceFault::quorum_missing, "the witnesses that the policy asks for did not sign the checkpoint");
  } else {
    trusted_ = true;
  }
  return true;
}

bool EvidenceVerifier::read_directory() {
  if (!is_only("directory") || !are_members(2, {"entry", "index", "proof"}))
    return stop(EvidenceFault::line_unexpected, "the directory, with entry, index and proof, must stand here");
  uint64_t index;
  Proof proof;
  if (!is_string(value(2, 0)) || !parse_decimal(value(2, 1), &index) || !read_proof(value(2, 2), &proof))
    return stop(EvidenceFault::line_unexpected, "the directory's entry, index or proof is not of its form");
  next_ = Next::chain;
  append_unescaped(entry_text_, value(2, 0));
  const char *why = parse_directory_entry(entry_text_.view(), &entry_);
  if (why == nullptr && entry_.number - 1 != index) why = "the entry's number is not that of its index";
  if (why != nullptr) {
    entry_ = {};
    fail(EvidenceFault::entry_malformed, why);
    return true;
  }
  if (!trusted_) return true;
  Hash hash;
  why = hasher_.leaf(entry_text_.view(), &hash) != Status::ok
            ? no_hash
            : why_no_proof(verify_inclusion(hasher_, index, checkpoint_.size, hash, checkpoint_.root, proof));
  if (why != nullptr) fail(EvidenceFault::entry_not_in_log, why);
  entry_holds_ = why == nullptr;
  return true;
}

bool EvidenceVerifier::read_chain() {
  if (!are_members(2, {"head_hash", "index", "organization_id", "proof", "root", "size"}))
    return stop(EvidenceFault::line_unexpected, "the chain has other members than head_hash, index, organization_id, proof, root and size");
  ChainLeaf leaf;
  uint64_t index;
  Proof proof;
  if (!read_hash(value(2, 0), &leaf.head_hash) || !parse_decimal(value(2, 1), &index) || !is_uuid_string(value(2, 2)) ||
      !read_proof(value(2, 3), &proof) || !read_hash(value(2, 4), &leaf.root) || !parse_decimal(value(2, 5), &leaf.size) || leaf.size == 0)
    return stop(EvidenceFault::line_unexpected, "a member of the chain is not of its form");
  std::string_view organization = inside(value(2, 2));
  (void)parse_uuid(organization, &leaf.organization);
  if (had_chain_ && (index <= chain_index_ || leaf.organization <= leaf_.organization))
    return stop(EvidenceFault::line_unexpected, "the chains do not rise in index and organization");
  if (has_organization_ && organization != std::string_view(header_organization_.data(), header_organization_.size()))
    return stop(EvidenceFault::line_unexpected, "the chain is of another organization than the header says");
  end_chain();
  leaf_ = leaf;
  chain_index_ = index;
  begin_chain(organization);
  chain_.size = leaf.size;
  next_ = Next::event;
  if (!entry_holds_) return true;

  Buffer text;
  Hash hash;
  const char *why;
  if (append_chain_leaf(leaf, &text) != Status::ok || hasher_.leaf(text.view(), &hash) != Status::ok)
    why = no_hash;
  else
    why = why_no_proof(verify_inclusion(hasher_, index, entry_.chains, hash, entry_.chains_root, proof));
  if (why != nullptr) fail(EvidenceFault::chain_not_in_directory, why);
  chain_holds_ = why == nullptr;
  return true;
}

bool EvidenceVerifier::read_stretch() {
  uint64_t first, last;
  if (!are_members(2, {"after", "before", "first", "last"}))
    return stop(EvidenceFault::line_unexpected, "the stretch has other members than after, before, first and last");
  if (!parse_decimal(value(2, 2), &first) || !parse_decimal(value(2, 3), &last) || first < 1 || first > last || last > leaf_.size)
    return stop(EvidenceFault::line_unexpected, "the stretch is not one of the chain's");
  if (first <= chain_.last) return stop(EvidenceFault::line_unexpected, "the events of the chain do not rise in sequence");
  if (!read_range(value(2, 1), 0, first - 1, &range_) || !read_range(value(2, 0), last, leaf_.size, &after_))
    return stop(EvidenceFault::line_unexpected, "before or after has not the hashes that the leaves beside the stretch ask for");
  stretch_last_ = last;
  next_ = Next::event_of_stretch;
  return true;
}

bool EvidenceVerifier::read_end() {
  uint64_t events;
  if (!are_members(2, {"events"}) || !parse_decimal(value(2, 0), &events))
    return stop(EvidenceFault::line_unexpected, "the end does not say how many events there are");
  end_chain();
  next_ = Next::nothing;
  if (events != total_.events) fail(EvidenceFault::count_wrong, "the end line counts another number of events");
  return true;
}

bool EvidenceVerifier::read_plain() {
  Fields fields;
  if (next_ == Next::header && find_fields(1, &fields) != nullptr)
    return stop(EvidenceFault::line_unexpected, "the first line is neither the header of a bundle nor an event");
  next_ = Next::plain;
  kind_ = EvidenceKind::plain_export;
  return read_event(1, {});
}

// Null, or what the event object lacks.
const char *EvidenceVerifier::find_fields(unsigned level, Fields *fields) const {
  size_t field = 0;
  for (size_t i = 0; i < reader_.count(level) && field < field_count; i++) {
    const JsonMember &member = reader_.members(level)[i];
    while (field < field_count && field_names[field] < member.name) field++;
    if (field < field_count && field_names[field] == member.name) fields->of[field++] = member.value;
  }
  const std::string_view *of = fields->of;
  if (!is_string(of[action]) || !is_string(of[domain]) || !is_string(of[entity_type]) || !is_string(of[event_type]))
    return "the event's action, domain, entity_type or event_type is no string";
  if (!is_uuid_string(of[id]) || !is_uuid_string(of[organization_id])) return "the event's id or organization_id is no uuid in lower case";
  if (!is_time_string(of[timestamp])) return "the event's timestamp is not one such as 2026-01-19T09:30:00.000000Z";
  if (!parse_decimal(of[sequence], &fields->number) || fields->number == 0)
    return "the event's sequence is not a number from 1 to 9223372036854775807";
  for (Field hash : {event_hash, payload_hash, previous_hash, personal_hash})
    if (!is_hex_string(of[hash], hash_digits) && !(hash == personal_hash && of[hash].empty()))
      return "a hash of the event is missing, or is not 64 lower-case hex digits";
  if (of[payload].empty() != of[payload_salt].empty() || of[personal].empty() != of[personal_salt].empty())
    return "the event has a part without its salt, or a salt without its part";
  if (!of[personal].empty() && of[personal_hash].empty()) return "the event shows a personal part that its document does not have";
  for (Field salt : {payload_salt, personal_salt})
    if (!of[salt].empty() && !is_hex_string(of[salt], salt_digits)) return "a salt of the event is not 32 lower-case hex digits";
  return nullptr;
}

// Null, or why the event cannot stand here.
const char *EvidenceVerifier::check_place(const Fields &fields) {
  std::string_view organization = inside(fields.of[organization_id]);
  if (next_ == Next::plain) {
    if (in_chain_ && organization == chain_.organization)
      return fields.number <= chain_.last ? "the events are not sorted by organization and sequence, or one stands there twice" : nullptr;
    Uuid uuid;
    (void)parse_uuid(organization, &uuid);
    if (had_chain_ && uuid <= leaf_.organization) return "the events are not sorted by organization and sequence";
    end_chain();
    begin_chain(organization);
    leaf_.organization = uuid;
    return nullptr;
  }
  if (organization != chain_.organization) return "the event is of another organization than the chain";
  if (next_ == Next::event_of_stretch)
    return fields.number != range_.end() + 1 ? "the event's sequence is not the next one of the stretch" : nullptr;
  if (fields.number > leaf_.size) return "the event's sequence is beyond the chain's size";
  return fields.number <= chain_.last ? "the events of the chain do not rise in sequence" : nullptr;
}

bool EvidenceVerifier::read_event(unsigned level, std::string_view proof_value) {
  Fields fields;
  const char *why = find_fields(level, &fields);
  if (why == nullptr && !fields.of[format].empty()) return stop(EvidenceFault::format_unknown, "the event is of a later format");
  Proof proof;
  if (why == nullptr && next_ == Next::event && !read_proof(proof_value, &proof)) why = "the event's proof is not of its form";
  if (why == nullptr) why = check_place(fields);
  if (why != nullptr) return stop(EvidenceFault::line_unexpected, why);

  EvidenceEvent event;
  event.organization = chain_.organization;
  event.id = inside(fields.of[id]);
  event.event_type = inside(fields.of[event_type]);
  event.timestamp = inside(fields.of[timestamp]);
  event.sequence = fields.number;
  append_document(level);
  check_content(fields, &event);
  check_links(fields, &event);

  bool holds = false;
  Hash hash;
  if (next_ != Next::plain) {
    (void)read_hash(fields.of[event_hash], &hash);
    if (hasher_.leaf(hash, &hash) != Status::ok) return stop(EvidenceFault::failed, no_hash);
  }
  if (next_ == Next::event) {
    why = why_no_proof(verify_inclusion(hasher_, event.sequence - 1, leaf_.size, hash, leaf_.root, proof));
    if (why != nullptr) refute(&event, EvidenceFault::event_not_in_chain, why);
    holds = why == nullptr;
  } else if (next_ == Next::event_of_stretch && range_.append(hasher_, hash) != Status::ok) {
    return stop(EvidenceFault::failed, no_hash);
  }

  ++(event.sound ? waiting_sound_ : waiting_refuted_);
  chain_.counts.events++;
  remember_hidden(event);
  if (event.sound && event.event_type == erasure_type && event.payload == PartShown::shown) read_erasure(fields.of[payload], event.sequence);
  listener_->event(event);
  if (next_ != Next::event_of_stretch)
    settle(holds);
  else if (event.sequence == stretch_last_)
    end_stretch();
  return true;
}

// Puts together what is left of the event object without what stands beside the document.
void EvidenceVerifier::append_document(unsigned level) {
  document_.clear();
  const JsonMember *member = reader_.members(level), *end = member + reader_.count(level);
  char separator = '{';
  while (member < end) {
    if (is_beside(member->name)) {
      member++;
      continue;
    }
    const char *begin = member->begin();
    while (member + 1 < end && !is_beside(member[1].name)) member++;
    document_.append(separator);
    document_.append({begin, static_cast<size_t>(member->end() - begin)});
    separator = ',';
    member++;
  }
  document_.append('}');
}

void EvidenceVerifier::check_content(const Fields &fields, EvidenceEvent *event) {
  EventName parts{inside(fields.of[domain]), inside(fields.of[entity_type]), inside(fields.of[action])};
  if (!is_name_part(parts.domain) || !is_name_part(parts.entity_type) || !is_name_part(parts.action) || !parts_join_to(parts, event->event_type))
    refute(event, EvidenceFault::event_malformed, "domain, entity_type and action do not join to event_type");
  check_hash({}, document_.view(), fields.of[event_hash], event, EvidenceFault::content_altered, "the document does not give event_hash");
  event->payload = check_part(fields.of[payload], fields.of[payload_salt], fields.of[payload_hash], event);
  event->personal = check_part(fields.of[personal], fields.of[personal_salt], fields.of[personal_hash], event);
}

PartShown EvidenceVerifier::check_part(std::string_view part, std::string_view salt, std::string_view hash_value, EvidenceEvent *event) {
  if (hash_value.empty()) return PartShown::never_was;
  if (part.empty()) return PartShown::hidden;
  uint8_t bytes[salt_digits / 2];
  (void)read_hex(inside(salt), bytes, sizeof bytes);
  check_hash({reinterpret_cast<const char *>(bytes), sizeof bytes}, part, hash_value, event, EvidenceFault::part_altered,
             "a part and its salt do not give the hash that the document has");
  return PartShown::shown;
}

// Whether SHA-256 of salt and text is what the string says.
void EvidenceVerifier::check_hash(std::string_view salt, std::string_view text, std::string_view hash_value, EvidenceEvent *event,
                                  EvidenceFault fault, const char *why) {
  Hash hash;
  if (sha256_.digest(salt, text, &hash) != Status::ok) return refute(event, EvidenceFault::failed, no_hash);
  char digits[hash_digits];
  (void)write_hex(digits, {hash.data(), hash.size()});
  if (inside(hash_value) != std::string_view(digits, sizeof digits)) refute(event, fault, why);
}

// Compares the event with the one before it in the chain, and with the chain's end.
void EvidenceVerifier::check_links(const Fields &fields, EvidenceEvent *event) {
  std::string_view previous = inside(fields.of[previous_hash]);
  bool follows = event->sequence == chain_.last + 1;  // the first event follows none
  if (follows) {
    std::string_view expected = event->sequence == 1 ? zero_hash_text : std::string_view(last_hash_.data(), last_hash_.size());
    if (previous == expected)
      chain_.counts.links++;
    else
      refute(event, EvidenceFault::link_broken, "previous_hash is not that of the event before");
  }
  if (chain_.last != 0 && event->timestamp < std::string_view(last_timestamp_.data(), last_timestamp_.size()))
    refute(event, EvidenceFault::order_violated, "the timestamp is before that of an earlier event");
  else
    std::memcpy(last_timestamp_.data(), event->timestamp.data(), last_timestamp_.size());
  std::memcpy(last_hash_.data(), inside(fields.of[event_hash]).data(), last_hash_.size());
  if (chain_.first == 0) chain_.first = event->sequence;
  chain_.last = event->sequence;
  if (next_ == Next::plain || event->sequence != leaf_.size) return;
  char digits[hash_digits];
  (void)write_hex(digits, {leaf_.head_hash.data(), leaf_.head_hash.size()});
  if (std::memcmp(digits, last_hash_.data(), sizeof digits) != 0)
    refute(event, EvidenceFault::head_differs, "the chain's last event is not its head_hash");
}

void EvidenceVerifier::end_stretch() {
  next_ = Next::event;
  Hash root;
  bool done = range_.append(hasher_, after_) == Status::ok && range_.root(hasher_, &root) == Status::ok;
  bool holds = done && root == leaf_.root;
  if (!holds) fail(EvidenceFault::stretch_not_in_chain, "the events of the stretch do not give the chain's root");
  settle(holds);
}

// The events that wait are what they are. holds: they are in the tree that the chain's line tells of.
void EvidenceVerifier::settle(bool holds) {
  uint64_t events = waiting_sound_ + waiting_refuted_;
  if (events > 0) {
    bool proved = holds && chain_holds_ && entry_holds_ && trusted_;
    (proved ? chain_.counts.proved : chain_.counts.unproved) += waiting_sound_;
    chain_.counts.refuted += waiting_refuted_;
    listener_->settled(events, proved);
    if (proved || next_ == Next::plain) {
      erased_.payload.insert(erased_.payload.end(), unsettled_.payload.begin(), unsettled_.payload.end());
      erased_.personal.insert(erased_.personal.end(), unsettled_.personal.begin(), unsettled_.personal.end());
    }
  }
  waiting_sound_ = waiting_refuted_ = 0;
  unsettled_.payload.clear();
  unsettled_.personal.clear();
}

void EvidenceVerifier::begin_chain(std::string_view organization) {
  std::memcpy(organization_text_.data(), organization.data(), organization_text_.size());
  chain_ = {};
  chain_.organization = {organization_text_.data(), organization_text_.size()};
  in_chain_ = had_chain_ = true;
  chain_holds_ = false;
}

void EvidenceVerifier::end_chain() {
  if (!in_chain_) return;
  std::sort(erased_.payload.begin(), erased_.payload.end());
  std::sort(erased_.personal.begin(), erased_.personal.end());
  auto names = [](const std::vector<uint64_t> &sorted, size_t *at, uint64_t number) {
    while (*at < sorted.size() && sorted[*at] < number) ++*at;
    return *at < sorted.size() && sorted[*at] == number;
  };
  size_t in_payload = 0, in_personal = 0;
  uint64_t number = 0;
  for (const uint8_t *p = hidden_.data(), *end = p + hidden_.size(); p < end;) {
    uint64_t more = *p >> 2 & 0x1f;
    unsigned parts = *p & 3;
    for (unsigned shift = 5; *p++ & 0x80; shift += 7) more |= uint64_t{*p & 0x7fu} << shift;
    number += more;
    bool of_payload = parts & 1 && names(erased_.payload, &in_payload, number);
    bool of_personal = parts & 2 && names(erased_.personal, &in_personal, number);
    chain_.counts.payload.erased += of_payload;
    chain_.counts.personal.erased += of_personal;
    if (of_payload || of_personal) listener_->erased(number, of_payload, of_personal);
  }
  chain_.counts.payload.withheld -= chain_.counts.payload.erased;
  chain_.counts.personal.withheld -= chain_.counts.personal.erased;
  listener_->chain(chain_);
  total_.add(chain_.counts);
  in_chain_ = false;
  hidden_.clear();
  last_hidden_ = 0;
  erased_.payload.clear();
  erased_.personal.clear();
}

// One byte for most: bits 0 and 1 say which parts, bits 2 to 6 and seven of each further byte how far it is from the last
// one, the highest bit whether a further byte follows.
void EvidenceVerifier::remember_hidden(const EvidenceEvent &event) {
  PartCounts &payloads = chain_.counts.payload, &personals = chain_.counts.personal;
  payloads.shown += event.payload == PartShown::shown;
  personals.shown += event.personal == PartShown::shown;
  bool of_payload = event.payload == PartShown::hidden, of_personal = event.personal == PartShown::hidden;
  payloads.withheld += of_payload;
  personals.withheld += of_personal;
  if (!of_payload && !of_personal) return;
  if (hidden_.size() >= max_hidden) {
    chain_.parts_forgotten = true;
    return;
  }
  uint64_t more = event.sequence - last_hidden_;
  last_hidden_ = event.sequence;
  unsigned byte = (of_payload ? 1 : 0) | (of_personal ? 2 : 0) | static_cast<unsigned>(more & 0x1f) << 2;
  for (more >>= 5; more != 0; more >>= 7) {
    hidden_.push_back(static_cast<uint8_t>(byte | 0x80));
    byte = static_cast<unsigned>(more & 0x7f);
  }
  hidden_.push_back(static_cast<uint8_t>(byte));
}

// Notes which parts of events before it the payload of an erasure event names. What is not of that form names none.
void EvidenceVerifier::read_erasure(std::string_view payload_value, uint64_t erased_by) {
  if (inner_.read(payload_value, 1) != nullptr) return;
  std::string_view lists;
  for (size_t i = 0; i < inner_.count(1); i++)
    if (inner_.members(1)[i].name == "erased") lists = inner_.members(1)[i].value;
  if (lists.empty() || inner_.read(lists, 1) != nullptr) return;
  std::string_view of_payload, of_personal;
  for (size_t i = 0; i < inner_.count(1); i++) {
    const JsonMember &member = inner_.members(1)[i];
    if (member.name == "payload") of_payload = member.value;
    if (member.name == "personal") of_personal = member.value;
  }
  add_erased(of_payload, erased_by, &unsettled_.payload);
  add_erased(of_personal, erased_by, &unsettled_.personal);
}

void EvidenceVerifier::add_erased(std::string_view list, uint64_t erased_by, std::vector<uint64_t> *sequences) {
  if (!is_array(list)) return;
  std::string_view elements = array_elements(list), element;
  while (take_element(&elements, &element)) {
    if (inner_.read(element, 1) != nullptr) continue;
    for (size_t i = 0; i < inner_.count(1); i++) {
      uint64_t number;
      if (inner_.members(1)[i].name != "sequence" || !parse_decimal(inner_.members(1)[i].value, &number) || number >= erased_by) continue;
      if (erased_.size() + unsettled_.size() >= max_erased)
        chain_.parts_forgotten = true;
      else
        sequences->push_back(number);
    }
  }
}

}  // namespace spine
