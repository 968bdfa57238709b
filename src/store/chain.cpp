#include "store/chain.h"

#include "server/errors.h"
#include "store/chain_lock.h"
#include "store/durability.h"
#include "store/head.h"

extern "C" {
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// An event of this moment, or else of the one by which its row was led to its partition, which the clock may have left since.
TimestampTz moment_of(const Routed &routed, TimestampTz moment, const Head &head) {
  if (partition_at(routed.root, moment).relid == routed.partition) return moment;
  bool is_led_there = routed.moment != 0 && partition_at(routed.root, routed.moment).relid == routed.partition;
  if (is_led_there && (head.sequence == 0 || head.timestamp <= routed.moment)) return routed.moment;
  ereport(ERROR, (errcode(ERRCODE_SPINE_OTHER_PARTITION),
                  errmsg("an event of %s does not belong into partition \"%s\"", timestamptz_to_str(moment), get_rel_name(routed.partition)),
                  errhint("Insert into the table, not into a partition. Where the last event of the chain lies in a later partition, "
                          "because the clock was set back, spine.emit_event goes on there.")));
}

}  // namespace

Oid chain_event(const EventTable *table, EventValues *values, const Routed *routed) {
  Uuid organization = uuid_of(values->get(Column::organization_id));
  Head head;
  if (!own_head(table, organization, &head)) {
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
  if (routed != nullptr) now = moment_of(*routed, now, head);
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
  return head.sequence > 0 ? head.partition : InvalidOid;
}

}  // namespace spine
