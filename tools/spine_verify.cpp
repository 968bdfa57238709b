// spine-verify: checks evidence bundles, plain exports and directories of signed checkpoints, with no server and no
// network. docs/evidence.md is the specification of what it reads, docs/reference.md of how it is called.
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/evidence.h"
#include "core/text_lines.h"
#include "core/utf8.h"
#include "core/uuid.h"

namespace {

using spine::EventVerdict;
using spine::EvidenceVerifier;
using spine::PartShown;
using spine::Policy;

// The exit codes.
enum class Outcome { proved = 0, failed = 1, unreadable = 2, not_all_proved = 3 };
constexpr const char *outcome_names[] = {"proved", "failed", "unreadable", "not_all_proved"};

Outcome worse(Outcome a, Outcome b) {
  for (Outcome outcome : {Outcome::failed, Outcome::unreadable, Outcome::not_all_proved})
    if (a == outcome || b == outcome) return outcome;
  return Outcome::proved;
}

const char *word_for(Outcome outcome) {
  constexpr const char *words[] = {"PROVED", "FAILED", "UNREADABLE", "NOT ALL PROVED"};
  return words[static_cast<int>(outcome)];
}

struct Options {
  bool json = false;
  bool events = false;
};

// Whether a terminal may take it for a command, or write on in another direction, or show nothing.
bool is_unsafe(uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) || point == 0xfeff ||
         (point >= 0xfff9 && point <= 0xfffb);
}

// What others wrote, as it can be printed.
std::string safe(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view rest = text;
    uint32_t point;
    if (!spine::take_character(&rest, &point)) {
      point = 0xfffd;
      rest = text.substr(1);
    }
    if (is_unsafe(point) || point == 0xfffd) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", point);
      out += escape;
    } else {
      out += text.substr(0, text.size() - rest.size());
    }
    text = rest;
  }
  return out;
}

unsigned long long wide(uint64_t number) { return number; }

// {"kind":{…}}, a line.
class JsonLine {
 public:
  explicit JsonLine(const char *kind) : text_(std::string("{\"") + kind + "\":{") {}

  JsonLine &add(const char *name, uint64_t number) { return put(name, std::to_string(number)); }
  JsonLine &add(const char *name, bool value) { return put(name, value ? "true" : "false"); }
  // Text that is the content of a JSON string already.
  JsonLine &add_escaped(const char *name, std::string_view text) { return put(name, '"' + safe(text) + '"'); }
  JsonLine &add(const char *name, std::string_view text) {
    std::string escaped;
    for (char c : text) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    return add_escaped(name, escaped);
  }
  JsonLine &add(const char *name, const char *text) { return add(name, std::string_view(text)); }
  JsonLine &add(const char *name, const spine::PartCounts &parts) {
    return put(name, "{\"shown\":" + std::to_string(parts.shown) + ",\"erased\":" + std::to_string(parts.erased) +
                         ",\"withheld\":" + std::to_string(parts.withheld) + "}");
  }
  JsonLine &add(const spine::EventCounts &counts) {
    add("events", counts.events).add("proved", counts.proved).add("unproved", counts.unproved).add("refuted", counts.refuted);
    return add("links", counts.links).add("payload", counts.payload).add("personal", counts.personal);
  }
  void print() const { std::printf("%s}}\n", text_.c_str()); }

 private:
  JsonLine &put(const char *name, const std::string &value) {
    if (text_.back() != '{') text_ += ',';
    text_ += '"';
    text_ += name;
    text_ += "\":" + value;
    return *this;
  }

  std::string text_;
};

// What failed, and where: in a line of evidence, or in a file of a directory.
struct Failure {
  const char *reason, *why;
  uint64_t line = 0;
  std::string_view organization = {};
  uint64_t sequence = 0;
  std::string file = {};
};

