// What events say of the fields that rules look at.
#pragma once

#include "core/watch.h"
#include "watch/calendar.h"

namespace spine {

class FieldReader {
 public:
  // In the current memory context, for the fields of these rules.
  void begin(const RuleSet &rules);
  // The values of the plan's fields, by number, until the next call. calendar: null where none holds. The payload is known to be
  // stored JSON.
  const FieldValue *read(const Event &event, const RuleSet::Plan &plan, const Calendar *calendar);

 private:
  FieldValue column(const Event &event, const RuleField &field, size_t number);
  FieldValue in_payload(const Event &event, const RuleField &field);

  const RuleSet *rules_;
  FieldValue *values_;
  char (*uuids_)[36];      // the text of a field that is a uuid
  MemoryContext memory_;   // what one event takes
};

// The columns of an event that rules look at.
inline constexpr uint32 watched_columns =
    bit(Column::id) | bit(Column::event_type) | bit(Column::domain) | bit(Column::entity_type) | bit(Column::entity_id) | bit(Column::action) |
    bit(Column::actor_id) | bit(Column::actor_type) | bit(Column::organization_id) | bit(Column::environment) | bit(Column::severity) |
    bit(Column::timestamp) | bit(Column::payload) | bit(Column::sequence) | bit(Column::recorded_by) | bit(Column::event_hash) |
    bit(Column::occurred_at) | bit(Column::correlation_id) | bit(Column::causation_id);

// Those that rules can have in common with findings: what is no part of a payload.
FieldValue column_value(const Event &event, Column column, char uuid[36]);

}  // namespace spine
