#include "core/anomaly.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "number_lines.h"

using spine::AnomalyDetector;
using spine::TailSketch;

namespace {

constexpr int64_t step = 300;  // seconds
constexpr double alarm_score = 0.5;

// Fourteen days of five minutes: a wave of a day, with noise.
std::vector<double> days(uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<> noise(0, 2);
  std::vector<double> values;
  for (int i = 0; i < 14 * 288; i++) values.push_back(100 + 20 * std::sin(i * 2 * M_PI / 288) + noise(random));
  return values;
}

std::vector<AnomalyDetector::Answer> answers(const std::vector<double> &values) {
  AnomalyDetector detector;
  std::vector<AnomalyDetector::Answer> all(values.size());
  for (size_t i = 0; i < values.size(); i++) EXPECT_TRUE(detector.add(static_cast<int64_t>(i) * step, values[i], &all[i]));
  return all;
}

// The first alarm from there on; -1: none.
int first_alarm(const std::vector<AnomalyDetector::Answer> &all, size_t from) {
  for (size_t i = from; i < all.size(); i++) {
    if (all[i].score >= alarm_score) return static_cast<int>(i);
  }
  return -1;
}

std::string state_of(const AnomalyDetector &detector) {
  uint8_t state[AnomalyDetector::state_size];
  detector.write(state);
  return std::string(state, state + sizeof state);
}

spine::Bytes bytes_of(const std::string &s) { return {reinterpret_cast<const uint8_t *>(s.data()), s.size()}; }

}  // namespace

TEST(AnomalyDetector, IsSilentWhereNothingHappens) {
  for (uint32_t seed = 1; seed <= 5; seed++) {
    size_t alarms = 0;
    for (const auto &answer : answers(days(seed))) {
      EXPECT_TRUE(answer.score >= 0 && answer.score < 1);
      alarms += answer.score >= alarm_score;
    }
    EXPECT_LE(alarms, 2u) << seed;
  }
}

TEST(AnomalyDetector, SeesAValueFarOut) {
  std::vector<double> values = days(1);
  values[3000] = 200;
  auto all = answers(values);
  EXPECT_GE(all[3000].score, alarm_score);
  EXPECT_NEAR(all[3000].found, 200, 0);
  EXPECT_GT(all[3000].surprise, 10);
  // One alarm for it, not one for each echo.
  EXPECT_EQ(first_alarm(all, 3001), -1);
}

TEST(AnomalyDetector, SeesALevelThatMoved) {
  std::vector<double> values = days(2);
  for (size_t i = 3000; i < values.size(); i++) values[i] += 40;
  int at = first_alarm(answers(values), 3000);
  EXPECT_GE(at, 3000);
  EXPECT_LT(at, 3000 + 100);
}

TEST(AnomalyDetector, SeesASeriesThatStandsStill) {
  std::vector<double> values = days(3);
  for (size_t i = 3000; i < 3288; i++) values[i] = values[2999];
  auto all = answers(values);
  int at = first_alarm(all, 3000);
  EXPECT_GE(at, 3000);
  EXPECT_LT(at, 3288);
}

TEST(AnomalyDetector, SeesAnUsualValueAtAnUnusualHour) {
  std::vector<double> values;
  std::mt19937 random(4);
  std::normal_distribution<> noise(0, 1);
  for (int i = 0; i < 14 * 288; i++) values.push_back((i % 288 >= 96 && i % 288 < 216 ? 100 : 10) + noise(random));
  size_t night = 12 * 288 + 20;
  values[night] = 100;
  auto all = answers(values);
  EXPECT_GE(all[night].score, alarm_score);
  EXPECT_EQ(all[night].question, AnomalyDetector::time_of_day);
  EXPECT_NEAR(all[night].expected, 10, 3);
}

TEST(AnomalyDetector, TheUnitOfTheSeriesDoesNotMatter) {
  std::vector<double> values = days(5), large;
  values[3000] = 160;
  for (double x : values) large.push_back(x * 1024);
  auto one = answers(values), other = answers(large);
  for (size_t i = 0; i < one.size(); i++) EXPECT_NEAR(one[i].score, other[i].score, 1e-6) << i;
}

TEST(AnomalyDetector, ConstantsAndHugeValuesAreFine) {
  std::vector<double> values(2000, 7);
  for (const auto &answer : answers(values)) EXPECT_EQ(answer.score, 0);
  values[1000] = 1e100;
  values[1001] = -1e100;
  auto all = answers(values);
  EXPECT_GE(all[1000].score, alarm_score);
  for (const auto &answer : all) EXPECT_TRUE(std::isfinite(answer.surprise) && answer.score < 1);
  // By a clock that jumps.
  AnomalyDetector detector;
  AnomalyDetector::Answer answer;
  for (int64_t seconds : {int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{0}}) EXPECT_TRUE(detector.add(seconds, 1, &answer));
}

