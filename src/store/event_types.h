// The registered types of events: spine.event_types.
#pragma once

#include "server/pg.h"

namespace spine {

// The severity that events of a type have by default, an enum's value; InvalidOid where the type is not registered.
Oid registered_severity(std::string_view event_type);

// Raises SP025 where the type is not registered.
void require_registered(std::string_view event_type);

// A relation changed; InvalidOid: any may have.
void forget_event_types(Oid relid);

}  // namespace spine
