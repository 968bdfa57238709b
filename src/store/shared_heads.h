// Where the chains' last events lie, for all sessions: in shared memory, so only where the library is among
// shared_preload_libraries. Whoever stores an event notes it here under the chain's lock. A note is a hint: the row
// itself says whether it is there and committed, and only rows that nobody chained can come behind it. Of those
// forget_shared_head is told before they are stored.
#pragma once

#include "server/pg.h"

extern "C" {
#include <storage/itemptr.h>
}

namespace spine {

struct PlaceOfHead {
  Oid partition;
  ItemPointerData row;
  int64 sequence;
};

// While the server starts: asks for the memory, and gets it.
void request_shared_heads();
void make_shared_heads();

// False: nothing is known of the chain.
bool find_shared_head(Oid root, const Uuid &organization, PlaceOfHead *place);
void share_head(Oid root, const Uuid &organization, const PlaceOfHead &place);
void forget_shared_head(Oid root, const Uuid &organization);
// A table becomes a partition: what it held when it was one before, it may not hold any more, or not as the last.
void forget_shared_heads_in(Oid partition);

}  // namespace spine
