// spine.take_checkpoint and verify_since_checkpoint: what each chain got since its last checkpoint.
#include "access/access.h"
#include "core/uuid.h"
#include "proof/directory.h"
#include "proof/faces.h"
#include "proof/new_events.h"
#include "proof/proof.h"
#include "proof/tree.h"
#include "server/errors.h"
#include "server/sql.h"
#include "server/subtransaction.h"
#include "store/anchors.h"
#include "store/emit.h"
#include "store/event_scan.h"
#include "verify/verify.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr const char *checkpointed =
    "SELECT DISTINCT ON (organization_id) organization_id, size, root, head_hash FROM spine.checkpoints"
    " WHERE directory_number > $1 AND directory_number <= (SELECT max(number) FROM spine.directory_checkpoints)"
    " ORDER BY organization_id, size DESC";

// The end of a chain as the events have it.
struct ChainEnd {
  Uuid organization;
  int64 sequence;
  Hash hash;
};

// The ends of all chains that have events, from the last organization to the first.
class ChainEnds {
 public:
  void begin() {
    scan_.begin(events_relid(), EventOrder::chain, 1, Sees::fresh, bit(Column::event_hash));
    any_ = false;
    count_ = most_ = 0;
    seek(last_uuid);
  }
  // A few events of a chain are passed over faster than the next chain is sought by the index; where chains are long,
  // each of them costs a row that is read for nothing, so that is tried now and then. An event that cannot be read ends
  // its chain with no hash, so that somebody looks there.
  bool next(ChainEnd *end) {
    constexpr int few = 3, now_and_then = 64;
    if (++count_ % now_and_then == 0) most_ = few;
    bool is_sought = !any_;
    for (int passed = 0;; passed++) {
      if (!is_sought && passed >= most_) {
        if (last_ == nil_uuid) return false;
        seek(uuid_before(last_));
        is_sought = true;
        most_ = 0;
      }
      if (!scan_.next(BackwardScanDirection)) return false;
      const Event &event = scan_.event();
      if (!event.has(Column::organization_id) || (any_ && event.organization_id >= last_)) continue;
      bool is_readable = scan_.why() == nullptr && event.has(Column::sequence) && event.has(Column::event_hash);
      *end = {event.organization_id, is_readable ? event.sequence : 0,
              is_readable ? hash_of(event.event_hash) : Hash{}};
      last_ = event.organization_id;
      any_ = true;
      return true;
    }
  }
  void end() { scan_.end(); }

 private:
  void seek(const Uuid &last) {
    memcpy(key_.data, last.data(), UUID_LEN);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTLessEqualStrategyNumber, F_UUID_LE, UUIDPGetDatum(&key_));
    scan_.find(&key);
  }

  EventScan scan_;
  pg_uuid_t key_;
  bool any_;
  Uuid last_;  // the organization that was found last
  int64 count_;
  int most_;   // events of a chain that are passed over
};

// Whether a chain ends where its checkpoint does, as it did: of it nothing is new.
bool is_unchanged(const ChainCheckpoint &checkpoint, const ChainEnd *end, AnchorReader *anchors) {
  if (end != nullptr) return end->sequence == checkpoint.size && end->hash == checkpoint.head_hash;
  Anchor anchor;
  return anchors->find(checkpoint.organization, PG_INT64_MAX, &anchor) && anchor.sequence == checkpoint.size &&
         anchor.hash == checkpoint.head_hash;
}

// Calls use(organization, checkpoint or null, end or null) for each chain that has one or the other, from the last
// organization to the first.
template <class Use>
void each_chain(Use use) {
  NewestCheckpoints checkpoints;
  ChainEnds ends;
  ChainCheckpoint checkpoint;
  ChainEnd end;
  checkpoints.begin(PG_INT64_MAX);
  ends.begin();
  bool has_checkpoint = checkpoints.next(&checkpoint), has_end = ends.next(&end);
  while (has_checkpoint || has_end) {
    CHECK_FOR_INTERRUPTS();
    bool of_checkpoint = has_checkpoint && (!has_end || checkpoint.organization >= end.organization);
    bool of_end = has_end && (!has_checkpoint || end.organization >= checkpoint.organization);
    use(of_end ? end.organization : checkpoint.organization, of_checkpoint ? &checkpoint : nullptr,
        of_end ? &end : nullptr);
    if (of_checkpoint) has_checkpoint = checkpoints.next(&checkpoint);
    if (of_end) has_end = ends.next(&end);
  }
  ends.end();
  checkpoints.end();
}

// Calls work(open) with all chains open, and recent in their hands. Where something cannot be read, what that did is rolled
// back, and clear(), then work(null) are called: then each chain is opened for it alone, and only what is about that chain
// fails.
template <class Work, class Clear>
void with_open_chains(const RecentEvents *recent, Work work, Clear clear) {
  auto at_once = [&] {
    OpenChains open;
    open.begin(recent);
    work(&open);
    open.end();
  };
  if (catch_error(at_once, is_unreadable) == nullptr) return;
  clear();
  work(nullptr);
}

