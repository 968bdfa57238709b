// Events that the spine emits by itself: in the platform's own chain, that of the nil UUID, or in an organization's.
#pragma once

#include "server/pg.h"

namespace spine {

enum class ChainedWhen {
  at_commit,  // whatever people_os_spine.chain_at says: nobody's open transaction holds the platform's chain
  at_once     // spine.events may be gone, or be another, at the commit
};

// Emits one event with the rights of the owner of spine.events, whatever the current role may emit. Its actor is the
// session's, or where that says none the platform, a system. entity_key: what spine.entity_uuid makes the entity of, with
// the type's first two parts. severity: a label. payload: a jsonb. Raises what spine.emit_event raises.
void emit_platform_event(std::string_view event_type, std::string_view entity_key, std::string_view severity, Datum payload,
                         ChainedWhen when);

// Likewise, of an organization and an entity. Returns the event's id.
Uuid emit_own_event(std::string_view event_type, const Uuid &organization, const Uuid &entity, std::string_view severity, Datum payload,
                    ChainedWhen when);

// Raises what emitting such an event would, for what it says of itself; emits none.
void check_platform_event(std::string_view event_type, std::string_view entity_key, std::string_view severity);

}  // namespace spine