void print(const Options &options, const Failure &failure) {
  if (options.json) {
    JsonLine line("failure");
    line.add("reason", failure.reason).add("why", failure.why);
    if (!failure.file.empty()) line.add("file", failure.file);
    if (failure.line != 0) line.add("line", failure.line);
    if (!failure.organization.empty()) line.add_escaped("organization_id", failure.organization);
    if (failure.sequence != 0) line.add("sequence", failure.sequence);
    line.print();
    return;
  }
  std::printf("FAILED");
  if (!failure.file.empty()) std::printf(" %s", safe(failure.file).c_str());
  if (failure.line != 0) std::printf(" line %llu", wide(failure.line));
  if (!failure.organization.empty()) std::printf(", organization %s", safe(failure.organization).c_str());
  if (failure.sequence != 0) std::printf(", sequence %llu", wide(failure.sequence));
  std::printf(": %s: %s\n", failure.reason, failure.why);
}

std::string text_of(const spine::PartCounts &parts) {
  return std::to_string(parts.shown) + " shown, " + std::to_string(parts.erased) + " erased, " + std::to_string(parts.withheld) + " withheld";
}

std::string text_of(const spine::EventCounts &counts) {
  return std::to_string(counts.proved) + " proved, " + std::to_string(counts.unproved) + " unproved, " + std::to_string(counts.refuted) +
         " refuted; " + std::to_string(counts.links) + " linked to the event before";
}

// Events wait in a file until it is known what they are: at the end of their stretch whether they are proved, at the
// end of their chain which of their parts were erased. So memory stays what it is.
class Spool {
 public:
  struct Event {
    uint64_t sequence;
    PartShown payload, personal;
    bool sound;
    char id[36];
    char timestamp[27];
    uint8_t type_size;
    char event_type[200];  // cut off there, which no sound one is
  };
  struct Run {
    uint64_t events;
    bool proved;
  };

  bool open() {
    events_.reset(std::tmpfile());
    runs_.reset(std::tmpfile());
    return events_ != nullptr && runs_ != nullptr;
  }
  bool put(const Event &event) { return std::fwrite(&event, sizeof event, 1, events_.get()) == 1; }
  bool put(const Run &run) { return std::fwrite(&run, sizeof run, 1, runs_.get()) == 1; }

  // Once all are in they are taken out in the same order; then the spool is to be emptied.
  bool turn() {
    left_ = {0, false};
    return turn(events_.get()) && turn(runs_.get());
  }
  bool take(Event *event, bool *proved) {
    while (left_.events == 0)
      if (std::fread(&left_, sizeof left_, 1, runs_.get()) != 1) return false;
    left_.events--;
    *proved = left_.proved;
    return std::fread(event, sizeof *event, 1, events_.get()) == 1;
  }
  bool empty() { return empty(events_.get()) && empty(runs_.get()); }

 private:
  struct Close {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };
  static bool turn(std::FILE *file) { return std::fflush(file) == 0 && std::fseek(file, 0, SEEK_SET) == 0; }
  static bool empty(std::FILE *file) { return std::fseek(file, 0, SEEK_SET) == 0 && ftruncate(fileno(file), 0) == 0; }

  std::unique_ptr<std::FILE, Close> events_, runs_;
  Run left_{0, false};
};

class Printer final : public spine::EvidenceListener {
 public:
  explicit Printer(const Options &options) : options_(options) {}

  bool open() { return !options_.events || spool_.open(); }
  // The file in which events wait could not be written or read: some were not printed.
  bool has_lost() const { return lost_; }

  void failure(const spine::EvidenceFailure &failure) noexcept override {
    const char *reason = spine::evidence_fault_names[static_cast<int>(failure.fault)];
    print(options_, {reason, failure.why, failure.line, failure.organization, failure.sequence, {}});
  }

  void event(const spine::EvidenceEvent &event) noexcept override {
    if (!options_.events) return;
    organization_ = event.organization;
    Spool::Event kept{};
    kept.sequence = event.sequence;
    kept.payload = event.payload;
    kept.personal = event.personal;
    kept.sound = event.sound;
    std::memcpy(kept.id, event.id.data(), sizeof kept.id);
    std::memcpy(kept.timestamp, event.timestamp.data(), sizeof kept.timestamp);
    kept.type_size = static_cast<uint8_t>(std::min(event.event_type.size(), sizeof kept.event_type));
    std::memcpy(kept.event_type, event.event_type.data(), kept.type_size);
    lost_ |= !spool_.put(kept);
  }

