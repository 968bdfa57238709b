#include "core/base64.h"

namespace spine {

namespace {

constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t no_digit = 0xff;

struct Values {
  uint8_t of[256] = {};
  constexpr Values() {
    for (uint8_t &value : of) value = no_digit;
    for (uint8_t i = 0; i < 64; i++) of[static_cast<uint8_t>(digits[i])] = i;
  }
};
constexpr Values values;

size_t padding_of(std::string_view text) {
  if (text.empty() || text.back() != '=') return 0;
  return text.size() >= 2 && text[text.size() - 2] == '=' ? 2 : 1;
}

// Reads text, and writes what it stands for unless out is null.
bool read(std::string_view text, uint8_t *out) {
  if (text.size() % 4 != 0) return false;
  size_t count = text.size() - padding_of(text);
  uint32_t bits = 0;  // the lowest `held` of them are not written yet
  unsigned held = 0;
  for (size_t i = 0; i < count; i++) {
    uint8_t value = values.of[static_cast<uint8_t>(text[i])];
    if (value == no_digit) return false;
    bits = bits << 6 | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    if (out != nullptr) *out++ = static_cast<uint8_t>(bits >> held);
    bits &= (uint32_t{1} << held) - 1;
  }
  return bits == 0;
}

}  // namespace

char *write_base64(char *out, Bytes bytes) noexcept {
  const uint8_t *p = bytes.data;
  size_t left = bytes.size;
  for (; left >= 3; left -= 3, p += 3) {
    *out++ = digits[p[0] >> 2];
    *out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
    *out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
    *out++ = digits[p[2] & 63];
  }
  if (left == 0) return out;
  unsigned second = left == 2 ? p[1] : 0;
  *out++ = digits[p[0] >> 2];
  *out++ = digits[(p[0] & 3) << 4 | second >> 4];
  *out++ = left == 2 ? digits[(second & 15) << 2] : '=';
  *out++ = '=';
  return out;
}

bool is_base64(std::string_view text) noexcept { return read(text, nullptr); }

size_t base64_bytes(std::string_view text) noexcept {
  return text.size() / 4 * 3 - (text.size() < 4 ? 0 : padding_of(text));
}

bool read_base64(std::string_view text, uint8_t *out) noexcept { return read(text, out); }

bool read_base64(std::string_view text, Hash *hash) noexcept {
  Hash bytes;
  if (text.size() != base64_size(bytes.size()) || base64_bytes(text) != bytes.size()) return false;
  if (!read(text, bytes.data())) return false;
  *hash = bytes;
  return true;
}

}  // namespace spine
