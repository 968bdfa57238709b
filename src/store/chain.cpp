#include "store/chain.h"

#include <sched.h>

#include <algorithm>
#include <cstring>

#include "core/chain_check.h"
#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "server/transaction_lock.h"
#include "store/durability.h"
#include "store/emission_rights.h"
#include "store/event_scan.h"
#include "store/event_types.h"

extern "C" {
#include <access/detoast.h>
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/pg_inherits.h>
#include <commands/dbcommands.h>
#include <common/hashfn.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <storage/lmgr.h>
#include <utils/fmgroids.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
#include <utils/resowner.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

struct Head {
  int64 sequence;  // 0: the chain has no event yet
  TimestampTz timestamp;
  Hash hash;
};

// Heads of chains, each in the slot that its lock's key names. Those of the current generation are this
// transaction's own; raising it forgets them all, and what they were is then but a hint where to look.
struct RememberedHead {
  uint64 generation;
  Oid root;
  Uuid organization;
  Head head;
  bool is_stored;  // false: the row of this id is to be looked for
  Uuid id;
};
RememberedHead remembered[1024];

// What the hashed form of a timestamp can write: years 1 to 9999.
constexpr TimestampTz first_moment = INT64CONST(-63082281600000000), end_of_moments = INT64CONST(252455616000000000);

uint64 generation = 1;

// For each lock on a chain that this transaction took, in order: the subtransaction that took it.
SubTransactionId *lock_takers;
int locks_taken;

// The lock table has room for some thousand locks of the whole cluster: one transaction takes no more than
// half of its share, and then locks the table instead.
int most_locks() { return Max(max_locks_per_xact / 2, 1); }

uint64 lock_key(Oid root, const Uuid &organization) {
  return hash_bytes_extended(organization.data(), static_cast<int>(organization.size()), root);
}

LOCKTAG chain_tag(Oid root, const Uuid &organization) { return lock_tag(lock_key(root, organization), LockClass::chain); }

void lock_table(Oid root, LOCKMODE mode) {
  for_transaction([=] { LockRelationOid(root, mode); });
}

bool table_is_locked(Oid root) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, root);
  return compat_lock_held(&tag, ShareRowExclusiveLock);
}

RememberedHead *slot_of(uint64 key) { return &remembered[key % lengthof(remembered)]; }

// With those that are being detached, which find_all_inheritors leaves out: they belong to the chain until that is done.
List *partitions_of(Oid root) {
  List *found = list_make1_oid(root);
  ListCell *cell;
  foreach (cell, found)  // the list grows meanwhile
    found = list_concat(found, find_inheritance_children_extended(lfirst_oid(cell), false, AccessShareLock, nullptr, nullptr));
  return found;
}

// The last event of the organization as of now: committed rows and this transaction's own. The chain's lock makes that
// safe, and no snapshot of the transaction's can hide a row.
//
// known_sequence: one that the chain had once. It narrows the search, for an index page is read item by item; the last
// event from there on is the last of all.
Head read_head(Relation, const EventTable *table, const Uuid &organization, int64 known_sequence) {
  constexpr uint32 needed = event_place | bit(Column::timestamp) | bit(Column::event_hash);
  // Through a partition's siblings, too, runs the chain; which of them has its end, nobody knows yet.
  bool is_alone = table->root == table->relid;
  EventScan scan;
  scan.begin(is_alone ? list_make1_oid(table->relid) : partitions_of(table->root), NoLock, EventOrder::chain, 2, Sees::current, needed);
  pg_uuid_t wanted;
  memcpy(wanted.data, organization.data(), UUID_LEN);
  auto find_last = [&](int64 at_least) {
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&wanted));
    ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(at_least));
    scan.find(keys);
    return scan.next(BackwardScanDirection);
  };
  Head head{};
  if ((is_alone && known_sequence != 0 && find_last(known_sequence)) || find_last(PG_INT64_MIN)) {
    const Event &event = scan.event();
    if (scan.why() != nullptr || (event.present & needed) != needed || event.organization_id != organization ||
        event.event_hash.size != sizeof(Hash) || event.sequence < 1)
      ereport(ERROR, (errcode(ERRCODE_SPINE_CHAIN_UNUSABLE),
                      errmsg("the last event of organization %s is damaged", uuid_text(organization)),
                      errhint("No event can be chained to it. See SELECT * FROM spine.find_chain_faults('%s'), "
                              "and restore the row from a backup.",
                              uuid_text(organization))));
    head.sequence = event.sequence;
    head.timestamp = event.timestamp - unix_time(0);
    memcpy(head.hash.data(), event.event_hash.data, sizeof(Hash));
  }
  scan.end();
  return head;
}

