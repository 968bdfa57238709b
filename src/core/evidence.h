// Checks evidence: bundles and plain exports, docs/evidence.md is the specification. No server and no clock is asked;
// all bytes are from outside.
#pragma once

#include <vector>

#include "core/canonical_reader.h"
#include "core/checkpoint.h"
#include "core/directory.h"
#include "core/policy.h"

namespace spine {

enum class EvidenceFault : uint8_t {
  // After these nothing more is read.
  line_too_long,
  line_malformed,
  line_unexpected,
  format_unknown,
  truncated,
  count_wrong,
  // What is above the events.
  checkpoint_untrusted,
  quorum_missing,
  entry_malformed,
  entry_not_in_log,
  chain_not_in_directory,
  // The events themselves.
  event_malformed,
  content_altered,
  part_altered,
  event_not_in_chain,
  stretch_not_in_chain,
  link_broken,
  order_violated,
  head_differs,
  // This machine.
  failed,
};
inline constexpr const char *evidence_fault_names[] = {
    "line_too_long",      "line_malformed",     "line_unexpected", "format_unknown",   "truncated",
    "count_wrong",        "checkpoint_untrusted", "quorum_missing", "entry_malformed", "entry_not_in_log",
    "chain_not_in_directory", "event_malformed", "content_altered", "part_altered",    "event_not_in_chain",
    "stretch_not_in_chain", "link_broken",      "order_violated",  "head_differs",     "failed"};

struct EvidenceFailure {
  EvidenceFault fault;
  const char *why;                 // a sentence, which repeats nothing of the evidence
  uint64_t line;                   // from 1; 0: of none
  std::string_view organization;   // uuid, empty where it is of no chain
  uint64_t sequence;               // 0 where it is of no event
};

enum class EvidenceKind : uint8_t { unknown, bundle, plain_export };

enum class PartShown : uint8_t { never_was, shown, hidden };

// What an event is found to be. proved: in the chain that the signed checkpoint vouches for. unproved: nothing of its own
// is wrong, and nothing proves it. refuted: its own content or place is wrong.
enum class EventVerdict : uint8_t { proved, unproved, refuted };
inline constexpr const char *event_verdict_names[] = {"proved", "unproved", "refuted"};

// An event as it comes by. The views are into the line: uuids, names and times without quotes.
struct EvidenceEvent {
  std::string_view organization, id, event_type, timestamp;
  uint64_t sequence = 0;
  PartShown payload = PartShown::never_was, personal = PartShown::never_was;
  bool sound = true;  // nothing of its own is wrong
};

struct PartCounts {
  uint64_t shown = 0;
  uint64_t erased = 0;    // an event of the chain that is proved says so
  uint64_t withheld = 0;  // all others that are not shown
};

struct EventCounts {
  uint64_t events = 0, proved = 0, unproved = 0, refuted = 0;
  uint64_t links = 0;  // events whose event before stands before them, and links
  PartCounts payload, personal;

  void add(const EventCounts &other);
};

// What a chain's lines came to.
struct EvidenceChain {
  std::string_view organization;
  uint64_t size = 0;  // of the chain at the checkpoint; 0 in a plain export
  uint64_t first = 0, last = 0;  // sequences; 0 where there are no events
  bool parts_forgotten = false;  // more parts are hidden than are remembered: some that were erased count as withheld
  EventCounts counts;
};

// Hears what is found, in the order of the evidence. All views hold until the call returns.
class EvidenceListener {
 public:
  virtual void failure(const EvidenceFailure &failure) noexcept = 0;

  // An event of a chain; what it is found to be is said by the next settled().
  virtual void event(const EvidenceEvent &event) noexcept = 0;

  // So many events, since the last call, are what they are: sound ones proved or not, others refuted.
  virtual void settled(uint64_t events, bool proved) noexcept = 0;

  // At the end of a chain: a hidden part that was erased, in rising order of sequences; then all of it.
  virtual void erased(uint64_t sequence, bool payload, bool personal) noexcept = 0;
  virtual void chain(const EvidenceChain &chain) noexcept = 0;

 protected:
  ~EvidenceListener() = default;
};

class EvidenceVerifier {
 public:
  static constexpr size_t max_line = size_t{16} << 20;    // bytes, with its line feed
  static constexpr size_t max_proof = 63;                 // hashes
  static constexpr size_t max_hidden = size_t{64} << 20;  // bytes that remember the hidden parts of a chain
  static constexpr size_t max_erased = size_t{4} << 20;   // parts of a chain that erasures name

