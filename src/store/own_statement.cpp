#include "store/own_statement.h"

#include "server/sql.h"

namespace spine {

namespace {

const char *own_statement;  // null: none is about to begin

}  // namespace

void run_own_statement(const char *text) {
  own_statement = text;
  PG_TRY();
  {
    (void)run_sql(text);
  }
  PG_FINALLY();
  {
    own_statement = nullptr;
  }
  PG_END_TRY();
}

bool take_own_statement(const char *text) {
  bool is_own = own_statement != nullptr && text != nullptr && strcmp(own_statement, text) == 0;
  own_statement = nullptr;
  return is_own;
}

}  // namespace spine