// Whether this transaction's row of that id is where a backend's last row usually is: at the end of the block that it
// inserts into. False: it may be elsewhere. One that was stored stays, unless an error undoes it, and its memory too;
// one that ON CONFLICT took back has lost its xmin.
bool is_last_row(Relation relation, const EventTable *table, const Uuid &id) {
  BlockNumber block = RelationGetTargetBlock(relation);
  if (block == InvalidBlockNumber) return false;
  ::Buffer buffer = ReadBuffer(relation, block);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  Page page = BufferGetPage(buffer);
  bool found = false;
  OffsetNumber last = PageGetMaxOffsetNumber(page);
  if (last >= FirstOffsetNumber && ItemIdIsNormal(PageGetItemId(page, last))) {
    ItemId item = PageGetItemId(page, last);
    HeapTupleHeader row = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
    Event event;
    const char *why;
    found = event_of_tuple(relation, table, row, ItemIdGetLength(item), bit(Column::id), &event, &why) &&
            event.has(Column::id) && event.id == id && (row->t_infomask & HEAP_XMAX_INVALID) &&
            TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row));
  }
  UnlockReleaseBuffer(buffer);
  return found;
}

std::string_view text_of(const EventValues &values, Column column) {
  return text_view(PG_DETOAST_DATUM_PACKED(values.get(column)));
}

// Returns the name.
std::string_view resolve_name(EventValues *values) {
  EventName parts;
  std::string_view name = event_name_or_error(values->get(Column::event_type), !values->has(Column::event_type), &parts);
  struct {
    Column column;
    std::string_view part;
  } const derived[] = {{Column::domain, parts.domain},
                       {Column::entity_type, parts.entity_type},
                       {Column::action, parts.action}};
  for (const auto &d : derived) {
    if (values->has(d.column)) {
      std::string_view said = text_of(*values, d.column);
      const char *column = column_names[static_cast<int>(d.column)];
      if (said != d.part)
        ereport(ERROR, (errcode(ERRCODE_SPINE_NAME_DISAGREES),
                        errmsg("%s \"%s\" disagrees with event name \"%s\"", column, clipped(said), clipped(name)),
                        errhint("Leave %s out, or pass \"%s\".", column, clipped(d.part))));
    } else {
      values->set(d.column, text_datum(d.part));
    }
  }
  return name;
}

// The event by name, for messages; its name is known to be one.
const char *named(const EventValues &values, const char *part) {
  std::string_view name = text_of(values, Column::event_type);
  return psprintf("%sevent \"%.*s\"", part, static_cast<int>(name.size()), name.data());
}

void resolve_actor(const EventTable *table, EventValues *values) {
  if (!values->has(Column::actor_id)) {
    if (!settings.has_actor_id)
      ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ACTOR), errmsg("%s has no actor", named(*values, "")),
                      errhint("Pass actor_id, or SET people_os_spine.actor_id.")));
    values->set(Column::actor_id, uuid_datum(settings.actor_id));
  }
  if (!values->has(Column::actor_type))
    values->set(Column::actor_type,
                ObjectIdGetDatum(enum_value(table->enum_type[0], actor_type_labels[settings.actor_type])));
}

void resolve_environment(const EventTable *table, EventValues *values) {
  const char *ours = environment_labels[settings.environment];
  if (!values->has(Column::environment)) {
    if (settings.environment == 0)
      ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ENVIRONMENT), errmsg("%s has no environment", named(*values, "")),
                      errhint("Say once, as a superuser, what this database is: ALTER DATABASE %s SET "
                              "people_os_spine.environment = 'prod'; (or dev, test, stage), then connect anew.",
                              quote_identifier(get_database_name(MyDatabaseId)))));
    values->set(Column::environment, ObjectIdGetDatum(enum_value(table->enum_type[1], ours)));
    return;
  }
  const char *said = enum_label(DatumGetObjectId(values->get(Column::environment)));
  if (settings.environment != 0 && (said == nullptr || strcmp(said, ours) != 0))
    ereport(ERROR, (errcode(ERRCODE_SPINE_ENVIRONMENT_DISAGREES),
                    errmsg("environment \"%s\" disagrees with this database, which is \"%s\"",
                           said == nullptr ? "?" : said, ours),
                    errhint("Leave environment out, or connect to the database of that environment.")));
}

