#include "store/pending.h"

#include <algorithm>
#include <tuple>

#include "server/errors.h"
#include "store/chain_lock.h"
#include "store/durability.h"
#include "store/emission_rights.h"
#include "store/event_arguments.h"
#include "store/writer.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <commands/trigger.h>
#include <miscadmin.h>
#include <utils/hsearch.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// A place in a list that goes round; the list's own place is its beginning and its end.
struct Link {
  Link *previous;
  Link *next;

  void clear() { previous = next = this; }
  void add_last(Link *link) {
    link->previous = previous;
    link->next = this;
    previous->next = link;
    previous = link;
  }
  void remove() {
    previous->next = next;
    next->previous = previous;
  }
  // Puts what the other list holds behind what this one does.
  void take_all(Link *other) {
    other->next->previous = previous;
    previous->next = other->next;
    other->previous->next = this;
    previous = other->previous;
    other->clear();
  }
};

// Three lists in which a pending event stands.
struct ByEmission : Link {};  // of the subtransaction that emitted it
struct ByState : Link {};     // of all that wait, or of the subtransaction that chained it
struct ByChain : Link {};     // of those that wait for one organization, where it waits

// An organization with pending events.
struct Chain {
  Uuid organization;  // the key
  ByChain waiting;
  int events;
};

// One allocation holds an event with all its values.
//
// One that was chained in a later savepoint than it was emitted in is kept: where that savepoint is rolled back its row
// is gone, and it waits again.
struct Pending : ByEmission, ByState, ByChain {
  uint64 number;  // in the order in which they were emitted
  Chain *chain;
  bool waits;
  Place place;
  Oid role;
  int security;
  size_t size;
  EventValues values;
};

// A subtransaction, or the transaction itself, that emitted or chained something that is still here. What its end costs
// depends on what that is, never on what else is pending.
struct Level {
  SubTransactionId subtransaction;
  uint64 first;        // what it emitted has at least this number
  ByEmission emitted;  // in it
  ByState chained;     // in it: what was emitted further out, and what is being stored
  Level *outer;
};

constexpr size_t most_bytes = 16 * 1024 * 1024;

MemoryContext memory;  // of the transaction, null without pending events
HTAB *chains;          // the Chains, by organization
ByState waiting;       // in no order
int64 waiting_count;
Level *innermost;
uint64 next_number;
size_t bytes;
uint64 last_moment;
bool has_chained;      // the commit under way has chained what was pending

// Of the current subtransaction.
Level *this_level() {
  SubTransactionId mine = GetCurrentSubTransactionId();
  if (innermost != nullptr && innermost->subtransaction == mine) return innermost;
  Level *level = static_cast<Level *>(MemoryContextAlloc(memory, sizeof(Level)));
  level->subtransaction = mine;
  level->first = next_number;
  level->emitted.clear();
  level->chained.clear();
  level->outer = innermost;
  return innermost = level;
}

Chain *find_chain(const Uuid &organization, HASHACTION action, bool *found) {
  return static_cast<Chain *>(hash_search(chains, organization.data(), action, found));
}

// The transaction's first.
void begin() {
  MemoryContext fresh = AllocSetContextCreate(TopTransactionContext, "pending events", ALLOCSET_DEFAULT_SIZES);
  HASHCTL how;
  how.keysize = sizeof(Uuid);
  how.entrysize = sizeof(Chain);
  how.hcxt = fresh;
  chains = hash_create("chains with pending events", 16, &how, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  waiting.clear();
  memory = fresh;
}

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

void start_waiting(Pending *p) {
  p->waits = true;
  waiting.add_last(static_cast<ByState *>(p));
  p->chain->waiting.add_last(static_cast<ByChain *>(p));
  waiting_count++;
}

void stop_waiting(Pending *p) {
  p->waits = false;
  static_cast<ByState *>(p)->remove();
  static_cast<ByChain *>(p)->remove();
  waiting_count--;
}

void forget(Pending *p) {
  if (p->waits)
    stop_waiting(p);
  else
    static_cast<ByState *>(p)->remove();
  static_cast<ByEmission *>(p)->remove();
  if (--p->chain->events == 0) (void)find_chain(p->chain->organization, HASH_REMOVE, nullptr);
  bytes -= p->size;
  pfree(p);
}

// Calls use with each event of a list, which it may take out of it.
template <class By, class Use>
void each(By *list, Use use) {
  for (Link *at = list->next, *next; at != list; at = next) {
    next = at->next;
    use(static_cast<Pending *>(static_cast<By *>(at)));
  }
}

bool comes_before(const Pending *a, const Pending *b) {
  return std::make_tuple(a->place.moment, a->place.rank, a->number) < std::make_tuple(b->place.moment, b->place.rank, b->number);
}

// Stores what waits, or what waits for one of the organizations (sorted), in the order of the places.
int64 chain_some(const Uuid *organizations, int organization_count) {
  if (waiting_count == 0) return 0;
  auto each_wanted = [&](auto use) {
    if (organizations == nullptr) each(&waiting, use);
    for (int i = 0; i < organization_count; i++) {
      if (i > 0 && organizations[i] == organizations[i - 1]) continue;
      Chain *chain = find_chain(organizations[i], HASH_FIND, nullptr);
      if (chain != nullptr) each(&chain->waiting, use);
    }
  };
  int n = 0;
  each_wanted([&](Pending *) { n++; });
  if (n == 0) return 0;
  Pending **taken = static_cast<Pending **>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Pending *) * static_cast<Size>(n)));
  int filled = 0;
  each_wanted([&](Pending *p) { taken[filled++] = p; });
  std::sort(taken, taken + n, comes_before);
  Uuid *wanted = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(n)));
  Level *level = this_level();
  for (int i = 0; i < n; i++) {
    wanted[i] = taken[i]->chain->organization;
    stop_waiting(taken[i]);
    level->chained.add_last(static_cast<ByState *>(taken[i]));
  }

  Relation relation = table_open(events_relid(), RowExclusiveLock);
  lock_chains(event_table(relation)->root, wanted, n);
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
  // Where it was emitted in the subtransaction that chained it, it goes with its row.
  for (int i = 0; i < n; i++)
    if (taken[i]->number >= level->first) forget(taken[i]);
  pfree(taken);
  pfree(wanted);
  return n;
}

}  // namespace

