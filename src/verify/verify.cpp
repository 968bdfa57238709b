// spine.verify_chain, spine.verify_table and spine.find_chain_faults: one reading of the tables, in the order in which they lie, by as
// many processes as verify_parallel.cpp decides; or of one organization's events, by the tables' indexes.
//
// Content is checked row by row. Links are folded into segments (core/chain_check.h), which a disk-backed sort
// brings into the order of their chains. Where two events share a sequence, a second reading sorts every
// event of those organizations. Faults and summaries go through such sorts too, so memory does not depend on
// the table's size.
#include <algorithm>

#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/owned_object.h"
#include "server/subtransaction.h"
#include "store/anchors.h"
#include "store/event_table.h"
#include "store/partitions.h"
#include "verify/verification.h"
#include "verify/verify.h"

extern "C" {
#include <access/table.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <utils/fmgroids.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

// Where a record belongs. Its bytes sort as the organization, then the sequence.
struct Key {
  uint8_t organization[16];
  uint8_t sequence[8];
};

Key make_key(const Uuid &organization, int64_t sequence) {
  Key key;
  memcpy(key.organization, organization.data(), sizeof key.organization);
  uint64_t ordered = static_cast<uint64_t>(sequence) ^ (uint64_t{1} << 63);
  for (int i = 0; i < 8; i++) key.sequence[i] = static_cast<uint8_t>(ordered >> (8 * (7 - i)));
  return key;
}

int64_t sequence_of(const Key &key) {
  uint64_t ordered = 0;
  for (uint8_t byte : key.sequence) ordered = ordered << 8 | byte;
  return static_cast<int64_t>(ordered ^ (uint64_t{1} << 63));
}

struct SegmentRecord {
  Key key;
  Segment segment;
};

struct FaultRecord {
  Key key;
  FaultKind kind;
  bool has_organization;  // false: the row cannot even say whose it is
  bool structural;        // found by walking segments: void where the organization is walked again
  bool singles;
  bool has_id;
  Uuid id;
  int64_t last_missing;
  uint32_t expected_size;  // 0: none. expected, found and detail follow the record
  uint32_t found_size;
};

struct SummaryRecord {
  Key key;  // sequence 0: first reading, 1: second
  int64_t events;
  int64_t first;
  int64_t last;
  Hash head;
};

bool is_redone(const Verification *v, const Uuid &organization) {
  if (v->redo.all) return true;
  const Uuid *end = v->redo.organizations + v->redo.count;
  const Uuid *at = std::lower_bound(v->redo.organizations, end, organization);
  return at != end && *at == organization;
}

void put_fault(Verification *v, FaultRecord *fault, Bytes expected, Bytes found, const char *detail) {
  fault->expected_size = static_cast<uint32_t>(expected.size);
  fault->found_size = static_cast<uint32_t>(found.size);
  size_t detail_size = strlen(detail);
  size_t size = expected.size + found.size + detail_size;
  char *tail = static_cast<char *>(palloc(size + 1));
  char *p = tail;
  if (expected.size > 0) memcpy(p, expected.data, expected.size);
  p += expected.size;
  if (found.size > 0) memcpy(p, found.data, found.size);
  p += found.size;
  memcpy(p, detail, detail_size);
  v->faults.put(fault, sizeof *fault, tail, size);
  pfree(tail);
}

}  // namespace

void put_content_fault(Verification *v, FaultKind kind, const Event &event, Bytes expected, Bytes found, const char *detail) {
  FaultRecord fault{};
  fault.has_organization = event.has(Column::organization_id) && event.has(Column::sequence);
  fault.key = fault.has_organization ? make_key(event.organization_id, event.sequence) : Key{};
  if (!fault.has_organization) memset(fault.key.organization, 0xff, sizeof fault.key.organization);
  fault.kind = kind;
  fault.has_id = event.has(Column::id);
  if (fault.has_id) fault.id = event.id;
  put_fault(v, &fault, expected, found, detail);
}

