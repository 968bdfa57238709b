#include "notary/database.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cstring>

#include "core/text_lines.h"
#include "notary/encoding.h"

namespace spine {

namespace {

constexpr size_t proofs_at_once = 1000;
constexpr std::string_view no_such_tree = "SP100";  // the chain has fewer events

struct Clear {
  void operator()(PGresult *result) const { PQclear(result); }
};

// The first line of what the server or the library said.
std::string first_line(const char *message) {
  std::string_view text = message == nullptr ? "" : message;
  return std::string(text.substr(0, text.find('\n')));
}

std::string array_of(const std::vector<std::string> &elements) {
  std::string out = "{";
  for (const std::string &element : elements) out += (out.size() > 1 ? "," : "") + element;
  return out + '}';
}

[[noreturn]] void throw_malformed(const char *what) {
  throw Failure(Exit::unavailable, std::string("the database gave a malformed ") + what,
                "see that the extension and spine-notary are of one version");
}

}  // namespace

// Rows of text. Columns that are NULL are empty.
class Database::Result {
 public:
  explicit Result(PGresult *result) : result_(result) {}
  PGresult *get() const { return result_.get(); }

  int rows() const { return PQntuples(result_.get()); }
  bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string_view text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
  }
  uint64_t number(int row, int column) const {
    uint64_t value;
    if (!parse_decimal(text(row, column), &value)) throw_malformed("number");
    return value;
  }
  Hash hash(int row, int column) const {
    Hash hash;
    if (!read_hex(text(row, column), hash.data(), hash.size())) throw_malformed("hash");
    return hash;
  }
  Uuid uuid(int row, int column) const {
    Uuid uuid;
    if (!parse_uuid(text(row, column), &uuid)) throw_malformed("uuid");
    return uuid;
  }
  // Hashes as bytea_output = hex has them, with spaces between them.
  Proof proof(int row, int column) const {
    Proof proof;
    for (std::string_view rest = text(row, column); !rest.empty();) {
      std::string_view one = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      Hash hash;
      if (one.substr(0, 2) != "\\x" || !read_hex(one.substr(2), hash.data(), hash.size()) || !proof.add(hash))
        throw_malformed("proof");
    }
    return proof;
  }

 private:
  std::unique_ptr<PGresult, Clear> result_;
};

Database::~Database() { disconnect(); }

void Database::disconnect() {
  if (connection_ != nullptr) PQfinish(connection_);
  connection_ = nullptr;
}

pg_conn *Database::connection() {
  if (connection_ != nullptr && PQstatus(connection_) == CONNECTION_OK) return connection_;
  disconnect();
  const char *keywords[] = {"dbname", "fallback_application_name", "client_encoding", nullptr};
  const char *values[] = {url_.c_str(), "spine-notary", "UTF8", nullptr};
  connection_ = PQconnectdbParams(keywords, values, 1);
  if (PQstatus(connection_) != CONNECTION_OK) throw_error("connecting");
  PQsetNoticeProcessor(connection_, [](void *, const char *) {}, nullptr);
  ask("SET bytea_output = hex");
  return connection_;
}

void Database::throw_error(const std::string &doing) {
  std::string said = first_line(PQerrorMessage(connection_));
  disconnect();
  throw Failure(Exit::unavailable, doing + ": " + said);
}

Database::Result Database::ask(const char *sql, const Parameters &parameters) {
  std::vector<const char *> values;
  for (const std::string &parameter : parameters) values.push_back(parameter.c_str());
  Result result(PQexecParams(connection(), sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr,
                             nullptr, 0));
  ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw_error("asking the database");
  return result;
}

std::unique_ptr<Database::Result> Database::try_to_ask(const char *sql, const Parameters &parameters) {
  std::vector<const char *> values;
  for (const std::string &parameter : parameters) values.push_back(parameter.c_str());
  auto result = std::make_unique<Result>(PQexecParams(connection(), sql, static_cast<int>(values.size()), nullptr,
                                                      values.data(), nullptr, nullptr, 0));
  if (PQresultStatus(result->get()) == PGRES_TUPLES_OK) return result;
  const char *state = PQresultErrorField(result->get(), PG_DIAG_SQLSTATE);
  if (state == nullptr || std::strncmp(state, "SP", 2) != 0) throw_error("asking the database");
  state_ = state;
  return nullptr;
}

