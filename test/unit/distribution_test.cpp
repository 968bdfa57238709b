#include "core/distribution.h"

#include <gtest/gtest.h>

#include "number_lines.h"

using spine::Benford;
using spine::BenfordTest;
using spine::Drift;
using spine::DriftBin;

TEST(Drift, IsThatOfR) {
  for (std::string name : {"moved", "same", "apart"}) {
    const std::vector<double> &before = numbers(name + ".before"), &now = numbers(name + ".now");
    std::vector<DriftBin> bins;
    for (size_t i = 0; i < before.size(); i++) bins.push_back({before[i], now[i]});
    Drift drift = spine::measure_drift(bins.data(), bins.size());
    EXPECT_NEAR(drift.divergence, numbers(name + ".divergence")[0], 1e-9);
    EXPECT_NEAR(drift.stability, numbers(name + ".stability")[0], 1e-9);
    double divergence = 0, stability = 0;
    for (const DriftBin &bin : bins) {
      EXPECT_GE(bin.divergence, 0);
      EXPECT_GE(bin.stability, 0);
      divergence += bin.divergence;
      stability += bin.stability;
    }
    EXPECT_DOUBLE_EQ(divergence, drift.divergence);
    EXPECT_DOUBLE_EQ(stability, drift.stability);
  }
}

TEST(Drift, NamesTheBinThatMoved) {
  DriftBin bins[] = {{50, 50}, {50, 20}, {0, 30}};
  spine::measure_drift(bins, 3);
  EXPECT_GT(bins[2].divergence, bins[1].divergence);
  EXPECT_GT(bins[1].divergence, bins[0].divergence);
  EXPECT_EQ(bins[2].share_now, 0.3);
}

TEST(Drift, SaysNothingOfAnEmptySide) {
  DriftBin bins[] = {{0, 5}, {0, 7}};
  Drift drift = spine::measure_drift(bins, 2);
  EXPECT_EQ(drift.divergence, 0);
  EXPECT_EQ(drift.stability, 0);
  EXPECT_EQ(spine::measure_drift(nullptr, 0).divergence, 0);
}

TEST(Benford, DistanceAndChiSquareAreThoseOfR) {
  uint64_t counts[9], many[9];
  for (size_t i = 0; i < 9; i++) counts[i] = static_cast<uint64_t>(numbers("benford.counts")[i]), many[i] = 10 * counts[i];
  BenfordTest test = spine::test_benford(counts);
  expect_same(test.distance, numbers("benford.distance")[0]);
  expect_same(test.chi_square, numbers("benford.chi_square")[0]);
  EXPECT_EQ(test.verdict, Benford::too_few);
  test = spine::test_benford(many);
  expect_same(test.chi_square, 10 * numbers("benford.chi_square")[0]);
  EXPECT_EQ(test.verdict, Benford::nonconforming);
}

TEST(Benford, PowersOfTwoConform) {
  uint64_t counts[9] = {};
  double x = 1;
  for (int i = 0; i < 1000; i++, x *= 2) counts[spine::first_digit(std::to_string(x)) - 1]++;
  EXPECT_EQ(spine::test_benford(counts).verdict, Benford::close);
  const uint64_t even[9] = {100, 100, 100, 100, 100, 100, 100, 100, 100}, none[9] = {};
  EXPECT_EQ(spine::test_benford(even).verdict, Benford::nonconforming);
  EXPECT_EQ(spine::test_benford(none).verdict, Benford::too_few);
}

TEST(Benford, FirstDigits) {
  EXPECT_EQ(spine::first_digit("120000.5"), 1u);
  EXPECT_EQ(spine::first_digit("-0.00734"), 7u);
  EXPECT_EQ(spine::first_digit("9e-7"), 9u);
  for (const char *none : {"", "0", "0.000", "-", "0e5", "NaN"}) EXPECT_EQ(spine::first_digit(none), 0u) << none;
}