// Asking for randomness costs more than what it is for: it is taken for many at once.
template <size_t size>
const uint8_t *random_bytes() {
  static uint8_t random[512];
  static size_t left = 0;
  if (left < size) {
    if (!pg_strong_random(random, sizeof random))
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bits for an event"),
                      errhint("The operating system's source of randomness failed; retry.")));
    left = sizeof random;
  }
  left -= size;
  return random + left;
}

// Checks a part, gives it a salt and hashes both.
void resolve_part(EventValues *values, Column column, Column salt_column, const char *which, Hash *hash) {
  Datum datum = values->get(column);
  // A stored value is never more than eight times its canonical form, so this one need not even be fetched.
  size_t limit = static_cast<size_t>(settings.max_payload_size);
  if (toast_raw_datum_size(datum) > 8 * limit + 64) report(Status::too_large, named(*values, which));
  varlena *part = PG_DETOAST_DATUM_PACKED(datum);
  values->set(column, PointerGetDatum(part));
  Bytes stored = bytes_view(part);
  uint32 header = 0;
  if (stored.size >= sizeof header) memcpy(&header, stored.data, sizeof header);
  if (!(header & JB_FOBJECT)) report(Status::not_an_object, named(*values, which));
  std::string_view canonical;
  Status status = hasher().canonical_json(stored, {limit, max_payload_depth, true}, &canonical);
  if (status != Status::ok) report(status, named(*values, which), canonical);
  Bytes salt{random_bytes<16>(), 16};
  status = hasher().part_hash(salt, canonical, hash);
  if (status != Status::ok) report(status, named(*values, which));
  values->set(salt_column, bytea_datum(salt));
}

void resolve_parts(EventValues *values) {
  static struct {
    int32 header;
    uint32 container;
  } empty_object;
  SET_VARSIZE(&empty_object, sizeof empty_object);
  empty_object.container = JB_FOBJECT;

  if (!values->has(Column::payload)) values->set(Column::payload, PointerGetDatum(&empty_object));
  resolve_part(values, Column::payload, Column::payload_salt, "the payload of ", &values->payload_hash);
  if (values->has(Column::personal))
    resolve_part(values, Column::personal, Column::personal_salt, "the personal part of ", &values->personal_hash);
}

void resolve_moment(const EventValues &values) {
  if (!values.has(Column::occurred_at)) return;
  TimestampTz moment = DatumGetTimestampTz(values.get(Column::occurred_at));
  if (moment >= first_moment && moment < end_of_moments) return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_OCCURRED_AT),
                  errmsg("occurred_at of %s is %s", named(values, ""), timestamptz_to_str(moment)),
                  errhint("Pass a moment of the years 1 to 9999, or leave it out.")));
}

Datum session_user_name() {
  const char *name = GetUserNameFromId(GetSessionUserId(), false);
  if (!pg_verify_mbstr(PG_UTF8, name, static_cast<int>(strlen(name)), true))
    ereport(ERROR, (errcode(ERRCODE_SPINE_ROLE_NAME_NOT_UTF8),
                    errmsg("the name of session user %u is not valid UTF-8", GetSessionUserId()),
                    errhint("It was made in a database of another encoding: ALTER ROLE … RENAME TO a name in UTF-8.")));
  return text_datum(name);
}

Uuid new_event_id() { return make_uuid_v7(static_cast<uint64_t>(unix_time(GetCurrentTimestamp())), random_bytes<8>()); }

}  // namespace

