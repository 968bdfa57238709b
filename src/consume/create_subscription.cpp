// spine.create_subscription and spine.drop_subscription.
#include "access/access.h"
#include "consume/subscription_news.h"
#include "core/event_name.h"
#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/emit.h"
#include "store/owners_rights.h"
#include "store/restored_chains.h"

extern "C" {
#include <access/transam.h>
#include <access/xlog.h>
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/fmgrprotos.h>
#include <utils/timestamp.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

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

// At the last event of an organization; the beginning, where it has none.
int64 end_of(const Uuid &organization, ChainScan *scan) {
  scan->seek(organization, PG_INT64_MIN, organization);
  return scan->last() ? scan->event().sequence : 0;
}

void add_positions(const char *name, const Growing &organizations, const Growing &sequences) {
  run_sql("INSERT INTO spine.subscription_positions (subscription, organization_id, sequence)"
          " SELECT DISTINCT $1, o, s FROM unnest($2, $3) n(o, s)",
          {text_argument(name), {UUIDARRAYOID, organizations.array()}, {INT8ARRAYOID, sequences.array()}});
}

// Positions in the organizations that were named, so that consumers share them from the start.
void add_wanted(const char *name, const Elements &wanted, bool from_now) {
  Growing organizations{UUIDOID}, sequences{INT8OID};
  ChainScan scan;
  scan.begin();
  for (int i = 0; i < wanted.count; i++) {
    organizations.add(wanted.value[i]);
    sequences.add(Int64GetDatum(from_now ? end_of(uuid_of(wanted.value[i]), &scan) : 0));
  }
  scan.end();
  add_positions(name, organizations, sequences);
}

// The end of each chain that there is.
void add_ends(const char *name) {
  Growing organizations{UUIDOID}, sequences{INT8OID};
  ChainScan scan;
  scan.begin();
  scan.seek(nil_uuid, PG_INT64_MIN, last_uuid);
  while (scan.next()) {
    Uuid organization = scan.event().organization_id;
    Datum id = uuid_datum(organization);
    organizations.add(id);
    pfree(DatumGetPointer(id));
    sequences.add(Int64GetDatum(end_of(organization, &scan)));
    scan.seek(organization, PG_INT64_MAX, last_uuid);
  }
  scan.end();
  add_positions(name, organizations, sequences);
}

// From now on: what new transactions store. Nothing is written of any organization; but where an event that is there names a transaction
// that has not ended by now, numbers do not tell what is new. Such events were restored from elsewhere, or are this transaction's own.
void begin_from_now(const char *name) {
  EventScan scan;
  scan.begin(events_relid(), EventOrder::transaction, 2, Sees::fresh, 0);
  // After that, for what commits in between is no such event.
  Seen now = transactions_now();
  auto finds = [&](uint64 from, uint64 to) {
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_XID8GE, FullTransactionIdGetDatum(FullTransactionIdFromU64(from)));
    ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_XID8LE, FullTransactionIdGetDatum(FullTransactionIdFromU64(to)));
    scan.find(keys);
    return scan.next(ForwardScanDirection);
  };
  bool any_later = finds(now.xmax, PG_UINT64_MAX);
  for (int i = 0; i < now.count && !any_later; i++) any_later = finds(now.in_progress[i], now.in_progress[i]);
  scan.end();
  if (any_later) add_ends(name);
  run_sql("UPDATE spine.subscriptions SET from_snapshot = $2::pg_snapshot, from_system = $3 WHERE name = $1",
          {text_argument(name), text_argument(write_seen(now)), {INT8OID, Int64GetDatum(static_cast<int64>(GetSystemIdentifier()))}});
  // Else the first call walks through all organizations.
  if (begin_first_progress())
    run_sql("INSERT INTO spine.subscription_progress (subscription, seen, is_walking, system) VALUES ($1, $2::pg_snapshot, false, $3)",
            {text_argument(name), text_argument(write_seen(now)), {INT8OID, Int64GetDatum(static_cast<int64>(GetSystemIdentifier()))}});
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
  // Who has no right to run the watch must not take the name of its subscription either.
  constexpr char ours[] = "platform.";
  if (strncmp(name, ours, sizeof ours - 1) == 0 && !compat_owns_table(events_relid(), GetUserId()))
    report_bad(psprintf("\"%s\" is a name of the platform's own", clipped(name)), "Take one that does not begin with platform.");
  check_filter(fcinfo, 1, "organizations", FilterKind::uuid);
  check_filter(fcinfo, 2, "domains", FilterKind::part);
  check_filter(fcinfo, 3, "event_types", FilterKind::event_name);
  check_filter(fcinfo, 4, "entity_types", FilterKind::part);
  check_filter(fcinfo, 5, "actors", FilterKind::uuid);
  Interval nothing{};
  if (PG_ARGISNULL(8) || !DatumGetBool(DirectFunctionCall2(interval_gt, PG_GETARG_DATUM(8), IntervalPGetDatum(&nothing))))
    report_bad("redeliver_after is not above 0", "Pass how long a consumer may take for a batch, such as interval '5 minutes'.");
  if (!PG_ARGISNULL(9) && PG_GETARG_INT32(9) < 1)
    report_bad(psprintf("max_deliveries is %d", PG_GETARG_INT32(9)), "Pass how often a batch may be given, 1 or more, or NULL for no limit.");

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
  auto given = [&](int argument, Oid type) {
    return SqlArgument{type, PG_ARGISNULL(argument) ? static_cast<Datum>(0) : PG_GETARG_DATUM(argument), PG_ARGISNULL(argument)};
  };
  if (run_sql("INSERT INTO spine.subscriptions (name, owner, organizations, domains, event_types, entity_types, actors, minimum_severity,"
              " redeliver_after, max_deliveries) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
              {text_argument(name), {REGROLEOID, ObjectIdGetDatum(role)}, given(1, UUIDARRAYOID), given(2, TEXTARRAYOID), given(3, TEXTARRAYOID),
               given(4, TEXTARRAYOID), given(5, UUIDARRAYOID), given(6, get_fn_expr_argtype(fcinfo->flinfo, 6)), given(8, INTERVALOID), given(9, INT4OID)}) == 0)
    report_taken();
  // Whoever restored rows may have told one of that name that was being dropped.
  run_sql("DELETE FROM spine.subscription_news WHERE subscription = $1", {text_argument(name)});
  bool from_now = !PG_ARGISNULL(7) && PG_GETARG_BOOL(7);
  if (!PG_ARGISNULL(1)) {
    Elements organizations;
    organizations.take(PG_GETARG_DATUM(1), UUIDOID);
    add_wanted(name, organizations, from_now);
  } else if (from_now) {
    begin_from_now(name);
  }
  SPI_finish();
  rights.end();
  PG_RETURN_VOID();
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
  for (const char *statement : {"DELETE FROM spine.subscription_batches WHERE subscription = $1", "DELETE FROM spine.subscription_news WHERE subscription = $1",
                                "DELETE FROM spine.subscription_progress WHERE subscription = $1",
                                "DELETE FROM spine.subscription_positions WHERE subscription = $1", "DELETE FROM spine.subscriptions WHERE name = $1"})
    run_sql(statement, {text_argument(name)});
  SPI_finish();
  rights.end();
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
