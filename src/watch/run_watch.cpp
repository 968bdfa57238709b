// spine.run_watch: what is new, judged once.
//
// The events come through a subscription of the watch's own, so two runs never judge the same ones; what each moves on, remembers
// and finds is one transaction. An organization's states are written by whoever holds the row of its position.
#include <algorithm>

#include "access/access.h"
#include "core/uuid.h"
#include "server/errors.h"
#include "server/owned_object.h"
#include "server/transaction_lock.h"
#include "store/chain_lock.h"
#include "store/emit.h"
#include "store/event_scan.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "watch/event_fields.h"
#include "watch/findings.h"
#include "watch/periodic.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/date.h>
#include <utils/guc.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr const char *subscription = "platform.watch";
constexpr int portion = 10000;              // events that are judged together
constexpr long chunk = 100;                  // of which so many are in memory at a time, for each may hold a megabyte
constexpr int64 most_states = 1000000;      // of an organization
constexpr int64 most_late = 10000;          // groups that a call finds late

// Arrays that a statement takes, one element for each row.
struct Columns {
  ArrayBuildState *state = nullptr;
  Oid type;

  explicit Columns(Oid of) : type(of) {}
  void add(Datum value, bool null = false) { state = accumArrayResult(state, value, null, type, CurrentMemoryContext); }
  Datum array() const {
    return state == nullptr ? PointerGetDatum(construct_empty_array(type)) : makeArrayResult(state, CurrentMemoryContext);
  }
};

Datum uuid_of_digest(const RuleDigest &digest) { return uuid_datum(digest); }

Datum moment_datum(int64 unix_microseconds) { return TimestampTzGetDatum(unix_microseconds - unix_time(0)); }

// The day after the one on which it ends; infinity for what never does.
Datum expiry(int64 unix_microseconds) {
  if (unix_microseconds == PG_INT64_MAX) return DateADTGetDatum(DATEVAL_NOEND);
  return DateADTGetDatum(static_cast<DateADT>((unix_microseconds - unix_time(0)) / USECS_PER_DAY + 1));
}

// Makes the subscription, once. Raises SP136 where it is somebody else's, or lets not everything through.
void require_subscription() {
  constexpr const char *look =
      "SELECT owner = $2 AND organizations IS NULL AND domains IS NULL AND event_types IS NULL AND entity_types IS NULL AND actors IS NULL"
      " AND minimum_severity IS NULL FROM spine.subscriptions WHERE name = $1";
  SqlArgument name = {TEXTOID, CStringGetTextDatum(subscription)}, owner = {REGROLEOID, ObjectIdGetDatum(GetUserId())};
  uint64 rows = run_sql(look, {name, owner});
  if (rows == 0) {
    LOCKTAG tag = lock_tag(0, LockClass::watch);
    for_transaction([&] { (void)LockAcquire(&tag, ExclusiveLock, false, false); });
    if (run_sql(look, {name, owner}) == 0) run_sql("SELECT spine.create_subscription($1, redeliver_after => '1 day')", {name});
    rows = run_sql(look, {name, owner});
  }
  if (rows == 0 || !DatumGetBool(require_field(0, 1)))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_THE_WATCHS), errmsg("subscription \"%s\" is not the watch's own", subscription),
                    errhint("It must belong to the owner of spine.events and have no filter: SELECT spine.drop_subscription('%s'), and the next run makes it.",
                            subscription)));
}

class Run {
 public:
  void begin() {
    run_memory_ = CurrentMemoryContext;
    memory_ = AllocSetContextCreate(run_memory_, "events of the watch", ALLOCSET_DEFAULT_SIZES);
  }

