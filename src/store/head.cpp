#include "store/head.h"

#include <cstring>

#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/anchors.h"
#include "store/chain_lock.h"
#include "store/chain_partitions.h"
#include "store/event_scan.h"
#include "store/restored_chains.h"
#include "store/shared_heads.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <storage/bufmgr.h>
#include <storage/lmgr.h>
#include <utils/fmgroids.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// Heads of chains, each in the slot that its lock's key names. Those of the current generation are this
// transaction's own; raising it forgets them all, and what they were is then but a hint where to look.
struct RememberedHead {
  uint64 generation;
  Oid root;
  Uuid organization;
  Head head;
  bool is_stored;  // false: the row of this id is to be looked for
  Uuid id;

  bool is_of(Oid table, const Uuid &chain) const { return root == table && organization == chain; }
};
RememberedHead remembered[1024];
uint64 generation = 1;

RememberedHead *slot_of(Oid root, const Uuid &organization) {
  return &remembered[chain_key(root, organization) % lengthof(remembered)];
}

// What is known of a chain's end, and narrows the search for it: an index page is read item by item.
struct Hint {
  Oid partition;
  int64 sequence;  // one that the chain had once, there; the last event from there on is the last of all
};

constexpr uint32 columns_of_head = event_place | bit(Column::timestamp) | bit(Column::event_hash);

void take_head(const Event &event, Oid partition, Head *head) {
  head->sequence = event.sequence;
  head->timestamp = event.timestamp - unix_time(0);
  memcpy(head->hash.data(), event.event_hash.data, sizeof(Hash));
  head->partition = partition;
}

bool is_head_of(const Event &event, const Uuid &organization) {
  return (event.present & columns_of_head) == columns_of_head && event.organization_id == organization &&
         event.event_hash.size == sizeof(Hash) && event.sequence >= 1;
}

// The last event of the organization that the scan, begun for columns_of_head, finds; at_least: no event before that counts.
template <class Scan>
bool find_last(Scan *scan, const Uuid &organization, int64 at_least, Head *head) {
  pg_uuid_t wanted;
  memcpy(wanted.data, organization.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&wanted));
  ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(at_least));
  scan->find(keys);
  if (!scan->next(BackwardScanDirection)) return false;
  const Event &event = scan->event();
  if (scan->why() != nullptr || !is_head_of(event, organization))
    ereport(ERROR, (errcode(ERRCODE_SPINE_CHAIN_UNUSABLE),
                    errmsg("the last event of organization %s is damaged", uuid_text(organization)),
                    errhint("No event can be chained to it. See SELECT * FROM spine.find_chain_faults('%s'), "
                            "and restore the row from a backup.",
                            uuid_text(organization))));
  take_head(event, scan->partition(), head);
  return true;
}

// Where whoever stored it noted that it lies, and it still does. False: it is to be looked for.
bool read_shared_head(Relation partition, const EventTable *table, const Uuid &organization, Head *head) {
  PlaceOfHead place;
  if (!find_shared_head(table->root, organization, &place) || place.partition != RelationGetRelid(partition) ||
      ItemPointerGetBlockNumber(&place.row) >= RelationGetNumberOfBlocks(partition))
    return false;
  TupleTableSlot *slot = table_slot_create(partition, nullptr);
  bool found = false;
  if (table_tuple_fetch_row_version(partition, &place.row, SnapshotSelf, slot)) {
    bool must_free;
    HeapTuple row = ExecFetchSlotHeapTuple(slot, false, &must_free);
    Event event;
    const char *why;
    found = lies_in_its_page(slot, row) &&
            event_of_tuple(partition, event_table(partition), row->t_data, row->t_len, columns_of_head, &event, &why) &&
            is_head_of(event, organization) && event.sequence == place.sequence;
    if (found) take_head(event, place.partition, head);
  }
  ExecDropSingleTupleTableSlot(slot);
  return found;
}

// The last event of the organization in this partition as of now: committed rows and this transaction's own. The chain's
// lock makes that safe, and no snapshot of the transaction's can hide a row.
bool find_last_in(Oid partition, const EventTable *table, const Uuid &organization, const Hint &hint, Head *head) {
  Relation relation = try_table_open(partition, AccessShareLock);
  if (relation == nullptr) return false;  // it was detached and dropped meanwhile
  bool found = false;
  if (relation->rd_rel->relkind == RELKIND_RELATION && !(found = read_shared_head(relation, table, organization, head))) {
    LeafScan scan;
    scan.open(relation, EventOrder::chain);
    scan.begin(2, nullptr, columns_of_head);
    found = (hint.partition == partition && find_last(&scan, organization, hint.sequence, head)) ||
            find_last(&scan, organization, PG_INT64_MIN, head);
    scan.end();
    scan.close();
  }
  table_close(relation, AccessShareLock);
  return found;
}

// The same in a partitioned table that is not cut by time: through all of its partitions runs the chain, and which of them has its end,
// nobody knows yet.
Head find_last_of_all(Oid table, const Uuid &organization) {
  Head head{};
  EventScan scan;
  scan.begin(table, EventOrder::chain, 2, Sees::current, columns_of_head);
  (void)find_last(&scan, organization, PG_INT64_MIN, &head);
  scan.end();
  return head;
}

