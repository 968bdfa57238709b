// A definition as a tree of values: small texts that are read once.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace spine {

struct JsonTree {
  enum class Kind { null, boolean, number, text, array, object };
  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;
  std::string text;
  std::vector<JsonTree> elements;
  std::vector<std::pair<std::string, JsonTree>> members;

  // Null: there is none of that name.
  const JsonTree *find(std::string_view name) const {
    for (const auto &member : members)
      if (member.first == name) return &member.second;
    return nullptr;
  }
};

inline constexpr size_t max_tree_size = 256 * 1024;  // bytes of the text
inline constexpr size_t max_tree_depth = 32;

// Reads a canonical text. Null, or what is wrong with it. Throws std::bad_alloc.
const char *read_json_tree(std::string_view text, JsonTree *tree);

}  // namespace spine