void clear_rows(FunctionCallInfo fcinfo) {
  tuplestore_clear(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)->setResult);
}

// What a call takes. Rows of the result are put as it is found.
class Taking {
 public:
  explicit Taking(FunctionCallInfo fcinfo)
      : fcinfo_(fcinfo), now_(GetCurrentTimestamp()), number_(next_directory_number()) {
    each_ = AllocSetContextCreate(CurrentMemoryContext, "chain of which a checkpoint is taken", ALLOCSET_DEFAULT_SIZES);
    taken_ = static_cast<ChainCheckpoint *>(palloc(sizeof(ChainCheckpoint) * taken_at_once));
  }

  void take_all() {
    auto take_each = [&](OpenChains *open) {
      AnchorReader anchors;
      anchors.begin();
      each_chain([&](const Uuid &organization, const ChainCheckpoint *newest, const ChainEnd *end) {
        ChainCheckpoint taken;
        bool goes_on = (newest == nullptr || !is_unchanged(*newest, end, &anchors)) &&
                       take(open, organization, newest, end == nullptr || end->sequence < 1 ? unknown_end : end->sequence, &taken);
        if (goes_on || newest != nullptr) chains_.add(goes_on ? taken : *newest);
      });
      anchors.end();
    };
    chains_.begin();
    recent_events().read();
    with_open_chains(&recent_events(), take_each, [&] {
      MemoryContextReset(each_);
      clear_rows(fcinfo_);
      chains_.begin();
      taken_count_ = 0;
    });
    chains_.end();
    write_taken();
    append_directory_checkpoint(chains_, now_);
  }

  void take_one(const Uuid &organization, const ChainCheckpoint *newest) {
    ChainCheckpoint taken;
    (void)take(nullptr, organization, newest, unknown_end, &taken);
    write_taken();
  }

 private:

  // Whether the chain went on: then *taken is its new checkpoint.
  bool take(OpenChains *open, const Uuid &organization, const ChainCheckpoint *newest, int64 known_end, ChainCheckpoint *taken) {
    MemoryContext before = MemoryContextSwitchTo(each_);
    NewEvents found = extend_chain(open, organization, newest, PG_INT64_MAX, known_end, number_, now_, taken);
    bool is_intact = found.faults == 0;
    if (!is_intact || found.events > 0) {
      const ChainCheckpoint *at = is_intact ? taken : newest;
      Datum values[] = {uuid_datum(organization),
                        Int64GetDatum(at == nullptr ? 0 : at->size),
                        hash_datum(at == nullptr ? empty_tree_root : at->root),
                        at == nullptr ? static_cast<Datum>(0) : hash_datum(at->head_hash),
                        Int64GetDatum(found.events),
                        BoolGetDatum(is_intact),
                        is_intact ? static_cast<Datum>(0)
                                  : text_datum(psprintf("%s at sequence " INT64_FORMAT, found.first_fault,
                                                        found.first_fault_sequence))};
      bool nulls[] = {false, false, false, at == nullptr, false, false, is_intact};
      put_row(fcinfo_, values, nulls);
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(each_);
    if (!is_intact || found.events == 0) return false;
    if (taken_count_ == taken_at_once) write_taken();
    taken_[taken_count_++] = *taken;
    return true;
  }

  void write_taken() {
    put_checkpoints(taken_, taken_count_);
    taken_count_ = 0;
  }

  static constexpr int taken_at_once = 256;

  FunctionCallInfo fcinfo_;
  TimestampTz now_;
  int64 number_;
  MemoryContext each_;
  ChainsTree chains_;
  ChainCheckpoint *taken_;  // that are still to be written
  int taken_count_ = 0;
};

}  // namespace

