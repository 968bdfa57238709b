// Measures that single outliers do not move: median, median absolute deviation, and how far out a value is by them.
#pragma once

#include <cstddef>

namespace spine {

inline constexpr double normal_from_mad = 1.4826;                     // 1 / qnorm(3/4), as R rounds it
inline constexpr double normal_from_mean_distance = 1.2533141373155;  // sqrt(pi / 2)

// They order what they are given. NaN where there is nothing.
double median(double *values, size_t count) noexcept;
// The median distance from centre, as the deviation of a normal distribution.
double mad(double *values, size_t count, double centre) noexcept;

// How many deviations x is from the median of the values, which it orders and changes. Where more than half of them are
// the same, by their mean distance; infinite where all are. Beyond 3.5 is the usual mark of an outlier.
double robust_z(double x, double *values, size_t count) noexcept;

}  // namespace spine
