// Arrays that grow as something is added to them.
#pragma once

#include "server/pg.h"

extern "C" {
#include <utils/array.h>
#include <utils/memutils.h>
}

namespace spine {

// Makes room for one more element behind the used ones. A null array is allocated in that memory; one that is there grows in
// its own. May hold more than a gigabyte.
template <class T, class N>
void make_room(MemoryContext memory, T **array, N used, N *room) {
  if (used < *room) return;
  N more = *room == 0 ? 16 : 2 * *room;
  Size size = sizeof(T) * static_cast<Size>(more);
  *array = static_cast<T *>(*array == nullptr ? MemoryContextAllocHuge(memory, size) : repalloc_huge(*array, size));
  *room = more;
}

// An SQL array that grows, in the current memory context.
struct Growing {
  Oid type;
  ArrayBuildState *state = nullptr;

  void add(Datum value) { state = accumArrayResult(state, value, false, type, CurrentMemoryContext); }
  Datum array() const {
    return state == nullptr ? PointerGetDatum(construct_empty_array(type)) : makeArrayResult(state, CurrentMemoryContext);
  }
};

}  // namespace spine
