// What a caller gave for an event: checked, completed from the settings, and stamped.
#pragma once

#include "core/event_name.h"
#include "store/event_table.h"

namespace spine {

// The text of an event name, and its parts. Raises SP001.
std::string_view event_name_or_error(Datum name, bool is_null, EventName *parts);

// The member of a payload that says that spine.capture_change made it: nobody else may give it.
inline constexpr std::string_view capture_member = "spine_capture";

// The columns that only the spine gives.
inline constexpr uint32_t given_columns = bit(Column::id) | bit(Column::timestamp) | bit(Column::sequence) |
                                          bit(Column::transaction_id) | bit(Column::recorded_by) |
                                          bit(Column::previous_hash) | bit(Column::event_hash) |
                                          bit(Column::payload_salt) | bit(Column::payload_hash) |
                                          bit(Column::personal_salt) | bit(Column::personal_hash);

// Raises SP012 where the caller set one of them.
void refuse_given_columns(const EventValues &values);

// The organization that the event is for: the caller's, else the setting's. Raises SP005.
void resolve_organization(EventValues *values);

// Checks everything that the caller gave, and fills in what he left to the settings, so that a bad event is
// refused before it waits for anybody. emitted: the event as it passed this before, or null: whether its type is
// registered, the current role may emit for its organization and capture made it is not asked again. Each part gets a salt
// and is hashed. Raises SP001 to SP012, SP025, SP033, SP060, SP070,
// 42501.
void check_event(const EventTable *table, EventValues *values, const EventValues *emitted);

// Gives a checked event what it has from the moment when it is emitted: id, recorded_by, transaction_id.
// Raises SP016.
void stamp_event(EventValues *values);
inline constexpr Column stamps[] = {Column::id, Column::recorded_by, Column::transaction_id, Column::payload_salt, Column::personal_salt};

}  // namespace spine