namespace {

const char *structure_detail(const StructureFault &fault) {
  switch (fault.kind) {
    case FaultKind::event_missing:
      return fault.sequence == fault.last_missing
                 ? psprintf("event " INT64_FORMAT " is missing", static_cast<int64>(fault.sequence))
                 : psprintf("events " INT64_FORMAT " to " INT64_FORMAT " are missing",
                            static_cast<int64>(fault.sequence), static_cast<int64>(fault.last_missing));
    case FaultKind::link_broken:
      return fault.sequence == 1 ? "previous_hash of the first event is not 32 zero bytes"
                                 : "previous_hash is not the event_hash of the event before";
    case FaultKind::event_duplicated:
      return "another event of the organization has the same sequence";
    case FaultKind::order_violated:
      return "timestamp is before that of the event before";
    default:
      return "sequence is below 1";
  }
}

void put_structure_faults(Verification *v, const Uuid &organization, const StructureFaults &found) {
  MemoryContext before = MemoryContextSwitchTo(v->per_row);
  for (int i = 0; i < found.count; i++) {
    const StructureFault &f = found.fault[i];
    FaultRecord fault{};
    fault.key = make_key(organization, f.sequence);
    fault.has_organization = true;
    fault.kind = f.kind;
    fault.structural = true;
    fault.singles = v->singles;
    fault.has_id = f.has_id;
    fault.id = f.id;
    put_fault(v, &fault, f.has_expected ? Bytes{f.expected.data(), f.expected.size()} : Bytes{},
              f.has_found ? Bytes{f.found.data(), f.found.size()} : Bytes{}, structure_detail(f));
  }
  MemoryContextSwitchTo(before);
}

// What the events of a table end with that are retired, and what they should: faults of their last one, or behind it.
void put_end_fault(Verification *v, const Uuid &organization, const ChainWalker &walker, const Anchor &anchor) {
  bool is_there = walker.last_sequence() >= anchor.sequence;
  if (walker.last_sequence() == anchor.sequence && walker.head_hash() == anchor.hash) return;
  MemoryContext before = MemoryContextSwitchTo(v->per_row);
  FaultRecord fault{};
  fault.has_organization = fault.structural = true;
  fault.singles = v->singles;
  fault.kind = is_there ? FaultKind::link_broken : FaultKind::event_missing;
  fault.key = make_key(organization, is_there ? anchor.sequence : walker.last_sequence() + 1);
  put_fault(v, &fault, {anchor.hash.data(), anchor.hash.size()}, {walker.head_hash().data(), walker.head_hash().size()},
            psprintf("the table ends with event " INT64_FORMAT " of the chain, and the chain's anchor is that of event " INT64_FORMAT "%s",
                     static_cast<int64>(walker.last_sequence()), static_cast<int64>(anchor.sequence),
                     walker.last_sequence() == anchor.sequence ? ", with another hash" : ""));
  MemoryContextSwitchTo(before);
}

void put_segment(Verification *v, const Segment &segment) {
  SegmentRecord record{};
  record.key = make_key(segment.first.organization, segment.empty ? PG_INT64_MAX : segment.first.sequence);
  record.segment = segment;
  v->segments.put(&record, sizeof record);
}

void judge_waiting(Verification *v) {
  UnjudgedEvents *waiting = v->unjudged;
  int count = waiting->batch.count();
  const Hash *hashes;
  Status status = waiting->batch.digest(&hashes);
  if (status != Status::ok) report(status, "an event");
  for (int i = 0; i < count; i++) {
    const UnjudgedEvent &one = waiting->event[i];
    if (hashes[i] == one.event_hash) continue;
    Event event;
    event.present = one.present;
    event.organization_id = one.organization;
    event.id = one.id;
    event.sequence = one.sequence;
    put_content_fault(v, FaultKind::content_altered, event, {hashes[i].data(), hashes[i].size()}, {one.event_hash.data(), one.event_hash.size()},
                      altered_content);
  }
}

// False: what is wrong with it is more than its hash can tell, if anything.
bool wait_for_judgement(Verification *v, const Event &event) {
  if (event.event_hash.size != sizeof(Hash) || !event.has(Column::event_hash) || !parts_join(event)) return false;
  int place = v->unjudged->batch.count();
  Status status = v->unjudged->batch.add(event);
  if (status == Status::malformed) return false;
  if (status != Status::ok) report(status, "an event");
  v->unjudged->event[place] = {event.present, event.organization_id, event.id, event.sequence, hash_of(event.event_hash)};
  if (v->unjudged->batch.is_full()) judge_waiting(v);
  return true;
}

void check_content(Verification *v, const Event &event) {
  if (wait_for_judgement(v, event)) {
    note_parts(v, event);
    return;
  }
  ContentFaults found = judge_content(event);
  for (int i = 0; i < found.count; i++) {
    const ContentFault &fault = found.fault[i];
    bool names_hash = fault.kind == FaultKind::content_altered;
    put_content_fault(v, fault.kind, event, fault.has_expected ? Bytes{fault.expected.data(), fault.expected.size()} : Bytes{},
                      names_hash ? event.event_hash : Bytes{}, fault.detail);
  }
  if (found.parts_are_json) note_parts(v, event);
}

void add_link(Verification *v, const Event &event) {
  Link link = link_of(event);
  Segment segment;
  if (v->singles) {
    segment = Segment{};
    segment.first = link;
    segment.last_sequence = link.sequence;
    segment.last_timestamp = link.timestamp;
    segment.last_hash = link.event_hash;
    put_segment(v, segment);
  } else if (v->folder->add(link, &segment)) {
    put_segment(v, segment);
  }
}

void add_outside(Verification *v, const Uuid &organization, int64 known_last) {
  Segment segment;
  if (v->folder->add_outside(organization, known_last, &segment)) put_segment(v, segment);
}

void drain_folder(Verification *v) {
  Segment segment;
  while (v->folder->drain(&segment)) put_segment(v, segment);
}

// A row that cannot say whose it is may be anybody's: whoever may read all of the table hears of it.
bool is_wanted(const Verification *v, const Event &event) {
  if (!event.has(Column::organization_id)) return v->readable.all;
  if (v->one) return v->one_is_readable && event.organization_id == v->organization;
  return v->readable.has(event.organization_id);
}

const char *table_name(const Verification *v) {
  Relation relation = v->table->relation;
  return psprintf("%s.%s", get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
}

const char *row_detail(const Verification *v, const BlockScan *row, const char *why) {
  return psprintf("the row at (%u,%u) of table %s cannot be read: %s", row->block(), row->line(), table_name(v), why);
}

void check_row(Verification *v, BlockScan *row) {
  Event event;
  const char *why;
  if (v->one || !v->readable.all || v->singles || v->range.has_context() || v->range.to != INT64_MAX) {
    // Most rows may be none of ours: look at their place first.
    (void)row->read(event_place, &event, &why);
    if (!is_wanted(v, event)) return;
    if ((event.present & event_place) == event_place) {
      if (v->singles && !is_redone(v, event.organization_id)) return;
      bool after = event.sequence > v->range.to;
      if (after || (v->range.has_context() && event.sequence < v->range.from - 1)) {
        add_outside(v, event.organization_id, after ? event.sequence : 0);
        return;
      }
    }
  }
  bool is_read = row->read(all_columns, &event, &why);
  if ((event.present & event_place) != event_place) {
    if (!v->singles)
      put_content_fault(v, is_read ? FaultKind::malformed : FaultKind::unreadable, event, {}, {},
                        row_detail(v, row, is_read ? "its organization_id or sequence is null" : why));
    return;
  }
  if (!v->singles && (event.sequence >= v->range.from || !v->range.has_context())) {
    if (is_read)
      check_content(v, event);
    else if (why == no_such_label)
      put_content_fault(v, FaultKind::content_altered, event, {}, event.event_hash, why);
    else
      put_content_fault(v, FaultKind::unreadable, event, {}, event.event_hash, row_detail(v, row, why));
  }
  if ((event.present & link_columns) == link_columns) add_link(v, event);
}

}  // namespace

void put_unreadable(Verification *v, const char *detail) {
  if (!v->singles && v->readable.all) put_content_fault(v, FaultKind::unreadable, Event(), {}, {}, detail);
}

namespace {

struct RowVisitor : BlockVisitor {
  Verification *v;
  BlockNumber reported;  // as read, up to this block
  uint64 rows = 0;

