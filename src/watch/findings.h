// Findings as events of the organizations' own chains, and where they are.
#pragma once

#include "watch/rule_list.h"

namespace spine {

// Whether it was raised. Connected to SPI, with those rights too.
bool is_finding_known(const Uuid &organization, const Uuid &id);

// Emits what the watch found, and has it forget it; counts what was new and what came again. Connected to SPI, with the rights of the
// owner of the spine's tables.
void raise_findings(const LoadedRules &rules, int64 *raised, int64 *repeated);

}  // namespace spine
