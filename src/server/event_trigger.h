// What event trigger functions that CREATE EXTENSION attaches have in common.
#pragma once

#include "server/pg.h"

extern "C" {
#include <commands/event_trigger.h>
}

namespace spine {

// What the server tells such a function. function: its name with schema and parentheses. Raises 39P01 where it is called.
inline EventTriggerData *event_trigger_data(FunctionCallInfo fcinfo, const char *function) {
  if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("%s is an event trigger function", function),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  return reinterpret_cast<EventTriggerData *>(fcinfo->context);
}

}  // namespace spine
