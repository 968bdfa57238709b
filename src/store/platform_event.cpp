#include "store/platform_event.h"

#include "core/event_name.h"
#include "core/uuid.h"
#include "server/settings.h"
#include "store/event_arguments.h"
#include "store/emit.h"
#include "store/entity_uuid.h"
#include "store/event_table.h"
#include "store/owners_rights.h"
#include "store/pending.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <storage/lockdefs.h>
}

namespace spine {

namespace {

void begin_event(EventValues *values, std::string_view event_type, const Uuid &organization, const Uuid &entity, std::string_view severity) {
  EventValues &event = *values;
  Relation relation = table_open(events_relid(), AccessShareLock);
  const EventTable *table = event_table(relation);
  Oid system = enum_value(table->enum_type[0], "system");
  Oid how_much = enum_value(table->enum_type[2], severity);
  table_close(relation, NoLock);
  Datum name = text_datum(event_type);
  event.clear();
  event.is_of_spine = true;
  event.set(Column::event_type, name);
  event.set(Column::entity_id, uuid_datum(entity));
  event.set(Column::organization_id, uuid_datum(organization));
  if (!settings.has_actor_id) {
    event.set(Column::actor_id, uuid_datum(nil_uuid));
    event.set(Column::actor_type, ObjectIdGetDatum(system));
  }
  event.set(Column::severity, ObjectIdGetDatum(how_much));
}

Uuid platform_entity(std::string_view event_type, std::string_view key) {
  EventName parts;
  (void)event_name_or_error(text_datum(event_type), false, &parts);
  return entity_uuid(parts.domain, parts.entity_type, key);
}

}  // namespace

void check_platform_event(std::string_view event_type, std::string_view entity_key, std::string_view severity) {
  EventValues event;
  begin_event(&event, event_type, nil_uuid, platform_entity(event_type, entity_key), severity);
  OwnersRights owner;
  owner.begin();
  Relation relation = table_open(events_relid(), AccessShareLock);
  check_event(event_table(relation), &event, nullptr);
  table_close(relation, AccessShareLock);
  owner.end();
}

void emit_platform_event(std::string_view event_type, std::string_view entity_key, std::string_view severity, Datum payload,
                         ChainedWhen when) {
  (void)emit_own_event(event_type, nil_uuid, platform_entity(event_type, entity_key), severity, payload, when);
}

Uuid emit_own_event(std::string_view event_type, const Uuid &organization, const Uuid &entity, std::string_view severity, Datum payload,
                    ChainedWhen when) {
  EventValues event;
  begin_event(&event, event_type, organization, entity, severity);
  event.set(Column::payload, payload);
  int position = 0;
  OwnersRights owner;
  owner.begin();
  if (when == ChainedWhen::at_commit)
    emit_at_commit(&event, 1, &position);
  else
    chain_now(&event, 1, &position);
  owner.end();
  // The statement that runs on may have to see it.
  if (when == ChainedWhen::at_once) CommandCounterIncrement();
  return uuid_of(event.get(Column::id));
}

}  // namespace spine
