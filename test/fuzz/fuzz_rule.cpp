// Any text as the definition of a rule: it is refused with a pointer, or it can be asked about events. Any bytes as what a group
// remembers: what is read is written as it was.
#include "core/watch.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  uint64_t chance = input.take<uint64_t>();
  std::string_view text = input.rest();

  spine::RuleGroup group;
  if (spine::read_group(text, &group)) {
    std::string again;
    spine::write_group(group, &again);
    spine::RuleGroup same;
    REQUIRE(spine::read_group(again, &same) && same.entries.size() == group.entries.size() && same.due == group.due);
  }

  spine::Watch watch;
  spine::RuleProblem problem;
  if (watch.rules().add("r", 1, text, &problem) != spine::Status::ok) {
    REQUIRE(watch.rules().size() == 0 && !problem.what.empty());
    REQUIRE(problem.pointer.empty() || problem.pointer[0] == '/');
    return 0;
  }
  std::vector<spine::FieldValue> fields(watch.rules().fields().size());
  for (int64_t i = 1; i <= 20; i++) {
    for (spine::FieldValue &field : fields) {
      chance = chance * 6364136223846793005u + 1442695040888963407u;
      field = {static_cast<spine::FieldValue::Kind>(chance >> 40 & 3), (chance >> 50 & 1) != 0, static_cast<double>(chance >> 60), {}};
      if ((chance >> 45 & 1) != 0) field = {spine::FieldValue::Kind::text, false, 0, text.substr(text.size() / 2)};
    }
    const auto *plan = watch.rules().plan("a.b.c");
    REQUIRE(plan != nullptr && watch.note({}, i, i * 1000000, *plan, fields.data()) == spine::Status::ok);
    if (i % 3 == 0) REQUIRE(watch.decide() == spine::Status::ok);
  }
  REQUIRE(watch.decide() == spine::Status::ok && watch.end_all_waiting(INT64_MAX) == spine::Status::ok);
  for (const auto &finding : watch.findings()) REQUIRE(!spine::sentence_of(watch.rules().rule(0), finding.verdict).empty());
  return 0;
}
