// spine.grant_emitter, grant_reader, grant_auditor, grant_eraser, grant_hold_keeper, grant_notary, grant_watcher, revoke_notary and revoke_all. Their SQL runs with the rights of
// whoever calls.
#include "access/rights.h"
#include "server/errors.h"
#include "server/sql.h"

extern "C" {
#include <catalog/pg_type.h>
#include <lib/stringinfo.h>
#include <miscadmin.h>
#include <utils/array.h>
}

namespace spine {

namespace {

// What GRANT and REVOKE say of objects, by ObjectKind.
constexpr const char *rights_on_kind[] = {"USAGE ON SCHEMA ", "USAGE ON TYPE ", "SELECT ON TABLE ", "USAGE ON SEQUENCE ", "EXECUTE ON FUNCTION "};

constexpr const char *revokes[] = {"REVOKE ALL ON SCHEMA spine FROM %s CASCADE",
                                   "REVOKE ALL ON ALL TABLES IN SCHEMA spine FROM %s CASCADE",
                                   "REVOKE ALL ON ALL SEQUENCES IN SCHEMA spine FROM %s CASCADE",
                                   "REVOKE ALL ON ALL ROUTINES IN SCHEMA spine FROM %s CASCADE"};

// Types have no GRANT … ON ALL.
constexpr const char *types_of_role =
    "SELECT DISTINCT pg_catalog.quote_ident(t.typname::text) FROM pg_catalog.pg_type t, pg_catalog.aclexplode(t.typacl) a"
    " WHERE t.typnamespace = 'spine'::pg_catalog.regnamespace AND a.grantee = $1";

// What is left to a role, because somebody else granted it or because the object is its own.
constexpr const char *rights_left =
    "SELECT pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid), pg_catalog.pg_get_userbyid(a.grantor)::text"
    "  FROM (SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass AS classid, oid AS objid, 0 AS objsubid, nspacl AS acl"
    "          FROM pg_catalog.pg_namespace WHERE oid = 'spine'::pg_catalog.regnamespace"
    "        UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, oid, 0, relacl"
    "          FROM pg_catalog.pg_class WHERE relnamespace = 'spine'::pg_catalog.regnamespace"
    "        UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, attrelid, attnum, attacl"
    "          FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class c ON c.oid = attrelid"
    "         WHERE relnamespace = 'spine'::pg_catalog.regnamespace AND attacl IS NOT NULL"
    "        UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, 0, proacl"
    "          FROM pg_catalog.pg_proc WHERE pronamespace = 'spine'::pg_catalog.regnamespace"
    "        UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, 0, typacl"
    "          FROM pg_catalog.pg_type WHERE typnamespace = 'spine'::pg_catalog.regnamespace) o,"
    "       pg_catalog.aclexplode(o.acl) a"
    " WHERE a.grantee = $1 LIMIT 1";

// Whatever spine has of its owner, GRANT and REVOKE cannot give or take.
constexpr const char *objects_owned =
    "SELECT pg_catalog.pg_describe_object(o.classid, o.objid, 0)"
    "  FROM (SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass AS classid, oid AS objid, nspowner AS owner"
    "          FROM pg_catalog.pg_namespace WHERE oid = 'spine'::pg_catalog.regnamespace"
    "        UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, oid, relowner"
    "          FROM pg_catalog.pg_class WHERE relnamespace = 'spine'::pg_catalog.regnamespace"
    "        UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner"
    "          FROM pg_catalog.pg_proc WHERE pronamespace = 'spine'::pg_catalog.regnamespace"
    "        UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typowner"
    "          FROM pg_catalog.pg_type WHERE typnamespace = 'spine'::pg_catalog.regnamespace) o"
    " WHERE o.owner = $1 ORDER BY o.objid LIMIT 1";

// What stays as it was is not touched, for each change is an event.
constexpr const char *delete_others =
    "DELETE FROM spine.role_bindings WHERE role = $1 AND capability = $2 AND"
    " (personal <> $4 OR role_name <> pg_catalog.pg_get_userbyid($1) OR (organization_id IS NULL) <> ($3 IS NULL)"
    "  OR (organization_id IS NOT NULL AND organization_id NOT IN (SELECT o FROM pg_catalog.unnest($3) o)))";
constexpr const char *insert_all = "INSERT INTO spine.role_bindings (role, capability, personal) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
constexpr const char *insert_some =
    "INSERT INTO spine.role_bindings (role, capability, personal, organization_id)"
    " SELECT DISTINCT $1, $2, $3, o FROM pg_catalog.unnest($4) o ON CONFLICT DO NOTHING";

SqlArgument of_role(Oid role) { return {REGROLEOID, ObjectIdGetDatum(role)}; }

// The first column of the first row, or another; null without a row.
const char *found(int column = 1) {
  return SPI_processed == 0 ? nullptr : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

Oid role_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("role is null"),
                    errhint("Pass the name of a role, such as 'payroll'.")));
  return PG_GETARG_OID(0);
}

const char *existing_role(Oid role) {
  const char *name = GetUserNameFromId(role, true);
  if (name == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no role with number %u", role),
                    errhint("Pass the name of a role that exists.")));
  return quote_identifier(name);
}

// 0: all organizations.
Datum organizations_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(1)) return 0;
  ArrayType *array = PG_GETARG_ARRAYTYPE_P(1);
  if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the array of organizations is empty"),
                    errhint("Leave it out to give all organizations; spine.revoke_all takes what a role has.")));
  if (array_contains_nulls(array))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the array of organizations holds a null"),
                    errhint("Leave the array out to give all organizations.")));
  return PointerGetDatum(array);
}

