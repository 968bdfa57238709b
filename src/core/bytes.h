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

// Both digits of each byte, for what is written for every event.
struct HexPairs {
  char pair[256][2] = {};
  constexpr HexPairs() {
    for (int i = 0; i < 256; i++) {
      pair[i][0] = hex_digits[i >> 4];
      pair[i][1] = hex_digits[i & 15];
    }
  }
};
inline constexpr HexPairs hex_pairs;

// Writes 2 * size lower-case hex digits, returns the end.
inline char *write_hex(char *out, const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; i++, out += 2) std::memcpy(out, hex_pairs.pair[data[i]], 2);
  return out;
}
inline char *write_hex(char *out, Bytes bytes) { return write_hex(out, bytes.data, bytes.size); }

}  // namespace spine
