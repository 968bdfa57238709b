// Building jsonb of text.
#pragma once

#include "pg/pg.h"

extern "C" {
#include <utils/jsonb.h>
}

namespace spine {

inline void push_string(JsonbParseState **state, JsonbIteratorToken token, const char *text) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string.val = const_cast<char *>(text);
  value.val.string.len = static_cast<int>(strlen(text));
  pushJsonbValue(state, token, &value);
}

inline void push_member(JsonbParseState **state, const char *key, const char *value) {
  push_string(state, WJB_KEY, key);
  push_string(state, WJB_VALUE, value);
}

}  // namespace spine