  RowVisitor(Verification *verification, BlockNumber first) : v(verification), reported(first) {}

  void see(BlockScan *row) override {
    constexpr uint64 rows_between_reports = 64;
    MemoryContext before = MemoryContextSwitchTo(v->per_row);
    check_row(v, row);
    MemoryContextSwitchTo(before);
    MemoryContextReset(v->per_row);
    if (++rows == rows_between_reports) report(row->block());
  }

  void miss(BlockNumber block, OffsetNumber line, const char *message) override {
    v->unreadable.add(block);
    const char *what = line == 0 ? psprintf("block %u", block) : psprintf("the row at (%u,%u)", block, line);
    put_unreadable(v, psprintf("%s of table %s cannot be read: %s", what, table_name(v), message));
  }

  void report(BlockNumber block) {
    advance_progress(&v->progress, rows, block - reported);
    reported = block;
    rows = 0;
  }
};

// The rows that an index has of one chain: what is none of its events there is a fault of it, and so is what cannot be read.
struct EntryVisitor : ChainVisitor {
  Verification *v;
  uint64 rows = 0;

  explicit EntryVisitor(Verification *verification) : v(verification) {}

  void see(BlockScan *row) override {
    constexpr uint64 rows_between_reports = 64;
    MemoryContext before = MemoryContextSwitchTo(v->per_row);
    Event event;
    const char *why = nullptr;
    (void)row->read(event_place, &event, &why);
    if ((event.present & event_place) == event_place && event.organization_id == v->organization && event.sequence == row->entry_sequence())
      check_row(v, row);
    else
      put_fault_at(row->entry_sequence(), why != nullptr ? row_detail(v, row, why)
                                                         : psprintf("the row at (%u,%u) of table %s is another event, or none: its index is wrong, or the row",
                                                                    row->block(), row->line(), table_name(v)));
    MemoryContextSwitchTo(before);
    MemoryContextReset(v->per_row);
    if (++rows == rows_between_reports) report();
  }

