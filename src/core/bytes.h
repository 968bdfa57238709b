// Plain byte types that the whole core shares.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace spine {

// A view of bytes that somebody else owns.
struct Bytes {
  const uint8_t *data = nullptr;
  size_t size = 0;
};

using Uuid = std::array<uint8_t, 16>;  // network byte order, RFC 9562
using Hash = std::array<uint8_t, 32>;  // a SHA-256

// Why the core did not do what it was asked.
enum class Status {
  ok,
  out_of_memory,
  crypto_failed,        // OpenSSL gave no digest
  malformed,            // the stored bytes are not what PostgreSQL writes
  not_an_object,
  too_large,
  too_deep,
  number_out_of_range,
};

inline constexpr char hex_digits[] = "0123456789abcdef";

// Writes the 16 digits of 8 bytes at once: an event holds 96 bytes that are written so.
inline void write_hex8(char *out, const uint8_t *data) {
  using Bytes8 = uint8_t __attribute__((vector_size(8)));
  using Bytes16 = uint8_t __attribute__((vector_size(16)));
  using Words8 = uint16_t __attribute__((vector_size(16)));
  Bytes8 bytes;
  std::memcpy(&bytes, data, sizeof bytes);
  Words8 words = __builtin_convertvector(bytes, Words8);
  Bytes16 digits = reinterpret_cast<Bytes16>((words >> 4 | words << 8) & 0x0f0f);  // the high digit in the lower byte
  digits += '0' + (reinterpret_cast<Bytes16>(digits > 9) & ('a' - '0' - 10));
  std::memcpy(out, &digits, sizeof digits);
}

// Writes 2 * size lower-case hex digits, returns the end.
inline char *write_hex(char *out, Bytes bytes) {
  const uint8_t *p = bytes.data, *end = p + bytes.size;
  for (; end - p >= 8; p += 8, out += 16) write_hex8(out, p);
  for (; p < end; p++) {
    *out++ = hex_digits[*p >> 4];
    *out++ = hex_digits[*p & 15];
  }
  return out;
}

// Both digits of each number below 100.
struct DecimalPairs {
  char pair[100][2] = {};
  constexpr DecimalPairs() {
    for (int i = 0; i < 100; i++) {
      pair[i][0] = static_cast<char>('0' + i / 10);
      pair[i][1] = static_cast<char>('0' + i % 10);
    }
  }
};
inline constexpr DecimalPairs decimal_pairs;

// Writes the two digits of a number below 100, returns the end.
inline char *write_pair(char *out, unsigned value) {
  std::memcpy(out, decimal_pairs.pair[value], 2);
  return out + 2;
}

}  // namespace spine
