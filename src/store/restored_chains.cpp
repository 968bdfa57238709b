#include "store/restored_chains.h"

#include "server/cached_table.h"
#include "server/sql.h"
#include "server/transaction_lock.h"
#include "store/chain_lock.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <nodes/pg_list.h>
}

namespace spine {

namespace {

// What this transaction said, each in the slot that the chain's number names.
struct Noted {
  uint64 generation;
  Uuid organization;
  int64 first;
};
Noted noted[1024];
uint64 generation = 1;
uint64 nobody_asks_in;  // the generation in which there was no subscription to tell, and there will be none

LOCKTAG restores_tag() { return lock_tag(0, LockClass::restores); }

// The subscriptions that have progress, as of now, and whatever the transaction's snapshot shows: their names.
List *subscriptions_with_progress() {
  List *names = NIL;
  Relation relation = open_kept_table(spine_table("subscription_progress"), {TEXTOID});
  if (relation == nullptr) return NIL;
  each_row_now(relation, 1, [&](const Datum *values, const bool *nulls) {
    if (!nulls[0]) names = lappend(names, TextDatumGetCString(values[0]));
  });
  table_close(relation, AccessShareLock);
  return names;
}

void tell(const List *names, const Uuid &organization, int64 sequence) {
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("subscription_news"));
  // What was emitted before a transaction became read-only is stored all the same.
  bool is_read_only = XactReadOnly;
  XactReadOnly = false;
  SPI_connect();
  ListCell *cell;
  foreach (cell, names)
    run_sql("INSERT INTO spine.subscription_news (subscription, queued, organization_id, restored_from) VALUES ($1, pg_catalog.pg_current_xact_id(), $2, $3)"
            " ON CONFLICT (subscription, queued, organization_id) DO UPDATE SET restored_from = least(subscription_news.restored_from, excluded.restored_from)",
            {{TEXTOID, CStringGetTextDatum(static_cast<const char *>(lfirst(cell)))}, {UUIDOID, uuid_datum(organization)}, {INT8OID, Int64GetDatum(sequence)}});
  SPI_finish();
  XactReadOnly = is_read_only;
  rights.end();
}

}  // namespace

void note_restored_event(const Uuid &organization, int64 sequence) {
  if (nobody_asks_in == generation) return;
  Noted *known = &noted[chain_key(InvalidOid, organization) % lengthof(noted)];
  if (known->generation == generation && known->organization == organization && known->first <= sequence) return;
  List *names = subscriptions_with_progress();
  if (names == NIL) {
    // Whoever is about to have some is waited for; after that nobody can, until this transaction ends.
    LOCKTAG tag = restores_tag();
    for_transaction([&] { (void)LockAcquire(&tag, ShareLock, false, false); });
    names = subscriptions_with_progress();
    if (names == NIL) nobody_asks_in = generation;
  }
  if (names != NIL) tell(names, organization, sequence);
  *known = {generation, organization, sequence};
}

void forget_progress() {
  LOCKTAG tag = restores_tag();
  for_transaction([&] { (void)LockAcquire(&tag, ShareLock, false, false); });
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("subscription_progress"));
  run_sql("DELETE FROM spine.subscription_progress");
  rights.end();
}

bool begin_first_progress() {
  LOCKTAG tag = restores_tag();
  bool got = false;
  // In the way of those that share it, and of no other that is about to have progress.
  for_transaction([&] { got = LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL; });
  return got;
}

void forget_restored_chains() { generation++; }

}  // namespace spine
