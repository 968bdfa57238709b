// A streaming detector of anomalies in one series: one fixed setting, O(1) a point, a state of constant size.
//
// Four questions are asked of each point: how far is the value from what is usual, how far is the recent mean from it,
// how much did the restlessness change, how far is the value from what this half hour of the day has seen. Each answer
// is held against the answers of the past, whatever their distribution: its surprise is -ln of the estimated share of
// the past that was as far out. The greatest of the four is held once more against its own past, so that a series
// that is often surprising is seldom worth an alarm. What is not above the fading peak of the last alarm scores 0.
#pragma once

#include "core/state_bytes.h"

namespace spine {

// The distribution of distances, on a logarithmic scale that follows the largest: 64 bins over 16 octaves.
class TailSketch {
 public:
  static constexpr size_t bins = 64;
  static constexpr size_t state_size = 2 * sizeof(float) + sizeof(int16_t) + bins * sizeof(float);

  void add(double distance) noexcept;
  // -ln of the share of the past that was as far out, extrapolated beyond what was seen; 0 before 30 distances.
  double surprise(double distance) const noexcept;

  void write(StateWriter *out) const noexcept;
  bool read(StateReader *in) noexcept;

 private:
  double quantile(double share) const;

  float zeros_ = 0, total_ = 0;
  int16_t top_ = 0;     // the bin of the largest distance is counted in count_[0]
  float count_[bins]{};
};

class AnomalyDetector {
 public:
  enum Question : uint8_t { value, level, restlessness, time_of_day };
  static constexpr size_t questions = 4;

  struct Answer {
    double score = 0;     // 0 to 1; 0 as long as it learns, and while an alarm that was greater fades
    double surprise = 0;  // of this point, whatever went before
    Question question = value;  // which of the four surprises most
    double found = 0, expected = 0;  // what that question found, and what it expected
  };

  static constexpr uint8_t state_kind = 'A', state_version = 1;
  static constexpr size_t slots = 48;  // of a day
  static constexpr size_t state_size =
      2 + 7 * sizeof(double) + slots * (sizeof(double) + 1) + (questions + 1) * TailSketch::state_size;

  // seconds: since 1970, UTC; says which half hour of the day it is, and nothing else. False, and nothing is learned,
  // where the value is no number or beyond largest_value.
  bool add(int64_t seconds, double x, Answer *answer) noexcept;

  void write(uint8_t *state) const noexcept;  // state_size bytes
  bool read(Bytes state) noexcept;            // false: not such a state; then the detector is not to be used

 private:
  double points_ = 0;
  double usual_ = 0;   // a slow mean
  double level_ = 0;   // a faster one
  double guess_ = 0;   // of the next value, for the distances whose means follow
  double distance_now_ = 0, distance_usual_ = 0;
  double peak_ = 0;    // the surprise of the last alarm, fading
  double slot_mean_[slots]{};
  uint8_t slot_seen_[slots]{};
  TailSketch past_[questions], surprises_;
};

}  // namespace spine
