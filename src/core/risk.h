// A bounded, explainable score from many findings: each counts by its age and by its place among them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spine {

struct RiskPart {
  double score;          // of the finding: 0 to 100
  double age;            // in half-lives; one from the future is as good as new
  uint64_t id;           // the caller's; decides between parts that count alike
  double faded = 0;      // the score, halved once a half-life
  double share = 0;      // what it adds to the risk
};

// Orders the parts by what they count, fills them, and gives their sum: 0 to 100. The i-th weighs i^-1.5, so that many
// small findings never outweigh a few large ones; after max_parts none counts.
inline constexpr size_t max_risk_parts = 10000;
double measure_risk(RiskPart *parts, size_t count) noexcept;

}  // namespace spine
