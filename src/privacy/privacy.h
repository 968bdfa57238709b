// Erasing the parts of events, and the legal holds that forbid it.
#pragma once

#include "store/event_table.h"

extern "C" {
#include <datatype/timestamp.h>
}

namespace spine {

// A hold that stands, as spine.legal_holds has it. What a hold does not say, it holds all of.
struct Hold {
  Uuid id;
  Uuid organization;
  std::string_view domain, entity_type;  // empty: any
  bool has_entity;
  Uuid entity;
  TimestampTz from, to;  // of the events' timestamps, both included
};

// Holds as of now, in the current memory context.
struct Holds {
  Hold *hold;
  int count;
};

// Of an organization, or null: of all. Whoever is about to take events away has called lock_privacy before.
Holds holds_of(const Uuid *organization);

// The hold that an event stands under; null: none.
const Hold *hold_on(const Holds &holds, const Event &event);

// A hold under which there may be events before a moment, of an organization, or null: of any; null where there is none.
const Hold *hold_before(const Holds &holds, const Uuid *organization, TimestampTz moment);

// Waits until this transaction alone may place holds on the organization, or erase or retire what it has, and holds that to
// its end, or to the rollback of the current savepoint.
void lock_privacy(const Uuid &organization);

// Raises SP079 where a retention policy keeps events of one of these organizations (a uuid[]) that were chained before ends, all
// of which the table has. Connected to SPI, with pg_catalog as search_path. Nobody sets a policy from here to the transaction's end.
void refuse_kept(Datum organizations, TimestampTz ends, const char *table);

}  // namespace spine
