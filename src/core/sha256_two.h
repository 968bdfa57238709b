// SHA-256 of two messages at once, where the processor has instructions for it: it waits for its own results most of the time
// that it works on one. What is here is not used before it was seen to give what OpenSSL gives: sha256.cpp.
#pragma once

#include "core/bytes.h"

namespace spine {

struct Sha256State {
  uint32_t word[8];
};

// Whether this processor has the instructions. Nothing below may be called where it has not.
bool has_sha256_two() noexcept;

// Takes so many blocks of 64 bytes into each state.
void sha256_two(Sha256State *a, const uint8_t *of_a, Sha256State *b, const uint8_t *of_b, size_t blocks) noexcept;
void sha256_one(Sha256State *state, const uint8_t *at, size_t blocks) noexcept;

}  // namespace spine
