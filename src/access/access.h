// Who may do what with whose events: spine.role_bindings, and what follows from them.
#pragma once

#include "access/rights.h"
#include "store/emission_rights.h"

extern "C" {
#include <executor/execdesc.h>
}

namespace spine {

// Some organizations, or all.
struct Organizations {
  bool all;
  int count;
  Uuid *sorted;

  bool has(const Uuid &organization) const;
};

// The organizations of spine.events that the current role may read, as of now, in the current memory context. All of
// them is the whole table, with the rows that cannot say whose they are. Raises 42501.
Organizations require_reading(Oid events);

// What a role may do to events that others emitted. Who keeps holds need not be who erases.
enum class Duty { erase, hold };

// Whether the current role was given the organization for that, as of now; the owner of spine.events and superusers have all.
bool has_duty(Duty duty, const Uuid &organization);

// Raises 42501 where it was not.
void require_duty(Duty duty, const Uuid &organization);

// Whether spine.events holds nothing that is hidden from the role.
bool sees_all_events(Oid role);

// Roles or their memberships changed.
void forget_rights();

// A relation changed; InvalidOid: any may have.
void forget_rights_from(Oid relid);

// The library is loaded by the statement that runs now.
void note_load();

// Around the execution of an EXPLAIN.
void begin_explain();
void end_explain();

// Before a query starts: raises 42501 where its plan would show how many events of others a query passed over.
void refuse_hidden_plan(const QueryDesc *query, int flags);

}  // namespace spine
