// spine.set_rule and spine.enable_rule.
#include "access/access.h"
#include "core/event_name.h"
#include "privacy/privacy.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "store/emit.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"
#include "watch/rule_tests.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
}

namespace spine {

namespace {

// Who sets a rule does so alone.
void lock_rules() { run_sql("LOCK TABLE spine.rules IN SHARE ROW EXCLUSIVE MODE"); }

void require_passing(const LoadedRules &rules) {
  int count;
  TestResult *results = run_tests(rules, &count);
  bool finds = false, passes_over = false;
  for (int i = 0; i < count; i++) {
    const TestResult &test = results[i];
    if (test.found != test.expected)
      ereport(ERROR, (errcode(ERRCODE_SPINE_RULE_TEST_FAILED),
                      errmsg("test \"%s\" of rule \"%s\" fails: it expects " INT64_FORMAT " findings, and there are " INT64_FORMAT, clipped(test.name),
                             clipped(rules.rule[0].name), test.expected, test.found),
                      test.sentence == nullptr ? 0 : errdetail("The first one: %s", test.sentence),
                      errhint("Mend the rule, or the test.")));
    (test.expected > 0 ? finds : passes_over) = true;
  }
  // What is looked at now and then rests on no events that a test could hold.
  if (rules.watch->rules().rule(0).is_periodic()) return;
  if (!finds || !passes_over)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RULE_TESTS), errmsg("no test of rule \"%s\" %s", clipped(rules.rule[0].name), finds ? "finds nothing" : "finds something"),
                    errhint("A rule carries events that it must find something in, and events that it must not.")));
}

// Emits the event about the version that was just set: what the statement returned.
int32 tell(const char *name) {
  int32 version = DatumGetInt32(require_field(0, 1));
  emit_platform_event(rule_set_event, name, "high", require_field(0, 2), ChainedWhen::at_commit);
  return version;
}

constexpr const char *insert_rule =
    "INSERT INTO spine.rules AS n (name, version, definition_version, title, description, severity, domain, control, definition, tests, enabled, owner, reason, set_at)"
    " SELECT $1, coalesce(o.version, 0) + 1, CASE WHEN o.definition = $2 THEN o.definition_version ELSE coalesce(o.version, 0) + 1 END,"
    "   d.decides ->> 'title', coalesce(d.decides ->> 'description', ''),"
    "   CASE d.decides ->> 'level' WHEN 'informational' THEN 'low' WHEN 'low' THEN 'low' WHEN 'high' THEN 'high' WHEN 'critical' THEN 'critical' ELSE 'medium' END::spine.severity,"
    "   $5, $6, $2, $3, $7, $8, $4, pg_catalog.clock_timestamp()"
    " FROM (SELECT pg_catalog.jsonb_path_query_first(CASE pg_catalog.jsonb_typeof($2) WHEN 'array' THEN $2 ELSE pg_catalog.jsonb_build_array($2) END,"
    "         CASE WHEN pg_catalog.jsonb_typeof($2) = 'array' AND pg_catalog.jsonb_array_length($2) > 1 THEN '$[*] ? (exists(@.correlation))' ELSE '$[*]' END::jsonpath) AS decides) d"
    " LEFT JOIN (SELECT * FROM spine.rules WHERE name = $1 ORDER BY version DESC LIMIT 1) o ON true"
    " RETURNING n.version, pg_catalog.to_jsonb(n) - 'tests' - 'set_at' - 'owner' || pg_catalog.jsonb_build_object('by', n.owner)";

