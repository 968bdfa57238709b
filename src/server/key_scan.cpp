#include "server/key_scan.h"

#include "server/cached_table.h"
#include "server/compat.h"
#include "server/errors.h"

extern "C" {
#include <access/tableam.h>
#include <catalog/index.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
}

namespace spine {

void KeyScan::begin(const char *table, std::initializer_list<Oid> types, const char *index, int keys) {
  name_ = table;
  memory_ = CurrentMemoryContext;
  keys_ = keys;
  relation_ = open_kept_table(spine_table(table), types);
  Oid key = relation_ == nullptr  ? InvalidOid
            : index == nullptr    ? RelationGetPrimaryKeyIndex(relation_)
                                  : get_relname_relid(index, RelationGetNamespace(relation_));
  if (!OidIsValid(key) || IndexGetRelation(key, true) != RelationGetRelid(relation_))
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE),
                    errmsg("table \"spine.%s\" or its index is missing, or not as CREATE EXTENSION made it", table),
                    errhint("What the spine says rests on it; have a superuser put it back.")));
  index_ = index_open(key, AccessShareLock);
  slot_ = table_slot_create(relation_, nullptr);
  scan_ = compat_index_beginscan(relation_, index_, SnapshotSelf, keys);
}

void KeyScan::find(const ScanKeyData *keys, ScanDirection direction) {
  index_rescan(scan_, const_cast<ScanKey>(keys), keys_, nullptr, 0);
  direction_ = direction;
}

bool KeyScan::next() {
  CHECK_FOR_INTERRUPTS();
  return next_of_index(memory_, scan_, direction_, slot_);
}

void KeyScan::report_damaged(int column) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE),
                  errmsg("column \"%s\" of a row of table \"spine.%s\" is damaged",
                         NameStr(TupleDescAttr(RelationGetDescr(relation_), column - 1)->attname), name_),
                  errhint("Restore the row from a backup.")));
}

Datum KeyScan::value(int column) {
  bool null;
  Datum datum = slot_getattr(slot_, column, &null);
  if (null) report_damaged(column);
  return datum;
}

Bytes KeyScan::bytes(int column) { return bytes_view(PG_DETOAST_DATUM_PACKED(value(column))); }

Hash KeyScan::hash(int column) {
  Bytes stored = bytes(column);
  Hash hash;
  if (stored.size != hash.size()) report_damaged(column);
  memcpy(hash.data(), stored.data, hash.size());
  return hash;
}

void KeyScan::end() {
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, AccessShareLock);
  table_close(relation_, AccessShareLock);
}

}  // namespace spine
