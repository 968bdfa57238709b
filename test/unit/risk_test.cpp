#include "core/risk.h"

#include <gtest/gtest.h>

#include <cmath>

#include "number_lines.h"

using spine::measure_risk;
using spine::RiskPart;

TEST(Risk, PartsAreThoseOfR) {
  const std::vector<double> &scores = numbers("risk.scores"), &ages = numbers("risk.ages"), &shares = numbers("risk.shares");
  std::vector<RiskPart> parts;
  for (size_t i = 0; i < scores.size(); i++) parts.push_back({scores[i], ages[i], i});
  double risk = measure_risk(parts.data(), parts.size()), sum = 0;
  for (size_t i = 0; i < parts.size(); i++) {
    expect_same(parts[i].share, shares[i]);
    sum += parts[i].share;
  }
  EXPECT_DOUBLE_EQ(risk, sum);
  EXPECT_EQ(parts[0].id, 0u);
}

TEST(Risk, LiesBetweenNoneAndAHundred) {
  EXPECT_EQ(measure_risk(nullptr, 0), 0);
  std::vector<RiskPart> parts(20000, RiskPart{100, 0, 0});
  EXPECT_NEAR(measure_risk(parts.data(), parts.size()), 100, 1e-9);
  EXPECT_EQ(parts[spine::max_risk_parts].share, 0);
  RiskPart odd[] = {{1e9, 0, 1}, {-5, 0, 2}, {NAN, 0, 3}, {50, NAN, 4}, {50, -7, 5}, {50, INFINITY, 6}};
  double risk = measure_risk(odd, 6);
  EXPECT_GT(risk, 0);
  EXPECT_LE(risk, 100);
  EXPECT_EQ(odd[0].faded, 100);
  EXPECT_EQ(odd[1].id, 4u);  // of two that count alike the smaller number stands first
  EXPECT_EQ(odd[2].id, 5u);
}

TEST(Risk, ManySmallOnesDoNotOutweighALargeOne) {
  std::vector<RiskPart> small(1000, RiskPart{21, 0, 0});
  RiskPart large{99, 0, 0};
  EXPECT_LT(measure_risk(small.data(), small.size()), measure_risk(&large, 1));
}

TEST(Risk, Halves) {
  RiskPart now{80, 0, 0}, later{80, 1, 0};
  EXPECT_DOUBLE_EQ(measure_risk(&later, 1), measure_risk(&now, 1) / 2);
}