TEST(AnomalyDetector, ADayIsADayBefore1970) {
  std::vector<double> values = days(7);
  AnomalyDetector one, other;
  AnomalyDetector::Answer of_one, of_other;
  for (size_t i = 0; i < values.size(); i++) {
    int64_t seconds = static_cast<int64_t>(i) * step;
    one.add(seconds, values[i], &of_one);
    other.add(seconds - 1000 * 86400, values[i], &of_other);
    ASSERT_EQ(of_one.surprise, of_other.surprise) << i;
  }
}

TEST(AnomalyDetector, RefusesWhatIsNoNumber) {
  AnomalyDetector detector;
  AnomalyDetector::Answer answer;
  std::string before = state_of(detector);
  for (double x : not_numbers) EXPECT_FALSE(detector.add(0, x, &answer));
  EXPECT_EQ(state_of(detector), before);
}

TEST(AnomalyDetector, GoesOnFromItsBytes) {
  std::vector<double> values = days(6);
  values[3500] = 200;
  AnomalyDetector one, other;
  AnomalyDetector::Answer of_one, of_other;
  for (size_t i = 0; i < values.size(); i++) {
    one.add(static_cast<int64_t>(i) * step, values[i], &of_one);
    if (i >= 3000) {
      ASSERT_TRUE(other.add(static_cast<int64_t>(i) * step, values[i], &of_other));
      ASSERT_EQ(of_one.score, of_other.score);
      ASSERT_EQ(of_one.question, of_other.question);
    }
    if (i < 2999 || i % 100 != 99) continue;
    std::string state = state_of(one);
    ASSERT_TRUE(other.read(bytes_of(state)));
    ASSERT_EQ(state_of(other), state);
  }
  std::string state = state_of(one);
  EXPECT_FALSE(other.read(bytes_of(state.substr(1))));
  EXPECT_FALSE(other.read(bytes_of(state + '\0')));
  EXPECT_FALSE(other.read({nullptr, 0}));
  state[1]++;  // of another version
  EXPECT_FALSE(other.read(bytes_of(state)));
  state[1]--;
  double not_a_number = NAN;
  std::memcpy(&state[2], &not_a_number, sizeof not_a_number);
  EXPECT_FALSE(other.read(bytes_of(state)));
}

TEST(TailSketch, SurpriseIsMinusTheLogarithmOfTheTail) {
  TailSketch sketch;
  std::mt19937 random(1);
  std::exponential_distribution<> exponential;
  EXPECT_EQ(sketch.surprise(1e9), 0);
  for (int i = 0; i < 4000; i++) sketch.add(exponential(random));
  // P(distance > x) = e^-x; beyond what was seen, too.
  for (double x : {3.0, 5.0, 10.0, 30.0}) EXPECT_NEAR(sketch.surprise(x), x, 0.2 * x);
}

TEST(TailSketch, AHeavyTailIsLessOfASurprise) {
  TailSketch light, heavy;
  std::mt19937 random(1);
  std::exponential_distribution<> exponential;
  for (int i = 0; i < 4000; i++) {
    double x = exponential(random);
    light.add(x);
    heavy.add(x * x * x);
  }
  double light_max = 8, heavy_max = 512;
  EXPECT_NEAR(light.surprise(light_max), heavy.surprise(heavy_max), 2.5);
  EXPECT_GT(light.surprise(10 * light_max), 3 * heavy.surprise(10 * heavy_max));
}

TEST(TailSketch, Forgets) {
  TailSketch sketch;
  for (int i = 0; i < 5000; i++) sketch.add(1000);
  double first = sketch.surprise(1000);
  for (int i = 0; i < 60000; i++) sketch.add(1 + i % 10);
  EXPECT_GT(sketch.surprise(1000), 50 + first);  // one in thirteen of all that it was given
}

TEST(TailSketch, FollowsTheScale) {
  TailSketch sketch;
  for (int i = 0; i < 5000; i++) sketch.add(1 + i % 10);
  double first = sketch.surprise(100);
  for (int i = 0; i < 20000; i++) sketch.add(1e6 * (1 + i % 10));
  EXPECT_LT(sketch.surprise(1e7), first);
  EXPECT_GT(sketch.surprise(1e8), 10);
}
