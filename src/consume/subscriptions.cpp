// Subscriptions: spine.create_subscription, next_batch, acknowledge, drop_subscription and read_subscriptions.
//
// How far a subscription is, is a position in each organization: within one, sequences have no gap and are in commit
// order, so that "all up to n" skips nothing that commits late, and holds after a restore into whatever cluster.
//
// Who gives out an organization's events holds the row lock of its position to the end of the transaction, and others
// pass it over; so the work is shared however long a consumer's transaction is, and no number of organizations fills
// the lock table. One lock more, for a subscription, is whoever's who adds positions of organizations that have none.
#include <algorithm>

#include "access/access.h"
#include "core/event_name.h"
#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/sql.h"
#include "server/transaction_lock.h"
#include "store/emit.h"
#include "store/event_scan.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/genam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/namespace.h>
#include <catalog/pg_type.h>
#include <common/hashfn.h>
#include <funcapi.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr Uuid last_uuid = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// The uuids before and after, in the order of uuids; neither the first's nor the last's is asked for.
Uuid before(Uuid uuid) {
  for (size_t i = uuid.size(); i-- > 0;)
    if (uuid[i]-- != 0) break;
  return uuid;
}
Uuid after(Uuid uuid) {
  for (size_t i = uuid.size(); i-- > 0;)
    if (++uuid[i] != 0) break;
  return uuid;
}

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

// Of what the last statement returned.
Datum field(uint64 row, int column, bool *null) {
  return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}
Datum field(uint64 row, int column) {
  bool null;
  return field(row, column, &null);
}

// An array that grows, in the current memory context.
struct Growing {
  Oid type;
  ArrayBuildState *state = nullptr;

  void add(Datum value) { state = accumArrayResult(state, value, false, type, CurrentMemoryContext); }
  Datum array() const {
    return state == nullptr ? PointerGetDatum(construct_empty_array(type)) : makeArrayResult(state, CurrentMemoryContext);
  }
};

// The elements of an array without nulls; -1: the array is NULL.
struct Elements {
  int count = -1;
  Datum *value = nullptr;

  void take(Datum array, Oid type) {
    bool is_text = type == TEXTOID;
    deconstruct_array(DatumGetArrayTypeP(array), type, is_text ? -1 : UUID_LEN, false, is_text ? TYPALIGN_INT : TYPALIGN_CHAR, &value, nullptr,
                      &count);
  }
};

SqlArgument text_argument(const char *text) { return {TEXTOID, CStringGetTextDatum(text)}; }

// Rights and locks --------------------------------------------------------------------------------------------------

// Who consumes a subscription shares it, who makes or drops it does so alone.
LOCKTAG subscription_tag(const char *name, uint64 what) {
  uint64 key = hash_bytes_extended(reinterpret_cast<const unsigned char *>(name), static_cast<int>(strlen(name)), what);
  return lock_tag(key, LockClass::subscription);
}

void lock_subscription(const char *name, LOCKMODE mode) {
  LOCKTAG tag = subscription_tag(name, 0);
  for_transaction([&] { (void)LockAcquire(&tag, mode, false, false); });
}

// False: another transaction adds positions.
bool lock_additions(const char *name) {
  LOCKTAG tag = subscription_tag(name, 1);
  bool got = false;
  for_transaction([&] { got = LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL; });
  return got;
}

[[noreturn]] void report_unknown(const char *message) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_SUBSCRIPTION), errmsg("%s", message),
                  errhint("SELECT name FROM spine.subscription_lag lists those that the role may consume; "
                          "spine.create_subscription makes one.")));
}

[[noreturn]] void report_bad(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SUBSCRIPTION), errmsg("%s", message), errhint("%s", hint)));
}

const char *name_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) report_unknown("the name of the subscription is null");
  return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

constexpr const char *columns_of_subscription =
    "SELECT owner, organizations, domains, event_types, entity_types, actors, minimum_severity, redeliver_after FROM spine.subscriptions"
    " WHERE name = $1";

// A subscription that the current role may consume. Whoever reads it is connected to SPI, whose memory it lies in.
struct Subscription {
  const char *name;
  Elements organizations, domains, event_types, entity_types, actors;
  bool has_minimum;
  Datum minimum_severity;
  FmgrInfo at_least;
  Datum redeliver_after;

