// Reading the tables of checkpoints, nodes and notes by their keys, as committed or stored by this transaction.
#pragma once

#include "server/pg.h"

extern "C" {
#include <access/genam.h>
#include <access/sdir.h>
#include <access/skey.h>
#include <executor/tuptable.h>
#include <utils/rel.h>
}

namespace spine {

class KeyScan {
 public:
  // table: in schema spine, with columns of these types at the least. index: its name, or null for the primary key. Raises
  // SP046 where the table or the index is missing or another.
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
};

}  // namespace spine