  void settled(uint64_t events, bool proved) noexcept override {
    if (options_.events) lost_ |= !spool_.put(Spool::Run{events, proved});
  }

  void erased(uint64_t sequence, bool payload, bool personal) noexcept override {
    if (options_.events) print_events(sequence, payload, personal);
  }

  void chain(const spine::EvidenceChain &chain) noexcept override {
    if (options_.events) {
      print_events(0, false, false);
      lost_ |= !spool_.empty();
      turned_ = false;
    }
    if (options_.json) {
      JsonLine line("chain");
      line.add_escaped("organization_id", chain.organization).add("size", chain.size).add("first", chain.first).add("last", chain.last);
      line.add(chain.counts).add("parts_forgotten", chain.parts_forgotten).print();
      return;
    }
    std::printf("chain %s", safe(chain.organization).c_str());
    if (chain.size != 0) std::printf(" with %llu events", wide(chain.size));
    if (chain.counts.events == 0) {
      std::printf(": none of them is here\n");
      return;
    }
    std::printf(": %llu events, %llu to %llu: %s; payloads: %s; personal parts: %s%s\n", wide(chain.counts.events), wide(chain.first), wide(chain.last),
                text_of(chain.counts).c_str(), text_of(chain.counts.payload).c_str(), text_of(chain.counts.personal).c_str(),
                chain.parts_forgotten ? " (there are too many to tell them apart: some that are called withheld may be erased)" : "");
  }

 private:
  // Prints the events before that one and it, some of whose parts were erased; 0: all that are left.
  void print_events(uint64_t sequence, bool payload, bool personal) {
    if (!turned_) lost_ |= !spool_.turn();
    turned_ = true;
    Spool::Event event;
    bool proved;
    while (spool_.take(&event, &proved)) {
      bool is_it = event.sequence == sequence;
      print_event(event, proved, is_it && payload, is_it && personal);
      if (is_it) return;
    }
    lost_ |= sequence != 0;
  }

  static const char *word_for(PartShown part, bool erased) {
    if (part == PartShown::hidden) return erased ? "erased" : "withheld";
    return part == PartShown::shown ? "shown" : "none";
  }

  void print_event(const Spool::Event &event, bool proved, bool payload_erased, bool personal_erased) {
    EventVerdict verdict = !event.sound ? EventVerdict::refuted : proved ? EventVerdict::proved : EventVerdict::unproved;
    const char *found = spine::event_verdict_names[static_cast<int>(verdict)];
    const char *payload = word_for(event.payload, payload_erased), *personal = word_for(event.personal, personal_erased);
    std::string_view type(event.event_type, event.type_size), id(event.id, sizeof event.id), timestamp(event.timestamp, sizeof event.timestamp);
    if (options_.json) {
      JsonLine line("event");
      line.add("verdict", found).add_escaped("organization_id", organization_).add("sequence", event.sequence).add_escaped("id", id);
      line.add_escaped("timestamp", timestamp).add_escaped("event_type", type).add("payload", payload).add("personal", personal).print();
      return;
    }
    std::printf("%s %s %llu %s %s %s payload=%s personal=%s\n", found, safe(organization_).c_str(), wide(event.sequence), safe(timestamp).c_str(),
                safe(id).c_str(), safe(type).c_str(), payload, personal);
  }

  const Options &options_;
  Spool spool_;
  std::string organization_;
  bool turned_ = false;
  bool lost_ = false;
};

Outcome unreadable(const Options &options, const std::string &name, const std::string &why) {
  if (options.json)
    JsonLine("result").add("source", name).add("outcome", outcome_names[static_cast<int>(Outcome::unreadable)]).add("why", why).print();
  else
    std::printf("%s: UNREADABLE: %s\n", safe(name).c_str(), safe(why).c_str());
  return Outcome::unreadable;
}