  // Raises SP029, 42501.
  void open(const char *its_name, LOCKMODE mode, Oid role) {
    name = its_name;
    // Whoever may not consume it shall not keep others waiting for it.
    look_up(role, "");
    lock_subscription(name, mode);
    // A snapshot from before it was dropped shows it still: locking the row says so.
    look_up(role, IsolationUsesXactSnapshot() ? " FOR KEY SHARE" : "");
    read(0, 2);
  }

  // Finds its row, and checks the role's right to it.
  void look_up(Oid role, const char *row_lock) const {
    if (run_sql(psprintf("%s%s", columns_of_subscription, row_lock), {text_argument(name)}) == 0)
      report_unknown(psprintf("there is no subscription \"%s\"", clipped(name)));
    Oid owner = DatumGetObjectId(field(0, 1));
    if (!has_privs_of_role(role, owner)) {
      const char *owner_name = GetUserNameFromId(owner, true);
      ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                      errmsg("role \"%s\" may not consume subscription \"%s\"", GetUserNameFromId(role, false), clipped(name)),
                      owner_name != nullptr ? errhint("Its owner's members may: GRANT %s TO it.", quote_identifier(owner_name))
                                            : errhint("Its owner was dropped: a superuser may.")));
    }
  }

  // From a row of the last statement.
  void read(uint64 row, int column) {
    struct {
      Elements *list;
      Oid type;
    } const lists[] = {{&organizations, UUIDOID}, {&domains, TEXTOID}, {&event_types, TEXTOID}, {&entity_types, TEXTOID}, {&actors, UUIDOID}};
    bool null;
    for (const auto &l : lists) {
      Datum array = field(row, column++, &null);
      *l.list = {};
      if (!null) l.list->take(array, l.type);
    }
    minimum_severity = field(row, column++, &null);
    has_minimum = !null;
    fmgr_info(F_ENUM_GE, &at_least);
    redeliver_after = field(row, column);
  }

  // Whether the event where the scan is passes the filters; its organization is the caller's to look at.
  bool lets_through(const ChainScan &scan) {
    Datum value;
    if (has_minimum && !(scan.get(Column::severity, &value) && DatumGetBool(FunctionCall2(&at_least, value, minimum_severity)))) return false;
    if (actors.count >= 0) {
      if (!scan.get(Column::actor_id, &value)) return false;
      Uuid actor = uuid_of(value);
      if (!std::any_of(actors.value, actors.value + actors.count, [&](Datum a) { return uuid_of(a) == actor; })) return false;
    }
    return is_among(scan, Column::domain, domains) && is_among(scan, Column::event_type, event_types) &&
           is_among(scan, Column::entity_type, entity_types);
  }

 private:
  static bool is_among(const ChainScan &scan, Column column, const Elements &list) {
    if (list.count < 0) return true;
    Datum value;
    if (!scan.get(column, &value)) return false;
    std::string_view text = text_view(PG_DETOAST_DATUM_PACKED(value));
    return std::any_of(list.value, list.value + list.count, [&](Datum one) { return text_view(DatumGetPointer(one)) == text; });
  }
};

// Organizations with news --------------------------------------------------------------------------------------------

// Which organizations are visited: those in the list, sorted, or all.
struct Visited {
  bool all;
  int count;
  Uuid *sorted;

  void restrict_to(const Organizations &readable, const Elements &wanted) {
    all = readable.all && wanted.count < 0;
    count = 0;
    sorted = nullptr;
    if (all) return;
    int most = wanted.count < 0 ? readable.count : wanted.count;
    sorted = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(Max(most, 1))));
    for (int i = 0; i < most; i++) {
      Uuid one = wanted.count < 0 ? readable.sorted[i] : uuid_of(wanted.value[i]);
      if (readable.has(one)) sorted[count++] = one;
    }
    std::sort(sorted, sorted + count);
    count = static_cast<int>(std::unique(sorted, sorted + count) - sorted);
  }
  Datum array() const {
    Growing list{UUIDOID};
    for (int i = 0; i < count; i++) list.add(uuid_datum(sorted[i]));
    return list.array();
  }
};