std::string_view event_name_or_error(Datum datum, bool is_null, EventName *parts) {
  if (is_null)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("event name is null"),
                    errhint("Pass event_type as <domain>.<entity>.<action>, such as hcm.employee.created.")));
  std::string_view name = text_view(PG_DETOAST_DATUM_PACKED(datum));
  if (!parse_event_name(name, parts))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("\"%s\" is no event name", clipped(name)),
                    errhint("An event name is <domain>.<entity>.<action>, such as hcm.employee.created; each part "
                            "begins with a lower-case letter and has at most 63 lower-case letters, digits and "
                            "underscores.")));
  return name;
}

void refuse_given_columns(const EventValues &values) {
  for (int c = 0; c < column_count; c++) {
    if (values.null[c] || !(given_columns & (uint32_t{1} << c))) continue;
    ereport(ERROR, (errcode(ERRCODE_SPINE_COLUMN_IS_GIVEN),
                    errmsg("column \"%s\" is given by the spine and cannot be set", column_names[c]),
                    errhint("Leave it out. Only a superuser or the table's owner may store complete rows, to restore "
                            "a backup.")));
  }
}

void resolve_organization(EventValues *values) {
  if (values->has(Column::organization_id)) return;
  if (!settings.has_organization_id)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ORGANIZATION), errmsg("event has no organization"),
                    errhint("Pass organization_id, or SET people_os_spine.organization_id.")));
  values->set(Column::organization_id, uuid_datum(settings.organization_id));
}

void check_event(const EventTable *table, EventValues *values, const EventValues *emitted) {
  refuse_given_columns(*values);
  std::string_view name = resolve_name(values);
  if (settings.require_registered_types && (emitted == nullptr || name != text_of(*emitted, Column::event_type)))
    require_registered(name);
  if (!values->has(Column::entity_id))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ENTITY), errmsg("%s has no entity", named(*values, "")),
                    errhint("Pass entity_id; spine.entity_uuid(domain, entity_type, key) makes one for what has no "
                            "uuid.")));
  resolve_actor(table, values);
  resolve_organization(values);
  Uuid organization = uuid_of(values->get(Column::organization_id));
  if (emitted == nullptr || organization != uuid_of(emitted->get(Column::organization_id)))
    require_emitting(table->root, organization);
  resolve_environment(table, values);
  if (!values->has(Column::severity)) {
    Oid severity = registered_severity(name);
    values->set(Column::severity, ObjectIdGetDatum(OidIsValid(severity) ? severity : enum_value(table->enum_type[2], "low")));
  }
  if (!values->has(Column::correlation_id) && settings.has_correlation_id)
    values->set(Column::correlation_id, uuid_datum(settings.correlation_id));
  resolve_moment(*values);
  resolve_parts(values);
}

void stamp_event(EventValues *values) {
  values->set(Column::recorded_by, session_user_name());
  values->set(Column::id, uuid_datum(new_event_id()));
  values->set(Column::transaction_id, FullTransactionIdGetDatum(GetTopFullTransactionId()));
}

void lock_chain(Oid root, const Uuid &organization) {
  LOCKTAG tag = chain_tag(root, organization);
  if (compat_lock_held(&tag, ExclusiveLock) || table_is_locked(root)) return;
  if (lock_takers == nullptr)
    lock_takers = static_cast<SubTransactionId *>(
        MemoryContextAlloc(TopMemoryContext, sizeof(SubTransactionId) * static_cast<size_t>(most_locks())));
  if (locks_taken >= most_locks()) {
    lock_table(root, ShareRowExclusiveLock);
    return;
  }
  // A chain is held for less time than it takes to put a process to sleep and to wake it, so let others run for a
  // while and look again. Who then sleeps is served before all who come later: they cannot have it while he waits.
  constexpr int looks = 300;
  for_transaction([&] {
    for (int i = 0; i < looks; i++) {
      if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL) return;
      CHECK_FOR_INTERRUPTS();
      sched_yield();
    }
    (void)LockAcquire(&tag, ExclusiveLock, false, false);
  });
  lock_takers[locks_taken++] = GetCurrentSubTransactionId();
}

void lock_chains(Oid root, Uuid *organizations, int count) {
  std::sort(organizations, organizations + count,
            [root](const Uuid &a, const Uuid &b) { return lock_key(root, a) < lock_key(root, b); });
  int wanted = 0;
  for (int i = 0; i < count; i++) {
    if (i > 0 && organizations[i] == organizations[i - 1]) continue;
    LOCKTAG tag = chain_tag(root, organizations[i]);
    if (!compat_lock_held(&tag, ExclusiveLock)) wanted++;
  }
  if (wanted > 0 && locks_taken + wanted > most_locks()) {
    if (!table_is_locked(root)) lock_table(root, ShareRowExclusiveLock);
    return;
  }
  for (int i = 0; i < count; i++) lock_chain(root, organizations[i]);
}

