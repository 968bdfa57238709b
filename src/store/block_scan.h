// Reading a table of events past whatever the server cannot read: block by block, as its rows lie on disk, or one chain's rows as
// the table's index has them.
#pragma once

#include "store/event_scan.h"

extern "C" {
#include <access/tableam.h>
#include <storage/block.h>
#include <storage/off.h>
}

namespace spine {

class BlockScan;

struct BlockVisitor {
  // At a row of the read. What the visitor does before its last BlockScan::read it may do twice.
  virtual void see(BlockScan *scan) = 0;
  // What the server cannot read: a line of a block, or with line 0 all of it. message: the server's.
  virtual void miss(BlockNumber block, OffsetNumber line, const char *message) = 0;
};

// What else befalls the rows that an index has of one chain.
struct ChainVisitor : BlockVisitor {
  // At an entry whose row the server cannot read.
  virtual void miss_entry(int64 sequence, BlockNumber block, OffsetNumber line, const char *message) = 0;
  // The index cannot be read behind this sequence, or is none there.
  virtual void miss_index(int64 sequence, const char *message) = 0;
};

// The rows of one table, as FreshRead reads.
//
// Rows are read by the server's own scan, in one subtransaction. Where that fails, the blocks from there on are read one
// by one, and row by row, each in a subtransaction of its own; after some of them the server's scan goes on. In parallel
// mode, where none can begin, its error goes on.
class BlockScan {
 public:
  void begin(Relation relation, FreshRead *read) {
    relation_ = relation;
    read_ = read;
    careful_ = reading_ = false;
  }
  // Visits what lies from block first to before block end.
  void visit(BlockNumber first, BlockNumber end, BlockVisitor *visitor);
  // Visits the rows that the table's index by sequence, which there is, has of one chain from first to last, in that order; at most that
  // many. Takes no more memory where there are many.
  void visit_chain(const Uuid &organization, int64 first, int64 last, int64 most, ChainVisitor *visitor);

  // For the visitor, at a row: its wanted columns, as event_of_tuple reads them.
  bool read(uint32 wanted, Event *event, const char **why);
  // Where the row lies.
  BlockNumber block() const { return ItemPointerGetBlockNumberNoCheck(&tuple_->t_self); }
  OffsetNumber line() const { return ItemPointerGetOffsetNumberNoCheck(&tuple_->t_self); }
  // The sequence by which the index has the row: what the row itself says may be another.
  int64 entry_sequence() const { return entry_sequence_; }

 private:
  // What an index has of one event.
  struct Entry {
    ItemPointerData place;
    int64 sequence;
  };
  struct Entries {
    Entry *entry;
    int64 count, room;
  };
  const char *read_entries(const Uuid &organization, int64 first, int64 last, Entries *entries) const;
  void see_entry(const Entry &entry, BlockVisitor *visitor);
  void scan(BlockNumber end, BlockVisitor *visitor);
  void go_carefully(BlockNumber end, BlockVisitor *visitor);
  OffsetNumber last_line(BlockNumber block) const;
  void see_line(BlockNumber block, OffsetNumber line, BlockVisitor *visitor);
  void see_row(TupleTableSlot *slot, HeapTuple tuple, BlockVisitor *visitor);
  const char *message_of(const ErrorData *error) const;

  Relation relation_;
  FreshRead *read_;
  TableScanDesc scan_;
  HeapTuple tuple_;
  // What comes next: the lines of this block behind this one.
  BlockNumber next_block_;
  OffsetNumber done_line_;
  int64 entry_sequence_;
  int64 seen_;  // how many rows of a chain
  bool careful_;
  bool reading_;  // what fails now is the reading, and not what a visitor does with it
};

// Blocks that could not be read, in ascending order.
struct UnreadableBlocks {
  BlockNumber *block;
  int64 count;
  int64 capacity;

  void add(BlockNumber one);
  bool has(BlockNumber one) const;
};

// Which chains may have lost their last event with those blocks, as the table's index by sequence has it: calls
// found(organization, sequence). organizations: sorted; null: all. Raises what the server raises of its index.
struct LostEnd {
  virtual void found(const Uuid &organization, int64 sequence) = 0;
};
void find_lost_ends(Relation relation, FreshRead *read, const UnreadableBlocks &blocks, const Uuid *organizations, int count, LostEnd *lost);

}  // namespace spine
