// The directory log, checkpoint notes, and their faces.
#include "proof/directory.h"

#include <algorithm>
#include <new>

#include "access/access.h"
#include "core/checkpoint.h"
#include "core/uuid.h"
#include "proof/faces.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/sql.h"
#include "store/emit.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/xlog.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// The columns of spine.directory_checkpoints.
enum DirectoryColumn {
  number_column = 1,
  entry_column,
  chains_column,
  chains_root_column,
  root_column,
  range_column,
  taken_column
};

constexpr const char *insert_entry =
    "INSERT INTO spine.directory_checkpoints (number, entry, chains, chains_root, root, compact_range, taken_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)";
constexpr const char *insert_note =
    "INSERT INTO spine.checkpoint_notes (number, origin, note_hash, note, stored_at)"
    " VALUES ($1, $2, pg_catalog.sha256(pg_catalog.convert_to($3, 'UTF8')), $3, pg_catalog.clock_timestamp()) ON "
    "CONFLICT DO NOTHING";

[[noreturn]] void broken(int64 number, const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                  errmsg("directory checkpoint " INT64_FORMAT " is not as it was taken: %s", number, why),
                  errhint("Nothing is proved by it: compare its row in spine.directory_checkpoints with a backup, and "
                          "with what was signed.")));
}

// One block for texts that the core writes.
spine::Buffer &text_buffer() {
  static spine::Buffer *only = nullptr;
  if (only == nullptr) only = new (std::nothrow) spine::Buffer();
  if (only == nullptr) report(Status::out_of_memory, "the directory");
  only->clear();
  return *only;
}

Hash leaf_hash(const ChainCheckpoint &chain) {
  spine::Buffer &text = text_buffer();
  ChainLeaf leaf{chain.organization, static_cast<uint64_t>(chain.size), chain.root, chain.head_hash};
  require_hashed(append_chain_leaf(leaf, &text));
  Hash hash;
  require_hashed(tree_hasher().leaf(text.view(), &hash));
  return hash;
}

}  // namespace

void DirectoryLog::begin() {
  error_ = nullptr;
  memory_ = CurrentMemoryContext;
  scan_.begin("directory_checkpoints", {INT8OID, TEXTOID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, TIMESTAMPTZOID},
              nullptr, 1);
}

bool DirectoryLog::find(int64 number, ScanDirection direction, DirectoryCheckpoint *found) {
  ScanKeyData key;
  if (ScanDirectionIsForward(direction))
    ScanKeyInit(&key, number_column, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(number));
  else
    ScanKeyInit(&key, number_column, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(number));
  scan_.find(&key, direction);
  if (!scan_.next()) return false;
  found->number = DatumGetInt64(scan_.value(number_column));
  Bytes entry = scan_.bytes(entry_column);
  found->entry = pnstrdup(reinterpret_cast<const char *>(entry.data), entry.size);
  found->entry_size = entry.size;
  found->chains = DatumGetInt64(scan_.value(chains_column));
  found->chains_root = scan_.hash(chains_root_column);
  found->root = scan_.hash(root_column);
  found->taken_at = DatumGetTimestampTz(scan_.value(taken_column));
  Hash computed;
  if (!found->range.read(scan_.bytes(range_column)) || found->range.begin() != 0 ||
      found->range.end() != static_cast<uint64_t>(found->number))
    broken(found->number, "its compact range is none of that many entries");
  require_hashed(found->range.root(tree_hasher(), &computed));
  if (computed != found->root) broken(found->number, "its compact range does not give its root");
  DirectoryEntry said;
  if (const char *why = parse_directory_entry(found->text(), &said)) broken(found->number, why);
  if (said.number != static_cast<uint64_t>(found->number) || said.chains != static_cast<uint64_t>(found->chains) ||
      said.chains_root != found->chains_root)
    broken(found->number, "its entry says another number, or other chains");
  return true;
}

bool DirectoryLog::read(int64 number, DirectoryCheckpoint *found) { return find(number, ForwardScanDirection, found); }

bool DirectoryLog::newest(DirectoryCheckpoint *found) { return find(PG_INT64_MAX, BackwardScanDirection, found); }

