// How far two distributions over the same bins are apart, and which bins make it so; Benford's law of first digits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spine {

// One bin: how often it was met before, how often now, and what it adds to the two measures.
struct DriftBin {
  double before, now;
  double share_before = 0, share_now = 0;
  double divergence = 0, stability = 0;
};

struct Drift {
  double divergence = 0;  // Jensen and Shannon's, in bits: 0 the same, 1 nothing in common
  double stability = 0;   // population stability index: below 0.1 small, from 0.25 on large, by custom
};

// Fills the bins. A bin that was met on one side only counts there as half a time for the stability index, which knows
// no zero. 0 and 0 where a side is empty.
Drift measure_drift(DriftBin *bins, size_t count) noexcept;

// The first digit of a decimal number as text, 1 to 9; 0 where it has none.
unsigned first_digit(std::string_view number) noexcept;

enum class Benford : uint8_t { too_few, close, acceptable, marginal, nonconforming };

struct BenfordTest {
  Benford verdict = Benford::too_few;
  double distance = 0;     // mean absolute difference of shares: Nigrini's marks are 0.006, 0.012 and 0.015
  double chi_square = 0;   // 8 degrees of freedom: 15.507 is passed by chance in 5 of 100 samples, 20.090 in 1
  double share[9]{}, expected[9]{};
};

inline constexpr uint64_t least_benford = 500;  // numbers; below it the mean distance is mostly chance

// count[0]: how many numbers begin with 1.
BenfordTest test_benford(const uint64_t count[9]) noexcept;

}  // namespace spine