// Feeds the lines of a file to the verifier, in memory of a line at most. False: the file cannot be read.
bool read_lines(int file, EvidenceVerifier *verifier) {
  size_t capacity = size_t{1} << 20, begin = 0, end = 0;
  std::unique_ptr<char[]> buffer(new char[capacity]);
  for (;;) {
    if (begin > 0 && capacity - end < capacity / 2) {
      std::memmove(buffer.get(), buffer.get() + begin, end - begin);
      end -= begin;
      begin = 0;
    }
    if (end == capacity) {
      std::unique_ptr<char[]> larger(new char[2 * capacity]);
      std::memcpy(larger.get(), buffer.get(), end);
      buffer = std::move(larger);
      capacity *= 2;
    }
    ssize_t count = read(file, buffer.get() + end, capacity - end);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    size_t searched = end;
    end += static_cast<size_t>(count);
    while (const void *found = std::memchr(buffer.get() + searched, '\n', end - searched)) {
      size_t at = static_cast<size_t>(static_cast<const char *>(found) - buffer.get());
      if (!verifier->line({buffer.get() + begin, at - begin})) return true;
      begin = searched = at + 1;
    }
    if (count == 0 || end - begin >= EvidenceVerifier::max_line) {
      verifier->finish({buffer.get() + begin, end - begin});
      return true;
    }
  }
}

std::string signers(const Policy &policy, const spine::SignedBy *by) {
  std::string names;
  for (size_t i = 0; i < policy.key_count(); i++)
    if (by[i].verified) names += (names.empty() ? "" : ", ") + safe(policy.keys()[i].name);
  return names;
}

void print_summary(const Options &options, const std::string &name, Outcome outcome, const EvidenceVerifier &verifier, const Policy *policy) {
  const spine::EventCounts &counts = verifier.counts();
  const spine::DirectoryEntry &entry = verifier.entry();
  char incarnation[36];
  (void)spine::write_uuid(incarnation, entry.incarnation);
  std::string_view database(incarnation, sizeof incarnation);
  bool is_plain = verifier.kind() == spine::EvidenceKind::plain_export;
  if (options.json) {
    JsonLine line("result");
    line.add("source", name).add("outcome", outcome_names[static_cast<int>(outcome)]).add("kind", is_plain ? "plain_export" : "bundle").add(counts);
    if (verifier.is_trusted())
      line.add("origin", verifier.checkpoint().origin).add("log_size", verifier.checkpoint().size).add("signers", signers(*policy, verifier.signed_by()));
    if (verifier.has_entry())
      line.add("directory_number", entry.number).add("taken_at", entry.taken_at).add("chains", entry.chains).add("incarnation", database);
    line.print();
    return;
  }
  if (verifier.is_trusted())
    std::printf("checkpoint of %s, size %llu, signed by: %s\n", safe(verifier.checkpoint().origin).c_str(), wide(verifier.checkpoint().size),
                signers(*policy, verifier.signed_by()).c_str());
  if (verifier.has_entry())
    std::printf("directory checkpoint %llu, taken at %s, of %llu chains of database %s\n", wide(entry.number), safe(entry.taken_at).c_str(),
                wide(entry.chains), safe(database).c_str());
  if (is_plain) std::printf("a plain export: nothing in it is proved, for no signature vouches for it\n");
  std::printf("%s: %s: %llu events: %s\n", safe(name).c_str(), word_for(outcome), wide(counts.events), text_of(counts).c_str());
}

Outcome verify_file(const Options &options, const std::string &name, int file, Policy *policy) {
  Printer printer(options);
  if (!printer.open()) return unreadable(options, name, "no temporary file can be made, in which events wait");
  auto verifier = std::make_unique<EvidenceVerifier>(policy, &printer);
  if (!read_lines(file, verifier.get())) return unreadable(options, name, std::strerror(errno));
  if (verifier->kind() == spine::EvidenceKind::unknown)
    return unreadable(options, name, "it is neither a bundle of format 1 nor a plain export");
  if (printer.has_lost()) return unreadable(options, name, "the temporary file, in which events wait, could not be written or read");
  const spine::EventCounts &counts = verifier->counts();
  bool all_proved = counts.events > 0 && counts.proved == counts.events;
  Outcome outcome = verifier->has_failed() ? Outcome::failed : all_proved ? Outcome::proved : Outcome::not_all_proved;
  print_summary(options, name, outcome, *verifier, policy);
  return outcome;
}

