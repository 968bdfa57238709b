// The tests that a rule carries.
#pragma once

#include "watch/rule_list.h"

namespace spine {

struct TestResult {
  const char *name;
  int64 expected;
  int64 found;
  const char *sentence;  // of the first finding; null: there is none
};

// Runs the tests of the one rule, in the current memory context. Raises SP132.
TestResult *run_tests(const LoadedRules &rules, int *count);

}  // namespace spine
