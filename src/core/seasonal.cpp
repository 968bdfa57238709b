#include "core/seasonal.h"

#include <algorithm>

#include "core/robust.h"

namespace spine {

namespace {

constexpr double tolerance = 3;  // deviations between two seasons' values that may both be right

}  // namespace

void SeasonalSmoother::begin(double level, double trend, double deviation, const double *season) noexcept {
  level_ = level;
  trend_ = trend;
  deviation_ = deviation;
  std::copy(season, season + setting_.season, season_);
  points_ = 2 * static_cast<uint64_t>(setting_.season);
}

bool SeasonalSmoother::add(double x) noexcept {
  if (!is_usable(x)) return false;
  if (has_learned()) {
    take(x);
  } else {
    season_[points_++] = x;
    if (has_learned()) learn();
  }
  return true;
}

void SeasonalSmoother::take(double x) {
  double &season = season_[points_++ % setting_.season];
  double foreseen = level_ + trend_ + season, error = x - foreseen, most = setting_.clip * deviation();
  if (setting_.clip > 0) error = std::max(-most, std::min(most, error));
  double variance = deviation_ * deviation_;
  deviation_ = std::sqrt(variance + setting_.deviation * (error * error - variance));
  x = foreseen + error;
  double before = level_;
  level_ = setting_.level * (x - season) + (1 - setting_.level) * (level_ + trend_);
  trend_ = setting_.trend * (level_ - before) + (1 - setting_.trend) * trend_;
  season = setting_.seasonal * (x - level_) + (1 - setting_.seasonal) * season;
}

// Starts from both seasons' means, but where the two are far apart from the one that is nearer to its like. Then goes
// over the points as if they came now.
void SeasonalSmoother::learn() {
  const size_t season = setting_.season, both = 2 * season;
  double point[2 * max_season], like[2 * max_season], apart[max_season];
  std::copy(season_, season_ + both, point);
  for (size_t i = 0; i < season; i++) apart[i] = std::fabs(point[i] - point[i + season]);
  double mean_apart = 0;
  for (size_t i = 0; i < season; i++) mean_apart += apart[i] / static_cast<double>(season);
  // Of normal values: two of them are apart by the root of two deviations.
  double usual_apart = normal_from_mad * median(apart, season);
  if (usual_apart == 0) usual_apart = normal_from_mean_distance * mean_apart;

  double sum = 0;
  for (size_t i = 0; i < season; i++) {
    double first = point[i], second = point[i + season];
    season_[i] = first / 2 + second / 2;
    if (std::fabs(first - second) > tolerance * usual_apart) {
      size_t n = 0;
      for (size_t j = i % setting_.alike; j < both; j += setting_.alike) like[n++] = point[j];
      double usual = median(like, n);
      season_[i] = std::fabs(first - usual) <= std::fabs(second - usual) ? first : second;
    }
    sum += season_[i];
  }
  level_ = sum / static_cast<double>(season);
  trend_ = 0;
  for (size_t i = 0; i < season; i++) season_[i] -= level_;
  // Not zero: the clip would never let go of a series that did not move in its first two seasons.
  deviation_ = std::max(usual_apart / std::sqrt(2), 1e-3 * std::fabs(level_) + 1e-6);
  points_ = 0;
  for (size_t i = 0; i < both; i++) take(point[i]);
}

// The variance is that of the additive model: Yar and Chatfield 1990, as R has it.
SeasonalSmoother::Forecast SeasonalSmoother::forecast(uint32_t ahead) const noexcept {
  double a = setting_.level, b = setting_.trend, s = setting_.seasonal * (1 - a);
  double n = ahead - 1, m = static_cast<double>((ahead - 1) / setting_.season), p = setting_.season;
  double sum = a * a * (n + b * n * (n + 1) + b * b * n * (n + 1) * (2 * n + 1) / 6);
  sum += m * (2 * a * s + s * s) + a * s * b * p * m * (m + 1);
  return {level_ + ahead * trend_ + season(ahead), deviation() * std::sqrt(1 + sum)};
}

SeasonalSmoother::Reached SeasonalSmoother::reaches(double limit, bool above, double width, uint32_t horizon) const
    noexcept {
  Reached reached;
  double sign = above ? 1 : -1;
  for (uint32_t ahead = 1; ahead <= horizon && reached.by_forecast == 0; ahead++) {
    Forecast next = forecast(ahead);
    double value = sign * next.value;
    if (reached.by_band == 0 && value + width * next.deviation >= sign * limit) reached.by_band = ahead;
    if (value >= sign * limit) reached.by_forecast = ahead;
  }
  return reached;
}

size_t SeasonalSmoother::write(uint8_t *state) const noexcept {
  StateWriter out(state);
  out.put(state_kind);
  out.put(state_version);
  out.put(setting_.season);
  out.put(setting_.alike);
  for (double x : {setting_.level, setting_.trend, setting_.seasonal, setting_.deviation, setting_.clip,
                   setting_.least_deviation})
    out.put(x);
  out.put(points_);
  for (double x : {level_, trend_, deviation_}) out.put(x);
  for (size_t i = 0; i < kept(); i++) out.put(season_[i]);
  return static_cast<size_t>(out.end() - state);
}

bool SeasonalSmoother::read(Bytes state) noexcept {
  StateReader in(state);
  if (in.take<uint8_t>() != state_kind || in.take<uint8_t>() != state_version) return false;
  auto is_weight = [](double x) { return x >= 0 && x <= 1; };
  SeasonalSetting &s = setting_;
  s.season = in.take<uint16_t>();
  s.alike = in.take<uint16_t>();
  for (double *x : {&s.level, &s.trend, &s.seasonal, &s.deviation, &s.clip, &s.least_deviation}) {
    *x = in.take<double>();
  }
  points_ = in.take<uint64_t>();
  bool good = s.season >= 2 && s.season <= max_season && s.alike >= 1 && s.alike <= s.season && is_weight(s.level) &&
              is_weight(s.trend) && is_weight(s.seasonal) && is_weight(s.deviation) && s.clip >= 0 && s.clip <= 1e6 &&
              s.least_deviation >= 0 && is_usable(s.least_deviation);
  if (!good) return false;
  for (double *x : {&level_, &trend_, &deviation_}) {
    *x = in.take<double>();
    good = good && is_usable(*x);
  }
  good = good && deviation_ >= 0;
  for (size_t i = 0; i < kept(); i++) {
    season_[i] = in.take<double>();
    good = good && is_usable(season_[i]);
  }
  return good && in.complete();
}

}  // namespace spine
