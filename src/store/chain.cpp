#include "store/chain.h"

#include "server/errors.h"
#include "store/chain_lock.h"
#include "store/durability.h"
#include "store/head.h"

extern "C" {
#include <utils/timestamp.h>
}

namespace spine {

void chain_event(Relation relation, const EventTable *table, EventValues *values) {
  Uuid organization = uuid_of(values->get(Column::organization_id));
  Head head;
  if (!own_head(relation, table, organization, &head)) {
    lock_chain(table->root, organization);
    head = read_head(table, organization);
  }

  if (head.sequence == PG_INT64_MAX)
    ereport(ERROR, (errcode(ERRCODE_SPINE_CHAIN_UNUSABLE),
                    errmsg("the chain of organization %s has reached the last sequence", uuid_text(organization)),
                    errhint("Somebody stored a forged row: see SELECT * FROM spine.find_chain_faults('%s').",
                            uuid_text(organization))));
  TimestampTz now = GetCurrentTimestamp();
  if (head.sequence > 0 && head.timestamp > now) now = head.timestamp;  // a clock that was set back
  values->set(Column::sequence, Int64GetDatum(head.sequence + 1));
  values->set(Column::timestamp, TimestampTzGetDatum(now));
  values->set(Column::previous_hash, bytea_datum({head.hash.data(), head.hash.size()}));

  Event event;
  Hash hash;
  event_of_values(*values, &event);
  PartHashes parts{{values->payload_hash.data(), sizeof(Hash)}, {}};
  if (values->has(Column::personal)) parts.personal = {values->personal_hash.data(), sizeof(Hash)};
  Status status = hasher().digest(event, parts, &hash);
  if (status != Status::ok) report(status, "event");
  values->set(Column::event_hash, bytea_datum({hash.data(), hash.size()}));

  note_chained_event();
}

}  // namespace spine
