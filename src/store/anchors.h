// spine.anchors: where chains begin whose older events were retired.
#pragma once

#include "core/chain_check.h"
#include "server/key_scan.h"

extern "C" {
#include <utils/uuid.h>
}

namespace spine {

// Anchors as committed or stored by this transaction.
class AnchorReader {
 public:
  void begin();
  // The chain's anchor; false: it begins at its first event. below: the last one before this sequence. Raises SP046 for
  // a damaged one, and where the table's key is missing.
  bool find(const Uuid &organization, int64 below, Anchor *anchor) { return find(organization, below, false, anchor); }
  // The first one from this sequence on.
  bool find_from(const Uuid &organization, int64 from, Anchor *anchor) {
    return find(organization, from, true, anchor);
  }
  // The first organization from this one on that has an anchor. False: there is none.
  bool find_organization(const Uuid &from, Uuid *organization);
  void end();

 private:
  bool find(const Uuid &organization, int64 sequence, bool from, Anchor *anchor);

  bool any_;  // false: no chain has an anchor
  KeyScan scan_;
  pg_uuid_t key_organization_;
};

}  // namespace spine