Identity Database::identity() {
  // pg_walfile_name names the timeline that is written now, and works on no standby.
  Result r = ask(R"(SELECT s.system_identifier,
                           CASE WHEN pg_is_in_recovery() THEN c.timeline_id
                                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer END,
                           to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
                             - '0/0'::pg_lsn,
                           to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC',
                                   'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                           (SELECT entry FROM spine.directory_checkpoints ORDER BY number DESC LIMIT 1)
                      FROM pg_control_system() s, pg_control_checkpoint() c)");
  if (r.rows() != 1) throw_malformed("identity");
  Identity identity;
  DirectoryEntry newest;
  identity.system_identifier = r.text(0, 0);
  identity.timeline = static_cast<uint32_t>(r.number(0, 1));
  identity.server_started = r.text(0, 2);
  identity.wal = r.number(0, 3);
  identity.replayed = r.text(0, 4);
  if (parse_directory_entry(r.text(0, 5), &newest) == nullptr) identity.incarnation = newest.incarnation;
  return identity;
}

std::optional<Hash> Database::log_root(uint64_t number) {
  if (number == 0) return empty_tree_root;
  Result r = ask("SELECT encode(root, 'hex') FROM spine.directory_checkpoints WHERE number = $1::bigint",
                 {std::to_string(number)});
  if (r.rows() == 0) return std::nullopt;
  return r.hash(0, 0);
}

std::string Database::log_entry(uint64_t number) {
  Result r = ask("SELECT entry FROM spine.directory_checkpoints WHERE number = $1::bigint", {std::to_string(number)});
  return r.rows() == 0 ? std::string() : std::string(r.text(0, 0));
}

std::vector<ChainFault> Database::take_checkpoint() {
  Result r = ask("SELECT organization_id, coalesce(fault, '') FROM spine.take_checkpoint() WHERE intact IS NOT TRUE");
  std::vector<ChainFault> faults;
  for (int i = 0; i < r.rows(); i++) faults.push_back({r.uuid(i, 0), std::string(r.text(i, 1))});
  return faults;
}

LogPart Database::log_behind(uint64_t number, uint64_t up_to) {
  LogPart part;
  Parameters range{std::to_string(number), std::to_string(up_to)};
  ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  Result entries = ask("SELECT number, entry, encode(root, 'hex') FROM spine.directory_checkpoints "
                       "WHERE number > $1::bigint AND number <= $2::bigint ORDER BY number", range);
  // Where a chain has several rows of one number, the entry speaks of the largest.
  Result rows = ask("SELECT DISTINCT ON (directory_number, organization_id) directory_number, organization_id, size, "
                    "       encode(root, 'hex'), encode(head_hash, 'hex') FROM spine.checkpoints "
                    "WHERE directory_number > $1::bigint AND directory_number <= $2::bigint "
                    "  AND directory_number <= (SELECT max(number) FROM spine.directory_checkpoints) "
                    "ORDER BY directory_number, organization_id, size DESC", range);
  part.wal = identity().wal;
  ask("COMMIT");
  for (int i = 0; i < entries.rows(); i++) {
    if (entries.number(i, 0) != number + static_cast<uint64_t>(i) + 1) throw_malformed("log: a number is missing");
    part.entries.emplace_back(entries.text(i, 1));
    part.root = entries.hash(i, 2);
  }
  for (int i = 0; i < rows.rows(); i++)
    part.rows.push_back({rows.number(i, 0), rows.uuid(i, 1), rows.number(i, 2), rows.hash(i, 3), rows.hash(i, 4)});
  return part;
}

uint64_t Database::events(const Uuid &organization) {
  // No function tells it where the chain is not that of its checkpoints; but which trees there cannot be, it tells.
  auto has = [&](uint64_t size) {
    state_.clear();
    (void)try_to_ask("SELECT FROM spine.tree_head($1::uuid, $2::bigint)",
                     {text_of(organization), std::to_string(size)});
    return state_ != no_such_tree;
  };
  uint64_t missing = 1;
  while (missing <= max_tree_size / 2 && has(missing)) missing *= 2;
  uint64_t there = missing / 2;
  while (missing - there > 1) {
    uint64_t middle = there + (missing - there) / 2;
    (has(middle) ? there : missing) = middle;
  }
  return there;
}

std::optional<Hash> Database::tree_root(const Uuid &organization, uint64_t size) {
  std::unique_ptr<Result> r = try_to_ask("SELECT encode(root, 'hex') FROM spine.tree_head($1::uuid, $2::bigint)",
                                         {text_of(organization), std::to_string(size)});
  if (r == nullptr || r->rows() == 0 || r->is_null(0, 0)) return std::nullopt;
  return r->hash(0, 0);
}

