// The entity of what has no uuid of its own.
#pragma once

#include "server/pg.h"

namespace spine {

// UUID version 5 of domain, entity type and key. Raises SP001 where the first two are no parts of an event name.
Uuid entity_uuid(std::string_view domain, std::string_view entity_type, std::string_view key);

}  // namespace spine