  void miss(BlockNumber, OffsetNumber, const char *) override {}

  // Whether it was rolled back, only its block could tell.
  void miss_entry(int64 sequence, BlockNumber block, OffsetNumber line, const char *message) override {
    MemoryContext before = MemoryContextSwitchTo(v->per_row);
    put_fault_at(sequence, psprintf("the row at (%u,%u) of table %s cannot be read: %s", block, line, table_name(v), message));
    add_outside(v, v->organization, sequence);
    MemoryContextSwitchTo(before);
  }

  void miss_index(int64 sequence, const char *message) override {
    put_fault_at(sequence, psprintf("the index of table %s cannot be read from here on: %s; thorough => true reads the table", table_name(v), message));
  }

  void put_fault_at(int64 sequence, const char *detail) {
    if (v->singles) return;
    Event event;
    event.organization_id = v->organization;
    event.sequence = sequence;
    event.present = event_place;
    put_content_fault(v, FaultKind::unreadable, event, {}, {}, detail);
  }

  void report() {
    advance_progress(&v->progress, rows, rows);
    rows = 0;
  }
};

// That there are events behind the range, so that a gap at its end is one.
struct BehindVisitor final : EntryVisitor {
  using EntryVisitor::EntryVisitor;
  void see(BlockScan *row) override { add_outside(v, v->organization, row->entry_sequence()); }
  void miss_index(int64, const char *) override {}
  void miss_entry(int64 sequence, BlockNumber, OffsetNumber, const char *) override { add_outside(v, v->organization, sequence); }
};

// One organization's events in one table. False: that has no index.
bool read_entries(Verification *v) {
  if (!OidIsValid(event_table(v->table->relation)->sequence_index)) return false;
  BlockScan scan;
  scan.begin(v->table->relation, &v->read);
  EntryVisitor visitor(v);
  scan.visit_chain(v->organization, v->range.has_context() ? v->range.from - 1 : PG_INT64_MIN, v->range.to, PG_INT64_MAX, &visitor);
  visitor.report();
  if (v->range.to == INT64_MAX) return true;
  BehindVisitor behind(v);
  scan.visit_chain(v->organization, v->range.to + 1, PG_INT64_MAX, 1, &behind);
  return true;
}

void read_rows(Verification *v, BlockNumber first, BlockNumber end) {
  BlockScan scan;
  scan.begin(v->table->relation, &v->read);
  RowVisitor visitor(v, first);
  scan.visit(first, end, &visitor);
  visitor.report(end);
}

// These of all blocks.
void read_shared_blocks(Verification *v, uint64 first, uint64 end) {
  for (v->table = v->tables; v->table < v->tables + v->table_count; v->table++) {
    uint64 from = Max(first, v->table->first), to = Min(end, v->table->first + v->table->blocks);
    if (from < to) read_rows(v, static_cast<BlockNumber>(from - v->table->first), static_cast<BlockNumber>(to - v->table->first));
  }
}

struct MissingEnd : LostEnd {
  Verification *v;

