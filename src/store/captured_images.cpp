#include "store/captured_images.h"

extern "C" {
#include <utils/fmgrprotos.h>
}

namespace spine {

namespace {

bool is_masked(const JsonbValue &value) {
  return value.type == jbvString && std::string_view(value.val.string.val, static_cast<size_t>(value.val.string.len)) == "***";
}

}  // namespace

Jsonb *image_member(Jsonb *object, std::string_view name) {
  JsonbValue value;
  if (object == nullptr || getKeyJsonValueFromContainer(&object->root, name.data(), static_cast<int>(name.size()), &value) == nullptr ||
      value.type == jbvNull)
    return nullptr;
  return JsonbValueToJsonb(&value);
}

Jsonb *joined_images(Jsonb *a, Jsonb *b) {
  if (a == nullptr || !is_object(b)) return a == nullptr ? b : a;
  if (!is_object(a)) return b;
  return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(a), JsonbPGetDatum(b)));
}

Jsonb *omitted_after(Jsonb *part) {
  Jsonb *omitted = image_member(part, "omitted");
  return is_object(omitted) ? image_member(omitted, "after") : omitted;
}

bool may_be_same(JsonbValue *a, JsonbValue *b) {
  return is_masked(*a) || is_masked(*b) || compareJsonbContainers(&JsonbValueToJsonb(a)->root, &JsonbValueToJsonb(b)->root) == 0;
}

}  // namespace spine
