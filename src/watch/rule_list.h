// The rules as spine.rules has them, and what the functions of the watch share.
#pragma once

#include "core/watch.h"
#include "server/sql.h"

extern "C" {
#include <fmgr.h>
}

namespace spine {

// One rule of a watch's set, by its number there.
struct LoadedRule {
  const char *name;
  int32 version;
  const char *severity;
  Datum control;  // a jsonb
  Datum tests;    // a jsonb
};

struct LoadedRules {
  Watch *watch;
  LoadedRule *rule;
  int count;
};

// The last versions of the rules that are enabled, or of one, enabled or not; in the current memory context. Connected to SPI.
// Raises SP135 where there is no such one.
LoadedRules load_enabled_rules();
LoadedRules load_rule(FunctionCallInfo fcinfo, int name_argument);

// A watch with one rule that is to be. Raises SP130, SP131.
LoadedRules rule_of(const char *name, Datum definition, Datum tests);

// A field of what the last statement returned. Raises SP046 where it is NULL.
Datum require_field(uint64 row, int column);

// Raises SP015, for a table whose row a trigger kept out.
[[noreturn]] void report_suppressed(const char *table);

// Raises what a step of the watch reported.
void check(Status status);

}  // namespace spine
