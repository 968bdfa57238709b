#include "store/owners_rights.h"

extern "C" {
#include <access/table.h>
#include <miscadmin.h>
}

namespace spine {

void OwnersRights::begin_as_owner_of(Oid table) {
  Relation relation = table_open(table, AccessShareLock);
  Oid owner = relation->rd_rel->relowner;
  table_close(relation, AccessShareLock);
  begin_as(owner);
}

void OwnersRights::begin_as(Oid role) {
  GetUserIdAndSecContext(&role_, &security_);
  SetUserIdAndSecContext(role, security_ | SECURITY_LOCAL_USERID_CHANGE);
}

void OwnersRights::end() { SetUserIdAndSecContext(role_, security_); }

}  // namespace spine
