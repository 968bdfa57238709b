// Taking old row versions, and the bytes that are left of them, off the pages of one relation.
#pragma once

#include "server/pg.h"

extern "C" {
#include <access/htup.h>
#include <storage/bufmgr.h>
#include <utils/rel.h>
}

namespace spine {

// What came of it. Old versions: of rows that were updated or deleted, also by a transaction that still runs.
struct Wiped {
  int64 blocks;
  int64 removed;               // old versions
  int64 bytes;                 // overwritten that were not zero
  int64 left;                  // old versions that somebody may still read
  int64 blocks_in_use;         // blocks with old versions that could not be removed, because others stood on them
  TransactionId newest_left;   // the latest transaction that made one of those left old; or invalid
};

// Of a relation of heap, which the caller has open with AccessShareLock: it locks out nothing but what rewrites, truncates or
// drops the relation. As any reader may prune a page, so does this; a row is never changed.
//
// The server does not overwrite what it removes. A page that is pruned is only put together anew, and the old bytes stay in
// the hole between its line pointers and its rows, and in up to seven bytes behind a row. So whatever of the page belongs
// to no row is zeroed, and the page logged as an image, of which the server logs no hole: a standby and a recovery get zeros.
class PageWiper {
 public:
  explicit PageWiper(Relation relation);
  // All of its blocks, as many as there are when it begins, and writes them to their file. Raises SP080 for a page whose
  // line pointers are damaged, and what the server raises for one that it cannot read.
  Wiped wipe();

 private:
  void wipe_block(BlockNumber block);
  void look(::Buffer buffer);
  void check_rows(::Buffer buffer);
  void judge_rows(::Buffer buffer);
  void keep(::Buffer buffer, size_t from, size_t length);
  void judge(HeapTuple tuple, ::Buffer buffer);
  bool is_removable() const { return TransactionIdIsValid(removable_); }
  void prune(::Buffer buffer);
  void pause(::Buffer buffer);
  void zero(::Buffer buffer);

  Relation relation_;
  BufferAccessStrategy strategy_;
  Wiped wiped_;
  // Of the page that was looked at last:
  bool kept_[BLCKSZ];  // whether a byte belongs to the header, to the line pointers or to a row
  int64 stale_;        // how many of the others are not zero
  int64 old_;          // old versions
  TransactionId removable_;   // who made a version old that nobody needs; invalid: there is none
  TransactionId newest_old_;  // who made one old last
};

}  // namespace spine
