#include "store/pending.h"

#include <algorithm>

#include "server/errors.h"
#include "store/chain.h"
#include "store/durability.h"
#include "store/emission_rights.h"
#include "store/writer.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <commands/trigger.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// One allocation holds an event with all its values.
//
// One that was chained in a later savepoint than it was emitted in stays in the list: where that savepoint is rolled
// back its row is gone, and it waits again.
struct Pending {
  SubTransactionId emitted_in;
  SubTransactionId chained_in;  // InvalidSubTransactionId: it waits
  bool is_stored;               // false while it is being stored, when a trigger may come by here
  Oid role;
  int security;
  size_t size;
  Uuid organization;
  EventValues values;
};

constexpr size_t most_bytes = 16 * 1024 * 1024;

MemoryContext memory;  // of the transaction, null without pending events
Pending **pending;     // in the order in which they were emitted
int count;
int capacity;
size_t bytes;
bool has_chained;      // the commit under way has chained what was pending

bool is_varlena(Column column) {
  switch (column) {
    case Column::event_type:
    case Column::domain:
    case Column::entity_type:
    case Column::action:
    case Column::recorded_by:
    case Column::payload:
    case Column::payload_salt:
    case Column::personal:
    case Column::personal_salt:
      return true;
    default:
      return false;
  }
}

bool is_uuid(Column column) {
  return column == Column::id || column == Column::entity_id || column == Column::actor_id ||
         column == Column::organization_id || column == Column::correlation_id || column == Column::causation_id;
}

Pending *copy(const EventValues &values) {
  EventValues plain = values;
  size_t size = MAXALIGN(sizeof(Pending));
  size_t sizes[column_count] = {};
  for (int c = 0; c < column_count; c++) {
    Column column = static_cast<Column>(c);
    if (values.null[c]) continue;
    if (is_varlena(column)) {
      varlena *value = PG_DETOAST_DATUM_PACKED(values.value[c]);
      plain.value[c] = PointerGetDatum(value);
      sizes[c] = VARSIZE_ANY(value);
    } else if (is_uuid(column)) {
      sizes[c] = sizeof(Uuid);
    }
    size += MAXALIGN(sizes[c]);
  }
  Pending *p = static_cast<Pending *>(MemoryContextAlloc(memory, size));
  p->size = size;
  p->values = plain;
  char *to = reinterpret_cast<char *>(p) + MAXALIGN(sizeof(Pending));
  for (int c = 0; c < column_count; c++) {
    if (sizes[c] == 0) continue;
    memcpy(to, DatumGetPointer(plain.value[c]), sizes[c]);
    p->values.value[c] = PointerGetDatum(to);
    to += MAXALIGN(sizes[c]);
  }
  return p;
}

void forget(Pending *p) {
  bytes -= p->size;
  pfree(p);
}

// Forgets those stored in the subtransaction that they were emitted in: if their row goes, so do they.
void forget_settled() {
  int kept = 0;
  for (int i = 0; i < count; i++) {
    if (pending[i]->is_stored && pending[i]->chained_in == pending[i]->emitted_in)
      forget(pending[i]);
    else
      pending[kept++] = pending[i];
  }
  count = kept;
}

bool any_waits() {
  for (int i = 0; i < count; i++)
    if (pending[i]->chained_in == InvalidSubTransactionId) return true;
  return false;
}

// Takes what is pending, or what is for one of the organizations (sorted), out of the list and stores it.
int64 chain_some(const Uuid *organizations, int organization_count) {
  auto is_wanted = [&](const Pending *p) {
    return p->chained_in == InvalidSubTransactionId &&
           (organizations == nullptr || std::binary_search(organizations, organizations + organization_count, p->organization));
  };
  int wanted = 0;
  for (int i = 0; i < count; i++) wanted += is_wanted(pending[i]);
  if (wanted == 0) return 0;
  Pending **taken = static_cast<Pending **>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Pending *) * static_cast<Size>(wanted)));
  Uuid *chains = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(wanted)));
  int n = 0;
  for (int i = 0; i < count; i++) {
    if (!is_wanted(pending[i])) continue;
    chains[n] = pending[i]->organization;
    pending[i]->chained_in = GetCurrentSubTransactionId();
    taken[n++] = pending[i];
  }

  Oid relid = events_relid();
  Relation relation = table_open(relid, AccessShareLock);
  Oid root = event_table(relation)->root;
  table_close(relation, NoLock);
  lock_chains(root, chains, n);
  relation = table_open(relid, RowExclusiveLock);
  Oid role;
  int security;
  GetUserIdAndSecContext(&role, &security);
  for (int i = 0; i < n;) {
    // One call for those in a row that the same role emitted.
    int end = i;
    while (end < n && taken[end]->role == taken[i]->role && taken[end]->security == taken[i]->security) end++;
    EventValues *values = static_cast<EventValues *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(EventValues) * static_cast<Size>(end - i)));
    for (int j = i; j < end; j++) values[j - i] = taken[j]->values;
    SetUserIdAndSecContext(taken[i]->role, taken[i]->security);
    int position;
    store_events(relation, values, end - i, &position);
    SetUserIdAndSecContext(role, security);
    pfree(values);
    i = end;
  }
  table_close(relation, NoLock);
  for (int i = 0; i < n; i++) taken[i]->is_stored = true;
  forget_settled();
  pfree(taken);
  pfree(chains);
  return n;
}

}  // namespace

