#include "core/canonical_number.h"

#include <charconv>
#include <cstring>

namespace spine {

namespace {

char *copy(char *out, std::string_view s) {
  std::memcpy(out, s.data(), s.size());
  return out + s.size();
}

char *zeros(char *out, size_t n) {
  std::memset(out, '0', n);
  return out + n;
}

}  // namespace

char *write_number(char *out, bool negative, std::string_view digits, int32_t point) noexcept {
  if (digits.empty()) {
    *out = '0';  // -0 is 0
    return out + 1;
  }
  if (negative) *out++ = '-';
  int64_t count = static_cast<int64_t>(digits.size());
  if (count <= point && point <= 21) {
    out = copy(out, digits);
    return zeros(out, static_cast<size_t>(point - count));
  }
  if (0 < point && point <= 21) {
    out = copy(out, digits.substr(0, static_cast<size_t>(point)));
    *out++ = '.';
    return copy(out, digits.substr(static_cast<size_t>(point)));
  }
  if (-6 < point && point <= 0) {
    out = copy(out, "0.");
    out = zeros(out, static_cast<size_t>(-point));
    return copy(out, digits);
  }
  *out++ = digits[0];
  if (count > 1) {
    *out++ = '.';
    out = copy(out, digits.substr(1));
  }
  int32_t exponent = point - 1;
  *out++ = 'e';
  *out++ = exponent < 0 ? '-' : '+';
  return std::to_chars(out, out + 11, exponent < 0 ? -exponent : exponent).ptr;
}

}  // namespace spine
