// Strings of the core's plain types. They throw std::bad_alloc alone.
#pragma once

#include <string>
#include <string_view>

#include "core/base64.h"
#include "core/bytes.h"
#include "core/uuid.h"

namespace spine {

inline std::string_view view_of(const uint8_t *data, size_t size) {
  return {reinterpret_cast<const char *>(data), size};
}

inline std::string hex_of(Bytes bytes) {
  std::string out(2 * bytes.size, '\0');
  write_hex(out.data(), bytes);
  return out;
}

inline std::string base64_of(Bytes bytes) {
  std::string out(base64_size(bytes.size), '\0');
  write_base64(out.data(), bytes);
  return out;
}
inline std::string base64_of(const Hash &hash) { return base64_of(Bytes{hash.data(), hash.size()}); }

inline std::string text_of(const Uuid &uuid) {
  std::string out(36, '\0');
  write_uuid(out.data(), uuid);
  return out;
}

// False: not so many bytes in lower-case hex.
inline bool read_hex(std::string_view text, uint8_t *out, size_t size) {
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  if (text.size() != 2 * size) return false;
  for (size_t i = 0; i < size; i++) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace spine
