#include "core/event.h"

#include <charconv>
#include <cstring>
#include <new>

#include "core/uuid.h"

namespace spine {

namespace {

// Writes the document's members in the order that it is called in, which must be the canonical one. A column that is
// NULL has none.
class Members {
 public:
  Members(const Event &event, Buffer &out) : event_(event), out_(out) {}

  template <Column column>
  void text(std::string_view value) {
    if (!event_.has(column)) return;
    out_.commit(begin<column>(0));
    append_json_string(out_, value);
  }
  template <Column column>
  void uuid(const Uuid &value) {
    if (!event_.has(column)) return;
    char *to = begin<column>(38);
    *to++ = '"';
    to = write_uuid(to, value);
    *to++ = '"';
    out_.commit(to);
  }
  template <Column column>
  void hex(Bytes value) {
    if (event_.has(column)) hash<column>(value);
  }
  // Notes where the digits begin.
  template <Column column>
  void part(Bytes hashed, size_t *digits_at) {
    if (hashed.data == nullptr) return;
    hash<column>(hashed);
    *digits_at = out_.size() - 1 - 2 * hashed.size;
  }
  template <Column column>
  Status json(Bytes stored, JsonCanonicalizer *canonicalizer) {
    out_.commit(begin<column>(0));
    return canonicalizer->append(stored, {SIZE_MAX, SIZE_MAX, false}, out_);
  }
  template <Column column>
  void timestamp(int64_t value) {
    if (!event_.has(column)) return;
    char *to = begin<column>(42);
    *to++ = '"';
    to = write_timestamp(to, value);
    *to++ = '"';
    out_.commit(to);
  }
  template <Column column>
  void number(int64_t value) {
    if (!event_.has(column)) return;
    char *to = begin<column>(20);
    out_.commit(std::to_chars(to, to + 20, value).ptr);
  }
  template <Column column>
  void decimal_string(uint64_t value) {
    if (!event_.has(column)) return;
    char *to = begin<column>(22);
    *to++ = '"';
    to = std::to_chars(to, to + 20, value).ptr;
    *to++ = '"';
    out_.commit(to);
  }
  void end() { out_.append(separator_ == '{' ? "{}" : "}"); }

 private:
  template <Column column>
  void hash(Bytes value) {
    char *to = begin<column>(2 * value.size + 2);
    *to++ = '"';
    to = write_hex(to, value);
    *to++ = '"';
    out_.commit(to);
  }

  // Writes what precedes a value of so many bytes; returns where that goes. The columns' names need no escape.
  template <Column column>
  char *begin(size_t size) {
    constexpr std::string_view name = column_names[static_cast<int>(column)];
    char *to = out_.reserve(name.size() + 4 + size);
    *to++ = separator_;
    separator_ = ',';
    *to++ = '"';
    std::memcpy(to, name.data(), name.size());
    to += name.size();
    *to++ = '"';
    *to++ = ':';
    return to;
  }