  // policy: null where there is none, which suffices for a plain export. Both must stay.
  EvidenceVerifier(Policy *policy, EvidenceListener *listener) : policy_(policy), listener_(listener) {}
  EvidenceVerifier(const EvidenceVerifier &) = delete;
  EvidenceVerifier &operator=(const EvidenceVerifier &) = delete;

  // Takes a line without its line feed. False: nothing more is to be read.
  bool line(std::string_view text) noexcept;

  // After the last line. rest: what follows the last line feed, its beginning if it is longer than a line may be.
  void finish(std::string_view rest) noexcept;

  // What the first line says it is; unknown: neither, or of another format.
  EvidenceKind kind() const { return kind_; }
  bool has_failed() const { return has_failed_; }
  const EventCounts &counts() const { return total_; }

  // Of the checkpoint, where it is trusted. signed_by: one for each key of the policy.
  bool is_trusted() const { return trusted_; }
  const Checkpoint &checkpoint() const { return checkpoint_; }
  const SignedBy *signed_by() const { return signed_by_.data(); }
  // Of the directory entry, where it is in the log.
  bool has_entry() const { return entry_holds_; }
  const DirectoryEntry &entry() const { return entry_; }

 private:
  enum class Next : uint8_t { header, checkpoint, directory, chain, event, event_of_stretch, plain, nothing };
  struct Fields;
  struct Erasures {
    std::vector<uint64_t> payload, personal;  // sequences
    size_t size() const { return payload.size() + personal.size(); }
  };

  bool read_line(std::string_view text);
  bool read_header();
  bool read_checkpoint();
  bool read_directory();
  bool read_chain();
  bool read_stretch();
  bool read_end();
  bool read_event(unsigned level, std::string_view proof);
  bool read_plain();
  const char *find_fields(unsigned level, Fields *fields) const;
  const char *check_place(const Fields &fields);
  void check_event(const Fields &fields, EvidenceEvent *event);
  void check_content(const Fields &fields, EvidenceEvent *event);
  PartShown check_part(std::string_view part, std::string_view salt, std::string_view hash, EvidenceEvent *event);
  void check_hash(std::string_view salt, std::string_view text, std::string_view hash_value, EvidenceEvent *event,
                  EvidenceFault fault, const char *why);
  void check_links(const Fields &fields, EvidenceEvent *event);
  void append_document(unsigned level);
  void end_stretch();
  void settle(bool holds);
  void begin_chain(std::string_view organization);
  void end_chain();
  void remember_hidden(const EvidenceEvent &event);
  void read_erasure(std::string_view payload, uint64_t erased_by);
  void add_erased(std::string_view list, uint64_t erased_by, std::vector<uint64_t> *sequences);

  bool is_only(std::string_view name) const;
  bool are_members(unsigned level, std::initializer_list<std::string_view> names) const;
  std::string_view value(unsigned level, size_t i) const { return reader_.members(level)[i].value; }
  void fail(EvidenceFault fault, const char *why, uint64_t sequence = 0);
  void refute(EvidenceEvent *event, EvidenceFault fault, const char *why);
  bool stop(EvidenceFault fault, const char *why);
  void close();

  Policy *policy_;
  EvidenceListener *listener_;
  CanonicalReader reader_, inner_;
  TreeHasher hasher_;
  Sha256 sha256_;
  Buffer document_;

  Next next_ = Next::header;
  EvidenceKind kind_ = EvidenceKind::unknown;
  bool has_failed_ = false;
  uint64_t lines_ = 0;
  EventCounts total_;

  // What stands above the events.
  bool has_organization_ = false;  // the header names one
  std::array<char, 36> header_organization_{};
  Buffer note_, entry_text_;
  std::vector<SignedBy> signed_by_;
  Checkpoint checkpoint_;
  DirectoryEntry entry_;
  bool trusted_ = false, entry_holds_ = false, chain_holds_ = false;

  // The chain.
  bool in_chain_ = false, had_chain_ = false;
  std::array<char, 36> organization_text_{};
  uint64_t chain_index_ = 0;
  ChainLeaf leaf_;
  EvidenceChain chain_;
  std::array<char, 64> last_hash_{};       // of its last event, hex
  std::array<char, 27> last_timestamp_{};  // the latest
  std::vector<uint8_t> hidden_;            // sequences and which parts, as remember_hidden writes them
  uint64_t last_hidden_ = 0;
  Erasures erased_, unsettled_;  // what erasures name; of events that are not settled yet

  // The stretch, and what waits for its end.
  CompactRange range_, after_;
  uint64_t stretch_last_ = 0;
  uint64_t waiting_sound_ = 0, waiting_refuted_ = 0;
};

}  // namespace spine
