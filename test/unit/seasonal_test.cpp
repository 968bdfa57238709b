#include "core/seasonal.h"

#include <gtest/gtest.h>

#include <random>

#include "core/robust.h"
#include "number_lines.h"

using spine::by_day;
using spine::by_hour;
using spine::SeasonalSetting;
using spine::SeasonalSmoother;

namespace {

// An hour's count of a business that works on five days from 8 to 18, with noise.
double worked(size_t hour, std::mt19937 &random) {
  size_t of_day = hour % 24, day = hour / 24 % 7;
  double mean = day < 5 && of_day >= 8 && of_day < 18 ? 200 : 5;
  return std::round(mean + std::sqrt(mean) * std::normal_distribution<>()(random));
}

SeasonalSmoother after_weeks(size_t weeks, size_t wrong_hour = SIZE_MAX, double wrong = 0) {
  SeasonalSmoother smoother(by_hour);
  std::mt19937 random(1815);
  for (size_t hour = 0; hour < weeks * 168; hour++) {
    double x = worked(hour, random);
    EXPECT_TRUE(smoother.add(hour == wrong_hour ? wrong : x));
  }
  return smoother;
}

double worst_error(const SeasonalSmoother &smoother) {
  double worst = 0;
  for (uint32_t ahead = 1; ahead <= 168; ahead++) {
    size_t of_day = (ahead - 1) % 24, day = (ahead - 1) / 24;
    double mean = day < 5 && of_day >= 8 && of_day < 18 ? 200 : 5;
    worst = std::max(worst, std::fabs(smoother.forecast(ahead).value - mean));
  }
  return worst;
}

}  // namespace

TEST(SeasonalSmoother, IsHoltWintersOfR) {
  for (std::string name : {"nottingham", "gas", "deaths"}) {
    const std::vector<double> &setting = numbers(name + ".setting"), &start = numbers(name + ".start");
    SeasonalSetting of_r{static_cast<uint16_t>(setting[0]), 1, setting[1], setting[2], setting[3], 0.05, 0, 0};
    SeasonalSmoother smoother(of_r);
    smoother.begin(start[0], start[1], 0, start.data() + 2);
    const std::vector<double> &points = numbers(name + ".points"), &fitted = numbers(name + ".fitted");
    ASSERT_EQ(points.size(), fitted.size());
    for (size_t i = 0; i < points.size(); i++) {
      expect_same(smoother.forecast(1).value, fitted[i]);
      ASSERT_TRUE(smoother.add(points[i]));
    }
    const std::vector<double> &end = numbers(name + ".end"), &forecast = numbers(name + ".forecast");
    expect_same(smoother.level(), end[0]);
    expect_same(smoother.trend(), end[1]);
    for (size_t i = 2; i < end.size(); i++) expect_same(smoother.season(static_cast<uint32_t>(i - 1)), end[i]);
    const std::vector<double> &widening = numbers(name + ".widening");
    for (size_t i = 0; i < forecast.size(); i++) {
      SeasonalSmoother::Forecast found = smoother.forecast(static_cast<uint32_t>(i + 1));
      expect_same(found.value, forecast[i]);
      expect_same(found.deviation / smoother.deviation(), widening[i]);
    }
  }
}

TEST(SeasonalSmoother, LearnsFromFourteenDaysOfHours) {
  SeasonalSmoother smoother(by_hour);
  std::mt19937 random(7);
  for (size_t hour = 0; hour < 14 * 24; hour++) {
    EXPECT_FALSE(smoother.has_learned());
    smoother.add(worked(hour, random));
  }
  ASSERT_TRUE(smoother.has_learned());
  EXPECT_LT(worst_error(smoother), 40);  // of 200, where a single hour's noise is 14
}

TEST(SeasonalSmoother, TheBandHoldsWhatItSays) {
  SeasonalSmoother smoother(by_day);
  std::mt19937 random(42);
  std::normal_distribution<> noise(0, 10);
  size_t inside = 0;
  for (int day = 0; day < 1014; day++) {
    double x = (day % 7 < 5 ? 500 : 50) + noise(random);
    if (smoother.has_learned()) {
      SeasonalSmoother::Forecast next = smoother.forecast(1);
      inside += std::fabs(x - next.value) <= 1.96 * next.deviation;
    }
    smoother.add(x);
  }
  EXPECT_NEAR(static_cast<double>(inside), 950, 25);  // of a thousand
}

TEST(SeasonalSmoother, OneWrongValueMovesNothing) {
  double usual = worst_error(after_weeks(4));
  // In the first week, in the second, later; a hundred times of what an hour brings.
  for (size_t hour : {10u, 178u, 3 * 168u + 10u}) {
    EXPECT_LT(worst_error(after_weeks(4, hour, 20000)), usual + 25) << hour;
  }
  // What the clip is for: without it the same value stands in next week's forecast.
  SeasonalSetting unclipped = by_hour;
  unclipped.clip = 0;
  SeasonalSmoother smoother(unclipped);
  std::mt19937 random(1815);
  for (size_t hour = 0; hour < 4 * 168; hour++) {
    double x = worked(hour, random);
    smoother.add(hour == 3 * 168 + 10 ? 20000 : x);
  }
  EXPECT_GT(worst_error(smoother), 1000);
}

