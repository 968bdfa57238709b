// Scores detectors as the Numenta Anomaly Benchmark's standard profile does: spine_nab FOLDER [--series]
// FOLDER holds the benchmark's series (<group>/<name>.csv: timestamp, value) and its combined_windows.json.
//
// A detector sees one point after the other: its time and its value. The first 15 percent of a series, 750 points at
// most, are not scored. The first alarm in a window counts, the earlier the more; an alarm outside costs up to 0.11, a
// window without one costs 1. One threshold for all series is the one that scores best, as the benchmark prescribes;
// 0 is what a detector scores that never alarms, 100 what one scores that alarms as each window begins.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/anomaly.h"

namespace {

constexpr double true_positive = 1.0, false_negative = 1.0, false_positive = 0.11;  // the standard profile
constexpr size_t no_window = SIZE_MAX;

struct Series {
  std::string name;
  std::vector<std::string> stamps;
  std::vector<int64_t> seconds;
  std::vector<double> values;
  std::vector<std::pair<size_t, size_t>> windows;  // first and last point
};

[[noreturn]] void fail(const std::string &why) {
  std::fprintf(stderr, "spine_nab: %s\n", why.c_str());
  std::exit(1);
}

// Seconds since 1970 of "YYYY-MM-DD HH:MM:SS".
int64_t seconds_of(const std::string &stamp) {
  int year, month, day, hour, minute, second;
  int read = std::sscanf(stamp.c_str(), "%d-%d-%d %d:%d:%d", &year, &month, &day, &hour, &minute, &second);
  if (read != 6) fail("not a timestamp: " + stamp);
  int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;  // Howard Hinnant's days_from_civil
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
  return days * 86400 + hour * 3600 + minute * 60 + second;
}

// The strings of combined_windows.json, which holds nothing else: a name, then pairs of timestamps.
std::map<std::string, std::vector<std::string>> windows_of(const std::string &path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  std::map<std::string, std::vector<std::string>> windows;
  std::vector<std::string> *current = nullptr;
  std::string text = all.str();
  for (size_t at = text.find('"'); at != text.npos; at = text.find('"', at)) {
    size_t end = text.find('"', at + 1);
    if (end == text.npos) fail("unclosed string in " + path);
    std::string word = text.substr(at + 1, end - at - 1);
    if (word.find(".csv") != word.npos) {
      current = &windows[word];
    } else if (current == nullptr) {
      fail("no name before " + word);
    } else {
      current->push_back(word.substr(0, word.find('.')));
    }
    at = end + 1;
  }
  return windows;
}

std::vector<Series> corpus_of(const std::string &folder) {
  std::vector<Series> corpus;
  for (auto &[name, limits] : windows_of(folder + "/combined_windows.json")) {
    std::ifstream file(folder + "/" + name);
    if (!file) continue;  // a series that is not there
    Series series;
    series.name = name;
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      size_t comma = line.find(',');
      if (comma == line.npos) continue;
      series.stamps.push_back(line.substr(0, comma));
      series.seconds.push_back(seconds_of(series.stamps.back()));
      series.values.push_back(std::strtod(line.c_str() + comma + 1, nullptr));
    }
    auto at = [&](const std::string &stamp) {
      auto found = std::find(series.stamps.begin(), series.stamps.end(), stamp);
      if (found == series.stamps.end()) fail(name + " has no " + stamp);
      return static_cast<size_t>(found - series.stamps.begin());
    };
    for (size_t i = 0; i + 1 < limits.size(); i += 2) series.windows.emplace_back(at(limits[i]), at(limits[i + 1]));
    corpus.push_back(std::move(series));
  }
  if (corpus.empty()) fail("no series in " + folder);
  return corpus;
}

// 2 / (1 + e^5x) - 1: near 1 where a window begins (-1), 0 where it ends, near -1 a window's length behind it.
double sigmoid(double position) { return position >= 3 ? -1.0 : 2 / (1 + std::exp(5 * position)) - 1; }

// A point as the benchmark weighs it.
struct Point {
  double score;    // the detector's
  double weight;   // what an alarm here is worth
  size_t window;   // no_window: outside of all
};

