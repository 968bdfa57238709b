// The database that a notary watches, as the functions of the extension show it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/merkle.h"
#include "notary/judge.h"

struct pg_conn;
struct pg_result;

namespace spine {

// What tells one database, and one server of it, from another. Times as in a directory entry.
struct Identity {
  std::string system_identifier;
  uint32_t timeline = 0;
  Uuid incarnation{};  // the newest directory checkpoint's; nil: there is none yet
  std::string server_started;
  uint64_t wal = 0;
  std::string replayed;  // a promoted standby: when the last transaction that it had of its primary was committed
};

// What spine.take_checkpoint found wrong with a chain.
struct ChainFault {
  Uuid organization{};
  std::string fault;
};

struct StoredNote {
  uint64_t number = 0;
  std::string note;
};

// The options of `spine-notary export`; empty: not given.
struct Selection {
  std::string organization, ids, domain, entity_type, entity_id, from_sequence, to_sequence, reason, origin;
  bool payload = true, personal = false;
};

// Every member throws Failure (unavailable) where the server cannot be reached or refuses, with what it said.
class Database {
 public:
  explicit Database(std::string url) : url_(std::move(url)) {}
  Database(const Database &) = delete;
  Database &operator=(const Database &) = delete;
  ~Database();

  // Ends the connection; the next question makes a new one.
  void disconnect();

  Identity identity();

  // The root of the directory log of so many entries; null: it has not so many.
  std::optional<Hash> log_root(uint64_t number);
  // The entry of that number; empty: none.
  std::string log_entry(uint64_t number);

  std::vector<ChainFault> take_checkpoint();

  // The log behind that number, all of it from one snapshot; up_to: and no further than that number.
  LogPart log_behind(uint64_t number, uint64_t up_to = INT64_MAX);

  // How many events the chain has, also where they are not those of its checkpoints.
  uint64_t events(const Uuid &organization);
  // The root of the chain's first so many events; null: the database says that it cannot tell.
  std::optional<Hash> tree_root(const Uuid &organization, uint64_t size);

  // Has the database prove that chains only grew, and checks the proofs. Gives those that are not proved.
  std::vector<Growth> unproved(TreeHasher &hasher, const std::vector<Growth> &growth);

  // The consistency proof of the directory log; the caller checks it.
  Proof prove_log(uint64_t old_number, uint64_t new_number);

  // The notes of an origin for newer directory checkpoints than that, the newest first, 100 at most.
  std::vector<StoredNote> notes_behind(const std::string &origin, uint64_t number);
  bool has_note(const std::string &origin, uint64_t number, const std::string &note);
  void store_note(const std::string &note);

  // Gives the bundle's lines one by one.
  void export_evidence(const Selection &selection, const std::function<void(std::string_view)> &line);

 private:
  class Result;
  using Parameters = std::vector<std::string>;

  pg_conn *connection();
  Result ask(const char *sql, const Parameters &parameters = {});
  // Null where the server answers with an error of the extension's own; its SQLSTATE is in state_ then.
  std::unique_ptr<Result> try_to_ask(const char *sql, const Parameters &parameters);
  [[noreturn]] void throw_error(const std::string &doing);

  std::string url_;
  pg_conn *connection_ = nullptr;
  std::string state_;
};

}  // namespace spine
