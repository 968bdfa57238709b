#include "core/rule_json.h"

#include <charconv>

#include "core/canonical_reader.h"

namespace spine {

namespace {

std::string unescaped(std::string_view quoted) {
  Buffer text;
  append_unescaped(text, quoted);
  return std::string(text.view());
}

// Each object is read by itself, so a text is read as often as it is deep.
const char *read_value(CanonicalReader &reader, std::string_view text, size_t depth, JsonTree *tree) {
  if (depth > max_tree_depth) return "it is nested more than 32 levels deep";
  switch (text[0]) {
    case '{': {
      if (const char *why = reader.read(text, 1)) return why;
      std::vector<JsonMember> members(reader.members(1), reader.members(1) + reader.count(1));
      tree->kind = JsonTree::Kind::object;
      for (const JsonMember &member : members) {
        tree->members.emplace_back(unescaped({member.name.data() - 1, member.name.size() + 2}), JsonTree());
        if (const char *why = read_value(reader, member.value, depth + 1, &tree->members.back().second)) return why;
      }
      return nullptr;
    }
    case '[': {
      tree->kind = JsonTree::Kind::array;
      std::string_view elements = array_elements(text), element;
      while (take_element(&elements, &element)) {
        tree->elements.emplace_back();
        if (const char *why = read_value(reader, element, depth + 1, &tree->elements.back())) return why;
      }
      return nullptr;
    }
    case '"':
      tree->kind = JsonTree::Kind::text;
      tree->text = unescaped(text);
      return nullptr;
    case 't':
    case 'f':
      tree->kind = JsonTree::Kind::boolean;
      tree->boolean = text[0] == 't';
      return nullptr;
    case 'n':
      return nullptr;
    default:
      tree->kind = JsonTree::Kind::number;
      // Beyond the range of doubles it stays 0 or becomes infinite, and no rule needs such a one.
      (void)std::from_chars(text.data(), text.data() + text.size(), tree->number);
      tree->text = text;
      return nullptr;
  }
}

}  // namespace

const char *read_json_tree(std::string_view text, JsonTree *tree) {
  if (text.size() > max_tree_size) return "it has more than 262144 bytes";
  CanonicalReader reader;
  std::string wrapped = "{\"\":" + std::string(text) + "}";  // the reader takes an object
  JsonTree outer;
  if (const char *why = read_value(reader, wrapped, 0, &outer)) return why;
  *tree = std::move(outer.members[0].second);
  return nullptr;
}

}  // namespace spine