  void found(const Uuid &organization, int64 sequence) override {
    if (!v->singles || is_redone(v, organization)) add_outside(v, organization, sequence);
  }
};

// A gap tells of what lay in the middle of a chain; of its end, the index by which it was stored.
void find_missing_ends(Verification *v) {
  if (v->unreadable.count == 0) return;
  MissingEnd missing;
  missing.v = v;
  const Uuid *organizations = v->one ? &v->organization : v->readable.all ? nullptr : v->readable.sorted;
  int count = v->one ? v->one_is_readable : v->readable.count;
  ErrorData *error = catch_error([&] { find_lost_ends(v->table->relation, &v->read, v->unreadable, organizations, count, &missing); }, tells_of_damage);
  if (error == nullptr) return;
  put_unreadable(v, psprintf("an index of table %s cannot be read, so that chains may have lost their last events unseen: %s", table_name(v),
                             error->message));
}

// An event of spine.events as what comes behind it sees it; false: it is not there.
bool read_event(Verification *v, const Uuid &organization, int64 sequence, Anchor *found) {
  constexpr uint32 needed = bit(Column::timestamp) | bit(Column::event_hash);
  bool is_there = false;
  auto read = [&] {
    EventScan scan;
    scan.begin(v->events, EventOrder::chain, 2, Sees::fresh, needed);
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(organization));
    ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(sequence));
    scan.find(keys);
    is_there = scan.next(ForwardScanDirection) && scan.why() == nullptr && (scan.event().present & needed) == needed;
    if (is_there) *found = {sequence, scan.event().timestamp, hash_of(scan.event().event_hash)};
    scan.end();
  };
  if (ErrorData *error = catch_error_if_possible(read, tells_of_damage)) {
    put_unreadable(v, psprintf("event " INT64_FORMAT " of organization %s cannot be read: %s", sequence, uuid_text(organization), error->message));
    return false;
  }
  return is_there;
}

// What a chain is to begin behind, whose first event that is read has this sequence. In one table: behind the event before
// it, retired or in another partition.
bool find_beginning(Verification *v, AnchorReader *anchors, const Uuid &organization, int64 first, Anchor *beginning) {
  if (!v->one_table) return anchors->find(organization, PG_INT64_MAX, beginning);
  if (first <= 1) return false;
  bool is_retired = anchors->find(organization, first, beginning);
  if (is_retired && beginning->sequence == first - 1) return true;
  Anchor before;
  if (!read_event(v, organization, first - 1, &before)) return is_retired;
  *beginning = before;
  return true;
}

void put_summary(Verification *v, const Uuid &organization, const ChainWalker &walker) {
  if (walker.overlapped()) {
    if (v->redo.count < Redo::most)
      v->redo.organizations[v->redo.count++] = organization;
    else
      v->redo.all = true;
    return;
  }
  SummaryRecord summary{};
  summary.key = make_key(organization, v->singles ? 1 : 0);
  summary.events = walker.events();
  summary.first = walker.first_sequence();
  summary.last = walker.last_sequence();
  summary.head = walker.head_hash();
  v->summaries.put(&summary, sizeof summary);
}

void begin_results(Verification *v) {
  v->faults.begin(work_mem);
  v->summaries.begin(work_mem);
  v->parts.begin(work_mem);
  v->redo.count = 0;
  v->redo.all = false;
  begin_progress(&v->progress, v->blocks);
}

void read_alone(Verification *v) {
  v->segments.begin(work_mem);
  read_table(v, 1);
  walk_chains(v);
}

