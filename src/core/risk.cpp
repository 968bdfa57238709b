#include "core/risk.h"

#include <algorithm>
#include <cmath>

namespace spine {

namespace {

double weight_of(size_t place) { return std::pow(static_cast<double>(place), -1.5); }

double all_weights() {
  double sum = 0;
  for (size_t place = max_risk_parts; place > 0; place--) sum += weight_of(place);
  return sum;
}

}  // namespace

double measure_risk(RiskPart *parts, size_t count) noexcept {
  static const double whole = all_weights();  // 2.5924
  for (size_t i = 0; i < count; i++) {
    double score = parts[i].score >= 0 ? std::min(100.0, parts[i].score) : 0;
    parts[i].faded = parts[i].age > 0 ? score * std::exp2(-parts[i].age) : score;
    parts[i].share = 0;
  }
  std::sort(parts, parts + count, [](const RiskPart &a, const RiskPart &b) {
    return a.faded != b.faded ? a.faded > b.faded : a.id < b.id;
  });
  double risk = 0;
  for (size_t i = 0; i < std::min(count, max_risk_parts); i++) {
    parts[i].share = parts[i].faded * weight_of(i + 1) / whole;
    risk += parts[i].share;
  }
  return std::min(100.0, risk);
}

}  // namespace spine
