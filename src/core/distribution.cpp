#include "core/distribution.h"

#include <cmath>

namespace spine {

namespace {

double of_mean(double share, double mean) { return share > 0 ? share * std::log2(share / mean) : 0; }

}  // namespace

Drift measure_drift(DriftBin *bins, size_t count) noexcept {
  Drift drift;
  double before = 0, now = 0, filled_before = 0, filled_now = 0;
  auto filled = [](double met) { return met > 0 ? met : 0.5; };
  for (size_t i = 0; i < count; i++) {
    before += bins[i].before;
    now += bins[i].now;
    if (bins[i].before <= 0 && bins[i].now <= 0) continue;
    filled_before += filled(bins[i].before);
    filled_now += filled(bins[i].now);
  }
  if (before <= 0 || now <= 0) return drift;
  for (size_t i = 0; i < count; i++) {
    DriftBin &bin = bins[i];
    bin.share_before = bin.before / before;
    bin.share_now = bin.now / now;
    if (bin.before <= 0 && bin.now <= 0) continue;
    double mean = (bin.share_before + bin.share_now) / 2;
    bin.divergence = (of_mean(bin.share_before, mean) + of_mean(bin.share_now, mean)) / 2;
    double was = filled(bin.before) / filled_before, is = filled(bin.now) / filled_now;
    bin.stability = (is - was) * std::log(is / was);
    drift.divergence += bin.divergence;
    drift.stability += bin.stability;
  }
  return drift;
}

unsigned first_digit(std::string_view number) noexcept {
  for (char c : number) {
    if (c >= '1' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c == 'e' || c == 'E') break;
  }
  return 0;
}

BenfordTest test_benford(const uint64_t count[9]) noexcept {
  BenfordTest test;
  uint64_t all = 0;
  for (size_t i = 0; i < 9; i++) all += count[i];
  for (size_t i = 0; i < 9; i++) test.expected[i] = std::log10(1 + 1 / static_cast<double>(i + 1));
  if (all == 0) return test;
  for (size_t i = 0; i < 9; i++) {
    test.share[i] = static_cast<double>(count[i]) / static_cast<double>(all);
    double apart = test.share[i] - test.expected[i];
    test.distance += std::fabs(apart) / 9;
    test.chi_square += static_cast<double>(all) * apart * apart / test.expected[i];
  }
  if (all < least_benford) return test;
  test.verdict = test.distance <= 0.006   ? Benford::close
                 : test.distance <= 0.012 ? Benford::acceptable
                 : test.distance <= 0.015 ? Benford::marginal
                                          : Benford::nonconforming;
  return test;
}

}  // namespace spine
