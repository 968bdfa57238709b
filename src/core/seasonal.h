// Forecasts of a series with a season: additive exponential smoothing (Holt and Winters), one point after the other.
//
// It learns from two seasons, then gives the next points with a band, and says when a limit will be reached. One value
// far outside moves it no more than one at the edge of what is usual does.
#pragma once

#include "core/state_bytes.h"

namespace spine {

struct SeasonalSetting {
  uint16_t season;  // points: 2 to SeasonalSmoother::max_season
  uint16_t alike;   // a point of the first two seasons is held against those whose number leaves the same rest by it
  // Weights of the newest point, 0 to 1: alpha, beta, gamma, and that of the newest error in the deviation.
  double level, trend, seasonal, deviation;
  double clip;             // deviations: an error beyond counts as this much; 0: as it is
  double least_deviation;  // below which none is believed
};

// A week of days, a week of hours: both learn from 14 days.
inline constexpr SeasonalSetting by_day{7, 1, 0.2, 0.01, 0.2, 0.1, 3, 0};
inline constexpr SeasonalSetting by_hour{168, 24, 0.1, 0.001, 0.3, 0.05, 3, 0};

class SeasonalSmoother {
 public:
  static constexpr uint16_t max_season = 168;

  struct Forecast {
    double value, deviation;  // the band is the value, and so many deviations to either side
  };

  // In how many points a limit is reached, 1: by the next; 0: not within the horizon.
  struct Reached {
    uint32_t by_forecast = 0, by_band = 0;
  };

  explicit SeasonalSmoother(const SeasonalSetting &setting) noexcept : setting_(setting) {}

  // Begins where level, trend, deviation and season (setting.season values, the next point's first) are known.
  void begin(double level, double trend, double deviation, const double *season) noexcept;

  // False, and nothing is learned, where the value is no number or beyond largest_value.
  bool add(double x) noexcept;

  bool has_learned() const noexcept { return points_ >= 2 * static_cast<uint64_t>(setting_.season); }
  double level() const noexcept { return level_; }
  double trend() const noexcept { return trend_; }
  double deviation() const noexcept { return std::fmax(deviation_, setting_.least_deviation); }
  double season(uint32_t ahead) const noexcept { return season_[(points_ + ahead - 1) % setting_.season]; }

  // The point that comes in so many points, from 1. Only where it has learned.
  Forecast forecast(uint32_t ahead) const noexcept;
  // above: the limit is one to stay below. width: of the band, in deviations.
  Reached reaches(double limit, bool above, double width, uint32_t horizon) const noexcept;

  static constexpr uint8_t state_kind = 'S', state_version = 1;
  static constexpr size_t max_state_size =
      2 + 2 * sizeof(uint16_t) + 6 * sizeof(double) + sizeof(uint64_t) + (3 + 2 * max_season) * sizeof(double);
  size_t write(uint8_t *state) const noexcept;  // into max_state_size bytes; gives how many it took
  bool read(Bytes state) noexcept;              // false: not such a state; then the smoother is not to be used

 private:
  size_t kept() const { return has_learned() ? setting_.season : points_; }
  void learn();
  void take(double x);

  SeasonalSetting setting_;
  uint64_t points_ = 0;
  double level_ = 0, trend_ = 0, deviation_ = 0;
  double season_[2 * max_season]{};  // by the point's number; while it learns, the points themselves
};

}  // namespace spine
