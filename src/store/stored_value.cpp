#include "store/stored_value.h"

#include "server/compat.h"
#include "store/event_table.h"

extern "C" {
#include <access/detoast.h>
#include <access/genam.h>
#include <access/heaptoast.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

// The bytes of a chunk, whose number is to be this; none where the row is no such chunk.
Bytes chunk_of(const TupleTableSlot *slot, HeapTuple tuple, int32 number) {
  constexpr size_t header = MAXALIGN(SizeofHeapTupleHeader);
  constexpr size_t at = header + sizeof(Oid) + sizeof(int32);
  HeapTupleHeader row = tuple->t_data;
  if (!lies_in_its_page(slot, tuple) || tuple->t_len < at + VARHDRSZ || row->t_hoff != header ||
      (row->t_infomask & HEAP_HASNULL) != 0 || HeapTupleHeaderGetNatts(row) != 3)
    return {};
  const char *data = reinterpret_cast<const char *>(row);
  int32 stored_number;
  memcpy(&stored_number, data + header + sizeof(Oid), sizeof stored_number);
  bool plain = VARATT_IS_4B_U(data + at) || (VARATT_IS_1B(data + at) && !VARATT_IS_1B_E(data + at));
  if (stored_number != number || !plain || VARSIZE_ANY(data + at) > tuple->t_len - at) return {};
  return bytes_view(data + at);
}

// Puts an out-of-line value together, still compressed where it is stored so. Null: it is damaged. The server's own
// reader trusts that a chunk is one, and reads what is none to its death.
const varlena *gather(Relation relation, const varatt_external &pointer, const char **why) {
  *why = "its pointer to an out-of-line value is damaged";
  size_t size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
  if (pointer.va_toastrelid != relation->rd_rel->reltoastrelid || pointer.va_rawsize < VARHDRSZ ||
      static_cast<Size>(pointer.va_rawsize) > MaxAllocSize || size > static_cast<size_t>(pointer.va_rawsize) - VARHDRSZ)
    return nullptr;
  bool compressed = size < static_cast<size_t>(pointer.va_rawsize) - VARHDRSZ;
  if (compressed && size < VARHDRSZ_COMPRESSED - VARHDRSZ) return nullptr;
  varlena *value = static_cast<varlena *>(palloc(size + VARHDRSZ));
  if (compressed)
    SET_VARSIZE_COMPRESSED(value, size + VARHDRSZ);
  else
    SET_VARSIZE(value, size + VARHDRSZ);

  Relation chunks = table_open(pointer.va_toastrelid, AccessShareLock);
  Relation *indexes;
  int index_count;
  int valid = toast_open_indexes(chunks, AccessShareLock, &indexes, &index_count);
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(pointer.va_valueid));
  SnapshotData memory;
  IndexScanDesc scan = compat_index_beginscan(chunks, indexes[valid], compat_toast_snapshot(&memory), 1);
  index_rescan(scan, &key, 1, nullptr, 0);
  TupleTableSlot *slot = table_slot_create(chunks, nullptr);
  int32 count = static_cast<int32>((size + TOAST_MAX_CHUNK_SIZE - 1) / TOAST_MAX_CHUNK_SIZE);
  int32 next = 0;
  bool whole = true;
  while (whole && index_getnext_slot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    bool must_free;
    HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &must_free);
    size_t done = static_cast<size_t>(next) * TOAST_MAX_CHUNK_SIZE;
    Bytes chunk = chunk_of(slot, tuple, next);
    whole = next < count && chunk.size == Min(size - done, TOAST_MAX_CHUNK_SIZE);
    if (whole) {
      memcpy(VARDATA(value) + done, chunk.data, chunk.size);
      next++;
    }
  }
  // A line pointer that leads outside of its page makes the server see a chunk in the next buffer, or none: so there is
  // one name for both.
  *why = whole && next == count
             ? nullptr
             : psprintf("chunk %d of an out-of-line value is damaged, missing, or one too many", next);
  ExecDropSingleTupleTableSlot(slot);
  index_endscan(scan);
  toast_close_indexes(indexes, index_count, AccessShareLock);
  table_close(chunks, AccessShareLock);
  if (*why == nullptr && compressed &&
      VARDATA_COMPRESSED_GET_EXTSIZE(value) != static_cast<uint32>(pointer.va_rawsize) - VARHDRSZ)
    *why = "the length of a compressed value is damaged";
  return *why == nullptr ? value : nullptr;
}

}  // namespace

const char *read_value(Relation relation, const varlena *stored, const char **why) {
  if (VARATT_IS_EXTERNAL(stored)) {
    varatt_external pointer;
    VARATT_EXTERNAL_GET_POINTER(pointer, stored);
    stored = gather(relation, pointer, why);
    if (stored == nullptr) return nullptr;
  }
  // No method makes a value as short as that. A damaged length shall not ask for a gigabyte.
  if (VARATT_IS_COMPRESSED(stored) && VARDATA_COMPRESSED_GET_EXTSIZE(stored) / 256 > VARSIZE(stored)) {
    *why = "the length of a compressed value is damaged";
    return nullptr;
  }
  return reinterpret_cast<const char *>(detoast_attr(const_cast<varlena *>(stored)));
}

}  // namespace spine
