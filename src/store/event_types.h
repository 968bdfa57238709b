// The registered types of events: spine.event_types.
#pragma once

#include "server/pg.h"

namespace spine {

// The severity that events of a type have by default, an enum's value; InvalidOid where the type is not registered.
Oid registered_severity(std::string_view event_type);

// Raises SP025 where the type is not registered.
void require_registered(std::string_view event_type);

// The types of what the spine emits by itself, and nobody else: that a right was given or a part was erased is believed.
inline constexpr std::string_view erased_event = "platform.personal.erased";
inline constexpr std::string_view hold_placed_event = "platform.hold.placed";
inline constexpr std::string_view hold_released_event = "platform.hold.released";
inline constexpr std::string_view retention_set_event = "platform.retention.set";
inline constexpr std::string_view rights_granted_event = "platform.rights.granted";
inline constexpr std::string_view rights_revoked_event = "platform.rights.revoked";
inline constexpr std::string_view rule_set_event = "platform.rule.set";
inline constexpr std::string_view calendar_set_event = "platform.calendar.set";
inline constexpr std::string_view finding_raised_event = "platform.finding.raised";
inline constexpr std::string_view finding_confirmed_event = "platform.finding.confirmed";
inline constexpr std::string_view finding_dismissed_event = "platform.finding.dismissed";
inline constexpr std::string_view finding_closed_event = "platform.finding.closed";
inline constexpr std::string_view person_scores_set_event = "platform.person_scores.set";
inline constexpr std::string_view retired_event = "platform.partition.retired";
inline constexpr std::string_view evidence_event = "platform.evidence.exported";
inline constexpr std::string_view migration_event = "platform.migration.applied";
inline constexpr std::string_view unguarded_event = "platform.spine.unguarded";

// Whether it is one of them. Raises nothing.
bool is_reserved(std::string_view event_type);

// Whether the parts of events of a type stay: what was erased, held and given rests on them. Of the spine's own types all but
// those that quote people's statements.
bool is_evidence(std::string_view event_type);

// Raises SP070 where the type is reserved.
void refuse_reserved(std::string_view event_type);

// A relation changed; InvalidOid: any may have.
void forget_event_types(Oid relid);

}  // namespace spine
