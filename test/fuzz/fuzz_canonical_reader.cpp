// Any text as a line of canonical JSON: it is read where a reader that was written apart from it reads it.
#include "core/canonical_reader.h"

#include <memory>

#include "core/utf8.h"
#include "fuzz.h"

using spine::Buffer;
using spine::JsonMember;

namespace {

bool is_utf8(std::string_view text) {
  uint32_t point;
  while (!text.empty())
    if (!spine::take_character(&text, &point)) return false;
  return true;
}

// Walks through all arrays and objects of a value that was read.
void walk(std::string_view value, size_t depth) {
  if (value.front() == '"') {
    Buffer out;
    spine::append_unescaped(out, value);
    REQUIRE(out.size() <= value.size() - 2);
    Buffer again;
    spine::append_json_string(again, out.view());
    REQUIRE(again.view() == value);
  } else if (value.front() == '[') {
    std::string_view elements = spine::array_elements(value), element;
    while (spine::take_element(&elements, &element)) walk(element, depth + 1);
  } else if (value.front() == '{') {
    auto reader = std::make_unique<spine::CanonicalReader>();
    if (reader->read(value, 1) != nullptr) return;  // more members than are given
    for (size_t i = 0; i < reader->count(1); i++) walk(reader->members(1)[i].value, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static spine::CanonicalReader reader;
  std::string_view text = Input(data, size).rest();
  for (unsigned levels : {0u, 1u, 2u}) {
    bool read = reader.read(text, levels) == nullptr;
    // What it holds besides is UTF-8, an object, not too deep, and has not too many members where they are given.
    bool expected = CanonicalReader::accepts(text) && is_utf8(text) && text.front() == '{';
    if (read) REQUIRE(expected);
    if (!read && expected) REQUIRE(text.size() > spine::CanonicalReader::max_depth || (levels > 0 && text.size() > 5 * spine::CanonicalReader::max_members));
    if (!read) continue;
    for (unsigned level = 1; level <= levels; level++) {
      for (size_t i = 0; i < reader.count(level); i++) {
        const JsonMember &member = reader.members(level)[i];
        REQUIRE(member.begin() > text.data() && member.end() < text.data() + text.size());
        REQUIRE(member.name.data() + member.name.size() + 2 == member.value.data() && !member.value.empty());
        REQUIRE(*member.end() == ',' || *member.end() == '}');
        if (level == 1 && i > 0) REQUIRE(reader.members(1)[i - 1].end() + 1 == member.begin());
      }
    }
    if (levels == 1) walk(text, 0);
  }
  return 0;
}
