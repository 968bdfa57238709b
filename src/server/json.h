// Building jsonb.
#pragma once

#include "server/pg.h"

extern "C" {
#include <utils/jsonb.h>
}

namespace spine {

// A view of the text, which must outlive it.
inline JsonbValue json_text(std::string_view text) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string.val = const_cast<char *>(text.data());
  value.val.string.len = static_cast<int>(text.size());
  return value;
}

inline void push(JsonbParseState **state, JsonbIteratorToken token, JsonbValue value) { pushJsonbValue(state, token, &value); }

inline void push_key(JsonbParseState **state, std::string_view name) { push(state, WJB_KEY, json_text(name)); }

inline void push_member(JsonbParseState **state, std::string_view name, JsonbValue value) {
  push_key(state, name);
  push(state, WJB_VALUE, value);
}

}  // namespace spine
