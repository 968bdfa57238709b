#include "store/head.h"

#include <cstring>

#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/chain_lock.h"
#include "store/event_scan.h"

extern "C" {
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/pg_inherits.h>
#include <storage/bufmgr.h>
#include <utils/fmgroids.h>
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
Head read_head(const EventTable *table, const Uuid &organization, int64 known_sequence) {
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

}  // namespace

bool own_head(Relation relation, const EventTable *table, const Uuid &organization, Head *head) {
  RememberedHead *known = slot_of(table->root, organization);
  if (known->generation != generation || !known->is_of(table->root, organization)) return false;
  if (!known->is_stored) known->is_stored = is_last_row(relation, table, known->id);
  if (known->is_stored) *head = known->head;
  return known->is_stored;
}

Head read_head(const EventTable *table, const Uuid &organization) {
  const RememberedHead *known = slot_of(table->root, organization);
  return read_head(table, organization, known->is_of(table->root, organization) ? known->head.sequence : 0);
}

void remember_head(const EventTable *table, const EventValues &values, bool is_stored) {
  Uuid organization = uuid_of(values.get(Column::organization_id));
  RememberedHead *known = slot_of(table->root, organization);
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
  RememberedHead *known = slot_of(root, organization);
  if (known->is_of(root, organization)) known->generation = 0;
}

int64 last_sequence(const EventTable *table, const Uuid &organization) {
  const RememberedHead *known = slot_of(table->root, organization);
  if (known->generation == generation && known->is_stored && known->is_of(table->root, organization)) return known->head.sequence;
  return read_head(table, organization).sequence;
}

void forget_heads() { generation++; }

}  // namespace spine