  // The next events, at most that many; how many they were.
  int64 take(int64 most) {
    MemoryContext before = MemoryContextSwitchTo(memory_);
    Oid types[] = {TEXTOID, INT4OID};
    Datum values[] = {CStringGetTextDatum(subscription), Int32GetDatum(static_cast<int32>(Min(most, int64{portion})))};
    Portal events = SPI_cursor_open_with_args(nullptr, "SELECT batch, event FROM spine.next_batch($1, $2)", 2, types, values, nullptr, false, 0);
    int64 batch = 0, taken = 0;
    MemoryContext chunk_memory = AllocSetContextCreate(memory_, "some events of the watch", ALLOCSET_DEFAULT_SIZES);
    for (;;) {
      SPI_cursor_fetch(events, true, chunk);
      SPITupleTable *table = SPI_tuptable;
      uint64 rows = SPI_processed;
      if (rows > 0 && taken == 0) {
        batch = DatumGetInt64(require_field(0, 1));
        load_rules();
        if (run_sql("SELECT organizations FROM spine.subscription_batches WHERE subscription = $1 AND batch = $2", {{TEXTOID, values[0]}, {INT8OID, Int64GetDatum(batch)}}) == 1)
          lock(require_field(0, 1), true);
      }
      MemoryContextSwitchTo(chunk_memory);
      note(table, rows);
      MemoryContextSwitchTo(memory_);
      MemoryContextReset(chunk_memory);
      SPI_freetuptable(table);
      taken += static_cast<int64>(rows);
      if (rows == 0) break;
    }
    SPI_cursor_close(events);
    if (taken > 0) {
      give();
      await_periodic_rules();
      check(rules_.watch->decide());
      run_sql("SELECT spine.acknowledge($1, $2)", {{TEXTOID, values[0]}, {INT8OID, Int64GetDatum(batch)}});
      raise_findings(rules_, &findings_, &repeats_);
      store();
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory_);
    return taken;
  }

  // What was to come by now, and did not.
  void look_for_late() {
    uint64 rows = run_sql("SELECT organization_id, key, due_at FROM spine.watch_states WHERE due_at <= pg_catalog.clock_timestamp() ORDER BY due_at LIMIT $1",
                          {{INT8OID, Int64GetDatum(most_late)}});
    if (rows == 0) return;
    SPITupleTable *table = SPI_tuptable;
    load_rules();
    SPI_tuptable = table;
    Columns organizations(UUIDOID);
    for (uint64 i = 0; i < rows; i++) organizations.add(require_field(i, 1));
    lock(organizations.array(), false);
    for (uint64 i = 0; i < rows; i++) {
      SPI_tuptable = table;
      Uuid organization = uuid_of(require_field(i, 1));
      SqlArgument id = {UUIDOID, require_field(i, 1)}, key = {UUIDOID, require_field(i, 2)}, due = {TIMESTAMPTZOID, require_field(i, 3)};
      Position *position = find(organization);
      if (position == nullptr) continue;
      int64 until = known_until(*position);
      if (unix_time(DatumGetTimestampTz(due.value)) >= until) continue;
      // Behind the lock: another run may have dealt with it.
      if (run_sql("SELECT rule, definition_version, state FROM spine.watch_states WHERE organization_id = $1 AND key = $2 AND due_at = $3", {id, key, due}) == 0)
        continue;
      int rule = enabled(text_to_cstring(DatumGetTextPP(require_field(0, 1))), DatumGetInt32(require_field(0, 2)));
      if (rule >= 0) {
        GroupKey group{organization, uuid_of(key.value)};
        std::string_view state = text_view(DatumGetByteaPP(require_field(0, 3)));
        if (!rules_.watch->rules().rule(static_cast<size_t>(rule)).is_periodic()) {
          check(rules_.watch->end_waiting(group, static_cast<uint32_t>(rule), state, until));
          continue;
        }
        check(rules_.watch->give(group, state));
        check(rules_.watch->look_at(group, static_cast<uint32_t>(rule), look_now(rules_, static_cast<uint32_t>(rule))));
        continue;
      }
      // What a rule that is off, or was another, waited for.
      position->states -= static_cast<int64>(run_sql("DELETE FROM spine.watch_states WHERE organization_id = $1 AND key = $2", {id, key}));
      position->is_changed = true;
    }
    raise_findings(rules_, &findings_, &repeats_);
    store();
  }

  int64 findings() const { return findings_; }
  int64 repeats() const { return repeats_; }

 private:
  struct Position {
    Uuid organization;
    int64 sequence;
    int64 last;       // when that event was chained
    int64 states;
    int64 dropped;
    bool is_changed;
  };

  // Once there is something for them: most calls find nothing new.
  void load_rules() {
    if (changes_ != nullptr) return;
    MemoryContext before = MemoryContextSwitchTo(run_memory_);
    calendars_ = read_calendars();
    rules_ = load_enabled_rules();
    reader_.begin(rules_.watch->rules());
    changes_ = owned_by_context<std::vector<ChangedGroup>>();
    if (changes_ == nullptr) check(Status::out_of_memory);
    MemoryContextSwitchTo(before);
  }