  const Event &event_;
  Buffer &out_;
  char separator_ = '{';
};

// What stands beside the members that are hashed.
struct Shown {
  JsonCanonicalizer *canonicalizer;
  bool payload;
  bool personal;
};

// Where in the document the digits of the parts' hashes begin, where there are some.
struct PartPlaces {
  size_t payload;
  size_t personal;
};

// shown: null for the document that is hashed. ok, or malformed.
Status write_document(const Event &e, const PartHashes &parts, const Shown *shown, Buffer &out, PartPlaces *places) {
  Members members(e, out);
  Status status = Status::ok;
  bool payload = shown != nullptr && shown->payload && e.has(Column::payload);
  bool personal = shown != nullptr && shown->personal && e.has(Column::personal);
  members.text<Column::action>(e.action);
  members.uuid<Column::actor_id>(e.actor_id);
  members.text<Column::actor_type>(e.actor_type);
  members.uuid<Column::causation_id>(e.causation_id);
  members.uuid<Column::correlation_id>(e.correlation_id);
  members.text<Column::domain>(e.domain);
  members.uuid<Column::entity_id>(e.entity_id);
  members.text<Column::entity_type>(e.entity_type);
  members.text<Column::environment>(e.environment);
  if (shown != nullptr) members.hex<Column::event_hash>(e.event_hash);
  members.text<Column::event_type>(e.event_type);
  members.uuid<Column::id>(e.id);
  members.timestamp<Column::occurred_at>(e.occurred_at);
  members.uuid<Column::organization_id>(e.organization_id);
  if (payload) status = members.json<Column::payload>(e.payload, shown->canonicalizer);
  members.part<Column::payload_hash>(parts.payload, &places->payload);
  if (payload) members.hex<Column::payload_salt>(e.payload_salt);
  if (personal && status == Status::ok) status = members.json<Column::personal>(e.personal, shown->canonicalizer);
  members.part<Column::personal_hash>(parts.personal, &places->personal);
  if (personal) members.hex<Column::personal_salt>(e.personal_salt);
  members.hex<Column::previous_hash>(e.previous_hash);
  members.text<Column::recorded_by>(e.recorded_by);
  members.number<Column::sequence>(e.sequence);
  members.text<Column::severity>(e.severity);
  members.timestamp<Column::timestamp>(e.timestamp);
  members.decimal_string<Column::transaction_id>(e.transaction_id);
  members.end();
  return status;
}

}  // namespace

char *write_timestamp(char *out, int64_t unix_microseconds) noexcept {
  constexpr int64_t day = int64_t{86400} * 1000000;
  int64_t days = unix_microseconds / day;
  int64_t rest = unix_microseconds % day;
  if (rest < 0) {
    rest += day;
    days--;
  }
  // Days to a proleptic Gregorian date, in eras of 400 years that begin on 1 March.
  int64_t z = days + 719468;
  int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  unsigned day_of_era = static_cast<unsigned>(z - era * 146097);
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned shifted_month = (5 * day_of_year + 2) / 153;
  unsigned day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  int64_t year = static_cast<int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0);
  if (year >= 0 && year <= 9999)
    out = write_pair(write_pair(out, static_cast<unsigned>(year) / 100), static_cast<unsigned>(year) % 100);
  else
    out = std::to_chars(out, out + 20, year).ptr;
  *out++ = '-';
  out = write_pair(out, month);
  *out++ = '-';
  out = write_pair(out, day_of_month);
  *out++ = 'T';
  unsigned seconds = static_cast<unsigned>(rest / 1000000);
  out = write_pair(out, seconds / 3600);
  *out++ = ':';
  out = write_pair(out, seconds / 60 % 60);
  *out++ = ':';
  out = write_pair(out, seconds % 60);
  *out++ = '.';
  unsigned microseconds = static_cast<unsigned>(rest % 1000000);
  out = write_pair(out, microseconds / 10000);
  out = write_pair(out, microseconds / 100 % 100);
  out = write_pair(out, microseconds % 100);
  *out++ = 'Z';
  return out;
}

std::unique_ptr<Hasher> Hasher::create() noexcept { return std::unique_ptr<Hasher>(new (std::nothrow) Hasher()); }

Status Hasher::canonical_json(Bytes stored, const JsonLimits &limits, std::string_view *canonical) noexcept {
  json_.clear();
  Status status = canonicalizer_.append(stored, limits, json_);
  *canonical = json_.view();
  return status;
}

Status Hasher::part_hash(Bytes salt, std::string_view canonical, Hash *hash) noexcept {
  return sha256_.digest({reinterpret_cast<const char *>(salt.data), salt.size}, canonical, hash);
}

Status Hasher::hash_part(bool is_there, Bytes stored, Bytes salt, bool is_erased, Bytes erased, Hash *room, Bytes *hash) noexcept {
  if (!is_there) {
    if (is_erased) *hash = erased;
    return Status::ok;
  }
  // Whatever is stored: the limits are those of emission.
  std::string_view canonical;
  Status status = canonical_json(stored, {SIZE_MAX, SIZE_MAX, false}, &canonical);
  if (status == Status::ok) status = part_hash(salt, canonical, room);
  *hash = {room->data(), room->size()};
  return status;
}

Status Hasher::hash_parts(const Event &event, PartHashes *parts) noexcept {
  *parts = {};
  Status status = hash_part(event.has(Column::payload), event.payload, event.has(Column::payload_salt) ? event.payload_salt : Bytes{},
                            event.has(Column::payload_hash), event.payload_hash, &payload_hash_, &parts->payload);
  if (status != Status::ok) return status;
  return hash_part(event.has(Column::personal), event.personal, event.has(Column::personal_salt) ? event.personal_salt : Bytes{},
                   event.has(Column::personal_hash), event.personal_hash, &personal_hash_, &parts->personal);
}