// In the chain's newest partition, and in the default one, which may hold what is newer.
Head find_last_of_partitions(ChainPartitionScan *partitions, const EventTable *table, const Uuid &organization, const Hint &hint) {
  Head last{};
  Relation root = table_open(table->root, AccessShareLock);
  TimestampTz starts;
  bool any = partitions->next(&starts);
  if (any && starts == default_partition_starts) {
    // Whoever moves events out of it locks it first; so what is read from here on is from before that, or from after.
    Oid others = partition_from(root, starts).relid;
    if (OidIsValid(others)) LockRelationOid(others, AccessShareLock);
    partitions->end();
    any = partitions->begin(organization) && partitions->next(&starts);
  }
  for (; any; any = partitions->next(&starts)) {
    Partition partition = partition_from(root, starts);
    Head head{};
    if (!OidIsValid(partition.relid) || !find_last_in(partition.relid, table, organization, hint, &head)) continue;
    if (head.sequence > last.sequence) last = head;
    if (starts != default_partition_starts) break;
  }
  table_close(root, NoLock);
  partitions->end();
  return last;
}

// Of a chain that has no event left.
Head anchor_of(const Uuid &organization) {
  Head head{};
  Anchor anchor;
  AnchorReader anchors;
  anchors.begin();
  if (anchors.find(organization, PG_INT64_MAX, &anchor)) head = {anchor.sequence, anchor.timestamp - unix_time(0), anchor.hash, InvalidOid};
  anchors.end();
  return head;
}

// Most chains end in the partition of this moment. False: this one may not.
bool find_last_of_now(const EventTable *table, const Uuid &organization, const Hint &hint, Head *head) {
  AcceptInvalidationMessages();
  Relation root = table_open(table->root, AccessShareLock);
  Partition now = partition_at(root, GetCurrentTimestamp());
  bool is_last = now.starts == default_partition_starts ? is_only_partition(root, now) : !may_lie_later(now.starts);
  table_close(root, NoLock);
  return is_last && find_last_in(now.relid, table, organization, hint, head);
}

Head read_head(const EventTable *table, const Uuid &organization, const Hint &hint) {
  Head head{};
  bool is_cut = table->is_events && table->is_cut_by_time;
  if (is_cut && find_last_of_now(table, organization, hint, &head)) return head;
  ChainPartitionScan partitions;
  if (is_cut && partitions.begin(organization))
    head = find_last_of_partitions(&partitions, table, organization, hint);
  else if (get_rel_relkind(table->root) == RELKIND_RELATION)
    (void)find_last_in(table->root, table, organization, hint, &head);
  else
    head = find_last_of_all(table->root, organization);
  return head.sequence == 0 && table->is_events ? anchor_of(organization) : head;
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

}  // namespace

bool own_head(const EventTable *table, const Uuid &organization, Head *head) {
  RememberedHead *known = slot_of(table->root, organization);
  if (known->generation != generation || !known->is_of(table->root, organization)) return false;
  if (!known->is_stored) {
    Relation partition = table_open(known->head.partition, NoLock);
    known->is_stored = is_last_row(partition, event_table(partition), known->id);
    table_close(partition, NoLock);
  }
  if (known->is_stored) *head = known->head;
  return known->is_stored;
}

Head read_head(const EventTable *table, const Uuid &organization) {
  const RememberedHead *known = slot_of(table->root, organization);
  bool is_known = known->is_of(table->root, organization);
  return read_head(table, organization, is_known ? Hint{known->head.partition, known->head.sequence} : Hint{});
}

void remember_head(const EventTable *table, const EventValues &values, const ItemPointerData *row) {
  Uuid organization = uuid_of(values.get(Column::organization_id));
  RememberedHead *known = slot_of(table->root, organization);
  known->generation = generation;
  known->root = table->root;
  known->organization = organization;
  known->head.sequence = DatumGetInt64(values.get(Column::sequence));
  known->head.timestamp = DatumGetTimestampTz(values.get(Column::timestamp));
  memcpy(known->head.hash.data(), VARDATA_ANY(DatumGetPointer(values.get(Column::event_hash))), sizeof(Hash));
  known->head.partition = table->relid;
  known->is_stored = row != nullptr;
  known->id = uuid_of(values.get(Column::id));
  if (row != nullptr)
    share_head(table->root, organization, {table->relid, *row, known->head.sequence});
  else
    forget_shared_head(table->root, organization);
}

void forget_head(Oid root, const Uuid &organization) {
  RememberedHead *known = slot_of(root, organization);
  if (known->is_of(root, organization)) known->generation = 0;
  forget_shared_head(root, organization);
}

int64 last_sequence(const EventTable *table, const Uuid &organization) {
  const RememberedHead *known = slot_of(table->root, organization);
  if (known->generation == generation && known->is_stored && known->is_of(table->root, organization)) return known->head.sequence;
  return read_head(table, organization).sequence;
}

void forget_heads() {
  generation++;
  forget_noted_partitions();
  forget_restored_chains();
}

}  // namespace spine