  // The number of a rule in this definition; -1: it is not enabled.
  int enabled(const char *name, int32 definition) const {
    for (int r = 0; r < rules_.count; r++)
      if (strcmp(rules_.rule[r].name, name) == 0 && rules_.watch->rules().rule(static_cast<size_t>(r)).definition == definition) return r;
    return -1;
  }

  // Up to when all that the organization has, and ever will have, is judged.
  int64 known_until(const Position &position) {
    int64 now = unix_time(GetCurrentTimestamp());
    if (!chain_is_free(events_relid(), position.organization)) return position.last;
    ChainScan scan;
    scan.begin();
    scan.seek(position.organization, position.sequence, position.organization);
    bool has_more = scan.next();
    scan.end();
    return has_more ? position.last : Max(now, position.last);
  }

  // Rules that are looked at now and then are awaited from the run on that judges the event of their being set.
  void await_periodic_rules() {
    if (find(nil_uuid) == nullptr) return;
    for (int r = 0; r < rules_.count; r++) {
      if (!rules_.watch->rules().rule(static_cast<size_t>(r)).is_periodic()) continue;
      GroupKey key;
      check(rules_.watch->periodic_key(static_cast<uint32_t>(r), &key));
      if (run_sql("SELECT FROM spine.watch_states WHERE organization_id = $1 AND key = $2", {{UUIDOID, uuid_datum(key.organization)}, {UUIDOID, uuid_of_digest(key.digest)}}) == 0)
        check(rules_.watch->look_at(key, static_cast<uint32_t>(r), unix_time(GetCurrentTimestamp())));
    }
  }

  // Locks the positions in these organizations, a uuid[], and reads them. Where the caller does not wait, those that another transaction
  // has are left out.
  void lock(Datum organizations, bool waits) {
    SqlArgument ids = {UUIDARRAYOID, organizations};
    if (waits)
      run_sql("INSERT INTO spine.watch_positions (organization_id, sequence, last_timestamp, states, dropped)"
              " SELECT o, 0, '-infinity', 0, 0 FROM unnest($1) o ON CONFLICT DO NOTHING", {ids});
    uint64 rows = run_sql(psprintf("SELECT organization_id, sequence, last_timestamp, states, dropped FROM spine.watch_positions"
                                   " WHERE organization_id = ANY ($1) ORDER BY organization_id FOR UPDATE%s", waits ? "" : " SKIP LOCKED"),
                          {ids});
    positions_ = static_cast<Position *>(palloc(sizeof(Position) * Max(rows, uint64{1})));
    count_ = static_cast<int>(rows);
    for (uint64 i = 0; i < rows; i++) {
      TimestampTz last = DatumGetTimestampTz(require_field(i, 3));
      positions_[i] = {uuid_of(require_field(i, 1)), DatumGetInt64(require_field(i, 2)), TIMESTAMP_IS_NOBEGIN(last) ? PG_INT64_MIN / 2 : unix_time(last),
                       DatumGetInt64(require_field(i, 4)), DatumGetInt64(require_field(i, 5)), false};
    }
  }

  // Null: it is not locked.
  Position *find(const Uuid &organization) {
    Position *end = positions_ + count_;
    Position *at = std::lower_bound(positions_, end, organization, [](const Position &p, const Uuid &o) { return p.organization < o; });
    return at != end && at->organization == organization ? at : nullptr;
  }

  // Of a group that was touched.
  Position &of(const Uuid &organization) {
    Position *position = find(organization);
    if (position == nullptr) report_suppressed("watch_positions");
    return *position;
  }

  // Whether the watch looks at an event at all: not at what it says itself, for that would find itself again.
  static bool is_watched(const Event &event) { return event.event_type != finding_raised_event; }

  // Matches some events, of organizations whose positions are locked.
  void note(SPITupleTable *table, uint64 rows) {
    Position *position = nullptr;
    const Calendar *calendar = nullptr;
    for (uint64 i = 0; i < rows; i++) {
      bool null;
      Event event;
      event_of_row(DatumGetHeapTupleHeader(SPI_getbinval(table->vals[i], table->tupdesc, 2, &null)), &event);
      require_columns(event, bit(Column::organization_id) | bit(Column::sequence) | bit(Column::timestamp) | bit(Column::event_type));
      if (position == nullptr || position->organization != event.organization_id) {
        position = &of(event.organization_id);
        calendar = calendars_.of(event.organization_id);
      }
      // A subscription that was made anew gives all of it again.
      if (event.sequence <= position->sequence) continue;
      if (is_watched(event)) note(event, calendar);
      position->sequence = event.sequence;
      position->last = event.timestamp;
      position->is_changed = true;
    }
  }

