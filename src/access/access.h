// Who may do what with whose events: spine.role_bindings, and what follows from them.
#pragma once

#include "access/rights.h"
#include "store/emission_rights.h"

extern "C" {
#include <executor/execdesc.h>
#include <nodes/parsenodes.h>
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

// Whether the current role was made a notary, as of now; the owner of spine.events and superusers are.
bool is_notary();

// Raises 42501 where it was not.
void require_notary();

// Raises 42501 where the current role was not made a watcher, as of now; the owner of spine.events and superusers are.
void require_watcher();

// Whether the current role was given the organization for that, as of now; the owner of spine.events and superusers have all.
bool has_duty(Duty duty, const Uuid &organization);

// Raises 42501 where it was not.
void require_duty(Duty duty, const Uuid &organization);
void require_duty_for_all(Duty duty);

// Those of which the current role sees the personal part of the events that it may read, likewise.
Organizations personal_organizations(Oid events);

// Whether the current role sees that part of an organization's events that it may read.
bool sees_personal(Oid events, const Uuid &organization);

// Whether a role sees that part of all the events that it may read, whatever people_os_spine.organization_id says.
bool sees_all_personal(Oid role);

// Whether row security applies to the role: not to the table's owner and superusers.
bool is_restricted(Oid events, Oid role);

// Whether spine.events holds nothing that is hidden from the role, but for personal parts.
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

// Before a query is planned: has it see the rows of spine.events as spine.shown_event gives them.
Query *hide_personal(Query *query);

// Before a query starts and, for a cursor, each time before it goes on: raises 42501 where it reads the personal part of
// spine.events as it is stored, and the role sees events without it. Whether it reads it at all. Planned before the library was
// there, or in the body of an SQL function, a query does.
bool require_personal(const QueryDesc *query);

// While a query runs that reads them: the rows are those of the role that was judged, also where it becomes another.
Oid begin_personal(bool reads_personal);
void end_personal(Oid outer);

}  // namespace spine
