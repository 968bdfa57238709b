// What the text formats of transparency logs (c2sp.org) share: lines and decimal numbers.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

#include "core/buffer.h"

namespace spine {

// Takes the first line off text; the line comes without its newline. False: text has no newline.
inline bool take_line(std::string_view *text, std::string_view *line) noexcept {
  size_t end = text->find('\n');
  if (end == std::string_view::npos) return false;
  *line = text->substr(0, end);
  text->remove_prefix(end + 1);
  return true;
}

// Reads a decimal number without sign or leading zeros, 2^63 - 1 at most: sizes and timestamps are no larger.
inline bool parse_decimal(std::string_view text, uint64_t *number) noexcept {
  if (text.empty() || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text.size() > 1)) return false;
  int64_t value;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  *number = static_cast<uint64_t>(value);
  return true;
}

// Appends a decimal number. Throws std::bad_alloc.
inline void append_decimal(Buffer &out, uint64_t number) {
  char *to = out.reserve(20);
  out.commit(std::to_chars(to, to + 20, number).ptr);
}

}  // namespace spine
