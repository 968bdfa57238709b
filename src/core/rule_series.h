// Rules on series: counts and sums by step against their own past, distributions against theirs. Each event and each step takes
// the same work, and a group remembers a bounded state.
#pragma once

#include "core/rule_window.h"

namespace spine {

// Both throw std::bad_alloc. An event of the step at hand; the group's due is behind it.
void add_to_series(const Rule &rule, const RuleHit &hit, const GroupEntry &entry, RuleGroup *group);

// The step at hand ended. False: what is remembered is damaged.
bool end_step(const Rule &rule, RuleGroup *group, RuleVerdict *verdict);

}  // namespace spine