bool past_chaining() { return has_chained; }

uint64 take_moment() { return ++last_moment; }

void add_pending(const EventValues &values, Place place) {
  if (memory == nullptr) begin();
  Level *level = this_level();
  Uuid organization = uuid_of(values.get(Column::organization_id));
  Pending *p = copy(values);
  bool found;
  p->chain = find_chain(organization, HASH_ENTER, &found);
  if (!found) {
    p->chain->waiting.clear();
    p->chain->events = 0;
  }
  p->chain->events++;
  p->number = next_number++;
  p->place = place;
  if (place.moment == 0) p->place.moment = take_moment();
  GetUserIdAndSecContext(&p->role, &p->security);
  level->emitted.add_last(static_cast<ByEmission *>(p));
  start_waiting(p);
  bytes += p->size;
  note_emitted_event();
  if (bytes > most_bytes && place.may_chain) chain_some(nullptr, 0);
}

int64 chain_all_pending() { return chain_some(nullptr, 0); }

void chain_pending_of(const Uuid &organization) {
  chain_some(&organization, 1);
}

void chain_now(EventValues *events, int event_count, int *position) {
  Relation relation = table_open(events_relid(), RowExclusiveLock);
  if (waiting_count > 0 || event_count > 1) {
    Oid root = event_table(relation)->root;
    Uuid *organizations = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(event_count)));
    for (*position = 0; *position < event_count; ++*position) {
      resolve_organization(&events[*position]);
      organizations[*position] = uuid_of(events[*position].get(Column::organization_id));
      // Or it would wait for chains that are not its own.
      require_emitting(root, organizations[*position], events[*position].is_captured ? OnBehalf::captured_table : OnBehalf::emitter);
    }
    if (waiting_count > 0) {
      std::sort(organizations, organizations + event_count);
      chain_some(organizations, event_count);
    }
    lock_chains(root, organizations, event_count);
    pfree(organizations);
  }
  store_events(relation, events, event_count, position);
  table_close(relation, NoLock);
}

void chain_before_commit() {
  while (waiting_count > 0) {
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
  chains = nullptr;
  innermost = nullptr;
  waiting_count = 0;
  next_number = 0;
  bytes = 0;
  has_chained = false;
}

void roll_back_pending(SubTransactionId mine) {
  if (innermost == nullptr || innermost->subtransaction != mine) return;
  Level *level = innermost;
  each(&level->emitted, forget);
  each(&level->chained, [](Pending *p) {
    static_cast<ByState *>(p)->remove();
    start_waiting(p);
  });
  innermost = level->outer;
  pfree(level);
}

void keep_pending(SubTransactionId mine, SubTransactionId parent) {
  if (innermost == nullptr || innermost->subtransaction != mine) return;
  Level *level = innermost;
  Level *outer = level->outer;
  if (outer == nullptr || outer->subtransaction != parent) {
    level->subtransaction = parent;  // which has emitted and chained nothing else
    return;
  }
  outer->emitted.take_all(&level->emitted);
  each(&level->chained, [outer](Pending *p) {
    if (p->number >= outer->first) {
      forget(p);
    } else {
      static_cast<ByState *>(p)->remove();
      outer->chained.add_last(static_cast<ByState *>(p));
    }
  });
  innermost = outer;
  pfree(level);
}

}  // namespace spine
