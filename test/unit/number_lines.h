// The numbers that another program computed: test/vectors/series.txt.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

// Throws where there are none of that name.
inline const std::vector<double> &numbers(const std::string &name) {
  static const std::map<std::string, std::vector<double>> all = [] {
    std::map<std::string, std::vector<double>> read;
    std::ifstream file(SPINE_VECTORS "/series.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string key;
      words >> key;
      for (double x; words >> x;) read[key].push_back(x);
    }
    return read;
  }();
  return all.at(name);
}

// As near as the ten digits in the file say.
inline void expect_same(double found, double expected) { EXPECT_NEAR(found, expected, 1e-9 * (1 + std::abs(expected))); }

// What every detector refuses.
inline const double not_numbers[] = {NAN, INFINITY, -INFINITY, 1e300};
