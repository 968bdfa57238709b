// Any text as an event name, as a uuid and as member names that are compared.
#include <tuple>
#include <utility>

#include "core/event_name.h"
#include "core/uuid.h"
#include "fuzz.h"

using spine::utf16_less;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  uint8_t first = input.take<uint8_t>(), second = input.take<uint8_t>();
  std::string_view text = input.rest();

  spine::EventName parts;
  if (spine::parse_event_name(text, &parts)) {
    REQUIRE(spine::parts_join_to(parts, text));
    for (std::string_view part : {parts.domain, parts.entity_type, parts.action}) {
      REQUIRE(spine::is_name_part(part));
      REQUIRE(part.size() <= 63 && part.find('.') == part.npos);
    }
  }

  spine::Uuid uuid;
  if (spine::parse_uuid(text, &uuid)) {
    char canonical[36];
    REQUIRE(spine::write_uuid(canonical, uuid) == canonical + sizeof canonical);
    spine::Uuid again;
    REQUIRE(spine::parse_uuid({canonical, sizeof canonical}, &again));
    REQUIRE(again == uuid);
  }

  // A strict weak ordering, under which only equal names are equivalent: std::sort relies on the first.
  size_t i = text.empty() ? 0 : first % (text.size() + 1);
  size_t k = text.empty() ? 0 : i + second % (text.size() - i + 1);
  std::string_view a = text.substr(0, i), b = text.substr(i, k - i), c = text.substr(k);
  for (std::string_view s : {a, b, c}) REQUIRE(!utf16_less(s, s));
  for (auto [x, y] : {std::pair(a, b), std::pair(b, c), std::pair(a, c)})
    REQUIRE((x == y) == (!utf16_less(x, y) && !utf16_less(y, x)));
  for (auto [x, y, z] : {std::tuple(a, b, c), std::tuple(a, c, b), std::tuple(b, a, c), std::tuple(b, c, a),
                         std::tuple(c, a, b), std::tuple(c, b, a)})
    if (utf16_less(x, y) && utf16_less(y, z)) REQUIRE(utf16_less(x, z));
  return 0;
}
