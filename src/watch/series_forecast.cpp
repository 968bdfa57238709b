// spine.forecast and spine.forecast_limit: what comes, and when a limit will be reached.
#include <algorithm>

#include "server/errors.h"
#include "watch/series.h"

extern "C" {
#include <funcapi.h>
}

namespace spine {

namespace {

constexpr int32 most_steps = 10000;

// How far ahead, and how wide the band is in deviations.
struct Horizon {
  uint32_t steps;
  double width;
};

Horizon horizon_arguments(FunctionCallInfo fcinfo, int first, const Series &series) {
  int32 steps = PG_ARGISNULL(first) ? (series.by_day ? 14 : 48) : PG_GETARG_INT32(first);
  double width = PG_ARGISNULL(first + 1) ? 1.96 : PG_GETARG_FLOAT8(first + 1);
  if (steps < 1 || steps > most_steps)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_HORIZON), errmsg("horizon is %d", steps),
                    errhint("Pass how many steps to look ahead, from 1 to %d.", most_steps)));
  if (!(width >= 0 && width <= 1e6))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_HORIZON), errmsg("width is %g", width),
                    errhint("Pass how many deviations the band reaches to either side, such as 1.96 for 95 of 100 "
                            "values.")));
  return {static_cast<uint32_t>(steps), width};
}

void learn(const Series &series, SeasonalSmoother *smoother) {
  for (int64 i = 0; i < series.count; i++) smoother->add(series.point[i].value);
  if (!smoother->has_learned())
    ereport(ERROR, (errcode(ERRCODE_SPINE_SHORT_SERIES),
                    errmsg("the series has " INT64_FORMAT " %ss, and a forecast learns from 14 days", series.count,
                           series.by_day ? "day" : "hour"),
                    errhint("Ask again later, or of more events, or with an earlier from_moment.")));
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_forecast);
PGDLLEXPORT Datum spine_forecast(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Series series = read_series(fcinfo);
  Horizon horizon = horizon_arguments(fcinfo, series_arguments, series);
  SeasonalSmoother smoother(setting_of(series));
  learn(series, &smoother);
  double least = series.is_count ? 0 : -HUGE_VAL;
  for (uint32_t ahead = 1; ahead <= horizon.steps; ahead++) {
    SeasonalSmoother::Forecast next = smoother.forecast(ahead);
    double half = horizon.width * next.deviation;
    Datum values[4] = {TimestampTzGetDatum(series.moment(series.count + ahead - 1)),
                       Float8GetDatum(std::max(least, next.value)), Float8GetDatum(std::max(least, next.value - half)),
                       Float8GetDatum(std::max(least, next.value + half))};
    bool nulls[4] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_forecast_limit);
PGDLLEXPORT Datum spine_forecast_limit(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Series series = read_series(fcinfo);
  Horizon horizon = horizon_arguments(fcinfo, series_arguments + 2, series);
  double value = PG_ARGISNULL(series_arguments) ? NAN : PG_GETARG_FLOAT8(series_arguments);
  if (!is_usable(value))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_HORIZON),
                    errmsg("limit_value is %s", std::isnan(value) ? "no number" : "infinite, or near it"),
                    errhint("Pass the value that a step must not reach.")));
  bool falling = !PG_ARGISNULL(series_arguments + 1) && PG_GETARG_BOOL(series_arguments + 1);
  SeasonalSmoother smoother(setting_of(series));
  learn(series, &smoother);
  SeasonalSmoother::Reached reached = smoother.reaches(value, !falling, horizon.width, horizon.steps);
  Datum values[2];
  bool nulls[2] = {reached.by_forecast == 0, reached.by_band == 0};
  values[0] = TimestampTzGetDatum(series.moment(series.count + reached.by_forecast - 1));
  values[1] = TimestampTzGetDatum(series.moment(series.count + reached.by_band - 1));
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
