#include "watch/event_fields.h"

#include "core/uuid.h"
#include "store/event_table.h"

extern "C" {
#include <utils/fmgrprotos.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

FieldValue text_value(std::string_view text) {
  FieldValue value;
  value.kind = FieldValue::Kind::text;
  value.text = text;
  return value;
}

FieldValue number_value(double number) {
  FieldValue value;
  value.kind = FieldValue::Kind::number;
  value.number = number;
  return value;
}

FieldValue boolean_value(bool boolean) {
  FieldValue value;
  value.kind = FieldValue::Kind::boolean;
  value.boolean = boolean;
  return value;
}

FieldValue json_value(const JsonbValue &json) {
  FieldValue value;
  switch (json.type) {
    case jbvNull:
      value.kind = FieldValue::Kind::null;
      return value;
    case jbvString: return text_value({json.val.string.val, static_cast<size_t>(json.val.string.len)});
    case jbvNumeric: return number_value(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(json.val.numeric))));
    case jbvBool: return boolean_value(json.val.boolean);
    default:
      value.kind = FieldValue::Kind::other;
      return value;
  }
}

}  // namespace

FieldValue column_value(const Event &event, Column column, char uuid[36]) {
  if (!event.has(column)) return {};
  auto of_uuid = [uuid](const Uuid &id) {
    write_uuid(uuid, id);
    return text_value({uuid, 36});
  };
  switch (column) {
    case Column::event_type: return text_value(event.event_type);
    case Column::domain: return text_value(event.domain);
    case Column::entity_type: return text_value(event.entity_type);
    case Column::action: return text_value(event.action);
    case Column::actor_type: return text_value(event.actor_type);
    case Column::environment: return text_value(event.environment);
    case Column::severity: return text_value(event.severity);
    case Column::recorded_by: return text_value(event.recorded_by);
    case Column::sequence: return number_value(static_cast<double>(event.sequence));
    case Column::entity_id: return of_uuid(event.entity_id);
    case Column::actor_id: return of_uuid(event.actor_id);
    case Column::organization_id: return of_uuid(event.organization_id);
    case Column::correlation_id: return of_uuid(event.correlation_id);
    case Column::causation_id: return of_uuid(event.causation_id);
    default: return {};
  }
}

void FieldReader::begin(const RuleSet &rules) {
  rules_ = &rules;
  size_t count = Max(rules.fields().size(), size_t{1});
  values_ = static_cast<FieldValue *>(palloc0(sizeof(FieldValue) * count));
  uuids_ = static_cast<char(*)[36]>(palloc(sizeof(*uuids_) * count));
  memory_ = AllocSetContextCreate(CurrentMemoryContext, "fields of an event", ALLOCSET_DEFAULT_SIZES);
}

FieldValue FieldReader::in_payload(const Event &event, const RuleField &field) {
  if (!event.has(Column::payload)) return {};
  // Where it stands in a row it may begin anywhere.
  uint8_t *aligned = const_cast<uint8_t *>(event.payload.data);
  if (reinterpret_cast<uintptr_t>(aligned) % sizeof(uint32) != 0) {
    aligned = static_cast<uint8_t *>(palloc(event.payload.size));
    memcpy(aligned, event.payload.data, event.payload.size);
  }
  JsonbContainer *container = reinterpret_cast<JsonbContainer *>(aligned);
  JsonbValue found;
  for (size_t i = 0; i < field.path.size(); i++) {
    const std::string &name = field.path[i];
    if (!JsonContainerIsObject(container) || getKeyJsonValueFromContainer(container, name.data(), static_cast<int>(name.size()), &found) == nullptr) return {};
    if (i + 1 == field.path.size()) break;
    if (found.type != jbvBinary) return {};
    container = found.val.binary.data;
  }
  return json_value(found);
}

const FieldValue *FieldReader::read(const Event &event, const RuleSet::Plan &plan, const Calendar *calendar) {
  MemoryContextReset(memory_);
  MemoryContext before = MemoryContextSwitchTo(memory_);
  bool has_moment = false;
  LocalMoment moment{};
  for (size_t number : plan.fields) {
    const RuleField &field = rules_->fields()[number];
    FieldValue value;
    switch (field.source) {
      case RuleField::Source::column: value = column_value(event, field.column, uuids_[number]); break;
      case RuleField::Source::payload: value = in_payload(event, field); break;
      case RuleField::Source::recorded_after:
        if (event.has(Column::occurred_at)) value = number_value(static_cast<double>(event.timestamp - event.occurred_at) / 1000000);
        break;
      default:
        if (calendar == nullptr) break;
        if (!has_moment) moment = local_moment(*calendar, event.timestamp);
        has_moment = true;
        value = field.source == RuleField::Source::calendar_hour      ? number_value(moment.hour)
                : field.source == RuleField::Source::calendar_weekday ? number_value(moment.weekday)
                : field.source == RuleField::Source::calendar_holiday ? boolean_value(moment.is_holiday)
                                                                      : boolean_value(moment.is_open);
    }
    values_[number] = value;
  }
  MemoryContextSwitchTo(before);
  return values_;
}

}  // namespace spine