// NULL: all.
SqlArgument array_of(const Organizations &organizations) {
  Visited visited;
  visited.restrict_to(organizations, Elements());
  return {UUIDARRAYOID, visited.all ? static_cast<Datum>(0) : visited.array(), visited.all};
}

// Where a scan has come to: the organization of its event.
Uuid organization_at(const ChainScan &scan) {
  Datum value;
  return scan.get(Column::organization_id, &value) ? uuid_of(value) : nil_uuid;
}
int64 sequence_at(const ChainScan &scan) {
  Datum value;
  return scan.get(Column::sequence, &value) ? DatumGetInt64(value) : 0;
}

// The positions of a subscription in the order of organizations. Not by SQL: a planner that does not know how many
// there are sorts them for each portion.
class PositionScan {
 public:
  void begin(const char *subscription) {
    Oid schema = get_namespace_oid("spine", false);
    relation_ = table_open(get_relname_relid("subscription_positions", schema), AccessShareLock);
    index_ = index_open(get_relname_relid("subscription_positions_pkey", schema), AccessShareLock);
    snapshot_ = RegisterSnapshot(GetTransactionSnapshot());
    slot_ = table_slot_create(relation_, nullptr);
    scan_ = compat_index_beginscan(relation_, index_, snapshot_, 2);
    subscription_ = CStringGetTextDatum(subscription);
  }
  // From this organization on.
  void seek(const Uuid &organization) {
    memcpy(from_.data, organization.data(), UUID_LEN);
    ScanKeyData keys[2];
    ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, TEXTOID, index_->rd_indcollation[0], F_TEXTEQ, subscription_);
    ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_UUID_GE, UUIDPGetDatum(&from_));
    index_rescan(scan_, keys, lengthof(keys), nullptr, 0);
  }
  bool next(Uuid *organization, int64 *sequence) {
    if (!index_getnext_slot(scan_, ForwardScanDirection, slot_)) return false;
    slot_getsomeattrs(slot_, 3);
    *organization = uuid_of(slot_->tts_values[1]);
    *sequence = DatumGetInt64(slot_->tts_values[2]);
    return true;
  }
  void end() {
    index_endscan(scan_);
    ExecDropSingleTupleTableSlot(slot_);
    UnregisterSnapshot(snapshot_);
    index_close(index_, AccessShareLock);
    table_close(relation_, AccessShareLock);
  }

 private:
  Relation relation_;
  Relation index_;
  Snapshot snapshot_;
  TupleTableSlot *slot_;
  IndexScanDesc scan_;
  Datum subscription_;
  pg_uuid_t from_;
};

// Goes through the organizations of a subscription that have events behind their positions, in the order of their
// uuids, and calls visit(organization, position, is_known) for each, with the scan at the first such event. is_known:
// there is a position. visit may take the scan on; it returns false to end the walk.
template <class Visit>
class Walk {
 public:
  Walk(const Visited &visited, ChainScan *scan, Visit visit) : visited_(visited), scan_(scan), visit_(visit) {}

  // The organizations behind start, then the others, so that none waits for ever because others are busy.
  void run(const char *subscription, const Uuid &start) {
    positions_.begin(subscription);
    if (visited_.all)
      (void)((start == last_uuid || run_all(after(start), last_uuid)) && run_all(nil_uuid, start));
    else
      run_list(start);
    positions_.end();
  }

 private:
  // The index is asked once between each two positions: it tells of news behind the one, and of organizations that
  // have no position yet.
  bool run_all(const Uuid &first, const Uuid &last) {
    Uuid organization = first, known;
    int64 sequence = 0, known_sequence;
    bool is_known = false;
    positions_.seek(first);
    while (positions_.next(&known, &known_sequence) && known <= last) {
      if (known != first && !segment(organization, sequence, is_known, before(known))) return false;
      organization = known;
      sequence = known_sequence;
      is_known = true;
    }
    return segment(organization, sequence, is_known, last);
  }

  void run_list(const Uuid &start) {
    std::ptrdiff_t behind = std::upper_bound(visited_.sorted, visited_.sorted + visited_.count, start) - visited_.sorted;
    for (int i = 0; i < visited_.count; i++) {
      const Uuid &organization = visited_.sorted[(behind + i) % visited_.count];
      Uuid known;
      int64 sequence;
      positions_.seek(organization);
      bool is_known = positions_.next(&known, &sequence) && known == organization;
      if (!segment(organization, is_known ? sequence : 0, is_known, organization)) return;
    }
  }