void chain_event(Relation relation, const EventTable *table, EventValues *values) {
  Uuid organization = uuid_of(values->get(Column::organization_id));
  RememberedHead *known = slot_of(lock_key(table->root, organization));
  bool same_chain = known->root == table->root && known->organization == organization;
  Head head;
  bool is_ours = same_chain && known->generation == generation;
  if (is_ours && !known->is_stored) known->is_stored = is_last_row(relation, table, known->id);
  if (is_ours && known->is_stored) {
    head = known->head;
  } else {
    lock_table(table->root, RowExclusiveLock);  // what one who locks the whole table waits for
    lock_chain(table->root, organization);
    head = read_head(relation, table, organization, same_chain ? known->head.sequence : 0);
  }

  if (head.sequence == PG_INT64_MAX)
    ereport(ERROR, (errcode(ERRCODE_SPINE_CHAIN_UNUSABLE),
                    errmsg("the chain of organization %s has reached the last sequence", uuid_text(organization)),
                    errhint("Somebody stored a forged row: see SELECT * FROM spine.find_chain_faults('%s').",
                            uuid_text(organization))));
  TimestampTz now = GetCurrentTimestamp();
  if (head.sequence > 0 && head.timestamp > now) now = head.timestamp;  // a clock that was set back
  values->set(Column::sequence, Int64GetDatum(head.sequence + 1));
  values->set(Column::timestamp, TimestampTzGetDatum(now));
  values->set(Column::previous_hash, bytea_datum({head.hash.data(), head.hash.size()}));

  Event event;
  Hash hash;
  event_of_values(*values, &event);
  PartHashes parts{{values->payload_hash.data(), sizeof(Hash)}, {}};
  if (values->has(Column::personal)) parts.personal = {values->personal_hash.data(), sizeof(Hash)};
  Status status = hasher().digest(event, parts, &hash);
  if (status != Status::ok) report(status, "event");
  values->set(Column::event_hash, bytea_datum({hash.data(), hash.size()}));

  note_chained_event();
}

void remember_head(const EventTable *table, const EventValues &values, bool is_stored) {
  Uuid organization = uuid_of(values.get(Column::organization_id));
  RememberedHead *known = slot_of(lock_key(table->root, organization));
  known->generation = generation;
  known->root = table->root;
  known->organization = organization;
  known->head.sequence = DatumGetInt64(values.get(Column::sequence));
  known->head.timestamp = DatumGetTimestampTz(values.get(Column::timestamp));
  memcpy(known->head.hash.data(), VARDATA_ANY(DatumGetPointer(values.get(Column::event_hash))), sizeof(Hash));
  known->is_stored = is_stored;
  known->id = uuid_of(values.get(Column::id));
}

void forget_head(Oid root, const Uuid &organization) {
  RememberedHead *known = slot_of(lock_key(root, organization));
  if (known->root == root && known->organization == organization) known->generation = 0;
}

int64 last_sequence(Relation relation, const EventTable *table, const Uuid &organization) {
  const RememberedHead *known = slot_of(lock_key(table->root, organization));
  bool same_chain = known->root == table->root && known->organization == organization;
  if (same_chain && known->generation == generation && known->is_stored) return known->head.sequence;
  return read_head(relation, table, organization, same_chain ? known->head.sequence : 0).sequence;
}

void forget_heads() {
  generation++;
  locks_taken = 0;
}

void roll_back_heads(SubTransactionId mine) {
  // Its rows are gone and its locks released: what was remembered may be another session's to extend.
  generation++;
  while (locks_taken > 0 && lock_takers[locks_taken - 1] == mine) locks_taken--;
}

void keep_locks(SubTransactionId mine, SubTransactionId parent) {
  for (int i = locks_taken; i > 0 && lock_takers[i - 1] == mine; i--) lock_takers[i - 1] = parent;
}

}  // namespace spine
