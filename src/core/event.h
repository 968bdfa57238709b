// An event, its document and its hash: docs/hash.md is the specification.
#pragma once

#include <memory>

#include "core/buffer.h"
#include "core/bytes.h"
#include "core/canonical_json.h"
#include "core/sha256.h"

namespace spine {

// The columns of spine.events, in the table's order.
enum class Column : uint8_t {
  id,
  event_type,
  domain,
  entity_type,
  entity_id,
  action,
  actor_id,
  actor_type,
  organization_id,
  environment,
  timestamp,
  severity,
  payload,
  sequence,
  transaction_id,
  recorded_by,
  previous_hash,
  event_hash,
  payload_salt,
  payload_hash,
  personal,
  personal_salt,
  personal_hash,
  occurred_at,
  correlation_id,
  causation_id,
};
inline constexpr int column_count = 26;
inline constexpr const char *column_names[column_count] = {
    "id",          "event_type",     "domain",       "entity_type",   "entity_id",     "action",     "actor_id",
    "actor_type",  "organization_id", "environment", "timestamp",     "severity",      "payload",    "sequence",
    "transaction_id", "recorded_by", "previous_hash", "event_hash",   "payload_salt",  "payload_hash", "personal",
    "personal_salt", "personal_hash", "occurred_at", "correlation_id", "causation_id"};

constexpr uint32_t bit(Column column) { return uint32_t{1} << static_cast<int>(column); }
inline constexpr uint32_t all_columns = (uint32_t{1} << column_count) - 1;

// One event as plain data. A column whose bit is not in present is NULL: it has no member in the document.
struct Event {
  uint32_t present = 0;
  Uuid id;
  Uuid entity_id;
  Uuid actor_id;
  Uuid organization_id;
  std::string_view event_type;
  std::string_view domain;
  std::string_view entity_type;
  std::string_view action;
  std::string_view actor_type;
  std::string_view environment;
  std::string_view severity;
  std::string_view recorded_by;
  int64_t timestamp;  // microseconds since 1970-01-01 00:00:00 UTC
  Bytes payload;      // stored jsonb without its varlena header
  int64_t sequence;
  uint64_t transaction_id;
  Bytes previous_hash;  // 32 bytes, unless the row is damaged; so are all hashes here
  Bytes event_hash;     // no part of the document
  Bytes payload_salt;   // 16 bytes, unless the row is damaged
  Bytes payload_hash;   // in place of a payload that was erased
  Bytes personal;       // stored jsonb without its varlena header
  Bytes personal_salt;
  Bytes personal_hash;
  int64_t occurred_at;  // microseconds since 1970-01-01 00:00:00 UTC
  Uuid correlation_id;
  Uuid causation_id;

  bool has(Column column) const { return present & bit(column); }
};

// The hashes of an event's parts, which stand in its document in place of what they say.
struct PartHashes {
  Bytes payload;   // 32 bytes; without data: the document has no such member
  Bytes personal;  // likewise
};

// Writes e.g. 2026-01-19T09:30:00.000000Z; out must hold 40 bytes. Returns the end. Total over int64_t:
// what lies outside the years 1 to 9999 gets as many digits and the sign that it needs.
char *write_timestamp(char *out, int64_t unix_microseconds) noexcept;

// The working memory for canonical forms and hashes; one serves a whole session.
class Hasher {
 public:
  // Null where there is no memory.
  static std::unique_ptr<Hasher> create() noexcept;

  // The canonical form of a stored jsonb value. The view holds until the next call of this function, of hash_parts or of
  // digest.
  Status canonical_json(Bytes stored, const JsonLimits &limits, std::string_view *canonical) noexcept;

  // SHA-256 of salt, then the canonical form of a part.
  Status part_hash(Bytes salt, std::string_view canonical, Hash *hash) noexcept;

  // The hashes of the parts of a stored event: of what is there with its salt, else the one that stands in its place.
  // They hold until the next call. malformed: a part is there and is no stored JSON.
  Status hash_parts(const Event &event, PartHashes *parts) noexcept;

  // The document of an event, canonical. The view holds until the next call of this function or of digest.
  Status document(const Event &event, const PartHashes &parts, std::string_view *document) noexcept;

  // The document with event_hash, and with each part that is shown where the event has it, beside its salt: canonical, as
  // docs/evidence.md has an event. The view holds until the next call of this function, of document or of digest.
  // malformed: a part that is to be shown is no stored JSON.
  Status shown_document(const Event &event, const PartHashes &parts, bool payload, bool personal, std::string_view *document) noexcept;

  // SHA-256 of the document. Gives back what a large event took, so no view holds after it.
  Status digest(const Event &event, const PartHashes &parts, Hash *hash) noexcept;

 private:
  JsonCanonicalizer canonicalizer_;
  Buffer json_;
  Buffer document_;
  Sha256 sha256_;
  Hash payload_hash_;
  Hash personal_hash_;

  Status hash_part(bool is_there, Bytes stored, Bytes salt, bool is_erased, Bytes erased, Hash *room, Bytes *hash) noexcept;
};

// Hashes of stored events, many at a time, which takes less time than one by one: core/sha256_two.h.
class EventBatch {
 public:
  static constexpr int most = 16;

  // Takes an event, of which nothing is needed any more then. malformed: a part is there and is no stored JSON. What is not
  // taken, the batch is as if it had never been asked for.
  Status add(const Event &event) noexcept;
  int count() const { return count_; }
  // Takes no more: so many events, or so much text.
  bool is_full() const { return count_ == most || text_.size() > most_text; }

  // The hash of each event, in the order in which they were taken; they hold until the next add. Empties the batch.
  Status digest(const Hash **hashes) noexcept;

 private:
  static constexpr size_t most_text = 48 * 1024;
  struct Message {
    size_t at;  // in text_
    size_t size;
  };
  struct Part {
    Message message;
    size_t hash_at;  // where its hash goes into its event's document
  };
  Status add_part(bool is_there, Bytes stored, Bytes salt, bool is_erased, Bytes erased, Bytes *hash, Message *message);
  void end_message(Message *message);

  JsonCanonicalizer canonicalizer_;
  Sha256 sha256_;
  Buffer text_;  // padded
  Part parts_[2 * most];
  int part_count_ = 0;
  Message documents_[most];
  int count_ = 0;
  Hash hashes_[2 * most];
};

}  // namespace spine