size_t probation(size_t points) { return std::min<size_t>(750, static_cast<size_t>(0.15 * static_cast<double>(points))); }

// window: a number that no other window of the corpus has.
void append_points(const Series &series, const std::vector<double> &scores, size_t *window, std::vector<Point> *out) {
  size_t next = 0;
  for (size_t i = 0; i < scores.size(); i++) {
    while (next < series.windows.size() && series.windows[next].second < i) next++;
    bool inside = next < series.windows.size() && series.windows[next].first <= i;
    double weight;
    if (inside) {
      auto [first, last] = series.windows[next];
      double position = -static_cast<double>(last - i + 1) / static_cast<double>(last - first + 1);
      weight = true_positive * sigmoid(position) / sigmoid(-1);
    } else {
      double position = 3;
      if (next > 0) {
        auto [first, last] = series.windows[next - 1];
        position = static_cast<double>(i - last) / static_cast<double>(last - first);
      }
      weight = false_positive * sigmoid(position);
    }
    if (i >= probation(scores.size())) out->push_back({scores[i], weight, inside ? *window + next : no_window});
  }
  *window += series.windows.size();
}

// What the points are worth where alarm is the least score that alarms.
struct Result {
  double worth = 0;
  double alarm = 1.1;  // above all scores: none alarms
  size_t found = 0, windows = 0, false_alarms = 0;
};

// Tries every threshold, or only the one that is given.
Result judge(std::vector<Point> points, const double *given) {
  std::map<size_t, double> parts;
  for (const Point &point : points) {
    if (point.window != no_window) parts[point.window] = -false_negative;
  }
  std::stable_sort(points.begin(), points.end(), [](const Point &a, const Point &b) { return a.score > b.score; });
  Result now, best;
  now.windows = parts.size();
  now.worth = -static_cast<double>(parts.size()) * false_negative;
  best = now;
  for (size_t i = 0; i < points.size();) {
    now.alarm = points[i].score;
    if (given != nullptr && now.alarm < *given) break;
    for (; i < points.size() && points[i].score == now.alarm; i++) {
      const Point &point = points[i];
      if (point.window == no_window) {
        now.worth += point.weight;
        now.false_alarms++;
        continue;
      }
      double &part = parts[point.window];
      if (part == -false_negative) now.found++;
      if (point.weight > part) {
        now.worth += point.weight - part;
        part = point.weight;
      }
    }
    if (given != nullptr || now.worth > best.worth) best = now;
  }
  return best;
}

// 0: as good as no alarm; 100: one alarm at the first point of each window.
double score_of(double worth, size_t windows) {
  double perfect = static_cast<double>(windows) * true_positive, silent = -static_cast<double>(windows) * false_negative;
  return 100 * (worth - silent) / (perfect - silent);
}

using Detector = std::function<double(int64_t seconds, double value)>;
using MakeDetector = std::function<Detector()>;

// The benchmark's windowed Gaussian: how far out a value is in the normal distribution of the 6,400 before it, a window
// that moves on by 100. Its score lies between 0.5 and 1.
Detector windowed_gaussian() {
  constexpr size_t size = 6400, step = 100;
  struct State {
    std::deque<double> window;
    std::vector<double> waiting;
    double mean = 0, deviation = 1;
    void measure() {
      double sum = 0, squares = 0;
      for (double v : window) sum += v;
      mean = sum / static_cast<double>(window.size());
      for (double v : window) squares += (v - mean) * (v - mean);
      deviation = std::sqrt(squares / static_cast<double>(window.size()));
      if (deviation == 0) deviation = 0.000001;
    }
  };
  auto state = std::make_shared<State>();
  return [state](int64_t, double value) {
    double score = 0;
    double out = std::fabs(value - state->mean) / state->deviation;
    if (!state->window.empty()) score = 1 - 0.5 * std::erfc(out / std::sqrt(2));
    if (state->window.size() < size) {
      state->window.push_back(value);
      state->measure();
    } else {
      state->waiting.push_back(value);
      if (state->waiting.size() == step) {
        state->window.erase(state->window.begin(), state->window.begin() + step);
        state->window.insert(state->window.end(), state->waiting.begin(), state->waiting.end());
        state->waiting.clear();
        state->measure();
      }
    }
    return score;
  };
}

