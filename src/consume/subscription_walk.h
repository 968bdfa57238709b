// The organizations in which a subscription has news.
#pragma once

#include "access/access.h"
#include "consume/subscription.h"
#include "core/uuid.h"

#include <algorithm>

namespace spine {

// Which organizations are visited: those in the list, sorted, or all.
struct Visited {
  bool all;
  int count;
  Uuid *sorted;

  void restrict_to(const Organizations &readable, const Elements &wanted);
  Datum array() const;
};

// NULL: all.
SqlArgument array_of(const Organizations &organizations);

// The positions of a subscription in the order of organizations. Not by SQL: a planner that does not know how many
// there are sorts them for each portion.
class PositionScan {
 public:
  void begin(const char *subscription);
  // From this organization on.
  void seek(const Uuid &organization);
  // Raises SP046 for a row that says no position.
  bool next(Uuid *organization, int64 *sequence);
  void end();

 private:
  Relation relation_;
  Relation index_;
  Snapshot snapshot_;
  TupleTableSlot *slot_;
  IndexScanDesc scan_;
  Datum subscription_;
  pg_uuid_t from_;
  MemoryContext memory_;
};

// Goes through the organizations of a subscription that have events behind their positions, in the order of their
// uuids, and calls visit(organization, position, is_known) for each, with the scan at the first such event. is_known:
// there is a position. visit may take the scan on; it returns false to end the walk.
template <class Visit>
class Walk {
 public:
  Walk(const Visited &visited, ChainScan *scan, Visit visit) : visited_(visited), scan_(scan), visit_(visit) {}

  // The organizations behind start, then the others, so that none waits for ever because others are busy.
  void run(const char *subscription, const Uuid &start) {
    positions_.begin(subscription);
    if (visited_.all)
      (void)((start == last_uuid || run_all(uuid_after(start), last_uuid)) && run_all(nil_uuid, start));
    else
      run_list(start);
    positions_.end();
  }

 private:
  // The index is asked once between each two positions: it tells of news behind the one, and of organizations that
  // have no position yet.
  bool run_all(const Uuid &first, const Uuid &last) {
    Uuid organization = first, known;
    int64 sequence = 0, known_sequence;
    bool is_known = false;
    positions_.seek(first);
    while (positions_.next(&known, &known_sequence) && known <= last) {
      if (known != first && !segment(organization, sequence, is_known, uuid_before(known))) return false;
      organization = known;
      sequence = known_sequence;
      is_known = true;
    }
    return segment(organization, sequence, is_known, last);
  }

  void run_list(const Uuid &start) {
    std::ptrdiff_t behind = std::upper_bound(visited_.sorted, visited_.sorted + visited_.count, start) - visited_.sorted;
    for (int i = 0; i < visited_.count; i++) {
      const Uuid &organization = visited_.sorted[(behind + i) % visited_.count];
      Uuid known;
      int64 sequence;
      positions_.seek(organization);
      bool is_known = positions_.next(&known, &sequence) && known == organization;
      if (!segment(organization, is_known ? sequence : 0, is_known, organization)) return;
    }
  }

  // The events after this one of the organization, and those of organizations behind it, up to last, which have no position.
  bool segment(const Uuid &organization, int64 sequence, bool is_known, const Uuid &last) {
    scan_->seek(organization, sequence, last);
    while (scan_->next()) {
      Uuid found = scan_->event().organization_id;
      bool is_first = found == organization;
      if (!visit_(found, is_first ? sequence : 0, is_first && is_known)) return false;
      if (found == last) break;
      scan_->seek(found, PG_INT64_MAX, last);
    }
    return true;
  }

  const Visited &visited_;
  ChainScan *scan_;
  Visit visit_;
  PositionScan positions_;
};

template <class Visit>
void walk(const char *subscription, const Visited &visited, ChainScan *scan, const Uuid &start, Visit visit) {
  Walk<Visit>(visited, scan, visit).run(subscription, start);
}

}  // namespace spine
