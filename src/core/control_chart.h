// Control charts: of a process whose target and deviation are known, whether it left them slowly.
#pragma once

#include "core/state_bytes.h"

namespace spine {

// The exponentially weighted moving average, with limits at so many of its own deviations around the target.
class EwmaChart {
 public:
  EwmaChart(double target, double deviation, double weight, double width) noexcept
      : target_(target), weight_(weight), reach_(width * deviation * std::sqrt(weight / (2 - weight))), mean_(target) {}

  // Whether the mean is out of its limits. A value that is no number is passed over.
  bool add(double x) noexcept {
    if (is_usable(x)) mean_ += weight_ * (x - mean_);
    return mean_ > upper() || mean_ < lower();
  }
  double mean() const noexcept { return mean_; }
  double upper() const noexcept { return target_ + reach_; }
  double lower() const noexcept { return target_ - reach_; }

  static constexpr uint8_t state_kind = 'E', state_version = 1;
  static constexpr size_t state_size = 2 + 4 * sizeof(double);
  void write(uint8_t *state) const noexcept;
  bool read(Bytes state) noexcept;  // false: not such a state; then the chart is not to be used

 private:
  double target_, weight_, reach_, mean_;
};

// Cumulative sums of what lies above and below the target by more than the slack; out where one passes the limit.
class CusumChart {
 public:
  CusumChart(double target, double slack, double limit) noexcept : target_(target), slack_(slack), limit_(limit) {}

  // Whether a sum is above the limit. A value that is no number is passed over.
  bool add(double x) noexcept {
    if (is_usable(x)) {
      high_ = std::fmax(0, high_ + x - target_ - slack_);
      low_ = std::fmax(0, low_ + target_ - slack_ - x);
    }
    return high_ > limit_ || low_ > limit_;
  }
  double high() const noexcept { return high_; }
  double low() const noexcept { return low_; }

  static constexpr uint8_t state_kind = 'C', state_version = 1;
  static constexpr size_t state_size = 2 + 5 * sizeof(double);
  void write(uint8_t *state) const noexcept;
  bool read(Bytes state) noexcept;

 private:
  double target_, slack_, limit_, high_ = 0, low_ = 0;
};

}  // namespace spine