// A directory of signed checkpoints: <number>.checkpoint ---------------------------------------------------------

struct LogState {
  std::string origin;
  uint64_t size;
  spine::Hash root;
};

bool read_file(const std::string &path, size_t most, std::string *text) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  text->clear();
  char block[65536];
  ssize_t count;
  while ((count = read(file, block, sizeof block)) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    text->append(block, static_cast<size_t>(count));
    if (text->size() > most) break;  // whoever reads it says so
  }
  int error = errno;
  close(file);
  errno = error;
  return count >= 0;
}

// The numbers of the checkpoints in a folder, sorted. False: it cannot be read.
bool list_checkpoints(const std::string &path, std::vector<uint64_t> *numbers) {
  std::unique_ptr<DIR, int (*)(DIR *)> folder(opendir(path.c_str()), closedir);
  if (folder == nullptr) return false;
  constexpr std::string_view ending = ".checkpoint";
  errno = 0;
  while (const dirent *entry = readdir(folder.get())) {
    std::string_view name = entry->d_name;
    uint64_t number;
    if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending &&
        spine::parse_decimal(name.substr(0, name.size() - ending.size()), &number))
      numbers->push_back(number);
  }
  std::sort(numbers->begin(), numbers->end());
  return errno == 0;
}

// What is wrong with the next checkpoint, reason null where nothing is. logs: what the ones before it say.
Failure check_checkpoint(const std::string &note, Policy *policy, std::vector<LogState> *logs) {
  std::vector<spine::SignedBy> by(policy->key_count());
  spine::Checkpoint checkpoint;
  const char *why = spine::open_checkpoint(note, policy->keys(), policy->key_count(), by.data(), &checkpoint);
  if (why != nullptr) return {"checkpoint_untrusted", why};
  if (!policy->quorum_reached(by.data())) return {"quorum_missing", "the witnesses that the policy asks for did not sign the checkpoint"};
  auto log = std::find_if(logs->begin(), logs->end(), [&](const LogState &known) { return known.origin == checkpoint.origin; });
  if (log == logs->end()) {
    logs->push_back({std::string(checkpoint.origin), checkpoint.size, checkpoint.root});
    return {nullptr, nullptr};
  }
  if (checkpoint.size < log->size) return {"size_shrank", "the log is shorter than at an earlier checkpoint"};
  if (checkpoint.size == log->size && checkpoint.root != log->root)
    return {"root_differs", "the log has another root than at an earlier checkpoint of the same size"};
  log->size = checkpoint.size;
  log->root = checkpoint.root;
  return {nullptr, nullptr};
}

Outcome verify_directory(const Options &options, const std::string &name, Policy *policy) {
  if (policy == nullptr) return unreadable(options, name, "checkpoints are judged by a policy: pass --policy");
  std::vector<uint64_t> numbers;
  if (!list_checkpoints(name, &numbers)) return unreadable(options, name, std::strerror(errno));
  if (numbers.empty()) return unreadable(options, name, "it holds no file named <number>.checkpoint");
  std::vector<LogState> logs;
  uint64_t good = 0;
  for (uint64_t number : numbers) {
    std::string file = std::to_string(number) + ".checkpoint", note;
    if (!read_file(name + "/" + file, spine::Note::max_size, &note)) return unreadable(options, name + "/" + file, std::strerror(errno));
    Failure failure = check_checkpoint(note, policy, &logs);
    failure.file = file;
    if (failure.reason != nullptr)
      print(options, failure);
    else
      good++;
  }
  Outcome outcome = good == numbers.size() ? Outcome::proved : Outcome::failed;
  if (options.json) {
    for (const LogState &log : logs) JsonLine("log").add("origin", log.origin).add("log_size", log.size).print();
    JsonLine line("result");
    line.add("source", name).add("outcome", outcome_names[static_cast<int>(outcome)]).add("kind", "checkpoints");
    line.add("checkpoints", uint64_t{numbers.size()}).add("good", good).print();
    return outcome;
  }
  for (const LogState &log : logs) std::printf("log %s: size %llu at its last good checkpoint\n", safe(log.origin).c_str(), wide(log.size));
  std::printf("%s: %s: %zu checkpoints, %llu good: signed, and no log got shorter; that each extends the one before has no proof here\n",
              safe(name).c_str(), word_for(outcome), numbers.size(), wide(good));
  return outcome;
}