// Else a page that is damaged would seem to be empty.
int refuse_damaged_pages() {
  int level = NewGUCNestLevel();
  (void)set_config_option("zero_damaged_pages", "off", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  return level;
}

// How many events there are to read of one chain, for its progress alone: none, where that cannot be told.
uint64 count_entries(Verification *v) {
  int64 last = 0;
  auto look = [&] {
    ChainScan scan;
    scan.begin();
    scan.seek(v->organization, PG_INT64_MIN, v->organization);
    if (scan.last()) last = scan.event().sequence;
    scan.end();
  };
  ErrorData *error = catch_error_if_possible(look, [](const ErrorData &e) { return tells_of_damage(e) || ERRCODE_TO_CATEGORY(e.sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_SPINE_DAMAGED_EVENT); });
  if (error != nullptr) FreeErrorData(error);
  return static_cast<uint64>(Max(Min(last, v->range.to) - v->range.from + 1, 0));
}

void verify(Verification *v) {
  int settings_level = refuse_damaged_pages();
  v->read.begin();
  open_tables(v, leaves_of(v->relid), nullptr);
  if (v->by_index) v->blocks = v->one_is_readable ? count_entries(v) : 0;
  v->per_row = AllocSetContextCreate(CurrentMemoryContext, "verified row", ALLOCSET_DEFAULT_SIZES);
  begin_results(v);
  int workers = v->by_index ? 0 : planned_workers(v);
  if (workers == 0 || !verify_with_workers(v, workers)) {
    if (workers > 0) {
      v->faults.end();
      v->summaries.end();
      v->parts.end();
      begin_results(v);
    }
    read_alone(v);
  }
  if (v->redo.count > 0) {
    v->singles = true;
    v->progress.blocks_total *= 2;
    read_alone(v);
  }
  judge_parts(v);
  end_progress();
  v->read.end();
  AtEOXact_GUC(true, settings_level);
  v->faults.sort();
  v->summaries.sort();
}

Verification *verification_of(FunctionCallInfo fcinfo) {
  Verification *v = static_cast<Verification *>(palloc0(sizeof(Verification)));
  v->one = !PG_ARGISNULL(0);
  v->by_index = v->one && (PG_ARGISNULL(3) || !PG_GETARG_BOOL(3));
  if (v->one) v->organization = uuid_of(PG_GETARG_DATUM(0));
  v->range = Range{};
  if (!PG_ARGISNULL(1)) v->range.from = PG_GETARG_INT64(1);
  if (!PG_ARGISNULL(2)) v->range.to = PG_GETARG_INT64(2);
  if (v->range.from < 1 || v->range.to < v->range.from)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE),
                    errmsg("sequences " INT64_FORMAT " to " INT64_FORMAT " are no range", static_cast<int64>(v->range.from),
                           static_cast<int64>(v->range.to)),
                    errhint("A chain begins at 1, and from_sequence is at most to_sequence.")));
  Oid relid = events_relid();
  v->readable = require_reading(relid);
  v->one_is_readable = v->one && v->readable.has(v->organization);
  v->progress.counts_hidden = !v->readable.all;
  v->relid = v->events = relid;
  v->progress.has_organization = v->one;
  v->progress.organization = v->organization;
  return v;
}

// That the one table is one of events, and the caller's.
void require_table(const Verification *v) {
  Relation table = table_open(v->relid, AccessShareLock);
  if (!compat_owns_table(v->events, GetUserId()) || !compat_owns_table(v->relid, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of tables spine.events and %s", RelationGetRelationName(table)),
                    errhint("Others verify chains, with spine.verify_chain.")));
  (void)event_table(table);
  if (table->rd_rel->relkind != RELKIND_RELATION)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE), errmsg("\"%s\" is no table that holds events itself", RelationGetRelationName(table)),
                    errhint("Name one of its partitions, or one that was detached; spine.verify_chain verifies all.")));
  table_close(table, NoLock);
}

// The next fault that counts: those of a first walk are void where there was a second.
bool next_fault(Verification *v, FaultRecord *fault, Bytes *tail) {
  Bytes bytes;
  while (v->faults.next(&bytes)) {
    CHECK_FOR_INTERRUPTS();
    memcpy(fault, bytes.data, sizeof *fault);
    *tail = {bytes.data + sizeof *fault, bytes.size - sizeof *fault};
    Uuid organization;
    memcpy(organization.data(), fault->key.organization, organization.size());
    if (fault->structural && !fault->singles && v->redo.count > 0 && is_redone(v, organization)) continue;
    return true;
  }
  return false;
}

bool next_summary(Verification *v, SummaryRecord *summary) {
  Bytes bytes;
  while (v->summaries.next(&bytes)) {
    memcpy(summary, bytes.data, sizeof *summary);
    if (v->redo.all && sequence_of(summary->key) == 0) continue;
    return true;
  }
  return false;
}