  // The events after this one of the organization, and those of organizations behind it, up to last, which have no position.
  bool segment(const Uuid &organization, int64 sequence, bool is_known, const Uuid &last) {
    scan_->seek(organization, sequence, last);
    while (scan_->next() != nullptr) {
      Uuid found = organization_at(*scan_);
      bool is_first = found == organization;
      if (!visit_(found, is_first ? sequence : 0, is_first && is_known)) return false;
      if (found == last) break;
      scan_->seek(found, PG_INT64_MAX, last);
    }
    return true;
  }

  const Visited &visited_;
  ChainScan *scan_;
  Visit visit_;
  PositionScan positions_;
};

template <class Visit>
void walk(const char *subscription, const Visited &visited, ChainScan *scan, const Uuid &start, Visit visit) {
  Walk<Visit>(visited, scan, visit).run(subscription, start);
}

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

// Giving out ----------------------------------------------------------------------------------------------------------

class Batch {
 public:
  void begin(ReturnSetInfo *result, Subscription *subscription, ChainScan *scan) {
    result_ = result;
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
    const int64 *bounds[2];
    for (int b = 0; b < 2; b++) bounds[b] = reinterpret_cast<const int64 *>(ARR_DATA_PTR(DatumGetArrayTypeP(field(0, 4 + b))));
    for (int i = 0; i < organizations.count; i++) {
      Uuid organization = uuid_of(organizations.value[i]);
      scan_->seek(organization, bounds[0][i] - 1, organization);
      while (TupleTableSlot *slot = scan_->next()) {
        if (sequence_at(*scan_) > bounds[1][i]) break;
        if (matches()) put(slot);
      }
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
              more = scan_->next() != nullptr;
              continue;
            }
          }
          if (events_ == 0) {
            run_sql("SELECT pg_catalog.nextval('spine.subscription_batch')");
            number_ = DatumGetInt64(field(0, 1));
          }
          last = sequence_at(*scan_);
          if (first == 0) first = last;
          put(scan_->current());
        }
        seen = sequence_at(*scan_);
        more = scan_->next() != nullptr && organization_at(*scan_) == organization;
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
  bool matches() {
    MemoryContext before_it = MemoryContextSwitchTo(row_memory_);
    bool matches = subscription_->lets_through(*scan_);
    MemoryContextSwitchTo(before_it);
    MemoryContextReset(row_memory_);
    return matches;
  }

  void put(TupleTableSlot *slot) {
    MemoryContext before_it = MemoryContextSwitchTo(row_memory_);
    Datum values[3] = {Int64GetDatum(number_), Int32GetDatum(delivery_), ExecFetchSlotHeapTupleDatum(slot)};
    bool nulls[3] = {};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
    events_++;
    MemoryContextSwitchTo(before_it);
    MemoryContextReset(row_memory_);
  }

  // So that a call ends, and what it passed over is kept, where hardly an event passes the filters.
  static constexpr int64 most_read = 1000000;

  ReturnSetInfo *result_;
  Subscription *subscription_;
  ChainScan *scan_;
  Turn *turn_;
  MemoryContext row_memory_;
  int64 number_;
  int32 delivery_;
  int64 events_;
  int64 read_;
};

// Making --------------------------------------------------------------------------------------------------------------

// A filter as it was given: its elements are names of that kind.
enum class FilterKind { uuid, part, event_name };

void check_filter(FunctionCallInfo fcinfo, int argument, const char *what, FilterKind kind) {
  if (PG_ARGISNULL(argument)) return;
  ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
  if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 0)
    report_bad(psprintf("%s is an empty array", what), "It would let no event through: leave it out to let all through.");
  if (array_contains_nulls(array)) report_bad(psprintf("%s holds a null", what), "Leave the array out to let all through.");
  if (kind == FilterKind::uuid) return;
  Elements elements;
  elements.take(PointerGetDatum(array), TEXTOID);
  for (int i = 0; i < elements.count; i++) {
    std::string_view text = text_view(DatumGetPointer(elements.value[i]));
    EventName parts;
    if (kind == FilterKind::event_name ? parse_event_name(text, &parts) : is_name_part(text)) continue;
    report_bad(psprintf("%s holds \"%s\", which no event can have", what, clipped(text)),
               kind == FilterKind::event_name ? "An event name is <domain>.<entity>.<action>, such as hcm.employee.created."
                                              : "Pass parts of event names, such as hcm of hcm.employee.created.");
  }
}

