// Objects with destructors that live as long as a memory context: an error in the server jumps past those on the stack.
#pragma once

#include <new>

#include "server/pg.h"

namespace spine {

// The current memory context deletes it with itself, an error included. Null where there is no memory.
template <class T>
T *owned_by_context() {
  MemoryContextCallback *callback = static_cast<MemoryContextCallback *>(palloc(sizeof(MemoryContextCallback)));
  T *object = new (std::nothrow) T();
  if (object == nullptr) return nullptr;
  callback->func = [](void *p) { delete static_cast<T *>(p); };
  callback->arg = object;
  MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
  return object;
}

}  // namespace spine
