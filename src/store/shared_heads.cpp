#include "store/shared_heads.h"

#include "store/chain_lock.h"

extern "C" {
#include <miscadmin.h>
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
#include <storage/spin.h>
}

namespace spine {

namespace {

// Each chain has one slot, by its lock's key; the chain that stored last has what is in it.
struct Slot {
  slock_t mutex;
  Oid database;  // InvalidOid: of no chain
  Oid root;
  Uuid organization;
  PlaceOfHead place;
};
constexpr Size slot_count = 65536;

Slot *slots;  // null: the library was not there when the server started

Slot *slot_of(Oid root, const Uuid &organization) { return &slots[chain_key(root, organization) % slot_count]; }

bool is_of(const Slot &slot, Oid root, const Uuid &organization) {
  return slot.database == MyDatabaseId && slot.root == root && slot.organization == organization;
}

}  // namespace

void request_shared_heads() { RequestAddinShmemSpace(sizeof(Slot) * slot_count); }

void make_shared_heads() {
  bool found;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  Slot *memory = static_cast<Slot *>(ShmemInitStruct("people_os_spine heads", sizeof(Slot) * slot_count, &found));
  if (!found) {
    memset(static_cast<void *>(memory), 0, sizeof(Slot) * slot_count);
    for (Slot *slot = memory; slot < memory + slot_count; slot++) SpinLockInit(&slot->mutex);
  }
  LWLockRelease(AddinShmemInitLock);
  slots = memory;
}

bool find_shared_head(Oid root, const Uuid &organization, PlaceOfHead *place) {
  if (slots == nullptr) return false;
  Slot *slot = slot_of(root, organization);
  SpinLockAcquire(&slot->mutex);
  bool found = is_of(*slot, root, organization);
  if (found) *place = slot->place;
  SpinLockRelease(&slot->mutex);
  return found;
}

void share_head(Oid root, const Uuid &organization, const PlaceOfHead &place) {
  if (slots == nullptr) return;
  Slot *slot = slot_of(root, organization);
  SpinLockAcquire(&slot->mutex);
  slot->database = MyDatabaseId;
  slot->root = root;
  slot->organization = organization;
  slot->place = place;
  SpinLockRelease(&slot->mutex);
}

void forget_shared_head(Oid root, const Uuid &organization) {
  if (slots == nullptr) return;
  Slot *slot = slot_of(root, organization);
  SpinLockAcquire(&slot->mutex);
  if (is_of(*slot, root, organization)) slot->database = InvalidOid;
  SpinLockRelease(&slot->mutex);
}

void forget_shared_heads_in(Oid partition) {
  if (slots == nullptr) return;
  for (Slot *slot = slots; slot < slots + slot_count; slot++) {
    SpinLockAcquire(&slot->mutex);
    if (slot->database == MyDatabaseId && slot->place.partition == partition) slot->database = InvalidOid;
    SpinLockRelease(&slot->mutex);
  }
}

}  // namespace spine