// Positions for all organizations that there are, so that consumers share them from the start: at the beginning, or
// at the last event.
void add_positions(const char *name, const Elements &wanted, bool from_now) {
  Growing organizations{UUIDOID}, sequences{INT8OID};
  ChainScan scan;
  scan.begin();
  auto add = [&](const Uuid &organization) {
    int64 sequence = 0;
    if (from_now) {
      scan.seek(organization, PG_INT64_MIN, organization);
      if (scan.last() != nullptr) sequence = sequence_at(scan);
    }
    Datum id = uuid_datum(organization);
    organizations.add(id);
    pfree(DatumGetPointer(id));
    sequences.add(Int64GetDatum(sequence));
  };
  for (int i = 0; i < wanted.count; i++) add(uuid_of(wanted.value[i]));
  if (wanted.count < 0) {
    scan.seek(nil_uuid, PG_INT64_MIN, last_uuid);
    while (scan.next() != nullptr) {
      Uuid organization = organization_at(scan);
      add(organization);
      scan.seek(organization, PG_INT64_MAX, last_uuid);
    }
  }
  scan.end();
  run_sql("INSERT INTO spine.subscription_positions (subscription, organization_id, sequence)"
          " SELECT DISTINCT $1, o, s FROM unnest($2, $3) n(o, s)",
          {text_argument(name), {UUIDARRAYOID, organizations.array()}, {INT8ARRAYOID, sequences.array()}});
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_create_subscription);
PGDLLEXPORT Datum spine_create_subscription(PG_FUNCTION_ARGS) {
  require_writable("spine.create_subscription()");
  (void)require_reading(events_relid());
  if (PG_ARGISNULL(0)) report_bad("the name of the subscription is null", "Give it a name.");
  const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
  if (strlen(name) == 0 || strlen(name) > 255)
    report_bad(psprintf("\"%s\" is no name for a subscription", clipped(name)), "A name has 1 to 255 bytes.");
  check_filter(fcinfo, 1, "organizations", FilterKind::uuid);
  check_filter(fcinfo, 2, "domains", FilterKind::part);
  check_filter(fcinfo, 3, "event_types", FilterKind::event_name);
  check_filter(fcinfo, 4, "entity_types", FilterKind::part);
  check_filter(fcinfo, 5, "actors", FilterKind::uuid);
  Interval nothing{};
  if (PG_ARGISNULL(8) || !DatumGetBool(DirectFunctionCall2(interval_gt, PG_GETARG_DATUM(8), IntervalPGetDatum(&nothing))))
    report_bad("redeliver_after is not above 0", "Pass how long a consumer may take for a batch, such as interval '5 minutes'.");

  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  auto report_taken = [&] {
    report_bad(psprintf("subscription \"%s\" exists already", clipped(name)), "Take another name, or spine.drop_subscription it.");
  };
  // Before it is locked, for those that consume it would wait.
  if (run_sql(columns_of_subscription, {text_argument(name)}) > 0) report_taken();
  lock_subscription(name, ExclusiveLock);
  Relation relation = table_open(events_relid(), AccessShareLock);
  Oid severity = event_table(relation)->enum_type[2];
  table_close(relation, AccessShareLock);
  auto given = [&](int argument, Oid type) {
    return SqlArgument{type, PG_ARGISNULL(argument) ? static_cast<Datum>(0) : PG_GETARG_DATUM(argument), PG_ARGISNULL(argument)};
  };
  if (run_sql("INSERT INTO spine.subscriptions (name, owner, organizations, domains, event_types, entity_types, actors, minimum_severity,"
              " redeliver_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
              {text_argument(name), {REGROLEOID, ObjectIdGetDatum(role)}, given(1, UUIDARRAYOID), given(2, TEXTARRAYOID), given(3, TEXTARRAYOID),
               given(4, TEXTARRAYOID), given(5, UUIDARRAYOID), given(6, severity), given(8, INTERVALOID)}) == 0)
    report_taken();
  Elements organizations;
  if (!PG_ARGISNULL(1)) organizations.take(PG_GETARG_DATUM(1), UUIDOID);
  add_positions(name, organizations, !PG_ARGISNULL(7) && PG_GETARG_BOOL(7));
  SPI_finish();
  rights.end();
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_next_batch);
PGDLLEXPORT Datum spine_next_batch(PG_FUNCTION_ARGS) {
  require_writable("spine.next_batch()");
  InitMaterializedSRF(fcinfo, 0);
  const char *name = name_argument(fcinfo);
  if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
    report_bad(PG_ARGISNULL(1) ? "max_events is null" : psprintf("max_events is %d", PG_GETARG_INT32(1)),
               "Pass how many events to return at most, 1 or more.");
  Organizations readable = require_reading(events_relid());
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
  scan.begin();
  Batch batch;
  batch.begin(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), &subscription, &scan);
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