  void note(const Event &event, const Calendar *calendar) {
    const RuleSet::Plan *plan = rules_.watch->rules().plan(event.event_type);
    if (plan == nullptr) check(Status::out_of_memory);
    if (plan->selections.empty()) return;
    require_readable_parts(event);
    check(rules_.watch->note(event.organization_id, event.sequence, event.timestamp, *plan, reader_.read(event, *plan, calendar)));
  }

  // What the groups of the noted events remember.
  void give() {
    const auto &wanted = rules_.watch->wanted();
    if (wanted.empty()) return;
    Columns organizations(UUIDOID), keys(UUIDOID);
    for (const GroupKey &key : wanted) {
      organizations.add(uuid_datum(key.organization));
      keys.add(uuid_of_digest(key.digest));
    }
    uint64 rows = run_sql("SELECT s.organization_id, s.key, s.state FROM unnest($1, $2) w (o, k)"
                          " JOIN spine.watch_states s ON s.organization_id = w.o AND s.key = w.k",
                          {{UUIDARRAYOID, organizations.array()}, {UUIDARRAYOID, keys.array()}});
    for (uint64 i = 0; i < rows; i++) {
      bytea *state = DatumGetByteaPP(require_field(i, 3));
      check(rules_.watch->give({uuid_of(require_field(i, 1)), uuid_of(require_field(i, 2))}, text_view(state)));
    }
  }

  // Writes what the groups remember from now on, and how far the organizations are.
  void store() {
    check(rules_.watch->take_changes(changes_));
    Columns organizations(UUIDOID), keys(UUIDOID), names(TEXTOID), definitions(INT4OID), dues(TIMESTAMPTZOID), ends(DATEOID), states(BYTEAOID);
    Columns gone_organizations(UUIDOID), gone_keys(UUIDOID);
    for (const ChangedGroup &changed : *changes_) {
      Position &position = of(changed.key.organization);
      if (changed.is_empty) {
        gone_organizations.add(uuid_datum(changed.key.organization));
        gone_keys.add(uuid_of_digest(changed.key.digest));
        position.states--;
        position.is_changed = true;
        continue;
      }
      position.states += changed.is_new;
      organizations.add(uuid_datum(changed.key.organization));
      keys.add(uuid_of_digest(changed.key.digest));
      names.add(CStringGetTextDatum(rules_.rule[changed.rule].name));
      definitions.add(Int32GetDatum(static_cast<int32>(rules_.watch->rules().rule(changed.rule).definition)));
      dues.add(moment_datum(changed.due), changed.due == 0);
      ends.add(expiry(changed.ends));
      states.add(bytea_datum({reinterpret_cast<const uint8_t *>(changed.stored.data()), changed.stored.size()}));
    }
    if (gone_organizations.state != nullptr)
      run_sql("DELETE FROM spine.watch_states s USING unnest($1, $2) w (o, k) WHERE s.organization_id = w.o AND s.key = w.k",
              {{UUIDARRAYOID, gone_organizations.array()}, {UUIDARRAYOID, gone_keys.array()}});
    if (organizations.state != nullptr)
      run_sql("INSERT INTO spine.watch_states AS s (organization_id, key, rule, definition_version, due_at, expires_on, state)"
              " SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)"
              " ON CONFLICT (organization_id, key) DO UPDATE SET due_at = excluded.due_at, expires_on = excluded.expires_on, state = excluded.state",
              {{UUIDARRAYOID, organizations.array()},
               {UUIDARRAYOID, keys.array()},
               {TEXTARRAYOID, names.array()},
               {INT4ARRAYOID, definitions.array()},
               {TIMESTAMPTZARRAYOID, dues.array()},
               {DATEARRAYOID, ends.array()},
               {BYTEAARRAYOID, states.array()}});
    store_positions();
    // Locked they stay; known they need not.
    count_ = 0;
    rules_.watch->forget_groups();
  }

