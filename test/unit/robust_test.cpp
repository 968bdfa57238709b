#include "core/robust.h"

#include <gtest/gtest.h>

#include <cmath>

#include "number_lines.h"

TEST(Robust, MedianAndMadAreThoseOfR) {
  for (std::string name : {"rivers", "precipitation", "few"}) {
    std::vector<double> values = numbers(name + ".values");
    double centre = spine::median(values.data(), values.size());
    expect_same(centre, numbers(name + ".median")[0]);
    expect_same(spine::mad(values.data(), values.size(), centre), numbers(name + ".mad")[0]);
  }
}

TEST(Robust, ZCountsDeviationsFromTheMedian) {
  std::vector<double> values = numbers("rivers.values");
  double centre = numbers("rivers.median")[0], deviation = numbers("rivers.mad")[0];
  expect_same(spine::robust_z(centre + 3.5 * deviation, values.data(), values.size()), 3.5);
  values = numbers("rivers.values");
  expect_same(spine::robust_z(centre - deviation, values.data(), values.size()), -1);
}

TEST(Robust, ZOfMostlyTheSame) {
  double mostly[] = {5, 5, 5, 5, 9}, all[] = {5, 5, 5}, one = 5;
  EXPECT_EQ(spine::robust_z(5, mostly, 5), 0);
  expect_same(spine::robust_z(9, mostly, 5), 4 / (spine::normal_from_mean_distance * 0.8));
  EXPECT_EQ(spine::robust_z(6, all, 3), INFINITY);
  EXPECT_EQ(spine::robust_z(4, &one, 1), -INFINITY);
  EXPECT_TRUE(std::isnan(spine::median(nullptr, 0)));
}