Datum key_organization(const Key &key) {
  Uuid organization;
  memcpy(organization.data(), key.organization, organization.size());
  return uuid_datum(organization);
}

// Values that were made in per_row, after which the caller goes on in its own context.
void put_row(Verification *v, ReturnSetInfo *result, Datum *values, bool *nulls, MemoryContext context) {
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  MemoryContextSwitchTo(context);
  MemoryContextReset(v->per_row);
}

void finish_verification(Verification *v) {
  v->faults.end();
  v->summaries.end();
  close_tables(v);
}

}  // namespace

void open_tables(Verification *v, const List *relids, const BlockNumber *sizes) {
  v->tables = static_cast<VerifiedTable *>(palloc(sizeof(VerifiedTable) * static_cast<Size>(Max(list_length(relids), 1))));
  v->table_count = 0;
  v->blocks = 0;
  for (int i = 0; i < list_length(relids); i++) {
    Relation relation = try_table_open(list_nth_oid(relids, i), AccessShareLock);
    if (relation == nullptr) continue;  // it was detached and dropped meanwhile
    if (relation->rd_rel->relkind != RELKIND_RELATION) {
      table_close(relation, AccessShareLock);
      continue;
    }
    BlockNumber blocks = sizes != nullptr ? sizes[i] : RelationGetNumberOfBlocks(relation);
    v->tables[v->table_count++] = {relation, v->blocks, blocks};
    v->blocks += blocks;
  }
}

void close_tables(Verification *v) {
  for (int i = 0; i < v->table_count; i++) table_close(v->tables[i].relation, AccessShareLock);
}

