#include "proof/recent_events.h"

#include <algorithm>
#include <new>

#include "proof/new_events.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/owned_object.h"
#include "server/subtransaction.h"
#include "store/erased_parts.h"
#include "store/event_scan.h"
#include "verify/verify.h"

extern "C" {
#include <access/transam.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

constexpr int64 most_events = 65536;

// Hashes of events, made together, beside the events that they are to be of.
struct Waiting {
  EventBatch batch;
  int64 place[EventBatch::most];  // of the event
};

// The first transaction that has not begun. Before a snapshot is taken, so that all it leaves out is later or in progress.
uint64 next_transaction() { return U64FromFullTransactionId(ReadNextFullTransactionId()); }

bool comes_before(const Link &one, const Link &other) {
  return one.organization != other.organization ? one.organization < other.organization : one.sequence < other.sequence;
}

}  // namespace

RecentEvents &recent_events() {
  static RecentEvents only;
  return only;
}

void RecentEvents::read() {
  uint64 since = next_;
  next_ = next_transaction();
  count_ = 0;
  if (since == 0) return;
  // An index that is gone, or a page that cannot be read: each chain is read by itself then, and what is wrong is told there.
  auto may_be_left = [](const ErrorData &error) { return is_unreadable(error) || error.sqlerrcode == ERRCODE_SPINE_BAD_TABLE; };
  if (catch_error([=] { read_since(since); }, may_be_left) != nullptr) count_ = 0;
}

void RecentEvents::read_since(uint64 transaction) {
  MemoryContext outer = CurrentMemoryContext;
  MemoryContext reading = AllocSetContextCreate(outer, "recent events", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(reading);
  Waiting *waiting = owned_by_context<Waiting>();
  if (waiting == nullptr) report(Status::out_of_memory, "recent events");
  auto judge_waiting = [&] {
    int count = waiting->batch.count();
    const Hash *hashes;
    Status status = waiting->batch.digest(&hashes);
    if (status != Status::ok) report(status, "an event");
    for (int i = 0; i < count; i++) {
      RecentEvent *one = &events_[waiting->place[i]];
      one->is_right = one->link.event_hash == hashes[i];
    }
  };
  EventScan scan;
  scan.begin(events_relid(), EventOrder::transaction, 1, Sees::fresh, all_columns);
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_XID8GE, FullTransactionIdGetDatum(FullTransactionIdFromU64(transaction)));
  scan.find(&key);
  MemoryContext each = AllocSetContextCreate(reading, "recent event", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(each);
  while (count_ < most_events && scan.next(ForwardScanDirection)) {
    const Event &event = scan.event();
    bool is_readable = scan.why() == nullptr && (event.present & link_columns) == link_columns;
    if (!is_readable || event.event_hash.size != sizeof(Hash) || !parts_join(event) || parts_gone(event) != no_part) continue;
    Status status = waiting->batch.add(event);
    if (status == Status::malformed) continue;
    if (status != Status::ok) report(status, "an event");
    make_room(TopMemoryContext, &events_, count_, &room_);
    waiting->place[waiting->batch.count() - 1] = count_;
    events_[count_++] = {link_of(event), false};
    if (waiting->batch.is_full()) judge_waiting();
    MemoryContextReset(each);
  }
  judge_waiting();
  scan.end();
  MemoryContextSwitchTo(outer);
  MemoryContextDelete(reading);
  std::sort(events_, events_ + count_, [](const RecentEvent &one, const RecentEvent &other) { return comes_before(one.link, other.link); });
  // A fork is to be found where all of the chain is seen.
  for (int64 i = 1; i < count_; i++)
    if (!comes_before(events_[i - 1].link, events_[i].link)) events_[i - 1].is_right = events_[i].is_right = false;
}

const RecentEvent *RecentEvents::from(const Uuid &organization, int64_t sequence, const RecentEvent **end) const {
  auto is_before = [](const RecentEvent &one, const Link &place) { return comes_before(one.link, place); };
  Link place;
  place.organization = organization;
  place.sequence = sequence;
  const RecentEvent *all = events_ + count_;
  const RecentEvent *first = std::lower_bound(static_cast<const RecentEvent *>(events_), all, place, is_before);
  place.sequence = PG_INT64_MAX;
  *end = std::lower_bound(first, all, place, is_before);
  return first;
}

}  // namespace spine
