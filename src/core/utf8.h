// UTF-8 (RFC 3629), read one character at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spine {

// How long the character is that begins with this byte; 0: none does.
inline size_t character_size(uint8_t first) noexcept {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

// Takes a character off the front of text, which is not empty. False: text does not begin with one.
inline bool take_character(std::string_view *text, uint32_t *point) noexcept {
  auto byte = [text](size_t i) { return static_cast<uint8_t>((*text)[i]); };
  size_t size = character_size(byte(0));
  if (size == 0 || text->size() < size) return false;
  *point = size == 1 ? byte(0) : byte(0) & (0x7fu >> size);
  for (size_t i = 1; i < size; i++) {
    if ((byte(i) & 0xc0) != 0x80) return false;
    *point = *point << 6 | (byte(i) & 0x3f);
  }
  bool overlong = (size == 3 && *point < 0x800) || (size == 4 && *point < 0x10000);
  bool surrogate = *point >= 0xd800 && *point < 0xe000;
  if (overlong || surrogate || *point > 0x10ffff) return false;
  text->remove_prefix(size);
  return true;
}

}  // namespace spine
