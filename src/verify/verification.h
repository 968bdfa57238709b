// One verification: its state, and the steps that the process which was asked and its parallel workers share.
#pragma once

#include "access/access.h"
#include "core/chain_check.h"
#include "server/record_sort.h"
#include "store/block_scan.h"
#include "verify/verify_progress.h"

extern "C" {
#include <utils/rel.h>
}

namespace spine {

// Organizations whose segments overlapped.
struct Redo {
  static constexpr int most = 1024;
  Uuid organizations[most];  // sorted, as they are found in that order
  int count;
  bool all;  // more than that
};

struct BlockShare;

// An event whose hash is made together with those of others. All else of it was found to be right.
struct UnjudgedEvent {
  uint32_t present;
  Uuid organization;
  Uuid id;
  int64_t sequence;
  Hash event_hash;
};
struct UnjudgedEvents {
  EventBatch batch;
  UnjudgedEvent event[EventBatch::most];
};

// One of the tables that hold the events, in the order of their time. All their blocks together are counted through.
struct VerifiedTable {
  Relation relation;
  uint64 first;  // block of all
  BlockNumber blocks;
};

struct Verification {
  Oid relid;  // spine.events, or the one table
  Oid events;
  bool one_table;  // others hold what comes before its events, and after them
  VerifiedTable *tables;
  int table_count;
  VerifiedTable *table;  // that is being read
  FreshRead read;
  MemoryContext per_row;
  bool one;       // only this organization
  bool by_index;  // its events as the tables' indexes have them, and not all that the tables hold
  Uuid organization;
  Organizations readable;  // by the role that asked: no row of others is looked at
  bool one_is_readable;
  Range range;
  SegmentFolder *folder;
  UnjudgedEvents *unjudged;
  RecordSort segments;
  RecordSort faults;
  RecordSort summaries;
  RecordSort parts;    // that are gone, and that were said to be erased: parts.cpp
  Redo redo;
  bool singles;       // the second reading
  uint64 blocks;  // by_index: events, as many as the chain is said to have
  BlockShare *share;  // who reads which blocks; null: all of them here
  UnreadableBlocks unreadable;  // of the table that is being read
  VerifyProgress progress;
};

// Checks the content of each row and folds the links into v->segments; faults go to v->faults. processes: how
// many do so together, which limits the memory that each takes.
void read_table(Verification *v, int processes);

// Sorts v->segments, walks them and ends them; faults go to v->faults, summaries to v->summaries.
void walk_chains(Verification *v);

// A fault of one row's content, whatever its neighbours are.
void put_content_fault(Verification *v, FaultKind kind, const Event &event, Bytes expected, Bytes found, const char *detail);

// What is no row's fault, and belongs to nobody's chain: whoever may read all of the table hears of it.
void put_unreadable(Verification *v, const char *detail);

// Notes into v->parts which parts of an event are gone, and which parts it says were erased. Its content was read.
void note_parts(Verification *v, const Event &event);

// Once all is read: faults of the parts that are gone without an event that says so go to v->faults. Ends v->parts.
void judge_parts(Verification *v);

// Kilobytes for each sort of a verification that so many processes do together.
int sort_memory(int processes);

// Opens the tables that hold the events. sizes: how many blocks of each are to be read, or null: all that there are.
void open_tables(Verification *v, const List *relids, const BlockNumber *sizes);
void close_tables(Verification *v);

// The next blocks of all to read for this process; false: none are left.
bool take_blocks(BlockShare *share, uint64 *first, uint64 *count);

// How many parallel workers the table's size and the settings ask for.
int planned_workers(const Verification *v);

// Reads the table and walks the chains together with workers. False: not done, and v is as it was before: there is
// no shared memory, or a worker failed on something that reading without workers may survive.
bool verify_with_workers(Verification *v, int workers);

}  // namespace spine