void keep_checkpoint(const Uuid &organization, int64 size, const Hash &head_hash) {
  CheckpointReader reader;
  ChainCheckpoint newest, taken;
  reader.begin();
  bool any = reader.newest(organization, &newest);
  bool is_there = any && reader.last_upto(organization, size, &taken) && taken.size == size;
  reader.end();
  if (is_there && taken.is_sound() && taken.head_hash == head_hash) return;
  if (is_there)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_INTACT),
                    errmsg("the chain of organization %s is not the one that its checkpoint at " INT64_FORMAT " is of",
                           uuid_text(organization), size),
                    errhint("Nothing was retired. Compare the chain with a backup, and with what was signed.")));
  if (!any || newest.size < size) {
    NewEvents found = extend_chain(nullptr, organization, any ? &newest : nullptr, size, unknown_end, next_directory_number(),
                                   GetCurrentTimestamp(), &taken);
    if (found.faults == 0 && found.last_sequence == size) return put_checkpoints(&taken, 1);
    ereport(ERROR,
            (errcode(ERRCODE_SPINE_NOT_INTACT),
             errmsg("the chain of organization %s is not what its last checkpoint says: %s at sequence " INT64_FORMAT,
                    uuid_text(organization), found.faults > 0 ? found.first_fault : "event_missing",
                    found.faults > 0 ? found.first_fault_sequence : found.last_sequence + 1),
             errhint("Nothing was retired. SELECT * FROM spine.find_chain_faults('%s') says more; mend it first.",
                     uuid_text(organization))));
  }
  // It has gone on since: what is kept is covered by what its newest checkpoint says.
  ChainTree tree;
  tree.begin();
  tree.seek(organization);
  taken.organization = organization;
  taken.size = size;
  taken.root = tree.root(size);
  taken.head_hash = tree.event_hash(size);
  tree.range(0, size, &taken.range);
  taken.range_is_read = true;
  taken.directory_number = newest.directory_number;
  taken.taken_at = GetCurrentTimestamp();
  tree.end();
  put_checkpoints(&taken, 1);
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_take_checkpoint);
PGDLLEXPORT Datum spine_take_checkpoint(PG_FUNCTION_ARGS) {
  require_writable("spine.take_checkpoint()");
  require_notary();
  InitMaterializedSRF(fcinfo, 0);
  lock_checkpoints();
  SPI_connect();
  Taking taking(fcinfo);
  if (!PG_ARGISNULL(0)) {
    Uuid organization = uuid_of(PG_GETARG_DATUM(0));
    ChainCheckpoint newest;
    CheckpointReader reader;
    reader.begin();
    bool any = reader.newest(organization, &newest);
    reader.end();
    taking.take_one(organization, any ? &newest : nullptr);
  } else {
    taking.take_all();
  }
  SPI_finish();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_checkpointed_chains);
PGDLLEXPORT Datum spine_checkpointed_chains(PG_FUNCTION_ARGS) {
  require_notary();
  InitMaterializedSRF(fcinfo, 0);
  SPI_connect();
  uint64 rows = run_sql(checkpointed, {{INT8OID, PG_GETARG_DATUM(0)}});
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  for (uint64 i = 0; i < rows; i++) tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
  SPI_finish();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_verify_since_checkpoint);
PGDLLEXPORT Datum spine_verify_since_checkpoint(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Organizations readable = require_reading(events_relid());
  int64 next = next_directory_number();
  MemoryContext outer = CurrentMemoryContext;
  MemoryContext each = AllocSetContextCreate(outer, "chain that is verified", ALLOCSET_DEFAULT_SIZES);
  auto verify = [&](OpenChains *open, const Uuid &organization, const ChainCheckpoint *newest, bool has_news) {
    MemoryContextSwitchTo(each);
    NewEvents found{};
    if (has_news || !newest->is_sound()) {
      found = check_new_events(open, organization, newest, PG_INT64_MAX, unknown_end, false);
    } else {
      found.last_sequence = newest->size;
      found.head_hash = newest->head_hash;
    }
    bool none = newest == nullptr, is_fine = found.faults == 0, any = !none || found.events > 0;
    Datum values[] = {uuid_datum(organization),
                      BoolGetDatum(is_fine),
                      none ? static_cast<Datum>(0) : Int64GetDatum(newest->size),
                      none ? static_cast<Datum>(0) : hash_datum(newest->root),
                      none ? static_cast<Datum>(0) : TimestampTzGetDatum(newest->taken_at),
                      none ? static_cast<Datum>(0) : Int64GetDatum(newest->directory_number),
                      Int64GetDatum(found.events),
                      Int64GetDatum(found.last_sequence),
                      any ? hash_datum(found.head_hash) : static_cast<Datum>(0),
                      Int64GetDatum(found.faults),
                      Int64GetDatum(found.first_fault_sequence),
                      is_fine ? static_cast<Datum>(0) : text_datum(found.first_fault)};
    bool nulls[] = {
        false, is_fine && !any, none,    none,   none, none || newest->directory_number >= next, false, !any,
        !any,  false,           is_fine, is_fine};
    put_row(fcinfo, values, nulls);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(each);
  };
  if (PG_ARGISNULL(0) && readable.all) {
    auto verify_each = [&](OpenChains *open) {
      AnchorReader anchors;
      anchors.begin();
      each_chain([&](const Uuid &organization, const ChainCheckpoint *newest, const ChainEnd *end) {
        verify(open, organization, newest, newest == nullptr || !is_unchanged(*newest, end, &anchors));
      });
      anchors.end();
    };
    with_open_chains(nullptr, verify_each, [&] {
      MemoryContextReset(each);
      clear_rows(fcinfo);
    });
    return static_cast<Datum>(0);
  }
  Uuid one = PG_ARGISNULL(0) ? Uuid{} : uuid_of(PG_GETARG_DATUM(0));
  const Uuid *organizations = PG_ARGISNULL(0) ? readable.sorted : &one;
  int count = PG_ARGISNULL(0) ? readable.count : readable.has(one) ? 1 : 0;
  CheckpointReader reader;
  reader.begin();
  for (int i = 0; i < count; i++) {
    ChainCheckpoint newest;
    verify(nullptr, organizations[i], reader.newest(organizations[i], &newest) ? &newest : nullptr, true);
  }
  reader.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
