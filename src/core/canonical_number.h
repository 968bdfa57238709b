// Numbers as ECMAScript's Number::toString writes them (ECMA-262 6.1.6.1.20, which RFC 8785 3.2.2.3 takes
// over), but from exact decimal digits, so that none is lost in a double.
#pragma once

#include "core/bytes.h"

namespace spine {

// What write_number may add to the digits it is given: sign, point, zeros, exponent.
inline constexpr size_t number_overhead = 40;

// Writes 0.d1d2d3… × 10^point, returns the end. digits: ASCII, the first and the last not '0'; empty is zero.
// out must hold digits.size() + number_overhead bytes.
char *write_number(char *out, bool negative, std::string_view digits, int32_t point) noexcept;

}  // namespace spine
