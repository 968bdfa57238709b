// spine.set_retention, and what its policies keep from being retired.
#include "access/access.h"
#include "core/uuid.h"
#include "privacy/kept_table.h"
#include "privacy/privacy.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "store/emit.h"
#include "store/event_arguments.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"

extern "C" {
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/builtins.h>
#include <utils/guc.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// An update and an insert by turns; each says what keep was, so that the event tells both.
constexpr const char *end_policy =
    "UPDATE spine.retention_policies SET ended_at = clock_timestamp(), ended_by = $2, end_reason = $3"
    " WHERE organization_id IS NOT DISTINCT FROM $1 AND ended_at IS NULL RETURNING keep::text, id";
constexpr const char *begin_policy =
    "INSERT INTO spine.retention_policies (id, organization_id, keep, reason, set_at, set_by)"
    " VALUES (gen_random_uuid(), $1, $4, $3, clock_timestamp(), $2) RETURNING keep::text, id";
constexpr const char *payload_of_event =
    "SELECT jsonb_strip_nulls(jsonb_build_object('policy', $1, 'organization_id', $2, 'keep', $3, 'was', $4, 'reason', $5, 'by', $6))";

// The policy that keeps longest, of an organization's own or, where it has none, of all.
constexpr const char *kept =
    "SELECT o.id::text, p.keep::text, p.id::text,"
    "       to_char($2 AT TIME ZONE 'UTC' + p.keep, 'YYYY-MM-DD HH24:MI:SS') || ' UTC'"
    "  FROM unnest($1) o (id)"
    "  LEFT JOIN spine.retention_policies own ON own.organization_id = o.id AND own.ended_at IS NULL"
    "  LEFT JOIN spine.retention_policies every ON every.organization_id IS NULL AND every.ended_at IS NULL"
    " CROSS JOIN LATERAL (SELECT coalesce(own.keep, every.keep) AS keep, coalesce(own.id, every.id) AS id) p"
    " WHERE $2 AT TIME ZONE 'UTC' + p.keep > clock_timestamp() AT TIME ZONE 'UTC'"
    " ORDER BY p.keep DESC, o.id LIMIT 1";

const char *text_of(int column) { return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column); }

// What is longer is a slip; and no event has a year above 9999.
void check_keep(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(1)) return;
  Interval least = {1, 0, 0}, most = {0, 0, 12 * 1000};
  bool fits = DatumGetBool(DirectFunctionCall2(interval_ge, PG_GETARG_DATUM(1), IntervalPGetDatum(&least))) &&
              DatumGetBool(DirectFunctionCall2(interval_le, PG_GETARG_DATUM(1), IntervalPGetDatum(&most)));
  if (!fits)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("events cannot be kept for %s", DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(1)))),
                    errhint("A time above zero and up to 1000 years; NULL ends the policy.")));
}

}  // namespace

void refuse_kept(Datum organizations, TimestampTz ends, const char *table) {
  Oid policies = spine_table("retention_policies");
  LockRelationOid(policies, ShareLock);
  OwnersRights rights;
  rights.begin_as_owner_of(policies);
  uint64 rows = run_sql(kept, {{UUIDARRAYOID, organizations}, {TIMESTAMPTZOID, TimestampTzGetDatum(ends)}});
  rights.end();
  if (rows == 0) return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_KEPT),
                  errmsg("partition %s has events of organization %s, which are kept until %s", table, text_of(1), text_of(4)),
                  errdetail("Retention policy %s keeps them for %s.", text_of(3), text_of(2)),
                  errhint("Retire it then. Whoever keeps the records shortens the period with spine.set_retention.")));
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_set_retention);
PGDLLEXPORT Datum spine_set_retention(PG_FUNCTION_ARGS) {
  require_writable("spine.set_retention()");
  require_reason(fcinfo, 2);
  check_keep(fcinfo);
  bool is_of_all = PG_ARGISNULL(0), ends = PG_ARGISNULL(1);
  Uuid organization = is_of_all ? nil_uuid : uuid_of(PG_GETARG_DATUM(0));
  if (is_of_all)
    require_duty_for_all(Duty::hold);
  else
    require_duty(Duty::hold, organization);
  lock_privacy(organization);
  // One form of a time, in the event.
  int level = NewGUCNestLevel();
  (void)set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  SPI_connect();
  Datum by = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false)), reason = PG_GETARG_DATUM(2);
  SqlArgument of = {UUIDOID, is_of_all ? static_cast<Datum>(0) : PG_GETARG_DATUM(0), is_of_all};
  bool was = write_kept("retention_policies", end_policy, {of, {TEXTOID, by}, {TEXTOID, reason}});
  if (!was && ends) {
    SPI_finish();
    AtEOXact_GUC(true, level);
    PG_RETURN_NULL();
  }
  const char *kept_before = was ? text_of(1) : nullptr;
  const char *keep = nullptr;
  bool null;
  Uuid policy{};
  if (was) policy = uuid_of(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
  if (!ends) {
    if (!write_kept("retention_policies", begin_policy, {of, {TEXTOID, by}, {TEXTOID, reason}, {INTERVALOID, PG_GETARG_DATUM(1)}}))
      ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED), errmsg("a trigger on table \"spine.retention_policies\" suppressed the policy"),
                      errhint("Drop the trigger that somebody added.")));
    keep = text_of(1);
    policy = uuid_of(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
  }
  auto text = [](const char *value) { return SqlArgument{TEXTOID, value == nullptr ? static_cast<Datum>(0) : CStringGetTextDatum(value), value == nullptr}; };
  run_sql(payload_of_event, {{UUIDOID, uuid_datum(policy)}, of, text(keep), text(kept_before), {TEXTOID, reason}, {TEXTOID, by}});
  (void)emit_own_event(retention_set_event, organization, policy, "high", SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null),
                       ChainedWhen::at_commit);
  SPI_finish();
  AtEOXact_GUC(true, level);
  if (ends) PG_RETURN_NULL();
  PG_RETURN_DATUM(uuid_datum(policy));
}

}  // extern "C"

}  // namespace spine
