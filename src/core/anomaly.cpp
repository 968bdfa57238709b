#include "core/anomaly.h"

#include <algorithm>

namespace spine {

namespace {

// The one setting, for all series.
constexpr double bins_an_octave = 4;
constexpr int16_t lowest_bin = -4000, highest_bin = 4000;  // far beyond what largest_value and doubles need
constexpr float remembered = 4096;         // distances; then all counts are halved
constexpr double least_distances = 30;     // before a sketch answers
constexpr double usual_weight = 0.003, level_weight = 0.05, guess_weight = 0.1, slot_weight = 0.3;
constexpr uint8_t least_seen = 3;          // points of a half hour before it is asked
constexpr double least_points = 100;       // before the detector answers
constexpr double fading_points = 150;      // the half-life of a peak
constexpr double half_score = 10;          // the surprise that scores 0.5
constexpr double most_surprise = 1e9;
constexpr double least_distance = 1e-9;    // of a value: below it two are the same

int16_t bin_of(double distance) {
  double bin = std::floor(std::log2(distance) * bins_an_octave);
  return static_cast<int16_t>(std::min<double>(highest_bin, std::max<double>(lowest_bin, bin)));
}

// A mean that weighs its first points alike, and later ones by weight.
void follow(double *mean, double x, double weight, double points) {
  *mean += std::max(weight, 1 / (points + 1)) * (x - *mean);
}

}  // namespace

void TailSketch::add(double distance) noexcept {
  if (distance > 0) {
    int16_t bin = bin_of(distance);
    if (total_ == zeros_) top_ = bin;
    if (bin > top_) {
      size_t by = std::min<size_t>(bins, static_cast<size_t>(bin - top_));
      // What falls off the scale stays in the last bin.
      float fallen = 0;
      for (size_t i = bins - by; i < bins; i++) fallen += count_[i];
      for (size_t i = bins; i-- > by;) count_[i] = count_[i - by];
      for (size_t i = 0; i < by; i++) count_[i] = 0;
      count_[bins - 1] += fallen;
      top_ = bin;
    }
    count_[std::min<size_t>(bins - 1, static_cast<size_t>(top_ - bin))]++;
  } else {
    zeros_++;
  }
  total_++;
  if (total_ < remembered) return;
  zeros_ /= 2;
  total_ = zeros_;
  for (float &count : count_) {
    count /= 2;
    total_ += count;
  }
}

// The distance that this share of the past lies above; 0 where that many were zeros.
double TailSketch::quantile(double share) const {
  double wanted = share * static_cast<double>(total_), above = 0;
  for (size_t i = 0; i < bins; i++) {
    double count = static_cast<double>(count_[i]);
    if (count > 0 && above + count >= wanted) {
      return std::exp2((top_ - static_cast<double>(i) + 1 - (wanted - above) / count) / bins_an_octave);
    }
    above += count;
  }
  return 0;
}

// The tail is taken to be of Weibull's form through two quantiles, but never lighter than an exponential's.
double TailSketch::surprise(double distance) const noexcept {
  if (static_cast<double>(total_) < least_distances || !(distance > 0)) return 0;
  double tenth = quantile(0.1), hundredth = quantile(0.01);
  if (hundredth <= 0) hundredth = least_distance;
  double form = 1;
  if (tenth > 0) form = std::min(1.0, std::max(0.2, std::log(2.0) / std::log(std::max(1.02, hundredth / tenth))));
  return std::min(most_surprise, std::log(100.0) * std::pow(distance / hundredth, form));
}

void TailSketch::write(StateWriter *out) const noexcept {
  out->put(zeros_);
  out->put(total_);
  out->put(top_);
  for (float count : count_) out->put(count);
}

bool TailSketch::read(StateReader *in) noexcept {
  auto is_count = [](float x) { return x >= 0 && x <= remembered; };
  zeros_ = in->take<float>();
  total_ = in->take<float>();
  top_ = in->take<int16_t>();
  bool good = is_count(zeros_) && is_count(total_) && top_ >= lowest_bin && top_ <= highest_bin;
  for (float &count : count_) {
    count = in->take<float>();
    good = good && is_count(count);
  }
  return good;
}

bool AnomalyDetector::add(int64_t seconds, double x, Answer *answer) noexcept {
  *answer = {};
  if (!is_usable(x)) return false;
  if (points_ == 0) usual_ = level_ = guess_ = x;
  double distance = std::fabs(x - guess_);
  follow(&guess_, x, guess_weight, points_);
  follow(&level_, x, level_weight, points_);
  follow(&distance_now_, distance, level_weight, points_);
  follow(&distance_usual_, distance, usual_weight, points_);
  int64_t of_day = seconds % 86400;
  size_t slot = static_cast<size_t>((of_day < 0 ? of_day + 86400 : of_day) / (86400 / static_cast<int64_t>(slots)));

  double same = least_distance * (std::fabs(usual_) + least_distance);
  double restless = std::log((distance_now_ + same) / (distance_usual_ + same));
  const double found[questions] = {x, level_, distance_now_, x};
  const double expected[questions] = {usual_, usual_, distance_usual_, slot_mean_[slot]};

  double greatest = 0;
  for (size_t i = 0; i < questions; i++) {
    if (i == time_of_day && slot_seen_[slot] < least_seen) continue;
    double out = std::fabs(i == restlessness ? restless : found[i] - expected[i]);
    double surprise = past_[i].surprise(out);
    past_[i].add(out);
    if (surprise <= greatest) continue;
    greatest = surprise;
    answer->question = static_cast<Question>(i);
    answer->found = found[i];
    answer->expected = expected[i];
  }

  follow(&usual_, x, usual_weight, points_);
  follow(&slot_mean_[slot], x, slot_weight, slot_seen_[slot]);
  if (slot_seen_[slot] < UINT8_MAX) slot_seen_[slot]++;
  if (++points_ < least_points) return true;

  answer->surprise = surprises_.surprise(greatest);
  surprises_.add(greatest);
  if (answer->surprise >= peak_) answer->score = answer->surprise / (answer->surprise + half_score);
  peak_ = std::max(answer->surprise, peak_ * std::exp2(-1 / fading_points));
  return true;
}

void AnomalyDetector::write(uint8_t *state) const noexcept {
  StateWriter out(state);
  out.put(state_kind);
  out.put(state_version);
  for (double x : {points_, usual_, level_, guess_, distance_now_, distance_usual_, peak_}) out.put(x);
  for (double x : slot_mean_) out.put(x);
  for (uint8_t n : slot_seen_) out.put(n);
  for (const TailSketch &sketch : past_) sketch.write(&out);
  surprises_.write(&out);
}

bool AnomalyDetector::read(Bytes state) noexcept {
  StateReader in(state);
  bool good = in.take<uint8_t>() == state_kind && in.take<uint8_t>() == state_version;
  for (double *x : {&points_, &usual_, &level_, &guess_, &distance_now_, &distance_usual_, &peak_}) {
    *x = in.take<double>();
    good = good && is_usable(*x);
  }
  good = good && points_ >= 0 && distance_now_ >= 0 && distance_usual_ >= 0 && peak_ >= 0;
  for (double &x : slot_mean_) {
    x = in.take<double>();
    good = good && is_usable(x);
  }
  for (uint8_t &n : slot_seen_) n = in.take<uint8_t>();
  for (TailSketch &sketch : past_) good = sketch.read(&in) && good;
  good = surprises_.read(&in) && good;
  return good && in.complete();
}

}  // namespace spine