void read_table(Verification *v, int processes) {
  MemoryContext before = CurrentMemoryContext;
  MemoryContext reading = AllocSetContextCreate(before, "verification", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(reading);
  v->folder = owned_by_context<SegmentFolder>();
  v->unjudged = owned_by_context<UnjudgedEvents>();
  Status status = v->folder == nullptr || v->unjudged == nullptr ? Status::out_of_memory : v->folder->prepare(static_cast<size_t>((processes + 3) / 4));
  if (status != Status::ok) report(status, "the verification");
  if (v->one) add_outside(v, v->organization, 0);  // it has its row in the answer, also without an event

  if (v->share == nullptr) {
    for (v->table = v->tables; v->table < v->tables + v->table_count; v->table++) {
      v->unreadable = {};
      if (v->by_index && (!v->one_is_readable || read_entries(v))) continue;
      read_rows(v, 0, v->table->blocks);
      find_missing_ends(v);
    }
  } else {
    uint64 first, count;
    while (take_blocks(v->share, &first, &count)) read_shared_blocks(v, first, first + count);
  }
  judge_waiting(v);
  drain_folder(v);
  MemoryContextSwitchTo(before);
  MemoryContextDelete(reading);
}

void walk_chains(Verification *v) {
  ChainWalker *walker = owned_by_context<ChainWalker>();
  if (walker == nullptr) report(Status::out_of_memory, "the verification");
  AnchorReader anchors;
  anchors.begin();
  v->segments.sort();
  bool open = false;
  Uuid organization{};
  StructureFaults faults;
  Bytes bytes;
  auto finish = [&] {
    if (!open) return;
    walker->finish(&faults);
    put_structure_faults(v, organization, faults);
    Anchor end;
    if (v->one_table && walker->events() > 0 && anchors.find_from(organization, walker->first_sequence(), &end))
      put_end_fault(v, organization, *walker, end);
    put_summary(v, organization, *walker);
  };
  while (v->segments.next(&bytes)) {
    CHECK_FOR_INTERRUPTS();
    SegmentRecord record;
    memcpy(&record, bytes.data, sizeof record);
    if (!open || record.segment.first.organization != organization) {
      finish();
      organization = record.segment.first.organization;
      Anchor anchor;
      bool has_anchor = find_beginning(v, &anchors, organization, record.segment.empty ? record.segment.known_last : record.segment.first.sequence, &anchor);
      Status begun = walker->begin(v->range, v->singles, has_anchor ? &anchor : nullptr);
      if (begun != Status::ok) report(begun, "the verification");
      open = true;
    }
    Status status = walker->add(record.segment, &faults);
    if (status != Status::ok) report(status, "the verification");
    put_structure_faults(v, organization, faults);
    MemoryContextReset(v->per_row);
  }
  finish();
  anchors.end();
  v->segments.end();
}

namespace {

// A row an organization: what was checked of it, how many faults there are, and which is the first.
void put_summaries(Verification *v, ReturnSetInfo *result) {
  SummaryRecord summary;
  FaultRecord fault;
  Bytes tail;
  bool more_summaries = next_summary(v, &summary);
  bool more_faults = next_fault(v, &fault, &tail);
  while (more_summaries || more_faults) {
    // An organization may have faults alone: of rows that are damaged so that they link to nothing.
    int order = !more_faults      ? -1
                : !more_summaries ? 1
                                  : memcmp(summary.key.organization, fault.key.organization, sizeof summary.key.organization);
    bool has_summary = order <= 0;
    Key key = has_summary ? summary.key : fault.key;
    bool known = has_summary || fault.has_organization;
    int64 faults = 0;
    int64 first_fault_sequence = 0;
    FaultKind first_fault{};
    if (order >= 0) {
      first_fault_sequence = sequence_of(fault.key);
      first_fault = fault.kind;
      while (more_faults && memcmp(fault.key.organization, key.organization, sizeof key.organization) == 0) {
        faults++;
        more_faults = next_fault(v, &fault, &tail);
      }
    }
    bool checked = has_summary && summary.events > 0;
    MemoryContext before = MemoryContextSwitchTo(v->per_row);
    Datum values[9];
    bool nulls[9] = {};
    values[0] = key_organization(key);
    nulls[0] = !known;
    values[1] = BoolGetDatum(faults == 0);
    nulls[1] = !checked && faults == 0;
    values[2] = Int64GetDatum(checked ? summary.events : 0);
    values[3] = Int64GetDatum(summary.first);
    values[4] = Int64GetDatum(summary.last);
    nulls[3] = nulls[4] = nulls[5] = !checked;
    values[5] = checked ? bytea_datum({summary.head.data(), summary.head.size()}) : static_cast<Datum>(0);
    values[6] = Int64GetDatum(faults);
    values[7] = Int64GetDatum(first_fault_sequence);
    nulls[7] = faults == 0 || !known;
    values[8] = faults == 0 ? static_cast<Datum>(0) : text_datum(fault_names[static_cast<int>(first_fault)]);
    nulls[8] = faults == 0;
    put_row(v, result, values, nulls, before);
    if (has_summary) more_summaries = next_summary(v, &summary);
  }
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_verify_chain);
PGDLLEXPORT Datum spine_verify_chain(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Verification *v = verification_of(fcinfo);
  verify(v);
  put_summaries(v, reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
  finish_verification(v);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_verify_table);
PGDLLEXPORT Datum spine_verify_table(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Verification *v = static_cast<Verification *>(palloc0(sizeof(Verification)));
  v->relid = PG_GETARG_OID(0);
  v->events = events_relid();
  v->one_table = true;
  v->range = Range{};
  v->readable = {true, 0, nullptr};
  require_table(v);
  verify(v);
  put_summaries(v, reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
  finish_verification(v);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_find_chain_faults);
PGDLLEXPORT Datum spine_find_chain_faults(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Verification *v = verification_of(fcinfo);
  verify(v);

  FaultRecord fault;
  Bytes tail;
  while (next_fault(v, &fault, &tail)) {
    MemoryContext before = MemoryContextSwitchTo(v->per_row);
    Datum values[7];
    bool nulls[7] = {};
    values[0] = key_organization(fault.key);
    values[1] = Int64GetDatum(sequence_of(fault.key));
    nulls[0] = nulls[1] = !fault.has_organization;
    values[2] = uuid_datum(fault.id);
    nulls[2] = !fault.has_id;
    values[3] = text_datum(fault_names[static_cast<int>(fault.kind)]);
    Bytes expected{tail.data, fault.expected_size};
    Bytes found{tail.data + expected.size, fault.found_size};
    const char *detail = reinterpret_cast<const char *>(found.data + found.size);
    values[4] = bytea_datum(expected);
    nulls[4] = expected.size == 0;
    values[5] = bytea_datum(found);
    nulls[5] = found.size == 0;
    values[6] = text_datum({detail, tail.size - expected.size - found.size});
    put_row(v, result, values, nulls, before);
  }
  finish_verification(v);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
