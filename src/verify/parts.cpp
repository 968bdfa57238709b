// Which parts are gone without an event of their chain that says so. What is gone and what was said are sorted against each
// other, so memory does not depend on how many there are.
#include "verify/verification.h"
#include "verify/verify.h"

#include "core/uuid.h"
#include "server/errors.h"
#include "server/subtransaction.h"
#include "store/entity_uuid.h"
#include "store/erased_parts.h"
#include "store/event_types.h"

extern "C" {
#include <catalog/pg_inherits.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
}

namespace spine {

namespace {

// Bytes that sort as organization, sequence, part and event, and what was said before what is gone. The sequence: big-endian.
struct PartRecord {
  uint8_t organization[16];
  uint8_t sequence[8];
  uint8_t part;
  uint8_t id[16];
  uint8_t is_gone;

  bool is_of_same(const PartRecord &other) const { return memcmp(this, &other, offsetof(PartRecord, is_gone)) == 0; }
};
static_assert(sizeof(PartRecord) == 42);

PartRecord record_of(const Uuid &organization, const ErasedPart &part, bool is_gone) {
  PartRecord record;
  memcpy(record.organization, organization.data(), sizeof record.organization);
  for (int i = 0; i < 8; i++) record.sequence[i] = static_cast<uint8_t>(static_cast<uint64_t>(part.sequence) >> (8 * (7 - i)));
  record.part = static_cast<uint8_t>(part.part);
  memcpy(record.id, part.id.data(), sizeof record.id);
  record.is_gone = is_gone;
  return record;
}

Uuid organization_of(const PartRecord &record) {
  Uuid organization;
  memcpy(organization.data(), record.organization, organization.size());
  return organization;
}

int64 sequence_of(const PartRecord &record) {
  uint64_t sequence = 0;
  for (uint8_t byte : record.sequence) sequence = sequence << 8 | byte;
  return static_cast<int64>(sequence);
}

// An erasure is of events that were there before. The event's payload is known to be JSON.
void put_said(RecordSort *parts, const Event &event) {
  if (event.event_type != erased_event || !event.has(Column::payload) || (event.present & event_place) != event_place) return;
  int64 count;
  const ErasedPart *said = read_erased_parts(event.payload, &count);
  for (int64 i = 0; i < count; i++) {
    if (said[i].sequence < 1 || said[i].sequence >= event.sequence) continue;
    PartRecord record = record_of(event.organization_id, said[i], false);
    parts->put(&record, sizeof record);
  }
}

// Calls report(record) for each part that is gone and was not said to be. Ends the sort.
template <class Report>
void find_unsaid(RecordSort *parts, Report report) {
  parts->sort();
  PartRecord said{};
  Bytes bytes;
  while (parts->next(&bytes)) {
    CHECK_FOR_INTERRUPTS();
    PartRecord record;
    memcpy(static_cast<void *>(&record), bytes.data, sizeof record);
    if (!record.is_gone)
      said = record;
    else if (!record.is_of_same(said))
      report(record);
  }
  parts->end();
}

void put_missing(Verification *v, const PartRecord &record) {
  MemoryContext before = MemoryContextSwitchTo(v->per_row);
  Event event;
  event.organization_id = organization_of(record);
  event.sequence = sequence_of(record);
  memcpy(event.id.data(), record.id, event.id.size());
  event.present = event_place | bit(Column::id);
  put_content_fault(v, FaultKind::part_missing, event, {}, {},
                    record.part == payload_part ? "the payload is gone, and no event of the chain says that it was erased"
                                                : "the personal part is gone, and no event of the chain says that it was erased");
  MemoryContextSwitchTo(before);
  MemoryContextReset(v->per_row);
}

// What all erasure events of an organization say, wherever in its chain they stand.
void put_all_said(Oid events, const Uuid &organization, RecordSort *parts) {
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "erasures", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(context);
  EventScan scan;
  scan.begin(events, EventOrder::entity, 1, Sees::fresh, bit(Column::event_type));
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(entity_uuid("platform", "personal", uuid_text(organization))));
  scan.find(&key);
  MemoryContext each = AllocSetContextCreate(context, "erasure", ALLOCSET_DEFAULT_SIZES);
  while (scan.next(ForwardScanDirection)) {
    if (scan.why() != nullptr || !scan.event().has(Column::organization_id) || scan.event().organization_id != organization) continue;
    (void)scan.whole();
    MemoryContext outside = MemoryContextSwitchTo(each);
    put_said(parts, scan.event());
    MemoryContextSwitchTo(outside);
    MemoryContextReset(each);
  }
  scan.end();
  MemoryContextSwitchTo(before);
  MemoryContextDelete(context);
}

// The same where an error is a finding.
void find_all_said(Verification *v, const Uuid &organization, RecordSort *parts) {
  ErrorData *error = catch_error_if_possible([&] { put_all_said(v->events, organization, parts); },
                                 [](const ErrorData &e) { return tells_of_damage(e) || e.sqlerrcode == ERRCODE_SPINE_DAMAGED_EVENT; });
  if (error != nullptr) put_unreadable(v, psprintf("the erasures of organization %s cannot be read: %s", uuid_text(organization), error->message));
}

// Notes into a sort which parts of an event are gone. begin: called before the first of them is put.
template <class Begin>
void put_gone(RecordSort *parts, const Event &event, Begin begin) {
  unsigned gone = parts_gone(event);
  if (gone == no_part) return;
  begin();
  for (const PartColumns &part : part_columns) {
    if (!(gone & part.part)) continue;
    PartRecord record = record_of(event.organization_id, {part.part, event.id, event.sequence}, true);
    parts->put(&record, sizeof record);
  }
}

constexpr uint32_t part_place = event_place | bit(Column::id);

}  // namespace

void note_parts(Verification *v, const Event &event) {
  if ((event.present & part_place) != part_place) return;
  put_gone(&v->parts, event, [] {});
  put_said(&v->parts, event);
}

void PartCheck::begin() {
  memory_ = CurrentMemoryContext;
  any_ = false;
}

void PartCheck::note(const Event &event) {
  if ((event.present & part_place) != part_place) return;
  put_gone(&gone_, event, [this] {
    if (any_) return;
    MemoryContext before = MemoryContextSwitchTo(memory_);
    gone_.begin(work_mem);
    MemoryContextSwitchTo(before);
    any_ = true;
  });
}

int64 PartCheck::end(const Uuid &organization, int64 *first) {
  if (!any_) return 0;
  any_ = false;
  put_all_said(events_relid(), organization, &gone_);
  int64 missing = 0;
  find_unsaid(&gone_, [&](const PartRecord &record) {
    if (missing++ == 0) *first = sequence_of(record);
  });
  return missing;
}

void judge_parts(Verification *v) {
  if (!v->range.has_context() && v->range.to == INT64_MAX && !v->one_table) {
    find_unsaid(&v->parts, [v](const PartRecord &record) { put_missing(v, record); });
    return;
  }
  // What a range or a table holds may have been erased by an event that stands outside of it.
  RecordSort again;
  again.begin(work_mem);
  Uuid organization{};
  bool any = false;
  find_unsaid(&v->parts, [&](const PartRecord &record) {
    again.put(&record, sizeof record);
    if (any && organization == organization_of(record)) return;
    organization = organization_of(record);
    any = true;
    find_all_said(v, organization, &again);
  });
  find_unsaid(&again, [v](const PartRecord &record) { put_missing(v, record); });
}

}  // namespace spine
