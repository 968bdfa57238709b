#include "consume/subscription.h"

#include <algorithm>

#include "consume/subscription_news.h"
#include "server/errors.h"
#include "server/transaction_lock.h"

extern "C" {
#include <access/xact.h>
#include <access/xlog.h>
#include <common/hashfn.h>
#include <utils/acl.h>
#include <utils/fmgroids.h>
#include <utils/fmgrprotos.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// Who consumes a subscription shares it, who makes or drops it does so alone.
LOCKTAG subscription_tag(const char *name, uint64 what) {
  uint64 key = hash_bytes_extended(reinterpret_cast<const unsigned char *>(name), static_cast<int>(strlen(name)), what);
  return lock_tag(key, LockClass::subscription);
}

[[noreturn]] void report_unknown(const char *message) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_SUBSCRIPTION), errmsg("%s", message),
                  errhint("SELECT name FROM spine.subscription_lag lists those that the role may consume; "
                          "spine.create_subscription makes one.")));
}

bool is_among(const Event &event, Column column, std::string_view text, const Elements &list) {
  if (list.count < 0) return true;
  return event.has(column) &&
         std::any_of(list.value, list.value + list.count, [&](Datum one) { return text_view(DatumGetPointer(one)) == text; });
}

}  // namespace

Datum field(uint64 row, int column, bool *null) {
  return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

Datum field(uint64 row, int column) {
  bool null;
  Datum value = field(row, column, &null);
  if (null)
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE),
                    errmsg("a row of the tables of subscriptions has no %s", SPI_fname(SPI_tuptable->tupdesc, column)),
                    errhint("Look for the NULL in the tables spine.subscription*, whose columns are NOT NULL as CREATE EXTENSION makes them.")));
  return value;
}

void Elements::take(Datum array, Oid type) {
  int length = type == TEXTOID ? -1 : type == UUIDOID ? UUID_LEN : static_cast<int>(sizeof(int64));
  char align = type == TEXTOID ? TYPALIGN_INT : type == UUIDOID ? TYPALIGN_CHAR : TYPALIGN_DOUBLE;
  deconstruct_array(DatumGetArrayTypeP(array), type, length, type == INT8OID, align, &value, nullptr, &count);
}

const char *name_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) report_unknown("the name of the subscription is null");
  return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

[[noreturn]] void report_bad(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_SUBSCRIPTION), errmsg("%s", message), errhint("%s", hint)));
}

void lock_subscription(const char *name, LOCKMODE mode) {
  LOCKTAG tag = subscription_tag(name, 0);
  for_transaction([&] { (void)LockAcquire(&tag, mode, false, false); });
}

namespace {

bool lock_if_free(const LOCKTAG &tag, LOCKMODE mode) {
  bool got = false;
  for_transaction([&] { got = LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL; });
  return got;
}

}  // namespace

bool lock_first_progress(const char *name) { return lock_if_free(subscription_tag(name, 2), ExclusiveLock); }

bool lock_addition(const char *name, const Uuid &organization, int64 count) {
  constexpr int64 most_single = 64;  // so that the lock table has room for them
  LOCKTAG additions = subscription_tag(name, 1);
  if (count >= most_single) return lock_if_free(additions, ExclusiveLock);
  return lock_if_free(additions, ShareLock) &&
         lock_if_free(subscription_tag(name, hash_bytes_extended(organization.data(), static_cast<int>(organization.size()), 2)), ExclusiveLock);
}

void Subscription::open(const char *its_name, LOCKMODE mode, Oid role) {
  name = its_name;
  // Whoever may not consume it shall not keep others waiting for it.
  look_up(role, "");
  lock_subscription(name, mode);
  // A snapshot from before it was dropped shows it still: locking the row says so.
  look_up(role, IsolationUsesXactSnapshot() ? " FOR KEY SHARE" : "");
  read(0, 2);
}

// Finds its row, and checks the role's right to it.
void Subscription::look_up(Oid role, const char *row_lock) const {
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

void Subscription::read(uint64 row, int column) {
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
  severity_type = SPI_gettypeid(SPI_tuptable->tupdesc, column - 1);
  fmgr_info(F_ENUM_GE, &at_least);
  redeliver_after = field(row, column++);
  created_at = field(row, column++);
  Datum most = field(row, column++, &null);
  max_deliveries = null ? 0 : DatumGetInt32(most);
  const char *snapshot = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column++);
  Datum system = field(row, column, &null);
  is_of_this_cluster = !null && static_cast<uint64>(DatumGetInt64(system)) == GetSystemIdentifier();
  begins_later = snapshot != nullptr;
  if (!begins_later) return;
  began = read_seen(snapshot);
  any_restored = run_sql("SELECT FROM spine.subscription_news WHERE subscription = $1 AND restored_from IS NOT NULL LIMIT 1", {text_argument(name)}) > 0;
}

// In a chain transactions come in the order in which they committed, so what was there when the subscription was made is its beginning.
int64 Subscription::beginning(const Uuid &organization, ChainScan *scan) const {
  if (!begins_later) return 0;
  TimestampTz made = DatumGetTimestampTz(created_at);
  // Another cluster counts its transactions from another number: what was stored in this one, the clock tells.
  auto is_new = [&](const Event &event) {
    return !event.has(Column::transaction_id) || !began.shows(event.transaction_id) ||
           (!is_of_this_cluster && event.has(Column::timestamp) && event.timestamp - unix_time(0) >= made);
  };
  scan->seek(organization, PG_INT64_MIN, organization);
  if (!scan->last()) return 0;
  int64 last = scan->event().sequence;
  // New from this one on. Most have little that is new, so from the end by growing steps, and then by halves.
  int64 first_new = is_new(scan->event()) ? last : last + 1, old = 0;
  auto look = [&](int64 at) {
    scan->seek(organization, at - 1, organization);
    if (!scan->next() || is_new(scan->event()))
      first_new = at;
    else
      old = scan->event().sequence;
  };
  for (int64 step = 1; first_new <= last && old == 0 && first_new - step > 0; step *= 2) look(first_new - step);
  while (first_new - old > 1) look(old + (first_new - old) / 2);
  if (!any_restored) return first_new - 1;
  // What was restored since is new, whichever transaction it names.
  bool none;
  run_sql("SELECT pg_catalog.min(restored_from) FROM spine.subscription_news WHERE subscription = $1 AND organization_id = $2 AND restored_from IS NOT NULL",
          {text_argument(name), {UUIDOID, uuid_datum(organization)}});
  Datum restored = field(0, 1, &none);
  return none ? first_new - 1 : Min(first_new, DatumGetInt64(restored)) - 1;
}

bool Subscription::is_filtered() const {
  return has_minimum || organizations.count >= 0 || domains.count >= 0 || event_types.count >= 0 || entity_types.count >= 0 || actors.count >= 0;
}

bool Subscription::lets_through(const Event &event) {
  if (has_minimum && !(event.has(Column::severity) &&
                       DatumGetBool(FunctionCall2(&at_least, ObjectIdGetDatum(enum_value(severity_type, event.severity)), minimum_severity))))
    return false;
  if (actors.count >= 0 && !(event.has(Column::actor_id) && std::any_of(actors.value, actors.value + actors.count,
                                                                        [&](Datum a) { return uuid_of(a) == event.actor_id; })))
    return false;
  return is_among(event, Column::domain, event.domain, domains) && is_among(event, Column::event_type, event.event_type, event_types) &&
         is_among(event, Column::entity_type, event.entity_type, entity_types);
}

}  // namespace spine
