#include "core/event.h"

#include <charconv>
#include <cstring>
#include <new>

#include "core/uuid.h"

namespace spine {

namespace {

char *write_digits(char *out, unsigned value, int width) {
  for (int i = width - 1; i >= 0; i--) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return out + width;
}

// Writes the members of one object in the order that it is called in, which must be the canonical one.
class Members {
 public:
  explicit Members(Buffer &out) : out_(out) { out_.append('{'); }

  void text(std::string_view name, std::string_view value) {
    begin(name);
    append_json_string(out_, value);
  }
  void uuid(std::string_view name, const Uuid &value) {
    begin(name);
    char *to = out_.reserve(38);
    *to++ = '"';
    to = write_uuid(to, value);
    *to++ = '"';
    out_.commit(to);
  }
  void hex(std::string_view name, Bytes value) {
    begin(name);
    char *to = out_.reserve(2 * value.size + 2);
    *to++ = '"';
    to = write_hex(to, value);
    *to++ = '"';
    out_.commit(to);
  }
  void timestamp(std::string_view name, int64_t value) {
    begin(name);
    char *to = out_.reserve(42);
    *to++ = '"';
    to = write_timestamp(to, value);
    *to++ = '"';
    out_.commit(to);
  }
  void number(std::string_view name, int64_t value) {
    begin(name);
    char *to = out_.reserve(20);
    out_.commit(std::to_chars(to, to + 20, value).ptr);
  }
  void decimal_string(std::string_view name, uint64_t value) {
    begin(name);
    char *to = out_.reserve(22);
    *to++ = '"';
    to = std::to_chars(to, to + 20, value).ptr;
    *to++ = '"';
    out_.commit(to);
  }
  void canonical(std::string_view name, std::string_view json) {
    begin(name);
    out_.append(json);
  }
  void end() { out_.append('}'); }

 private:
  // The columns' names need no escape.
  void begin(std::string_view name) {
    char *to = out_.reserve(name.size() + 4);
    if (!first_) *to++ = ',';
    first_ = false;
    *to++ = '"';
    std::memcpy(to, name.data(), name.size());
    to += name.size();
    *to++ = '"';
    *to++ = ':';
    out_.commit(to);
  }

  Buffer &out_;
  bool first_ = true;
};

void write_document(const Event &e, std::string_view payload, Buffer &out) {
  Members members(out);
  if (e.has(Column::action)) members.text("action", e.action);
  if (e.has(Column::actor_id)) members.uuid("actor_id", e.actor_id);
  if (e.has(Column::actor_type)) members.text("actor_type", e.actor_type);
  if (e.has(Column::domain)) members.text("domain", e.domain);
  if (e.has(Column::entity_id)) members.uuid("entity_id", e.entity_id);
  if (e.has(Column::entity_type)) members.text("entity_type", e.entity_type);
  if (e.has(Column::environment)) members.text("environment", e.environment);
  if (e.has(Column::event_type)) members.text("event_type", e.event_type);
  if (e.has(Column::id)) members.uuid("id", e.id);
  if (e.has(Column::organization_id)) members.uuid("organization_id", e.organization_id);
  if (e.has(Column::payload)) members.canonical("payload", payload);
  if (e.has(Column::previous_hash)) members.hex("previous_hash", e.previous_hash);
  if (e.has(Column::recorded_by)) members.text("recorded_by", e.recorded_by);
  if (e.has(Column::sequence)) members.number("sequence", e.sequence);
  if (e.has(Column::severity)) members.text("severity", e.severity);
  if (e.has(Column::timestamp)) members.timestamp("timestamp", e.timestamp);
  if (e.has(Column::transaction_id)) members.decimal_string("transaction_id", e.transaction_id);
  members.end();
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
    out = write_digits(out, static_cast<unsigned>(year), 4);
  else
    out = std::to_chars(out, out + 20, year).ptr;
  *out++ = '-';
  out = write_digits(out, month, 2);
  *out++ = '-';
  out = write_digits(out, day_of_month, 2);
  *out++ = 'T';
  unsigned seconds = static_cast<unsigned>(rest / 1000000);
  out = write_digits(out, seconds / 3600, 2);
  *out++ = ':';
  out = write_digits(out, seconds / 60 % 60, 2);
  *out++ = ':';
  out = write_digits(out, seconds % 60, 2);
  *out++ = '.';
  out = write_digits(out, static_cast<unsigned>(rest % 1000000), 6);
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

Status Hasher::document(const Event &event, std::string_view payload, std::string_view *document) noexcept {
  document_.clear();
  try {
    write_document(event, payload, document_);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  *document = document_.view();
  return Status::ok;
}

Status Hasher::digest(const Event &event, std::string_view payload, Hash *hash) noexcept {
  std::string_view text;
  Status status = document(event, payload, &text);
  return status == Status::ok ? sha256_.digest(text, hash) : status;
}

}  // namespace spine
