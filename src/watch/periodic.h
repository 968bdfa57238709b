// Rules that are looked at now and then, whatever events come: reconcile and unverified.
#pragma once

#include "watch/rule_list.h"

namespace spine {

// Has the watch report what such a rule finds now, and returns when it is to be looked at again, in microseconds since 1970. Connected to
// SPI, with the rights of the owner of spine.events. What makes it impossible is a WARNING.
int64 look_now(const LoadedRules &rules, uint32 rule);

}  // namespace spine
