#include "store/owners_rights.h"

#include "store/event_table.h"

extern "C" {
#include <access/table.h>
#include <miscadmin.h>
}

namespace spine {

void OwnersRights::begin() {
  GetUserIdAndSecContext(&role_, &security_);
  Relation events = table_open(events_relid(), AccessShareLock);
  Oid owner = events->rd_rel->relowner;
  table_close(events, AccessShareLock);
  SetUserIdAndSecContext(owner, security_ | SECURITY_LOCAL_USERID_CHANGE);
}

void OwnersRights::end() { SetUserIdAndSecContext(role_, security_); }

}  // namespace spine