// --------------------------------------------------------------------------------------------------------------------

Outcome verify(const Options &options, const std::string &name, Policy *policy) {
  if (name == "-") return verify_file(options, name, STDIN_FILENO, policy);
  int file = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return unreadable(options, name, std::strerror(errno));
  struct stat about;
  Outcome outcome;
  if (fstat(file, &about) != 0)
    outcome = unreadable(options, name, std::strerror(errno));
  else if (S_ISDIR(about.st_mode))
    outcome = verify_directory(options, name, policy);
  else
    outcome = verify_file(options, name, file, policy);
  close(file);
  return outcome;
}

constexpr const char *usage =
    "usage: spine-verify [--json] [--events] --policy FILE EVIDENCE…\n"
    "EVIDENCE is a bundle or a plain export of events, - for the standard input, or a directory of signed\n"
    "checkpoints. FILE says whose signatures count: c2sp.org/tlog-policy. A plain export needs no policy.\n"
    "  --events  print each event, not only failures and a summary\n"
    "  --json    print lines of JSON\n"
    "Exit code: 0 all is proved; 1 a check failed; 2 something cannot be read, or wrong usage; 3 nothing failed,\n"
    "and not all is proved.\n";

int wrong_usage(const std::string &why) {
  std::fprintf(stderr, "spine-verify: %s\n%s", safe(why).c_str(), usage);
  return static_cast<int>(Outcome::unreadable);
}

int run(int argc, char **argv) {
  static const option known[] = {{"policy", required_argument, nullptr, 'p'}, {"json", no_argument, nullptr, 'j'}, {"events", no_argument, nullptr, 'e'},
                                 {"help", no_argument, nullptr, 'h'},         {"version", no_argument, nullptr, 'v'}, {nullptr, 0, nullptr, 0}};
  Options options;
  const char *policy_name = nullptr;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (c) {
      case 'p': policy_name = optarg; break;
      case 'j': options.json = true; break;
      case 'e': options.events = true; break;
      case 'h': return std::fputs(usage, stdout) < 0 || std::fflush(stdout) != 0 ? 2 : 0;
      case 'v': return std::puts("spine-verify " SPINE_VERSION) < 0 || std::fflush(stdout) != 0 ? 2 : 0;
      default: return wrong_usage(std::string("what is ") + argv[optind - 1] + "?");
    }
  }
  if (optind == argc) return wrong_usage("no evidence is named");
  std::string text;
  Policy policy;
  if (policy_name != nullptr) {
    if (!read_file(policy_name, Policy::max_size, &text)) return wrong_usage(std::string("cannot read ") + policy_name + ": " + std::strerror(errno));
    size_t line;
    const char *why = policy.parse(text, &line);
    if (why != nullptr) return wrong_usage(std::string(policy_name) + ", line " + std::to_string(line) + ": " + why);
  }
  Outcome outcome = Outcome::proved;
  for (int i = optind; i < argc; i++) outcome = worse(outcome, verify(options, argv[i], policy_name == nullptr ? nullptr : &policy));
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    std::fprintf(stderr, "spine-verify: cannot write: %s\n", std::strerror(errno));
    return static_cast<int>(worse(outcome, Outcome::unreadable));
  }
  return static_cast<int>(outcome);
}

}  // namespace

int main(int argc, char **argv) {
  // What a machine configures for OpenSSL may load code, and must not change what is found.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc &) {
    std::fputs("spine-verify: there is no memory\n", stderr);
    return static_cast<int>(Outcome::unreadable);
  }
}
