#include "store/chain_lock.h"

#include <sched.h>

#include <algorithm>

#include "server/compat.h"
#include "server/errors.h"
#include "server/transaction_lock.h"

extern "C" {
#include <access/xact.h>
#include <common/hashfn.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

// For each lock on a chain that this transaction took, in order: the subtransaction that took it.
SubTransactionId *lock_takers;
int locks_taken;

// The lock table has room for some thousand locks of the whole cluster: one transaction takes no more than
// half of its share, and then excludes all emitters instead.
int most_locks() { return Max(max_locks_per_xact / 2, 1); }

LOCKTAG chain_tag(Oid root, const Uuid &organization) { return lock_tag(chain_key(root, organization), LockClass::chain); }

// Each emitter shares one of a table's emitter locks, and who is for too many organizations takes them all. They are
// several only so that emitters do not meet at one place of the lock table.
constexpr int emitter_locks = 16;

LOCKTAG emitter_tag(Oid root, int number) {
  return lock_tag(static_cast<uint64>(root) << 32 | static_cast<uint32>(number), LockClass::emitters);
}

// The last is taken last.
bool has_all_chains(Oid root) {
  LOCKTAG last = emitter_tag(root, emitter_locks - 1);
  return compat_lock_held(&last, ExclusiveLock);
}

// What an error says of the wait that it ends: a lock's own name tells nobody anything.
void name_chain(void *organization) {
  errcontext("waiting to extend the chain of organization %s", uuid_text(*static_cast<const Uuid *>(organization)));
}
void name_bulk(void *) { errcontext("waiting for a transaction that emits for more than %d organizations", most_locks()); }
void name_emitters(void *) {
  errcontext("waiting for all other emitters, because this transaction emits for more than %d organizations", most_locks());
}

void acquire(const LOCKTAG &tag, LOCKMODE mode, void (*name)(void *), void *argument) {
  ErrorContextCallback context;
  context.callback = name;
  context.arg = argument;
  context.previous = error_context_stack;
  error_context_stack = &context;
  for_transaction([&] { (void)LockAcquire(&tag, mode, false, false); });
  error_context_stack = context.previous;
}

void join_emitters(Oid root) {
  LOCKTAG tag = emitter_tag(root, MyProcPid % emitter_locks);
  if (!compat_lock_held(&tag, ShareLock)) acquire(tag, ShareLock, name_bulk, nullptr);
}

void take_all_chains(Oid root) {
  for (int i = 0; i < emitter_locks; i++) acquire(emitter_tag(root, i), ExclusiveLock, name_emitters, nullptr);
}

}  // namespace

uint64 chain_key(Oid root, const Uuid &organization) {
  return hash_bytes_extended(organization.data(), static_cast<int>(organization.size()), root);
}

void lock_chain(Oid root, const Uuid &organization) {
  LOCKTAG tag = chain_tag(root, organization);
  if (compat_lock_held(&tag, ExclusiveLock) || has_all_chains(root)) return;
  if (lock_takers == nullptr)
    lock_takers = static_cast<SubTransactionId *>(
        MemoryContextAlloc(TopMemoryContext, sizeof(SubTransactionId) * static_cast<size_t>(most_locks())));
  if (locks_taken >= most_locks()) {
    take_all_chains(root);
    return;
  }
  join_emitters(root);
  // A chain is held for less time than it takes to put a process to sleep and to wake it, so let others run for a
  // while and look again. Who then sleeps is served before all who come later: they cannot have it while he waits.
  constexpr int looks = 300;
  bool taken = false;
  for_transaction([&] {
    for (int i = 0; i < looks && !taken; i++) {
      taken = LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
      if (taken) return;
      CHECK_FOR_INTERRUPTS();
      sched_yield();
    }
  });
  if (!taken) acquire(tag, ExclusiveLock, name_chain, const_cast<Uuid *>(&organization));
  lock_takers[locks_taken++] = GetCurrentSubTransactionId();
}

bool chain_is_free(Oid root, const Uuid &organization) {
  auto is_free = [](const LOCKTAG &tag, LOCKMODE mode) {
    if (LockAcquire(&tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL) return false;
    (void)LockRelease(&tag, mode, false);
    return true;
  };
  return is_free(emitter_tag(root, MyProcPid % emitter_locks), ShareLock) && is_free(chain_tag(root, organization), ExclusiveLock);
}

void lock_chains(Oid root, Uuid *organizations, int count) {
  std::sort(organizations, organizations + count,
            [root](const Uuid &a, const Uuid &b) { return chain_key(root, a) < chain_key(root, b); });
  int wanted = 0;
  for (int i = 0; i < count; i++) {
    if (i > 0 && organizations[i] == organizations[i - 1]) continue;
    LOCKTAG tag = chain_tag(root, organizations[i]);
    if (!compat_lock_held(&tag, ExclusiveLock)) wanted++;
  }
  if (wanted > 0 && locks_taken + wanted > most_locks()) {
    if (!has_all_chains(root)) take_all_chains(root);
    return;
  }
  for (int i = 0; i < count; i++) lock_chain(root, organizations[i]);
}

void forget_chain_locks() { locks_taken = 0; }

void roll_back_chain_locks(SubTransactionId mine) {
  while (locks_taken > 0 && lock_takers[locks_taken - 1] == mine) locks_taken--;
}

void keep_chain_locks(SubTransactionId mine, SubTransactionId parent) {
  for (int i = locks_taken; i > 0 && lock_takers[i - 1] == mine; i--) lock_takers[i - 1] = parent;
}

}  // namespace spine