  void store_positions() {
    Columns organizations(UUIDOID), expired(DATEOID);
    for (const Position *position = positions_; position < positions_ + count_; position++) {
      if (!position->is_changed) continue;
      organizations.add(uuid_datum(position->organization));
      expired.add(expiry(position->last - USECS_PER_DAY));
    }
    if (organizations.state == nullptr) return;
    Datum ids = organizations.array();
    uint64 rows = run_sql("WITH gone AS (DELETE FROM spine.watch_states s USING unnest($1, $2) w (o, d) WHERE s.organization_id = w.o AND s.expires_on < w.d"
                          " AND s.due_at IS NULL"  // what is late is still to be told
                          " RETURNING s.organization_id) SELECT organization_id, count(*) FROM gone GROUP BY organization_id",
                          {{UUIDARRAYOID, ids}, {DATEARRAYOID, expired.array()}});
    for (uint64 i = 0; i < rows; i++) of(uuid_of(require_field(i, 1))).states -= DatumGetInt64(require_field(i, 2));
    Columns sequences(INT8OID), lasts(TIMESTAMPTZOID), states(INT8OID), dropped(INT8OID);
    uint64 changed = 0;
    for (Position *position = positions_; position < positions_ + count_; position++) {
      if (!position->is_changed) continue;
      if (position->states > most_states) give_up(position);
      sequences.add(Int64GetDatum(position->sequence));
      lasts.add(moment_datum(position->last));
      states.add(Int64GetDatum(position->states));
      dropped.add(Int64GetDatum(position->dropped));
      changed++;
    }
    if (run_sql("UPDATE spine.watch_positions p SET sequence = w.s, last_timestamp = w.t, states = w.n, dropped = w.d"
                " FROM unnest($1, $2, $3, $4, $5) w (o, s, t, n, d) WHERE p.organization_id = w.o",
                {{UUIDARRAYOID, ids}, {INT8ARRAYOID, sequences.array()}, {TIMESTAMPTZARRAYOID, lasts.array()}, {INT8ARRAYOID, states.array()},
                 {INT8ARRAYOID, dropped.array()}}) != changed)
      report_suppressed("watch_positions");
  }

  // More groups than are kept: those that would end first go.
  void give_up(Position *position) {
    int64 gone = static_cast<int64>(run_sql("DELETE FROM spine.watch_states WHERE organization_id = $1 AND key IN (SELECT key FROM spine.watch_states"
                                            " WHERE organization_id = $1 ORDER BY due_at IS NOT NULL, expires_on LIMIT $2)",
                                            {{UUIDOID, uuid_datum(position->organization)}, {INT8OID, Int64GetDatum(position->states - most_states)}}));
    position->states -= gone;
    position->dropped += gone;
    ereport(WARNING, (errmsg("the watch gave up " INT64_FORMAT " states of organization %s before their time", gone, uuid_text(position->organization)),
                      errhint("More than " INT64_FORMAT " groups are remembered: shorten the timespans of its rules, or group by less.", most_states)));
  }

  LoadedRules rules_;
  Calendars calendars_;
  FieldReader reader_;
  MemoryContext run_memory_;
  MemoryContext memory_;  // of a portion
  std::vector<ChangedGroup> *changes_ = nullptr;
  Position *positions_ = nullptr;
  int count_ = 0;
  int64 findings_ = 0, repeats_ = 0;
};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_run_watch);
PGDLLEXPORT Datum spine_run_watch(PG_FUNCTION_ARGS) {
  require_writable("spine.run_watch()");
  require_watcher();
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 1)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_MAX_EVENTS),
                    PG_ARGISNULL(0) ? errmsg("max_events is null") : errmsg("max_events is %d", PG_GETARG_INT32(0)),
                    errhint("Pass how many events to judge at most, 1 or more.")));
  int64 most = PG_GETARG_INT32(0), judged = 0;
  // A planner that knows the tables of the watch empty would read all of them.
  int level = NewGUCNestLevel();
  for (const char *setting : {"enable_hashjoin", "enable_mergejoin", "enable_seqscan"})
    (void)set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  require_subscription();
  Run run;
  run.begin();
  while (judged < most) {
    int64 taken = run.take(most - judged);
    if (taken == 0) break;
    judged += taken;
  }
  run.look_for_late();
  SPI_finish();
  rights.end();
  AtEOXact_GUC(true, level);
  Datum values[] = {Int64GetDatum(judged), Int64GetDatum(run.findings()), Int64GetDatum(run.repeats())};
  bool nulls[lengthof(values)] = {};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
