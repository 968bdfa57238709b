// Reading the spine's own tables by their keys, as committed or stored by this transaction.
#pragma once

#include "server/pg.h"

extern "C" {
#include <access/genam.h>
#include <access/sdir.h>
#include <access/skey.h>
#include <executor/tuptable.h>
#include <utils/memutils.h>
#include <utils/rel.h>
}

namespace spine {

// The next row that an index finds. memory: the one in which the scan began, for the scan keeps there what it learns of
// dead rows, and the caller's may not last as long.
inline bool next_of_index(MemoryContext memory, IndexScanDesc scan, ScanDirection direction, TupleTableSlot *slot) {
  MemoryContext before = MemoryContextSwitchTo(memory);
  bool any = index_getnext_slot(scan, direction, slot);
  MemoryContextSwitchTo(before);
  return any;
}

class KeyScan {
 public:
  // table: in schema spine, with columns of these types at the least. index: its name, or null for the primary key.
  // Raises SP046 where the table or the index is missing or another.
  void begin(const char *table, std::initializer_list<Oid> types, const char *index, int keys);
  // Goes to what the keys find; for another find too.
  void find(const ScanKeyData *keys, ScanDirection direction);
  // The next row; false after the last. Checks for interrupts.
  bool next();
  // A column of that row, from 1; not out of line. Raises SP046 where it is NULL, for none of these may be.
  Datum value(int column);
  // The same of a bytea that has so many bytes, and of one of any length.
  Hash hash(int column);
  Bytes bytes(int column);
  void end();

 private:
  [[noreturn]] void report_damaged(int column);

  const char *name_;
  Relation relation_, index_;
  IndexScanDesc scan_;
  ScanDirection direction_;
  int keys_;
  TupleTableSlot *slot_;
  MemoryContext memory_;
};

}  // namespace spine