bool personal_argument(FunctionCallInfo fcinfo, int argument) {
  if (PG_ARGISNULL(argument))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("personal is null"),
                    errhint("Pass true, or false where the role is not to see the personal part of the events.")));
  return PG_GETARG_BOOL(argument);
}

constexpr ObjectKind kinds[] = {ObjectKind::schema, ObjectKind::type, ObjectKind::table, ObjectKind::sequence, ObjectKind::function};

// The objects of a kind whose receivers pass, as GRANT and REVOKE name them, and what they are; null: none passes.
template <class Passes>
const char *objects(ObjectKind kind, const char *verb, Passes passes) {
  StringInfoData statement;
  initStringInfo(&statement);
  appendStringInfo(&statement, "%s %s", verb, rights_on_kind[static_cast<int>(kind)]);
  bool any = false;
  for (const ExpectedRight &right : expected_rights) {
    if (right.kind != kind || !passes(right.receivers)) continue;
    appendStringInfo(&statement, "%s%s%s", any ? ", " : "", kind == ObjectKind::schema ? "" : "spine.", right.name);
    any = true;
  }
  return any ? statement.data : nullptr;
}

// What the role has of this capability is from now on this, and nothing besides.
void give(Oid role, Receivers receiver, const char *capability, Datum organizations, bool personal) {
  const char *name = existing_role(role);
  SPI_connect();
  for (ObjectKind kind : kinds)
    if (const char *grant = objects(kind, "GRANT", [receiver](unsigned receivers) { return (receivers & receiver) != 0; }))
      run_sql(psprintf("%s TO %s", grant, name));
  SqlArgument what = {TEXTOID, CStringGetTextDatum(capability)};
  SqlArgument whose = {UUIDARRAYOID, organizations, organizations == 0};
  SqlArgument with_persons = {BOOLOID, BoolGetDatum(personal)};
  run_sql(delete_others, {of_role(role), what, whose, with_persons});
  if (organizations == 0)
    run_sql(insert_all, {of_role(role), what, with_persons});
  else
    run_sql(insert_some, {of_role(role), what, with_persons, whose});
  SPI_finish();
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_grant_emitter);
PGDLLEXPORT Datum spine_grant_emitter(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), emitter, "emit", organizations_argument(fcinfo), false);
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_grant_reader);
PGDLLEXPORT Datum spine_grant_reader(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), reader, "read", organizations_argument(fcinfo), personal_argument(fcinfo, 2));
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_grant_auditor);
PGDLLEXPORT Datum spine_grant_auditor(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), auditor, "audit", 0, personal_argument(fcinfo, 1));
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_grant_eraser);
PGDLLEXPORT Datum spine_grant_eraser(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), eraser, "erase", organizations_argument(fcinfo), false);
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_grant_hold_keeper);
PGDLLEXPORT Datum spine_grant_hold_keeper(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), hold_keeper, "hold", organizations_argument(fcinfo), false);
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_grant_notary);
PGDLLEXPORT Datum spine_grant_notary(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), notary, "notarize", 0, false);
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_grant_watcher);
PGDLLEXPORT Datum spine_grant_watcher(PG_FUNCTION_ARGS) {
  give(role_argument(fcinfo), watcher, "watch", 0, false);
  PG_RETURN_VOID();
}

// What others are given too, the role may have for another reason.
PG_FUNCTION_INFO_V1(spine_revoke_notary);
PGDLLEXPORT Datum spine_revoke_notary(PG_FUNCTION_ARGS) {
  Oid role = role_argument(fcinfo);
  const char *name = existing_role(role);
  SPI_connect();
  for (ObjectKind kind : kinds)
    if (const char *revoke = objects(kind, "REVOKE", [](unsigned receivers) { return receivers == notary; }))
      run_sql(psprintf("%s FROM %s CASCADE", revoke, name));
  run_sql("DELETE FROM spine.role_bindings WHERE role = $1 AND capability = 'notarize'", {of_role(role)});
  SPI_finish();
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_revoke_all);
PGDLLEXPORT Datum spine_revoke_all(PG_FUNCTION_ARGS) {
  Oid role = role_argument(fcinfo);
  const char *name = GetUserNameFromId(role, true);
  SPI_connect();
  // A role that was dropped left its bindings, and nothing else.
  if (name != nullptr) {
    const char *quoted = quote_identifier(name);
    run_sql(objects_owned, {of_role(role)});
    if (found() != nullptr)
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("role \"%s\" owns %s", name, found()),
                      errhint("An owner's rights are no grants: ALTER … OWNER TO another role first.")));
    for (const char *revoke : revokes) run_sql(psprintf(revoke, quoted));
    run_sql(types_of_role, {of_role(role)});
    SPITupleTable *types = SPI_tuptable;
    for (uint64 i = 0; i < types->numvals; i++)
      run_sql(psprintf("REVOKE ALL ON TYPE spine.%s FROM %s CASCADE", SPI_getvalue(types->vals[i], types->tupdesc, 1), quoted));
    run_sql(rights_left, {of_role(role)});
    if (found() != nullptr)
      ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                      errmsg("role \"%s\" has rights on %s that role \"%s\" granted", name, found(), found(2)),
                      errhint("SET ROLE %s and REVOKE them, then call spine.revoke_all again.", quote_identifier(found(2)))));
  }
  run_sql("DELETE FROM spine.role_bindings WHERE role = $1", {of_role(role)});
  SPI_finish();
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