Status Hasher::document(const Event &event, const PartHashes &parts, std::string_view *document) noexcept {
  document_.clear();
  PartPlaces places;
  try {
    (void)write_document(event, parts, nullptr, document_, &places);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  *document = document_.view();
  return Status::ok;
}

Status Hasher::shown_document(const Event &event, const PartHashes &parts, bool payload, bool personal, std::string_view *document) noexcept {
  document_.clear();
  Shown shown{&canonicalizer_, payload, personal};
  Status status;
  PartPlaces places;
  try {
    status = write_document(event, parts, &shown, document_, &places);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  *document = document_.view();
  return status;
}

Status Hasher::digest(const Event &event, const PartHashes &parts, Hash *hash) noexcept {
  std::string_view text;
  Status status = document(event, parts, &text);
  if (status == Status::ok) status = sha256_.digest(text, hash);
  document_.clear();
  json_.clear();
  return status;
}

void EventBatch::end_message(Message *message) {
  message->size = text_.size() - message->at;
  text_.commit(write_padding(text_.reserve(padding_of(message->size)), message->size));
}

// Gives the document zeros in place of the hash that is not known yet. message: left alone where there is nothing to hash.
Status EventBatch::add_part(bool is_there, Bytes stored, Bytes salt, bool is_erased, Bytes erased, Bytes *hash, Message *message) {
  static constexpr Hash unknown{};
  if (!is_there) {
    if (is_erased) *hash = erased;
    return Status::ok;
  }
  message->at = text_.size();
  text_.append({reinterpret_cast<const char *>(salt.data), salt.size});
  Status status = canonicalizer_.append(stored, {SIZE_MAX, SIZE_MAX, false}, text_);
  end_message(message);
  *hash = {unknown.data(), unknown.size()};
  return status;
}

Status EventBatch::add(const Event &event) noexcept {
  size_t before = text_.size();
  constexpr Message none{SIZE_MAX, 0};
  Message payload = none, personal = none, document;
  PartPlaces places;
  Status status;
  try {
    PartHashes parts;
    status = add_part(event.has(Column::payload), event.payload, event.has(Column::payload_salt) ? event.payload_salt : Bytes{},
                      event.has(Column::payload_hash), event.payload_hash, &parts.payload, &payload);
    if (status == Status::ok)
      status = add_part(event.has(Column::personal), event.personal, event.has(Column::personal_salt) ? event.personal_salt : Bytes{},
                        event.has(Column::personal_hash), event.personal_hash, &parts.personal, &personal);
    if (status == Status::ok) {
      document.at = text_.size();
      (void)write_document(event, parts, nullptr, text_, &places);
      end_message(&document);
    }
  } catch (const std::bad_alloc &) {
    status = Status::out_of_memory;
  }
  if (status != Status::ok) {
    text_.commit(text_.data() + before);
    return status;
  }
  if (payload.at != none.at) parts_[part_count_++] = {payload, places.payload};
  if (personal.at != none.at) parts_[part_count_++] = {personal, places.personal};
  documents_[count_++] = document;
  return Status::ok;
}

Status EventBatch::digest(const Hash **hashes) noexcept {
  PaddedMessage messages[2 * most];
  char *text = text_.data();
  auto padded = [&](const Message &message, Hash *hash) {
    return PaddedMessage{reinterpret_cast<const uint8_t *>(text) + message.at, message.size, hash};
  };
  for (int i = 0; i < part_count_; i++) messages[i] = padded(parts_[i].message, &hashes_[i]);
  Status status = sha256_.digest_all(messages, part_count_);
  for (int i = 0; i < part_count_; i++) (void)write_hex(text + parts_[i].hash_at, {hashes_[i].data(), hashes_[i].size()});
  for (int i = 0; i < count_; i++) messages[i] = padded(documents_[i], &hashes_[i]);
  if (status == Status::ok) status = sha256_.digest_all(messages, count_);
  *hashes = hashes_;
  text_.clear();
  part_count_ = count_ = 0;
  return status;
}

}  // namespace spine
