// What roles were given, as a backend keeps it in mind; spine.may_read, and whether a role may emit.
#include "access/access.h"

#include <algorithm>

#include "server/cached_table.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/settings.h"
#include "store/event_table.h"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/pg_authid.h>
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <rewrite/rowsecurity.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/inval.h>
#include <utils/memutils.h>
#include <utils/rls.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

// What spine.role_bindings gives a role, its memberships included.
struct Rights {
  Oid role;
  bool valid;
  bool exempt;  // a superuser, or the owner of spine.events
  bool bound;   // has a binding to emit, for some organization or all
  bool notarizes;
  bool watches;
  bool audits;  // people_os_spine.organization_id does not narrow what it reads
  Organizations emit;
  Organizations read;
  Organizations erase;
  Organizations hold;
  Organizations personal;  // of what it reads, and perhaps of more
};

Rights known[16];  // each in the slot that its role's number names
uint64 changes;    // counts invalidations, so that one that arrives while rights are read is not lost
Oid judged_reader;  // the role whose query runs that reads personal parts; InvalidOid: there is none
Oid bindings_table, events_table;  // what the rights that are known were read from

// Organizations as they are read, in the current memory context.
struct Gathering {
  bool all;
  int count;
  int capacity;
  Uuid *list;

  void add(bool is_all, Datum organization) {
    if (is_all) {
      all = true;
      return;
    }
    make_room(CurrentMemoryContext, &list, count, &capacity);
    list[count++] = uuid_of(organization);
  }

  Organizations keep(MemoryContext context) {
    if (all) count = 0;
    std::sort(list, list + count);
    count = static_cast<int>(std::unique(list, list + count) - list);
    Size size = sizeof(Uuid) * static_cast<Size>(count);
    Uuid *copy = static_cast<Uuid *>(MemoryContextAllocHuge(context, Max(size, 1)));
    if (size > 0) memcpy(static_cast<void *>(copy), list, size);
    return {all, count, copy};
  }
};

// The columns of spine.role_bindings that are read.
enum BindingColumn { role_column, capability_column, organization_column, personal_column, role_name_column, binding_columns };

Relation open_bindings() {
  Relation relation = open_kept_table(bindings_table, {REGROLEOID, TEXTOID, UUIDOID, BOOLOID, NAMEOID});
  if (relation != nullptr) return relation;
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                  errmsg("table \"spine.role_bindings\" is missing, or not as CREATE EXTENSION made it"),
                  errhint("It says who may emit and read; have a superuser put it back.")));
}

// A number comes again once the server has given all of them, and a name once its role was dropped: what a role was given
// is a role's that has both.
bool is_still(Oid role, const char *name) {
  HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
  if (!HeapTupleIsValid(tuple)) return false;
  bool same = strcmp(NameStr(reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolname), name) == 0;
  ReleaseSysCache(tuple);
  return same;
}

