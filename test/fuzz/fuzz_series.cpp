// Any bytes as the state of a detector, then any points: what is read is written back to the byte, and no point harms.
#include "core/anomaly.h"
#include "core/control_chart.h"
#include "core/distribution.h"
#include "core/seasonal.h"

#include "fuzz.h"

namespace {

spine::Bytes bytes_of(std::string_view s) { return {reinterpret_cast<const uint8_t *>(s.data()), s.size()}; }

template <class Chart>
void try_chart(Chart chart, std::string_view state, Input points) {
  if (!chart.read(bytes_of(state))) return;
  uint8_t again[Chart::state_size];
  chart.write(again);
  REQUIRE(std::string_view(reinterpret_cast<char *>(again), sizeof again) == state);
  for (int i = 0; i < 20; i++) chart.add(points.take<double>());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  Input points(data, size < 160 ? size : 160);  // the same bytes once more
  std::string state(input.rest());              // on the heap, so that a sanitizer sees a read past it

  spine::AnomalyDetector detector;
  if (detector.read(bytes_of(state))) {
    uint8_t again[spine::AnomalyDetector::state_size];
    detector.write(again);
    REQUIRE(std::string_view(reinterpret_cast<char *>(again), sizeof again) == state);
    spine::AnomalyDetector::Answer answer;
    for (int i = 0; i < 20; i++) {
      bool taken = detector.add(points.take<int64_t>(), points.take<double>(), &answer);
      REQUIRE(answer.score >= 0 && answer.score <= 1 && (taken || answer.score == 0));
    }
  }

  spine::SeasonalSmoother smoother(spine::by_day);
  if (smoother.read(bytes_of(state))) {
    uint8_t again[spine::SeasonalSmoother::max_state_size];
    REQUIRE(std::string_view(reinterpret_cast<char *>(again), smoother.write(again)) == state);
    for (int i = 0; i < 400; i++) smoother.add(i < 20 ? points.take<double>() : i % 7);
    if (smoother.has_learned()) {
      smoother.forecast(1000);
      spine::SeasonalSmoother::Reached reached = smoother.reaches(1e6, state.size() % 2 == 0, 2, 500);
      REQUIRE(reached.by_forecast <= 500 && reached.by_band <= 500);
    }
  }

  try_chart(spine::EwmaChart(0, 1, 0.3, 3), state, points);
  try_chart(spine::CusumChart(0, 1, 5), state, points);
  REQUIRE(spine::first_digit(state) <= 9);
  return 0;
}
