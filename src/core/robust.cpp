#include "core/robust.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace spine {

double median(double *values, size_t count) noexcept {
  if (count == 0) return std::numeric_limits<double>::quiet_NaN();
  double *middle = values + count / 2;
  std::nth_element(values, middle, values + count);
  if (count % 2 == 1) return *middle;
  return *std::max_element(values, middle) / 2 + *middle / 2;
}

double mad(double *values, size_t count, double centre) noexcept {
  for (size_t i = 0; i < count; i++) values[i] = std::fabs(values[i] - centre);
  return normal_from_mad * median(values, count);
}

double robust_z(double x, double *values, size_t count) noexcept {
  double centre = median(values, count), mean_distance = 0;
  if (x == centre) return 0;
  for (size_t i = 0; i < count; i++) mean_distance += std::fabs(values[i] - centre) / static_cast<double>(count);
  double deviation = mad(values, count, centre);
  if (deviation == 0) deviation = normal_from_mean_distance * mean_distance;
  return (x - centre) / deviation;
}

}  // namespace spine