PG_FUNCTION_INFO_V1(spine_drop_subscription);
PGDLLEXPORT Datum spine_drop_subscription(PG_FUNCTION_ARGS) {
  require_writable("spine.drop_subscription()");
  const char *name = name_argument(fcinfo);
  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  Subscription subscription;
  subscription.open(name, ExclusiveLock, role);
  for (const char *statement : {"DELETE FROM spine.subscription_batches WHERE subscription = $1",
                                "DELETE FROM spine.subscription_positions WHERE subscription = $1", "DELETE FROM spine.subscriptions WHERE name = $1"})
    run_sql(statement, {text_argument(name)});
  SPI_finish();
  rights.end();
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_read_subscriptions);
PGDLLEXPORT Datum spine_read_subscriptions(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Organizations readable = require_reading(events_relid());
  Oid role = GetUserId();
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  uint64 count = run_sql(
      "SELECT s.organizations, s.domains, s.event_types, s.entity_types, s.actors, s.minimum_severity, s.redeliver_after, s.created_at, s.name, s.owner,"
      " b.outstanding, b.oldest, b.redeliveries FROM spine.subscriptions s"
      " LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS outstanding, pg_catalog.min(taken_at) AS oldest,"
      " coalesce(pg_catalog.sum(delivery - 1), 0)::bigint AS redeliveries FROM spine.subscription_batches WHERE subscription = s.name"
      " AND ($1 IS NULL OR organizations <@ $1)) b ON true ORDER BY s.name",
      {array_of(readable)});
  SPITupleTable *rows = SPI_tuptable;
  ChainScan scan;
  scan.begin();
  for (uint64 i = 0; i < count; i++) {
    SPI_tuptable = rows;
    Datum owner = field(i, 10);
    if (!has_privs_of_role(role, DatumGetObjectId(owner))) continue;
    Subscription subscription;
    subscription.read(i, 1);
    bool no_batches;
    Datum values[11] = {field(i, 9), owner, 0, subscription.redeliver_after, field(i, 8), 0, 0, 0, field(i, 11), field(i, 12, &no_batches), field(i, 13)};
    bool filtered = subscription.has_minimum || subscription.organizations.count >= 0 || subscription.domains.count >= 0 ||
                    subscription.event_types.count >= 0 || subscription.entity_types.count >= 0 || subscription.actors.count >= 0;
    int64 behind = 0, organizations = 0;
    TimestampTz oldest = PG_INT64_MAX;
    Visited visited;
    visited.restrict_to(readable, subscription.organizations);
    walk(text_to_cstring(DatumGetTextPP(values[0])), visited, &scan, last_uuid, [&](const Uuid &organization, int64 position, bool) {
      Datum timestamp;
      if (scan.get(Column::timestamp, &timestamp)) oldest = Min(oldest, DatumGetTimestampTz(timestamp));
      scan.seek(organization, position, organization);
      if (scan.last() != nullptr) behind += sequence_at(scan) - position;
      organizations++;
      return true;
    });
    values[2] = BoolGetDatum(filtered);
    values[5] = Int64GetDatum(behind);
    values[6] = Int64GetDatum(organizations);
    values[7] = TimestampTzGetDatum(oldest);
    bool nulls[11] = {};
    nulls[7] = organizations == 0;
    nulls[9] = no_batches;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  scan.end();
  SPI_finish();
  rights.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