void read_bindings(Oid role, Rights *rights) {
  MemoryContext reading = AllocSetContextCreate(CurrentMemoryContext, "role bindings", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(reading);
  Gathering emit{}, read{}, personal{}, erase{}, hold{};
  Relation relation = open_bindings();
  each_row_now(relation, binding_columns, [&](const Datum *value, const bool *null) {
    if (null[role_column] || null[capability_column] || null[role_name_column]) return;
    Oid given = DatumGetObjectId(value[role_column]);
    if (!has_privs_of_role(role, given) || !is_still(given, NameStr(*DatumGetName(value[role_name_column])))) return;
    std::string_view capability = text_view(PG_DETOAST_DATUM_PACKED(value[capability_column]));
    bool all = null[organization_column];
    if (capability == "emit") {
      rights->bound = true;
      emit.add(all, value[organization_column]);
    } else if (capability == "read" || capability == "audit") {
      rights->audits |= capability == "audit";
      read.add(all, value[organization_column]);
      if (!null[personal_column] && DatumGetBool(value[personal_column])) personal.add(all, value[organization_column]);
    } else if (capability == "erase") {
      erase.add(all, value[organization_column]);
    } else if (capability == "hold") {
      hold.add(all, value[organization_column]);
    } else if (capability == "notarize") {
      rights->notarizes |= all;
    } else if (capability == "watch") {
      rights->watches |= all;
    }
  });
  table_close(relation, AccessShareLock);
  MemoryContextSwitchTo(before);
  rights->emit = emit.keep(CacheMemoryContext);
  rights->read = read.keep(CacheMemoryContext);
  rights->erase = erase.keep(CacheMemoryContext);
  rights->hold = hold.keep(CacheMemoryContext);
  rights->personal = personal.keep(CacheMemoryContext);
  MemoryContextDelete(reading);
}

void forget_lists(Rights *rights) {
  for (Organizations *list : {&rights->emit, &rights->read, &rights->personal, &rights->erase, &rights->hold}) {
    if (list->sorted != nullptr) pfree(list->sorted);
    *list = {};
  }
}

// The rights of a role as of the last message about a change. They hold until the next call.
const Rights *rights_of(Oid role) {
  Rights *rights = &known[role % lengthof(known)];
  if (rights->valid && rights->role == role) return rights;
  rights->valid = false;
  read_until_valid(changes, &rights->valid, [&] {
    forget_lists(rights);
    bindings_table = spine_table("role_bindings");
    events_table = spine_table("events");
    rights->role = role;
    rights->bound = rights->audits = rights->notarizes = rights->watches = false;
    rights->exempt = superuser_arg(role) || (OidIsValid(events_table) && compat_owns_table(events_table, role));
    if (!rights->exempt) read_bindings(role, rights);
  });
  return rights;
}

bool reads_all(const Rights *rights) {
  return rights->exempt || (rights->read.all && (rights->audits || !settings.has_organization_id));
}

bool reads(const Rights *rights, const Uuid &organization) {
  if (rights->exempt) return true;
  if (settings.has_organization_id && !rights->audits && organization != settings.organization_id) return false;
  return rights->read.has(organization);
}

// Of all that the role may read, whatever people_os_spine.organization_id says: that can change while a query runs.
bool reads_all_personal(const Rights *rights) {
  if (rights->exempt || rights->personal.all) return true;
  if (rights->read.all) return false;
  for (int i = 0; i < rights->read.count; i++)
    if (!rights->personal.has(rights->read.sorted[i])) return false;
  return true;
}

// A copy of a list that the next change of a right frees.
Organizations copy_of(const Organizations &list) {
  Size size = sizeof(Uuid) * static_cast<Size>(list.count);
  Uuid *copy = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1)));
  if (size > 0) memcpy(static_cast<void *>(copy), list.sorted, size);
  return {list.all, list.count, copy};
}

// What such a policy hides from the role, only the server can tell.
bool has_restrictive_policy(Oid events, Oid role) {
  Relation relation = table_open(events, AccessShareLock);
  bool found = false;
  ListCell *cell;
  if (relation->rd_rsdesc != nullptr)
    foreach (cell, relation->rd_rsdesc->policies) {
      const RowSecurityPolicy *policy = static_cast<const RowSecurityPolicy *>(lfirst(cell));
      if (policy->permissive || (policy->polcmd != '*' && policy->polcmd != ACL_SELECT_CHR)) continue;
      const Oid *roles = reinterpret_cast<const Oid *>(ARR_DATA_PTR(policy->roles));
      for (int i = 0; i < ARR_DIMS(policy->roles)[0]; i++)
        found |= roles[i] == ACL_ID_PUBLIC || has_privs_of_role(role, roles[i]);
    }
  table_close(relation, AccessShareLock);
  return found;
}

}  // namespace

bool Organizations::has(const Uuid &organization) const {
  return all || std::binary_search(sorted, sorted + count, organization);
}

void require_emitting(Oid table, const Uuid &organization, OnBehalf of) {
  AcceptInvalidationMessages();  // a transaction that holds its locks already may have heard of no change for long
  Oid role = GetUserId();
  const Rights *rights = rights_of(role);
  if (rights->exempt || rights->emit.has(organization) || compat_owns_table(table, role)) return;
  const char *name = GetUserNameFromId(role, false);
  if (!rights->bound) {
    if (of == OnBehalf::captured_table) return;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("role \"%s\" has no binding that lets it emit for organization %s", name, uuid_text(organization)),
                    errhint("SELECT spine.grant_emitter('%s', …) gives it one, for some organizations or for all; a role "
                            "that was renamed needs it again.",
                            quote_identifier(name))));
  }
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("role \"%s\" may not emit for organization %s", name, uuid_text(organization)),
                  errhint("spine.grant_emitter says for which organizations a role may emit; it replaces what it said "
                          "before.")));
}

namespace {

const Organizations &given(const Rights &rights, Duty duty) { return duty == Duty::erase ? rights.erase : rights.hold; }

[[noreturn]] void refuse_duty(Duty duty, const char *organizations) {
  bool erases = duty == Duty::erase;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("role \"%s\" may not %s %s", GetUserNameFromId(GetUserId(), false), erases ? "erase events of" : "hold or keep events of",
                         organizations),
                  errhint("%s says for which organizations a role may.", erases ? "spine.grant_eraser" : "spine.grant_hold_keeper")));
}

}  // namespace

