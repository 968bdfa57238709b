// Who may do what with whose events: spine.role_bindings, and what follows from them.
#pragma once

#include "server/pg.h"

namespace spine {

// Some organizations, or all.
struct Organizations {
  bool all;
  int count;
  Uuid *sorted;

  bool has(const Uuid &organization) const;
};

// Raises 42501 where the current role was not given the organization to emit for. table: where the event is to be
// stored, whose owner needs no binding.
void require_emitting(Oid table, const Uuid &organization);

// The organizations of spine.events that the current role may read, as of now, in the current memory context. All of
// them is the whole table, with the rows that cannot say whose they are. Raises 42501.
Organizations require_reading(Oid events);

// Whether spine.events holds nothing that is hidden from the role.
bool sees_all_events(Oid role);

// For _PG_init.
void watch_access();

}  // namespace spine