constexpr const char *insert_version =
    "INSERT INTO spine.rules AS n (name, version, definition_version, title, description, severity, domain, control, definition, tests, enabled, owner, reason, set_at)"
    " SELECT name, version + 1, definition_version, title, description, severity, domain, control, definition, tests, $2, $4, $3, pg_catalog.clock_timestamp()"
    "   FROM spine.rules WHERE name = $1 ORDER BY version DESC LIMIT 1"
    " RETURNING n.version, pg_catalog.to_jsonb(n) - 'tests' - 'set_at' - 'owner' || pg_catalog.jsonb_build_object('by', n.owner)";

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_set_rule);
PGDLLEXPORT Datum spine_set_rule(PG_FUNCTION_ARGS) {
  require_writable("spine.set_rule()");
  require_watcher();
  require_reason(fcinfo, 3);
  const char *name = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
  if (!is_name_part(name))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RULE_NAME), errmsg("\"%s\" is no name for a rule", clipped(name)),
                    errhint("A name is a letter from a to z, then up to 62 of a to z, 0 to 9 and _.")));
  for (int argument : {1, 2, 4, 5, 6})
    if (PG_ARGISNULL(argument))
      ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RULE), errmsg("argument %d of rule \"%s\" is null", argument + 1, clipped(name)),
                      errhint("Give a definition and tests; leave out what is to be as it is by default.")));
  SPI_connect();
  require_passing(rule_of(name, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)));
  SqlArgument owner = {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))}, its_name = {TEXTOID, CStringGetTextDatum(name)};
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("rules"));
  lock_rules();
  uint64 rows = run_sql(insert_rule, {its_name,
                                      {JSONBOID, PG_GETARG_DATUM(1)},
                                      {JSONBOID, PG_GETARG_DATUM(2)},
                                      {TEXTOID, PG_GETARG_DATUM(3)},
                                      {TEXTOID, PG_GETARG_DATUM(4)},
                                      {TEXTARRAYOID, PG_GETARG_DATUM(5)},
                                      {BOOLOID, PG_GETARG_DATUM(6)},
                                      owner});
  if (rows != 1) report_suppressed("rules");
  int32 version = tell(name);
  rights.end();
  SPI_finish();
  PG_RETURN_INT32(version);
}

// Calls spine.set_rule with the caller's rights.
PG_FUNCTION_INFO_V1(spine_add_library_rules);
PGDLLEXPORT Datum spine_add_library_rules(PG_FUNCTION_ARGS) {
  require_writable("spine.add_library_rules()");
  require_watcher();
  require_reason(fcinfo, 0);
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  SqlArgument names = {TEXTARRAYOID, PG_ARGISNULL(1) ? static_cast<Datum>(0) : PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
  SPI_connect();
  if (run_sql("SELECT n FROM unnest($1) n WHERE n IS NULL OR NOT EXISTS (SELECT FROM spine.rule_library l WHERE l.name = n)", {names}) > 0) {
    const char *name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_RULE), errmsg("the library has no rule \"%s\"", name == nullptr ? "NULL" : clipped(name)),
                    errhint("SELECT name FROM spine.rule_library lists those that it has.")));
  }
  uint64 rows = run_sql("SELECT l.name, spine.set_rule(l.name, l.definition, l.tests, $2, l.domain, l.control) FROM"
                        " (SELECT * FROM spine.rule_library WHERE $1 IS NULL OR name = ANY ($1)) l"
                        " WHERE NOT EXISTS (SELECT FROM spine.rules r WHERE r.name = l.name) ORDER BY l.name",
                        {names, {TEXTOID, PG_GETARG_DATUM(0)}});
  for (uint64 i = 0; i < rows; i++) {
    Datum values[] = {require_field(i, 1)};
    bool nulls[] = {false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  SPI_finish();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_enable_rule);
PGDLLEXPORT Datum spine_enable_rule(PG_FUNCTION_ARGS) {
  require_writable("spine.enable_rule()");
  require_watcher();
  require_reason(fcinfo, 2);
  SPI_connect();
  (void)load_rule(fcinfo, 0);
  if (PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("enabled is null"), errhint("Pass true or false.")));
  SqlArgument owner = {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("rules"));
  lock_rules();
  uint64 rows = run_sql(insert_version, {{TEXTOID, PG_GETARG_DATUM(0)}, {BOOLOID, PG_GETARG_DATUM(1)}, {TEXTOID, PG_GETARG_DATUM(2)}, owner});
  if (rows != 1) report_suppressed("rules");
  int32 version = tell(text_to_cstring(PG_GETARG_TEXT_PP(0)));
  rights.end();
  SPI_finish();
  PG_RETURN_INT32(version);
}

}  // extern "C"

}  // namespace spine
