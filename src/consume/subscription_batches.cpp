// spine.next_batch and spine.acknowledge.
#include "consume/subscription_walk.h"
#include "server/errors.h"
#include "store/emit.h"
#include "store/owners_rights.h"

extern "C" {
#include <common/hashfn.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// A statement that one call runs many times; what it returned is there until it runs again.
struct Statement {
  SPIPlanPtr plan;
  SPITupleTable *result = nullptr;

  void prepare(const char *text, std::initializer_list<Oid> types) {
    plan = SPI_prepare(text, static_cast<int>(types.size()), const_cast<Oid *>(types.begin()));
  }
  uint64 run(std::initializer_list<Datum> values) {
    SPI_freetuptable(result);
    (void)SPI_execute_plan(plan, const_cast<Datum *>(values.begin()), nullptr, false, 0);
    result = SPI_tuptable;
    return SPI_processed;
  }
};

// Where this session's last call for a subscription ended, each in the slot that its name gives.
struct Turn {
  uint64 key;
  Uuid organization;
  int64 late;  // the batch that was given again; 0: none
  TimestampTz late_since;  // when it was taken before
};
Turn turns[16];

Turn *turn_of(const char *name) {
  uint64 key = hash_bytes_extended(reinterpret_cast<const unsigned char *>(name), static_cast<int>(strlen(name)), 0) | 1;
  Turn *turn = &turns[key / 2 % lengthof(turns)];
  if (turn->key != key) {
    // A session that begins does so anywhere: those that ask but once would else all ask for the same.
    bool found = run_sql("SELECT organization_id FROM spine.subscription_positions WHERE subscription = $1 ORDER BY pg_catalog.random() LIMIT 1",
                         {text_argument(name)}) > 0;
    turn->organization = found ? uuid_of(field(0, 1)) : last_uuid;
    turn->late = 0;
    turn->key = key;
  }
  return turn;
}

class Batch {
 public:
  // personal: of which organizations the events are given with their personal part.
  void begin(ReturnSetInfo *result, Subscription *subscription, ChainScan *scan, const Organizations &personal) {
    result_ = result;
    personal_ = personal;
    subscription_ = subscription;
    scan_ = scan;
    row_memory_ = AllocSetContextCreate(CurrentMemoryContext, "event of a batch", ALLOCSET_DEFAULT_SIZES);
    turn_ = turn_of(subscription->name);
    events_ = read_ = 0;
  }

  // The one that was to be acknowledged long ago, whole, under a new number. False: there is none.
  bool give_again(const char *taker, const Visited &visited) {
    constexpr const char *take =
        "WITH late AS (SELECT batch, taken_at FROM spine.subscription_batches WHERE subscription = $1"
        " AND pg_catalog.clock_timestamp() - taken_at > $2 AND ($3 IS NULL OR organizations <@ $3) AND (batch, taken_at) <> ($5, $6)"
        " ORDER BY batch LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " UPDATE spine.subscription_batches b SET batch = pg_catalog.nextval('spine.subscription_batch'), previous_batch = b.batch,"
        " delivery = b.delivery + 1, taken_by = $4, taken_at = pg_catalog.clock_timestamp()"
        " FROM late WHERE b.subscription = $1 AND b.batch = late.batch"
        " RETURNING b.batch, b.delivery, b.organizations, b.first_sequences, b.last_sequences, b.previous_batch, late.taken_at";
    bool all = visited.all;
    // One whose work fails is late again once that is rolled back: others have their turn in between.
    int64 had = turn_->late;
    turn_->late = 0;
    if (run_sql(take, {text_argument(subscription_->name), {INTERVALOID, subscription_->redeliver_after},
                       {UUIDARRAYOID, all ? static_cast<Datum>(0) : visited.array(), all}, text_argument(taker), {INT8OID, Int64GetDatum(had)}, {TIMESTAMPTZOID, TimestampTzGetDatum(turn_->late_since)}}) == 0)
      return false;
    turn_->late = DatumGetInt64(field(0, 6));
    turn_->late_since = DatumGetTimestampTz(field(0, 7));
    number_ = DatumGetInt64(field(0, 1));
    delivery_ = DatumGetInt32(field(0, 2));
    Elements organizations;
    organizations.take(field(0, 3), UUIDOID);
    Elements firsts, lasts;
    firsts.take(field(0, 4), INT8OID);
    lasts.take(field(0, 5), INT8OID);
    if (firsts.count != organizations.count || lasts.count != organizations.count)
      ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE),
                      errmsg("batch " INT64_FORMAT " of subscription \"%s\" does not say which events it holds", DatumGetInt64(field(0, 6)),
                             clipped(subscription_->name)),
                      errhint("Its row in spine.subscription_batches is damaged: restore it from a backup.")));
    for (int i = 0; i < organizations.count; i++) {
      Uuid organization = uuid_of(organizations.value[i]);
      scan_->seek(organization, DatumGetInt64(firsts.value[i]) - 1, organization);
      while (scan_->next() && scan_->event().sequence <= DatumGetInt64(lasts.value[i]))
        if (matches()) put();
    }
    return true;
  }

  // The next events, at most that many.
  void give_next(const char *taker, const Visited &visited, int most) {
    const char *name = subscription_->name;
    Datum subscription = CStringGetTextDatum(name);
    Statement lock, add, pass;
    lock.prepare("SELECT sequence FROM spine.subscription_positions WHERE subscription = $1 AND organization_id = $2"
                 " FOR NO KEY UPDATE SKIP LOCKED",
                 {TEXTOID, UUIDOID});
    add.prepare("INSERT INTO spine.subscription_positions (subscription, organization_id, sequence) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
                {TEXTOID, UUIDOID});
    pass.prepare("UPDATE spine.subscription_positions SET sequence = $3 WHERE subscription = $1 AND organization_id = $2 AND sequence < $3",
                 {TEXTOID, UUIDOID, INT8OID});
    Growing organizations{UUIDOID}, firsts{INT8OID}, lasts{INT8OID};
    delivery_ = 1;
    walk(name, visited, scan_, turn_->organization, [&](const Uuid &organization, int64 position, bool is_known) {
      Datum id = uuid_datum(organization);
      // While it is ours to add positions, nobody else's can be in the way.
      if (!is_known) {
        if (!lock_additions(name)) return true;
        (void)add.run({subscription, id});
      }
      bool is_ours = false;
      int64 first = 0, last = 0, seen = position;
      for (bool more = true; more && events_ < most && read_ < most_read;) {
        read_++;
        if (matches()) {
          if (!is_ours) {
            if (lock.run({subscription, id}) == 0) return true;  // another consumer's
            is_ours = true;
            int64 now = DatumGetInt64(field(0, 1));
            if (now != position) {
              // Another gave events out since the position was read.
              position = seen = now;
              scan_->seek(organization, position, organization);
              more = scan_->next();
              continue;
            }
          }
          if (events_ == 0) {
            run_sql("SELECT pg_catalog.nextval('spine.subscription_batch')");
            number_ = DatumGetInt64(field(0, 1));
          }
          last = scan_->event().sequence;
          if (first == 0) first = last;
          put();
        }
        seen = scan_->event().sequence;
        more = scan_->next() && scan_->event().organization_id == organization;
      }
      // What did not match, nobody need look at again; where another consumer is at work, that is his to say.
      if (seen > position && (is_ours || lock.run({subscription, id}) > 0)) (void)pass.run({subscription, id, Int64GetDatum(seen)});
      if (first > 0) {
        organizations.add(id);
        firsts.add(Int64GetDatum(first));
        lasts.add(Int64GetDatum(last));
      }
      pfree(DatumGetPointer(id));
      if (events_ < most && read_ < most_read) return true;
      turn_->organization = organization;
      return false;
    });
    if (events_ > 0)
      run_sql("INSERT INTO spine.subscription_batches (subscription, batch, organizations, first_sequences, last_sequences, events, taken_by, taken_at,"
              " delivery) VALUES ($1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp(), 1)",
              {{TEXTOID, subscription}, {INT8OID, Int64GetDatum(number_)}, {UUIDARRAYOID, organizations.array()}, {INT8ARRAYOID, firsts.array()},
               {INT8ARRAYOID, lasts.array()}, {INT8OID, Int64GetDatum(events_)}, text_argument(taker)});
  }

 private:
  bool matches() { return subscription_->lets_through(scan_->event()); }

  void put() {
    MemoryContext before_it = MemoryContextSwitchTo(row_memory_);
    TupleTableSlot *event = personal_.has(scan_->event().organization_id) ? scan_->whole() : scan_->without_personal();
    Datum values[3] = {Int64GetDatum(number_), Int32GetDatum(delivery_), ExecFetchSlotHeapTupleDatum(event)};
    bool nulls[3] = {};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
    events_++;
    MemoryContextSwitchTo(before_it);
    MemoryContextReset(row_memory_);
  }

  // So that a call ends, and what it passed over is kept, where hardly an event passes the filters.
  static constexpr int64 most_read = 1000000;

  ReturnSetInfo *result_;
  Organizations personal_;
  Subscription *subscription_;
  ChainScan *scan_;
  Turn *turn_;
  MemoryContext row_memory_;
  int64 number_;
  int32 delivery_;
  int64 events_;
  int64 read_;
};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_next_batch);
PGDLLEXPORT Datum spine_next_batch(PG_FUNCTION_ARGS) {
  require_writable("spine.next_batch()");
  InitMaterializedSRF(fcinfo, 0);
  const char *name = name_argument(fcinfo);
  if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
    report_bad(PG_ARGISNULL(1) ? "max_events is null" : psprintf("max_events is %d", PG_GETARG_INT32(1)),
               "Pass how many events to return at most, 1 or more.");
  Oid events = events_relid();
  Organizations readable = require_reading(events), personal = personal_organizations(events);
  Oid role = GetUserId();
  const char *taker = GetUserNameFromId(role, false);
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  Subscription subscription;
  subscription.open(name, ShareLock, role);
  Visited visited;
  visited.restrict_to(readable, subscription.organizations);
  ChainScan scan;
  scan.begin(Subscription::filtered_columns);
  Batch batch;
  batch.begin(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), &subscription, &scan, personal);
  if (!batch.give_again(taker, visited)) batch.give_next(taker, visited, PG_GETARG_INT32(1));
  scan.end();
  SPI_finish();
  rights.end();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_acknowledge);
