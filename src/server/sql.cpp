#include "server/sql.h"

#include "store/event_table.h"

extern "C" {
#include <access/table.h>
#include <miscadmin.h>
}

namespace spine {

uint64 run_sql(const char *statement, std::initializer_list<SqlArgument> arguments) {
  constexpr size_t most = 16;
  Oid types[most];
  Datum values[most];
  char nulls[most];
  int count = 0;
  Assert(arguments.size() <= most);
  for (const SqlArgument &argument : arguments) {
    types[count] = argument.type;
    values[count] = argument.value;
    nulls[count++] = argument.null ? 'n' : ' ';
  }
  // SPI raises what goes wrong with a statement; the codes that it returns tell of no more than a misuse of SPI.
  (void)SPI_execute_with_args(statement, count, types, values, nulls, false, 0);
  return SPI_processed;
}

void OwnersRights::begin() {
  GetUserIdAndSecContext(&role_, &security_);
  Relation events = table_open(events_relid(), AccessShareLock);
  Oid owner = events->rd_rel->relowner;
  table_close(events, AccessShareLock);
  SetUserIdAndSecContext(owner, security_ | SECURITY_LOCAL_USERID_CHANGE);
}

void OwnersRights::end() { SetUserIdAndSecContext(role_, security_); }

}  // namespace spine