// A perfect subtree is complete with the entry that is its last leaf: it is made of that and of what the log's compact
// range had before it, one hash a level.
TreeSource::Answer DirectoryLog::subtree(unsigned level, uint64_t index, Hash *root) noexcept {
  volatile bool is_found = false;
  PG_TRY();
  {
    int64 last = static_cast<int64>((index + 1) << level);
    DirectoryCheckpoint with, before;
    bool is_there = read(last, &with) && (level == 0 || read(last - 1, &before));
    Hash hash;
    if (is_there) require_hashed(tree_hasher().leaf(with.text(), &hash));
    for (unsigned below = 0; is_there && below < level; below++) {
      Hash left;
      is_there = before.range.find(below, (static_cast<uint64_t>(last - 1) >> below) - 1, &left);
      if (is_there) require_hashed(tree_hasher().node(left, hash, &hash));
    }
    if (is_there) {
      *root = hash;
      is_found = true;
    }
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory_);
    error_ = CopyErrorData();
    FlushErrorState();
  }
  PG_END_TRY();
  return is_found ? Answer::found : Answer::failed;
}

void DirectoryLog::require(ProofStatus status, int64 size) {
  if (error_ != nullptr) ReThrowError(error_);
  if (status == ProofStatus::ok) return;
  if (status == ProofStatus::hashing_failed) require_hashed(Status::crypto_failed);
  broken(size, status == ProofStatus::hash_not_found ? "an older row of the log is missing"
                                                     : "the log's rows do not lead to its root");
}

void DirectoryLog::prove_inclusion(int64 number, const DirectoryCheckpoint &log, Proof *proof) {
  uint64_t index = static_cast<uint64_t>(number - 1), size = static_cast<uint64_t>(log.number);
  Hash leaf;
  require(spine::prove_inclusion(tree_hasher(), *this, index, size, proof), log.number);
  require(subtree(0, index, &leaf) == Answer::found ? ProofStatus::ok : ProofStatus::hash_not_found, log.number);
  require(verify_inclusion(tree_hasher(), index, size, leaf, log.root, *proof), log.number);
}

void DirectoryLog::prove_consistency(const DirectoryCheckpoint &old_log, const DirectoryCheckpoint &new_log,
                                     Proof *proof) {
  uint64_t from = static_cast<uint64_t>(old_log.number), to = static_cast<uint64_t>(new_log.number);
  require(spine::prove_consistency(tree_hasher(), *this, from, to, proof), new_log.number);
  require(verify_consistency(tree_hasher(), from, to, old_log.root, new_log.root, *proof), new_log.number);
}

void DirectoryLog::end() { scan_.end(); }

// The tree of chains ------------------------------------------------------------------------------------------------

void ChainsTree::begin() {
  memory_ = CurrentMemoryContext;
  leaves_ = nullptr;
  count_ = room_ = 0;
}

void ChainsTree::add(const ChainCheckpoint &chain) {
  make_room(memory_, &leaves_, count_, &room_);
  leaves_[count_++] = leaf_hash(chain);
}

void ChainsTree::end() {
  std::reverse(leaves_, leaves_ + count_);
  CompactRange range;
  for (int64 i = 0; i < count_; i++) require_hashed(range.append(tree_hasher(), leaves_[i]));
  require_hashed(range.root(tree_hasher(), &root_));
}

int64 read_chains_tree(int64 number, const Uuid &wanted, ChainsTree *tree, ChainCheckpoint *found) {
  int64 behind = -1;
  NewestCheckpoints chains;
  ChainCheckpoint chain;
  tree->begin();
  chains.begin(number);
  while (chains.next(&chain)) {
    if (chain.organization == wanted) {
      behind = tree->count();
      *found = chain;
    }
    tree->add(chain);
  }
  chains.end();
  tree->end();
  return behind < 0 ? -1 : tree->count() - 1 - behind;
}

int64 next_directory_number() {
  DirectoryLog log;
  DirectoryCheckpoint newest;
  log.begin();
  int64 next = log.newest(&newest) ? newest.number + 1 : 1;
  log.end();
  return next;
}

namespace {

// Whether a chain went on since the last entry.
bool any_checkpoint_of(int64 number) {
  KeyScan scan;
  scan.begin("checkpoints", {UUIDOID, INT8OID}, "checkpoints_directory_number_idx", 1);
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(number));
  scan.find(&key, ForwardScanDirection);
  bool any = scan.next();
  scan.end();
  return any;
}

}  // namespace

