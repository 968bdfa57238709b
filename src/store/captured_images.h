// What the parts of an event of a captured table say of its row.
#pragma once

#include "server/pg.h"

extern "C" {
#include <utils/jsonb.h>
}

namespace spine {

// A member of an object; null: it is not there, or is JSON's null.
Jsonb *image_member(Jsonb *object, std::string_view name);

inline bool is_object(const Jsonb *value) { return value != nullptr && JB_ROOT_IS_OBJECT(value); }

// Both objects in one; what is no object is not joined, and null where there is neither.
Jsonb *joined_images(Jsonb *a, Jsonb *b);

// What a part omitted of the row after. It is one text where it omitted all of it.
Jsonb *omitted_after(Jsonb *part);

// Calls use(column, its value in a, in b, or null) for each column of an image, one that is no object having none.
template <class Use>
void each_column(Jsonb *a, Jsonb *b, Use use) {
  if (!is_object(a)) return;
  JsonbIterator *iterator = JsonbIteratorInit(&a->root);
  JsonbValue key, mine, other;
  (void)JsonbIteratorNext(&iterator, &key, true);
  while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY) {
    (void)JsonbIteratorNext(&iterator, &mine, true);
    bool is_there = is_object(b) && getKeyJsonValueFromContainer(&b->root, key.val.string.val, key.val.string.len, &other) != nullptr;
    use(std::string_view(key.val.string.val, static_cast<size_t>(key.val.string.len)), mine, is_there ? &other : nullptr);
  }
}

// Whether two values of a column can be of one row: they are the same, or one of them is masked and says nothing.
bool may_be_same(JsonbValue *a, JsonbValue *b);

}  // namespace spine