PGDLLEXPORT Datum spine_acknowledge(PG_FUNCTION_ARGS) {
  require_writable("spine.acknowledge()");
  const char *name = name_argument(fcinfo);
  if (PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BATCH_NOT_HELD), errmsg("the batch is null"),
                    errhint("Pass the number that spine.next_batch gave.")));
  SqlArgument number = {INT8OID, PG_GETARG_DATUM(1)};
  Organizations readable = require_reading(events_relid());
  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  Subscription subscription;
  subscription.open(name, ShareLock, role);
  SqlArgument its_name = text_argument(name), may_read = array_of(readable);
  if (run_sql("DELETE FROM spine.subscription_batches WHERE subscription = $1 AND batch = $2 AND ($3 IS NULL OR organizations <@ $3) RETURNING events",
              {its_name, number, may_read}) == 0) {
    if (run_sql("SELECT batch, taken_by, taken_at::text FROM spine.subscription_batches WHERE subscription = $1 AND previous_batch = $2"
                " AND ($3 IS NULL OR organizations <@ $3)",
                {its_name, number, may_read}) > 0)
      ereport(ERROR, (errcode(ERRCODE_SPINE_BATCH_NOT_HELD),
                      errmsg("batch " INT64_FORMAT " of subscription \"%s\" was given again, as batch %s to role \"%s\" at %s", PG_GETARG_INT64(1),
                             clipped(name), SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
                             SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2),
                             SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3)),
                      errhint("It was not acknowledged within the subscription's redeliver_after: take fewer events at a time, or make "
                              "that longer.")));
    ereport(ERROR, (errcode(ERRCODE_SPINE_BATCH_NOT_HELD),
                    errmsg("batch " INT64_FORMAT " of subscription \"%s\" is not outstanding", PG_GETARG_INT64(1), clipped(name)),
                    errhint("It was acknowledged already, was given again under another number, or never was: what "
                            "is left to do, spine.next_batch gives.")));
  }
  int64 events = DatumGetInt64(field(0, 1));
  SPI_finish();
  rights.end();
  PG_RETURN_INT64(events);
}

}  // extern "C"

}  // namespace spine
