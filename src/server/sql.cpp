#include "server/sql.h"

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

}  // namespace spine