TEST(SeasonalSmoother, FollowsALevelThatStays) {
  SeasonalSmoother smoother(by_day);
  for (int day = 0; day < 28; day++) smoother.add(100 + day % 7);
  for (int day = 0; day < 35; day++) smoother.add(300 + day % 7);
  for (uint32_t ahead = 1; ahead <= 7; ahead++) EXPECT_NEAR(smoother.forecast(ahead).value, 299 + ahead, 15);
}

TEST(SeasonalSmoother, ABandIsNoNarrowerThanItMayBe) {
  SeasonalSetting counts = by_day;
  counts.least_deviation = 0.5;
  SeasonalSmoother smoother(counts), narrow(by_day);
  for (int day = 0; day < 70; day++) {
    smoother.add(20);
    narrow.add(20);
  }
  EXPECT_NEAR(smoother.forecast(1).deviation, 0.5, 1e-9);
  EXPECT_LT(narrow.forecast(1).deviation, 0.01);
}

TEST(SeasonalSmoother, BeginsWithTheMeansOfTwoSeasonsAndGoesOverThem) {
  const double point[14] = {20, 22, 19, 24, 21, 5, 4, 23, 20, 22, 21, 25, 6, 6};
  SeasonalSmoother learned(by_day), told(by_day);
  double season[7], apart[7], level = 0;
  for (int i = 0; i < 7; i++) {
    season[i] = (point[i] + point[i + 7]) / 2;
    apart[i] = std::fabs(point[i] - point[i + 7]);
    level += season[i] / 7;
  }
  for (double &x : season) x -= level;
  told.begin(level, 0, spine::normal_from_mad * spine::median(apart, 7) / std::sqrt(2), season);
  for (double x : point) {
    learned.add(x);
    told.add(x);
  }
  for (uint32_t ahead = 1; ahead <= 8; ahead++) {
    EXPECT_NEAR(learned.forecast(ahead).value, told.forecast(ahead).value, 1e-9);
    EXPECT_NEAR(learned.forecast(ahead).deviation, told.forecast(ahead).deviation, 1e-9);
  }
}

TEST(SeasonalSmoother, SaysWhenALimitIsReached) {
  SeasonalSetting setting{2, 1, 0.5, 0.5, 0.5, 0.1, 0, 0};
  SeasonalSmoother smoother(setting);
  const double season[] = {0, 0};
  smoother.begin(100, 10, 5, season);
  SeasonalSmoother::Reached above = smoother.reaches(132, true, 2, 30);
  EXPECT_EQ(above.by_forecast, 4u);
  EXPECT_EQ(above.by_band, 2u);  // 120, and twice 5 times the root of 1 + 0.75^2: 132.5
  EXPECT_EQ(smoother.reaches(132, true, 2, 3).by_forecast, 0u);
  EXPECT_EQ(smoother.reaches(50, false, 2, 3).by_forecast, 0u);
  smoother.begin(100, -10, 5, season);
  EXPECT_EQ(smoother.reaches(68, false, 2, 30).by_forecast, 4u);
  EXPECT_EQ(smoother.reaches(68, false, 2, 30).by_band, 2u);
}

TEST(SeasonalSmoother, RefusesWhatIsNoNumber) {
  SeasonalSmoother smoother(by_day);
  for (double x : not_numbers) EXPECT_FALSE(smoother.add(x));
  uint8_t state[SeasonalSmoother::max_state_size], empty[SeasonalSmoother::max_state_size];
  size_t size = smoother.write(state);
  EXPECT_EQ(size, SeasonalSmoother(by_day).write(empty));
  EXPECT_EQ(std::string(state, state + size), std::string(empty, empty + size));
}

TEST(SeasonalSmoother, GoesOnFromItsBytes) {
  std::mt19937 random(3);
  SeasonalSmoother one(by_hour), other(by_day);
  uint8_t state[SeasonalSmoother::max_state_size], again[SeasonalSmoother::max_state_size];
  for (size_t hour = 0; hour < 3 * 168; hour++) {
    one.add(worked(hour, random));
    if (hour % 50 != 0) continue;
    size_t size = one.write(state);
    ASSERT_LE(size, sizeof state);
    ASSERT_TRUE(other.read({state, size}));
    ASSERT_EQ(other.write(again), size);
    EXPECT_EQ(std::string(state, state + size), std::string(again, again + size));
    EXPECT_FALSE(other.read({state, size - 1}));
    EXPECT_FALSE(other.read({state, size > 200 ? 200 : size / 2}));
  }
  size_t size = one.write(state);
  ASSERT_TRUE(other.read({state, size}));
  one.add(7);
  other.add(7);
  EXPECT_EQ(one.forecast(30).value, other.forecast(30).value);
  EXPECT_EQ(one.forecast(30).deviation, other.forecast(30).deviation);
  state[1]++;
  EXPECT_FALSE(other.read({state, size}));
}