void append_directory_checkpoint(const ChainsTree &chains, TimestampTz now) {
  DirectoryLog log;
  DirectoryCheckpoint last;
  log.begin();
  bool any = log.newest(&last);
  log.end();
  int64 number = any ? last.number + 1 : 1;
  if (any && !any_checkpoint_of(number)) return;

  DirectoryEntry entry;
  entry.number = static_cast<uint64_t>(number);
  entry.chains = static_cast<uint64_t>(chains.count());
  entry.chains_root = chains.root();
  char taken_at[40];
  entry.taken_at = {taken_at, static_cast<size_t>(write_timestamp(taken_at, unix_time(now)) - taken_at)};
  entry.system_identifier = GetSystemIdentifier();
  entry.timeline = GetWALInsertionTimeLine();
  DirectoryEntry before;
  if (any && parse_directory_entry(last.text(), &before) == nullptr)
    entry.incarnation = before.incarnation;
  else
    entry.incarnation = uuid_of(DirectFunctionCall1(gen_random_uuid, static_cast<Datum>(0)));
  spine::Buffer &text = text_buffer();
  Status status = append_directory_entry(entry, &text);
  if (status != Status::ok)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no directory entry can say that it is of %s", taken_at),
                    errhint("Set the server's clock.")));
  Hash leaf, root;
  CompactRange range = any ? last.range : CompactRange();
  require_hashed(tree_hasher().leaf(text.view(), &leaf));
  require_hashed(range.append(tree_hasher(), leaf));
  require_hashed(range.root(tree_hasher(), &root));
  uint8_t bytes[CompactRange::max_bytes];
  size_t size = range.write(bytes);
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("directory_checkpoints"));
  uint64 rows = run_sql(insert_entry, {{INT8OID, Int64GetDatum(number)},
                                       {TEXTOID, text_datum(text.view())},
                                       {INT8OID, Int64GetDatum(chains.count())},
                                       {BYTEAOID, hash_datum(chains.root())},
                                       {BYTEAOID, bytea_datum({root.data(), root.size()})},
                                       {BYTEAOID, bytea_datum({bytes, size})},
                                       {TIMESTAMPTZOID, TimestampTzGetDatum(now)}});
  rights.end();
  if (rows != 1)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED),
                    errmsg("a trigger on table \"spine.directory_checkpoints\" suppressed an entry"),
                    errhint("Drop the trigger that somebody added.")));
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_prove_directory_consistency);
PGDLLEXPORT Datum spine_prove_directory_consistency(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  DirectoryLog log;
  DirectoryCheckpoint older, newer;
  log.begin();
  int64 from = PG_GETARG_INT64(0), to = PG_GETARG_INT64(1);
  auto require_number = [&](int64 number, DirectoryCheckpoint *found) {
    if (!log.read(number, found))
      ereport(ERROR,
              (errcode(ERRCODE_SPINE_NOT_IN_TREE), errmsg("there is no directory checkpoint " INT64_FORMAT, number),
               errhint("spine.directory_checkpoints has all there are.")));
  };
  require_number(from, &older);
  require_number(to, &newer);
  require_order(from, to);
  Proof proof;
  log.prove_consistency(older, newer, &proof);
  log.end();
  Datum values[] = {hash_datum(older.root), hash_datum(newer.root), proof_datum(proof)};
  put_row(fcinfo, values);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_store_note);
PGDLLEXPORT Datum spine_store_note(PG_FUNCTION_ARGS) {
  require_writable("spine.store_note()");
  require_notary();
  std::string_view message = text_view(PG_GETARG_TEXT_PP(0));
  Note *note = static_cast<Note *>(palloc(sizeof(Note)));
  new (note) Note();
  Checkpoint said;
  const char *why = parse_note(message, note);
  if (why == nullptr) why = parse_checkpoint(note->text, &said);
  if (why != nullptr)
    ereport(
        ERROR,
        (errcode(ERRCODE_SPINE_BAD_NOTE), errmsg("the note is no signed checkpoint: %s", why),
         errhint("Pass a note as c2sp.org/signed-note has it, over a checkpoint as c2sp.org/tlog-checkpoint has it.")));
  DirectoryLog log;
  DirectoryCheckpoint taken;
  int64 number = static_cast<int64>(said.size);
  log.begin();
  if (!log.read(number, &taken))
    ereport(ERROR,
            (errcode(ERRCODE_SPINE_BAD_NOTE),
             errmsg("the note is over directory checkpoint " INT64_FORMAT ", and there is none", number),
             errhint("It was signed for another database, or this one was set back: ask the notary that signed it.")));
  log.end();
  if (taken.root != said.root)
    ereport(ERROR,
            (errcode(ERRCODE_SPINE_BAD_NOTE),
             errmsg("the note has another root than directory checkpoint " INT64_FORMAT, number),
             errhint("It was signed for another database, or this one was rewritten: ask the notary that signed it.")));
  OwnersRights rights;
  SPI_connect();
  rights.begin_as_owner_of(spine_table("checkpoint_notes"));
  (void)run_sql(insert_note,
                {{INT8OID, Int64GetDatum(number)}, {TEXTOID, text_datum(said.origin)}, {TEXTOID, PG_GETARG_DATUM(0)}});
  rights.end();
  SPI_finish();
  PG_RETURN_INT64(number);
}

}  // extern "C"

}  // namespace spine
