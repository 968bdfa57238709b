#include "core/sha256_two.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace spine {

#ifdef __x86_64__

namespace {

// FIPS 180-4, 4.2.2.
alignas(16) constexpr uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The instructions keep the state's words as a b e f and c d g h.
template <int count>
[[gnu::target("sha,sse4.1")]] inline void take_blocks(Sha256State *const *states, const uint8_t *const *messages, size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[count], cdgh[count], abef_before[count], cdgh_before[count], w[count][4];
  const uint8_t *at[count];
#pragma GCC unroll 2
  for (int i = 0; i < count; i++) {
    const __m128i *state = reinterpret_cast<const __m128i *>(states[i]->word);
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(state + 1), 0x1b);
    abef[i] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[i] = _mm_blend_epi16(efgh, cdab, 0xf0);
    at[i] = messages[i];
  }
  for (; blocks > 0; blocks--) {
#pragma GCC unroll 2
    for (int i = 0; i < count; i++) {
      abef_before[i] = abef[i];
      cdgh_before[i] = cdgh[i];
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++)
        w[i][j] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(at[i]) + j), big_endian);
      at[i] += 64;
    }
    // Four rounds each; the words of the message that four later ones take are made of those behind.
#pragma GCC unroll 16
    for (int round = 0; round < 16; round++) {
      const __m128i constant = _mm_load_si128(reinterpret_cast<const __m128i *>(constants) + round);
#pragma GCC unroll 2
      for (int i = 0; i < count; i++) {
        __m128i *now = &w[i][round % 4], next = w[i][(round + 1) % 4], third = w[i][(round + 2) % 4], last = w[i][(round + 3) % 4];
        __m128i sum = _mm_add_epi32(*now, constant);
        cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], sum);
        abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], _mm_shuffle_epi32(sum, 0x0e));
        if (round < 12) *now = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(*now, next), _mm_alignr_epi8(last, third, 4)), last);
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < count; i++) {
      abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
      cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < count; i++) {
    __m128i *state = reinterpret_cast<__m128i *>(states[i]->word);
    __m128i feba = _mm_shuffle_epi32(abef[i], 0x1b), dchg = _mm_shuffle_epi32(cdgh[i], 0xb1);
    _mm_storeu_si128(state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(state + 1, _mm_alignr_epi8(dchg, feba, 8));
  }
}

}  // namespace

bool has_sha256_two() noexcept {
  constexpr unsigned ssse3 = 1u << 9, sse41 = 1u << 19, sha = 1u << 29;
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & (ssse3 | sse41)) != (ssse3 | sse41)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha) != 0;
}

[[gnu::target("sha,sse4.1")]] void sha256_two(Sha256State *a, const uint8_t *of_a, Sha256State *b, const uint8_t *of_b, size_t blocks) noexcept {
  Sha256State *states[] = {a, b};
  const uint8_t *messages[] = {of_a, of_b};
  take_blocks<2>(states, messages, blocks);
}

[[gnu::target("sha,sse4.1")]] void sha256_one(Sha256State *state, const uint8_t *at, size_t blocks) noexcept { take_blocks<1>(&state, &at, blocks); }

#else

bool has_sha256_two() noexcept { return false; }
void sha256_two(Sha256State *, const uint8_t *, Sha256State *, const uint8_t *, size_t) noexcept {}
void sha256_one(Sha256State *, const uint8_t *, size_t) noexcept {}

#endif

}  // namespace spine
