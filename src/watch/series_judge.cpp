// spine.judge_series: each step against what was expected of it at that time, by all detectors of the core.
#include "core/anomaly.h"
#include "core/control_chart.h"
#include "server/errors.h"
#include "watch/series.h"

extern "C" {
#include <funcapi.h>
}

namespace spine {

namespace {

constexpr const char *questions[AnomalyDetector::questions] = {"value", "level", "restlessness", "time_of_day"};

// Watches the errors of the forecasts, in deviations, for a small shift that stays. Begins anew after each of them.
class ShiftWatch {
 public:
  bool add(double error) {
    bool mean = mean_.add(error), sum = sum_.add(error);
    if (!mean && !sum) return false;
    *this = ShiftWatch();
    return true;
  }

 private:
  EwmaChart mean_{0, 1, 0.2, 3.5};
  CusumChart sum_{0, 0.5, 8};
};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_judge_series);
PGDLLEXPORT Datum spine_judge_series(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Series series = read_series(fcinfo);
  double width = PG_ARGISNULL(series_arguments) ? 3 : PG_GETARG_FLOAT8(series_arguments);
  if (!(width > 0 && width <= 1e6))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_HORIZON), errmsg("width is %g", width),
                    errhint("Pass how many deviations the band reaches to either side, such as 3.")));
  SeasonalSmoother smoother(setting_of(series));
  AnomalyDetector detector;
  ShiftWatch shift;
  for (int64 i = 0; i < series.count; i++) {
    double x = series.point[i].value;
    bool nulls[10] = {};
    Datum values[10] = {TimestampTzGetDatum(series.moment(i)), Float8GetDatum(x)};
    if (smoother.has_learned()) {
      SeasonalSmoother::Forecast next = smoother.forecast(1);
      double half = width * next.deviation, error = x - next.value;
      values[2] = Float8GetDatum(next.value);
      values[3] = Float8GetDatum(next.value - half);
      values[4] = Float8GetDatum(next.value + half);
      values[5] = BoolGetDatum(std::fabs(error) > half);
      values[6] = BoolGetDatum(shift.add(next.deviation > 0 ? error / next.deviation : 0));
    } else {
      for (int column = 2; column <= 6; column++) nulls[column] = true;
    }
    smoother.add(x);
    AnomalyDetector::Answer answer;
    detector.add(unix_time(series.moment(i)) / USECS_PER_SEC, x, &answer);
    values[7] = Float8GetDatum(answer.score);
    values[8] = Float8GetDatum(answer.surprise);
    nulls[9] = answer.surprise == 0;
    if (!nulls[9]) values[9] = text_datum(questions[answer.question]);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
