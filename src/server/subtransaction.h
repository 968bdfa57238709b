// Work whose failure is a finding and not the end of the caller's transaction.
#pragma once

#include "server/pg.h"

extern "C" {
#include <access/xact.h>
#include <utils/memutils.h>
#include <utils/resowner.h>
}

namespace spine {

// Runs work in a subtransaction of its own, in the current memory context. Null: done. Else what went wrong, for which
// may_catch, asked once the subtransaction is rolled back, said yes; other errors go on. Not in parallel mode, where no
// subtransaction can begin before PostgreSQL 17.
//
// What work opened is closed by the rollback, and may not be touched again; what it allocated is left. Never inlined, so
// that what work changes of its caller's is in memory when an error jumps.
template <class Work, class MayCatch>
pg_noinline ErrorData *catch_error(Work work, MayCatch may_catch) {
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  ErrorData *volatile error = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(context);
  PG_TRY();
  {
    work();
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    // First of all, or an error that goes on, even one of copying this one, would leave the session inside of it.
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(context);
    error = CopyErrorData();
    FlushErrorState();
    if (!may_catch(*error)) ReThrowError(error);
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
  return error;
}

// The same where the caller may be in parallel mode: there the error goes on, to whoever began that mode and can do the work
// again without it.
template <class Work, class MayCatch>
ErrorData *catch_error_if_possible(Work work, MayCatch may_catch) {
  if (!IsInParallelMode()) return catch_error(work, may_catch);
  work();
  return nullptr;
}

// What the server raises where it meets damaged data, or a disk that does not give them: internal errors and those of
// the system. All else, from a timeout to a full disk, is no finding.
inline bool tells_of_damage(const ErrorData &error) {
  int category = ERRCODE_TO_CATEGORY(error.sqlerrcode);
  return category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) || category == ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR);
}

}  // namespace spine