std::vector<Growth> Database::unproved(TreeHasher &hasher, const std::vector<Growth> &growth) {
  std::vector<Growth> left;
  // One statement proves many chains; where it fails each is asked for alone, to find the one.
  size_t at_once = proofs_at_once;
  for (size_t begin = 0; begin < growth.size();) {
    size_t end = std::min(growth.size(), begin + at_once);
    std::vector<std::string> organizations, old_sizes, new_sizes;
    for (size_t i = begin; i < end; i++) {
      organizations.push_back(text_of(growth[i].organization));
      old_sizes.push_back(std::to_string(growth[i].old_size));
      new_sizes.push_back(std::to_string(growth[i].new_size));
    }
    std::unique_ptr<Result> r = try_to_ask(
        "SELECT array_to_string(proof, ' ') FROM spine.prove_growth($1::uuid[], $2::bigint[], $3::bigint[])",
        {array_of(organizations), array_of(old_sizes), array_of(new_sizes)});
    bool answered = r != nullptr && static_cast<size_t>(r->rows()) == end - begin;
    if (!answered && end - begin > 1) {
      at_once = 1;
      continue;
    }
    for (size_t i = begin; i < end; i++) {
      const Growth &one = growth[i];
      if (!answered || verify_consistency(hasher, one.old_size, one.new_size, one.old_root, one.new_root,
                                          r->proof(static_cast<int>(i - begin), 0)) != ProofStatus::ok)
        left.push_back(one);
    }
    begin = end;
  }
  return left;
}

Proof Database::prove_log(uint64_t old_number, uint64_t new_number) {
  Result r = ask("SELECT array_to_string(proof, ' ') FROM spine.prove_directory_consistency($1::bigint, $2::bigint)",
                 {std::to_string(old_number), std::to_string(new_number)});
  if (r.rows() != 1) throw_malformed("proof");
  return r.proof(0, 0);
}

std::vector<StoredNote> Database::notes_behind(const std::string &origin, uint64_t number) {
  Result r = ask("SELECT number, note FROM spine.checkpoint_notes WHERE origin = $1 AND number > $2::bigint "
                 "ORDER BY number DESC LIMIT 100", {origin, std::to_string(number)});
  std::vector<StoredNote> notes;
  for (int i = 0; i < r.rows(); i++) notes.push_back({r.number(i, 0), std::string(r.text(i, 1))});
  return notes;
}

bool Database::has_note(const std::string &origin, uint64_t number, const std::string &note) {
  return ask("SELECT FROM spine.checkpoint_notes WHERE origin = $1 AND number = $2::bigint AND note = $3 LIMIT 1",
             {origin, std::to_string(number), note}).rows() > 0;
}

void Database::store_note(const std::string &note) { ask("SELECT spine.store_note($1)", {note}); }

void Database::export_evidence(const Selection &selection, const std::function<void(std::string_view)> &line) {
  const std::string *given[] = {&selection.organization, &selection.ids,           &selection.domain,
                                &selection.entity_type,  &selection.entity_id,     &selection.from_sequence,
                                &selection.to_sequence,  &selection.reason,        &selection.origin};
  const char *values[11];
  for (size_t i = 0; i < 9; i++) values[i] = given[i]->empty() ? nullptr : given[i]->c_str();
  values[9] = selection.payload ? "true" : "false";
  values[10] = selection.personal ? "true" : "false";
  const char *sql =
      "SELECT * FROM spine.export_evidence(organization_id => $1::uuid, ids => $2::uuid[], domain => $3, "
      "entity_type => $4, entity_id => $5::uuid, from_sequence => $6::bigint, to_sequence => $7::bigint, "
      "reason => $8, payload => $10::boolean, personal => $11::boolean, origin => $9)";
  if (PQsendQueryParams(connection(), sql, 11, nullptr, values, nullptr, nullptr, 0) != 1 ||
      PQsetSingleRowMode(connection_) != 1)
    throw_error("asking for evidence");
  while (PGresult *next = PQgetResult(connection_)) {
    Result r(next);
    ExecStatusType status = PQresultStatus(next);
    if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) throw_error("exporting evidence");
    for (int i = 0; i < r.rows(); i++) line(r.text(i, 0));
  }
}

}  // namespace spine