// Looks at no value: alarms at every 200th point. A score is worth what it has above this one's.
Detector blind_clock() {
  auto points = std::make_shared<size_t>(0);
  return [points](int64_t, double) { return ++*points % 200 == 0 ? 1.0 : 0.0; };
}

Detector ours() {
  auto detector = std::make_shared<spine::AnomalyDetector>();
  return [detector](int64_t seconds, double value) {
    spine::AnomalyDetector::Answer answer;
    return detector->add(seconds, value, &answer) ? answer.score : 0.0;
  };
}

}  // namespace

int main(int arguments, char **argument) {
  if (arguments < 2) fail("usage: spine_nab FOLDER [--series]");
  bool each = arguments > 2 && std::strcmp(argument[2], "--series") == 0;
  std::vector<Series> corpus = corpus_of(argument[1]);

  std::printf("%zu series. Each half and each group: what it scores, too, where the threshold is the best of the rest.\n\n",
              corpus.size());
  std::printf("| detector | threshold | score | windows found | false alarms | even series | odd series | half by half | group by group |\n");
  std::printf("|---|---|---|---|---|---|---|---|---|\n");
  const std::pair<const char *, MakeDetector> detectors[] = {{"people_os_spine", ours},
                                                             {"windowed Gaussian", windowed_gaussian},
                                                             {"blind clock", blind_clock}};
  for (auto &[name, make] : detectors) {
    std::vector<std::vector<Point>> points(corpus.size());
    size_t window = 0;
    for (size_t i = 0; i < corpus.size(); i++) {
      Detector detector = make();
      std::vector<double> scores;
      for (size_t j = 0; j < corpus[i].values.size(); j++) {
        scores.push_back(detector(corpus[i].seconds[j], corpus[i].values[j]));
      }
      append_points(corpus[i], scores, &window, &points[i]);
    }
    auto joined = [&](auto wanted) {
      std::vector<Point> some;
      for (size_t i = 0; i < corpus.size(); i++) {
        if (wanted(i)) some.insert(some.end(), points[i].begin(), points[i].end());
      }
      return some;
    };
    // What the parts are worth together, each by the threshold that is best for all others.
    auto held_back = [&](auto part_of) {
      std::set<std::string> parts;
      for (size_t i = 0; i < corpus.size(); i++) parts.insert(part_of(i));
      double worth = 0;
      for (const std::string &part : parts) {
        Result others = judge(joined([&](size_t i) { return part_of(i) != part; }), nullptr);
        worth += judge(joined([&](size_t i) { return part_of(i) == part; }), &others.alarm).worth;
      }
      return score_of(worth, window);
    };
    auto half_of = [&](size_t i) { return std::to_string(i % 2); };
    auto group_of = [&](size_t i) { return corpus[i].name.substr(0, corpus[i].name.find('/')); };
    Result all = judge(joined([](size_t) { return true; }), nullptr);
    Result even = judge(joined([](size_t i) { return i % 2 == 0; }), nullptr);
    Result odd = judge(joined([](size_t i) { return i % 2 == 1; }), nullptr);
    std::printf("| %s | %.6f | %.1f | %zu of %zu | %zu | %.1f | %.1f | %.1f | %.1f |\n", name, all.alarm,
                score_of(all.worth, window), all.found, all.windows, all.false_alarms, score_of(even.worth, even.windows),
                score_of(odd.worth, odd.windows), held_back(half_of), held_back(group_of));
    if (!each) continue;
    for (size_t i = 0; i < corpus.size(); i++) {
      Result one = judge(points[i], &all.alarm);
      std::printf("  %-60s %6.2f of %zu, found %zu, false alarms %zu\n", corpus[i].name.c_str(), one.worth, one.windows,
                  one.found, one.false_alarms);
    }
  }
}
