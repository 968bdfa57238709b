// spine.next_batch, spine.acknowledge and spine.retry_batch.
#include "consume/subscription_news.h"
#include "consume/subscription_positions.h"
#include "server/errors.h"
#include "store/emit.h"
#include "store/owners_rights.h"

extern "C" {
#include <common/hashfn.h>
#include <common/pg_prng.h>
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
  bool has_organization;
  Uuid organization;
  int64 late;  // the batch that was given again; 0: none
  TimestampTz late_since;  // when it was taken before
  bool queued_first;
};
Turn turns[16];

Turn *turn_of(const char *name) {
  uint64 key = hash_bytes_extended(reinterpret_cast<const unsigned char *>(name), static_cast<int>(strlen(name)), 0) | 1;
  Turn *turn = &turns[key / 2 % lengthof(turns)];
  if (turn->key != key) {
    *turn = {};
    turn->key = key;
    turn->queued_first = pg_prng_bool(&pg_global_prng_state);
  }
  return turn;
}

bool queued_first(const char *name) { return turn_of(name)->queued_first; }

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
    passed_ = false;
  }

  // The one that was to be acknowledged long ago, whole, under a new number; one that was given often enough is set aside instead, and
  // the caller told. False: there is none.
  bool give_again(const char *taker, const Visited &visited) {
    constexpr const char *take =
        "WITH late AS (SELECT batch, taken_at, delivery >= $7 AS is_spent FROM spine.subscription_batches WHERE subscription = $1 AND set_aside_at IS NULL"
        " AND (delivery = 0 OR pg_catalog.clock_timestamp() - taken_at > $2) AND ($3 IS NULL OR organizations <@ $3) AND (batch, taken_at) <> ($5, $6)"
        " ORDER BY batch LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " UPDATE spine.subscription_batches b SET batch = CASE WHEN is_spent THEN b.batch ELSE pg_catalog.nextval('spine.subscription_batch') END,"
        " previous_batch = CASE WHEN is_spent THEN b.previous_batch ELSE b.batch END, delivery = b.delivery + CASE WHEN is_spent THEN 0 ELSE 1 END,"
        " taken_by = CASE WHEN is_spent THEN b.taken_by ELSE $4 END, taken_at = CASE WHEN is_spent THEN b.taken_at ELSE pg_catalog.clock_timestamp() END,"
        " set_aside_at = CASE WHEN is_spent THEN pg_catalog.clock_timestamp() END FROM late WHERE b.subscription = $1 AND b.batch = late.batch"
        " RETURNING b.batch, b.delivery, b.organizations, b.first_sequences, b.last_sequences, b.previous_batch, late.taken_at, is_spent, b.events";
    bool all = visited.all;
    // One whose work fails is late again once that is rolled back: others have their turn in between.
    int64 had = turn_->late;
    turn_->late = 0;
    int32 most = subscription_->max_deliveries;
    for (;;) {
      if (run_sql(take, {text_argument(subscription_->name), {INTERVALOID, subscription_->redeliver_after},
                         {UUIDARRAYOID, all ? static_cast<Datum>(0) : visited.array(), all}, text_argument(taker), {INT8OID, Int64GetDatum(had)},
                         {TIMESTAMPTZOID, TimestampTzGetDatum(turn_->late_since)}, {INT4OID, Int32GetDatum(most == 0 ? PG_INT32_MAX : most)}}) == 0)
        return false;
      if (!DatumGetBool(field(0, 8))) break;
      ereport(WARNING, (errmsg("batch " INT64_FORMAT " of subscription \"%s\" is set aside: its " INT64_FORMAT " events were given %d times, and not acknowledged",
                               DatumGetInt64(field(0, 1)), clipped(subscription_->name), DatumGetInt64(field(0, 9)), DatumGetInt32(field(0, 2))),
                        errhint("See spine.set_aside_batches. spine.retry_batch gives it back, spine.acknowledge says that it is dealt with.")));
    }
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

  // The next events, at most that many. news: where to look; null: in all that are visited.
  void give_next(const char *taker, const Visited &visited, NewsScan *news, int most) {
    most_ = most;
    added_ = 0;
    delivery_ = 1;
    organizations_ = {UUIDOID};
    firsts_ = {INT8OID};
    lasts_ = {INT8OID};
    name_ = CStringGetTextDatum(subscription_->name);
    lock_.prepare("SELECT sequence FROM spine.subscription_positions WHERE subscription = $1 AND organization_id = $2"
                  " FOR NO KEY UPDATE SKIP LOCKED",
                  {TEXTOID, UUIDOID});
    add_.prepare("INSERT INTO spine.subscription_positions (subscription, organization_id, sequence) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                 {TEXTOID, UUIDOID, INT8OID});
    pass_.prepare("UPDATE spine.subscription_positions SET sequence = $3 WHERE subscription = $1 AND organization_id = $2 AND sequence < $3",
                  {TEXTOID, UUIDOID, INT8OID});
    positions_.begin(subscription_->name);
    if (news == nullptr)
      give_visited(visited);
    else
      give_news(news);
    positions_.end();
    if (events_ > 0)
      run_sql("INSERT INTO spine.subscription_batches (subscription, batch, organizations, first_sequences, last_sequences, events, taken_by, taken_at,"
              " delivery) VALUES ($1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp(), 1)",
              {{TEXTOID, name_}, {INT8OID, Int64GetDatum(number_)}, {UUIDARRAYOID, organizations_.array()}, {INT8ARRAYOID, firsts_.array()},
               {INT8ARRAYOID, lasts_.array()}, {INT8OID, Int64GetDatum(events_)}, text_argument(taker)});
  }

 private:
  bool is_full() const { return events_ >= most_ || read_ >= most_read; }

  // The organizations behind where the session's last call ended, then the others, so that none waits for ever because others are busy.
  void give_visited(const Visited &visited) {
    if (visited.count == 0) return;
    auto count = static_cast<uint64>(visited.count);
    // A session that begins does so anywhere: those that ask but once would else all ask for the same.
    uint64 behind = !turn_->has_organization ? pg_prng_uint64_range(&pg_global_prng_state, 0, count - 1)
                                             : static_cast<uint64>(std::upper_bound(visited.sorted, visited.sorted + count, turn_->organization) - visited.sorted);
    for (uint64 i = 0; i < count; i++) {
      const Uuid &organization = visited.sorted[(behind + i) % count];
      (void)give_of(organization);
      if (!is_full()) continue;
      turn_->organization = organization;
      turn_->has_organization = true;
      return;
    }
  }

  void give_news(NewsScan *news) {
    // So that neither those who wait in the queue nor those that are new wait for ever.
    turn_->queued_first = !turn_->queued_first;
    Uuid organization;
    for (int64 looked = 0; looked < most_looked && !is_full() && news->next(&organization); looked++)
      if (!give_of(organization)) news->leave();
    news->settle(events_ > 0 || passed_);
  }

  // Whether nothing is left behind the organization's position.
  bool give_of(const Uuid &organization) {
    int64 position;
    bool is_known = positions_.find(organization, &position);
    if (!is_known) position = subscription_->beginning(organization, scan_);
    scan_->seek(organization, position, organization);
    if (!scan_->next()) return true;
    Datum id = uuid_datum(organization);
    // Where it is ours to add the position, it is ours.
    bool is_ours = false, more = true;
    if (!is_known) {
      if (!lock_addition(subscription_->name, organization, added_++)) return false;
      is_ours = add_.run({name_, id, Int64GetDatum(position)}) > 0;
    }
    int64 first = 0, last = 0, seen = position;
    while (more && !is_full()) {
      read_++;
      if (matches()) {
        if (!is_ours) {
          if (lock_.run({name_, id}) == 0) return false;  // another consumer's
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
      more = scan_->next();
    }
    bool is_passed = seen == position;
    // What did not match, nobody need look at again; where another consumer is at work, that is his to say.
    if (!is_passed && (is_ours || lock_.run({name_, id}) > 0)) {
      (void)pass_.run({name_, id, Int64GetDatum(seen)});
      is_passed = passed_ = true;
    }
    if (first > 0) {
      organizations_.add(id);
      firsts_.add(Int64GetDatum(first));
      lasts_.add(Int64GetDatum(last));
    }
    pfree(DatumGetPointer(id));
    return !more && is_passed;
  }

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
  static constexpr int64 most_looked = 100000;

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
  int64 added_;  // positions
  bool passed_;  // over events
  int most_;
  Datum name_;
  Statement lock_, add_, pass_;
  PositionScan positions_;
  Growing organizations_, firsts_, lasts_;  // of the batch
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
  NewsScan news;
  int most = PG_GETARG_INT32(1);
  if (visited.all) news.begin(name, queued_first(name) ? NewsScan::First::queued : NewsScan::First::others, Max(most, 64));
  scan.begin(Subscription::filtered_columns | (subscription.begins_later ? Subscription::origin_columns : 0));
  Batch batch;
  batch.begin(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), &subscription, &scan, personal);
  if (!batch.give_again(taker, visited)) batch.give_next(taker, visited, visited.all ? &news : nullptr, most);
  if (visited.all) news.end();
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

PG_FUNCTION_INFO_V1(spine_retry_batch);
PGDLLEXPORT Datum spine_retry_batch(PG_FUNCTION_ARGS) {
  require_writable("spine.retry_batch()");
  const char *name = name_argument(fcinfo);
  SqlArgument number = {INT8OID, PG_ARGISNULL(1) ? static_cast<Datum>(0) : PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
  Organizations readable = require_reading(events_relid());
  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  Subscription subscription;
  subscription.open(name, ShareLock, role);
  // As if it had never been given.
  if (run_sql("UPDATE spine.subscription_batches SET set_aside_at = NULL, delivery = 0 WHERE subscription = $1 AND batch = $2 AND set_aside_at IS NOT NULL"
              " AND ($3 IS NULL OR organizations <@ $3) RETURNING events",
              {text_argument(name), number, array_of(readable)}) == 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BATCH_NOT_SET_ASIDE),
                    errmsg("batch %s of subscription \"%s\" is not set aside", PG_ARGISNULL(1) ? "null" : psprintf(INT64_FORMAT, PG_GETARG_INT64(1)), clipped(name)),
                    errhint("SELECT batch FROM spine.set_aside_batches lists those that are.")));
  int64 events = DatumGetInt64(field(0, 1));
  SPI_finish();
  rights.end();
  PG_RETURN_INT64(events);
}

}  // extern "C"

}  // namespace spine