bool past_chaining() { return has_chained; }

void add_pending(const EventValues &values) {
  if (memory == nullptr)
    memory = AllocSetContextCreate(TopTransactionContext, "pending events", ALLOCSET_DEFAULT_SIZES);
  if (count == capacity) {
    int more = capacity == 0 ? 64 : 2 * capacity;
    Size size = sizeof(Pending *) * static_cast<Size>(more);
    pending = static_cast<Pending **>(pending == nullptr ? MemoryContextAlloc(memory, size) : repalloc_huge(pending, size));
    capacity = more;
  }
  Pending *p = copy(values);
  p->emitted_in = GetCurrentSubTransactionId();
  p->chained_in = InvalidSubTransactionId;
  p->is_stored = false;
  GetUserIdAndSecContext(&p->role, &p->security);
  p->organization = uuid_of(values.get(Column::organization_id));
  pending[count++] = p;
  bytes += p->size;
  note_emitted_event();
  if (bytes > most_bytes) chain_some(nullptr, 0);
}

int64 chain_all_pending() { return chain_some(nullptr, 0); }

void chain_pending_of(const Uuid &organization) {
  if (count > 0) chain_some(&organization, 1);
}

void chain_now(EventValues *events, int event_count, int *position) {
  Relation relation;
  if (count == 0 && event_count == 1) {
    relation = table_open(events_relid(), RowExclusiveLock);
  } else {
    Oid relid = events_relid();
    relation = table_open(relid, AccessShareLock);
    Oid root = event_table(relation)->root;
    table_close(relation, NoLock);
    Uuid *organizations = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(event_count)));
    for (*position = 0; *position < event_count; ++*position) {
      resolve_organization(&events[*position]);
      organizations[*position] = uuid_of(events[*position].get(Column::organization_id));
      require_emitting(root, organizations[*position]);  // or it would wait for chains that are not its own
    }
    if (count > 0) {
      std::sort(organizations, organizations + event_count);
      chain_some(organizations, event_count);
    }
    // The chains are locked before the table is: where they are too many, it is the table that is locked.
    lock_chains(root, organizations, event_count);
    pfree(organizations);
    relation = table_open(relid, RowExclusiveLock);
  }
  store_events(relation, events, event_count, position);
  table_close(relation, NoLock);
}

void chain_before_commit() {
  while (any_waits()) {
    PushActiveSnapshot(GetTransactionSnapshot());
    chain_some(nullptr, 0);
    PopActiveSnapshot();
    AfterTriggerFireDeferred();
  }
  has_chained = true;
}

void forget_pending() {
  // The memory goes with the transaction.
  memory = nullptr;
  pending = nullptr;
  count = capacity = 0;
  bytes = 0;
  has_chained = false;
}

void roll_back_pending(SubTransactionId mine) {
  while (count > 0 && pending[count - 1]->emitted_in == mine) forget(pending[--count]);
  for (int i = 0; i < count; i++) {
    if (pending[i]->chained_in != mine) continue;
    pending[i]->chained_in = InvalidSubTransactionId;
    pending[i]->is_stored = false;
  }
}

void keep_pending(SubTransactionId mine, SubTransactionId parent) {
  for (int i = count; i > 0 && pending[i - 1]->emitted_in == mine; i--) pending[i - 1]->emitted_in = parent;
  for (int i = 0; i < count; i++)
    if (pending[i]->chained_in == mine) pending[i]->chained_in = parent;
}

}  // namespace spine