bool has_duty(Duty duty, const Uuid &organization) {
  AcceptInvalidationMessages();
  const Rights *rights = rights_of(GetUserId());
  return rights->exempt || given(*rights, duty).has(organization);
}

void require_duty(Duty duty, const Uuid &organization) {
  if (!has_duty(duty, organization)) refuse_duty(duty, psprintf("organization %s", uuid_text(organization)));
}

void require_duty_for_all(Duty duty) {
  AcceptInvalidationMessages();
  const Rights *rights = rights_of(GetUserId());
  if (!rights->exempt && !given(*rights, duty).all) refuse_duty(duty, "all organizations");
}

bool is_notary() {
  AcceptInvalidationMessages();
  const Rights *rights = rights_of(GetUserId());
  return rights->exempt || rights->notarizes;
}

void require_notary() {
  if (is_notary()) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("role \"%s\" is no notary", GetUserNameFromId(GetUserId(), false)),
                  errhint("spine.grant_notary makes it one.")));
}

void require_watcher() {
  AcceptInvalidationMessages();
  const Rights *rights = rights_of(GetUserId());
  if (rights->exempt || rights->watches) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("role \"%s\" is no watcher", GetUserNameFromId(GetUserId(), false)),
                  errhint("spine.grant_watcher makes it one.")));
}

bool is_restricted(Oid events, Oid role) { return check_enable_rls(events, role, true) == RLS_ENABLED; }

bool sees_all_events(Oid role) {
  Oid events = events_relid();
  return !is_restricted(events, role) ||
         (reads_all(rights_of(role)) && !has_restrictive_policy(events, role));
}

Organizations require_reading(Oid events) {
  AcceptInvalidationMessages();
  Oid role = GetUserId();
  if (pg_class_aclcheck(events, role, ACL_SELECT) != ACLCHECK_OK)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("role \"%s\" may not read spine.events", GetUserNameFromId(role, false)),
                    errhint("spine.grant_reader or spine.grant_auditor lets it.")));
  if (sees_all_events(role)) return {true, 0, nullptr};
  if (has_restrictive_policy(events, role))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("a restrictive policy on spine.events applies to role \"%s\"", GetUserNameFromId(role, false)),
                    errhint("Only SELECT respects it. Exempt the role from it, or ask an auditor.")));
  const Rights *rights = rights_of(role);
  Organizations given{};
  if (settings.has_organization_id && !rights->audits) {
    given.sorted = static_cast<Uuid *>(palloc(sizeof(Uuid)));
    given.sorted[0] = settings.organization_id;
    given.count = rights->read.has(settings.organization_id);
  } else {
    given = copy_of(rights->read);
  }
  return given;
}

Organizations personal_organizations(Oid events) {
  Oid role = GetUserId();
  const Rights *rights = rights_of(role);
  if (rights->exempt || !is_restricted(events, role)) return {true, 0, nullptr};
  return copy_of(rights->personal);
}

bool sees_personal(Oid events, const Uuid &organization) {
  Oid role = GetUserId();
  const Rights *rights = rights_of(role);
  return rights->exempt || rights->personal.has(organization) || !is_restricted(events, role);
}

bool sees_all_personal(Oid role) { return reads_all_personal(rights_of(role)); }

Oid begin_personal(bool reads_personal) {
  Oid outer = judged_reader;
  judged_reader = reads_personal ? GetUserId() : InvalidOid;
  return outer;
}

void end_personal(Oid outer) { judged_reader = outer; }

void forget_rights() {
  changes++;
  for (Rights &rights : known) rights.valid = false;
}

void forget_rights_from(Oid relid) {
  if (!OidIsValid(relid) || relid == bindings_table || relid == events_table) forget_rights();
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_may_notarize);
PGDLLEXPORT Datum spine_may_notarize(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_BOOL(is_notary());
}

PG_FUNCTION_INFO_V1(spine_may_read);
PGDLLEXPORT Datum spine_may_read(PG_FUNCTION_ARGS) {
  // Once a statement: one that was prepared in a transaction with its locks hears of no change otherwise.
  if (fcinfo->flinfo->fn_extra == nullptr) {
    AcceptInvalidationMessages();
    fcinfo->flinfo->fn_extra = known;
  }
  Oid role = GetUserId();
  if (OidIsValid(judged_reader) && role != judged_reader) PG_RETURN_BOOL(false);
  PG_RETURN_BOOL(reads(rights_of(role), uuid_of(PG_GETARG_DATUM(0))));
}

PG_FUNCTION_INFO_V1(spine_may_read_all);
PGDLLEXPORT Datum spine_may_read_all(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  AcceptInvalidationMessages();
  PG_RETURN_BOOL(sees_all_events(GetUserId()));
}

}  // extern "C"

}  // namespace spine
