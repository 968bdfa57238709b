#include "core/control_chart.h"

#include <gtest/gtest.h>

#include "number_lines.h"

using spine::CusumChart;
using spine::EwmaChart;

// NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4: the means and limits that it prints.
TEST(EwmaChart, IsThatOfNist) {
  static constexpr double printed[] = {50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33,
                                       50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99};
  EwmaChart chart(50, 2.0539, 0.3, 3);
  expect_same(chart.lower(), numbers("ewma.limits")[0]);
  expect_same(chart.upper(), numbers("ewma.limits")[1]);
  EXPECT_NEAR(chart.upper(), 52.5884, 5e-5);
  const std::vector<double> &points = numbers("ewma.points");
  for (size_t i = 0; i < points.size(); i++) {
    EXPECT_FALSE(chart.add(points[i]));
    expect_same(chart.mean(), numbers("ewma.means")[i]);
    EXPECT_NEAR(chart.mean(), printed[i], 0.0051);
  }
  EXPECT_FALSE(chart.add(53));
  EXPECT_TRUE(chart.add(56));
}

// The same, 6.3.2.3: out at the 14th group, by 4.94.
TEST(CusumChart, IsThatOfNist) {
  CusumChart chart(325, 0.3175, 4.1959);
  const std::vector<double> &points = numbers("cusum.points");
  for (size_t i = 0; i < points.size(); i++) {
    EXPECT_EQ(chart.add(points[i]), i >= 13) << i;
    expect_same(chart.high(), numbers("cusum.high")[i]);
    expect_same(chart.low(), numbers("cusum.low")[i]);
  }
}

TEST(CusumChart, SeesBothSides) {
  CusumChart chart(0, 0.5, 4);
  for (int i = 0; i < 8; i++) EXPECT_FALSE(chart.add(-1));
  EXPECT_TRUE(chart.add(-1));
  EXPECT_EQ(chart.high(), 0);
}

TEST(ControlCharts, PassOverWhatIsNoNumber) {
  EwmaChart ewma(0, 1, 0.3, 3);
  CusumChart cusum(0, 0.5, 4);
  for (double x : not_numbers) {
    EXPECT_FALSE(ewma.add(x));
    EXPECT_FALSE(cusum.add(x));
  }
  EXPECT_EQ(ewma.mean(), 0);
  EXPECT_EQ(cusum.high(), 0);
}

TEST(ControlCharts, GoOnFromTheirBytes) {
  EwmaChart ewma(50, 2.0539, 0.3, 3), other_ewma(0, 1, 1, 1);
  CusumChart cusum(325, 0.3175, 4.1959), other_cusum(0, 0, 0);
  for (int i = 0; i < 5; i++) {
    ewma.add(53);
    cusum.add(326);
  }
  uint8_t of_ewma[EwmaChart::state_size], of_cusum[CusumChart::state_size];
  ewma.write(of_ewma);
  cusum.write(of_cusum);
  ASSERT_TRUE(other_ewma.read({of_ewma, sizeof of_ewma}));
  ASSERT_TRUE(other_cusum.read({of_cusum, sizeof of_cusum}));
  EXPECT_EQ(ewma.add(51), other_ewma.add(51));
  EXPECT_EQ(ewma.mean(), other_ewma.mean());
  EXPECT_EQ(ewma.upper(), other_ewma.upper());
  EXPECT_EQ(cusum.add(327), other_cusum.add(327));
  EXPECT_EQ(cusum.high(), other_cusum.high());
  EXPECT_FALSE(other_ewma.read({of_cusum, sizeof of_cusum}));
  EXPECT_FALSE(other_cusum.read({of_cusum, sizeof of_cusum - 1}));
  of_cusum[1]++;  // of another version
  EXPECT_FALSE(other_cusum.read({of_cusum, sizeof of_cusum}));
}
