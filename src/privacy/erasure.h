// What erasing and repeating erasures share.
#pragma once

#include "privacy/privacy.h"
#include "store/erased_parts.h"
#include "store/event_scan.h"

extern "C" {
#include <funcapi.h>
}

namespace spine {

// One event that is to lose parts.
struct ErasureTarget {
  Oid relid;
  ItemPointerData place;
  Uuid id;
  int64 sequence;
  unsigned parts;
};

// The erasure of parts of one organization's events, as one act: first all that are to go are found, then they go, then
// events say so.
class Erasure {
 public:
  // Raises 42501. Waits for others who erase or hold there.
  void begin(const Uuid &organization);
  // Notes that the event at which the scan stands is to lose those of the parts that it has. Raises SP045, SP072, SP077.
  void add(EventScan *scan, unsigned parts);
  // Erases, and puts one row for each erasure event that says so into the result: organization, its id, what it repeats, how
  // many events and how many parts. repeats: the erasure event that is repeated, or null. Returns whether anything was erased.
  bool erase(std::string_view reason, const Uuid *repeats, ReturnSetInfo *result);

 private:
  Uuid organization_;
  Holds holds_;
  ErasureTarget *targets_;
  int64 count_, room_;
};

// The entity of an organization's erasure events.
Uuid erasure_entity(const Uuid &organization);

}  // namespace spine
