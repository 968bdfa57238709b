// spine.verify_guards: what keeps events immutable and apart, and whether it is there. It runs the checks of checks.h in
// their order, and says what is there now, whatever runs.
#include "access/access.h"
#include "capture/capture.h"
#include "guard/checks.h"
#include "guard/guarded.h"
#include "server/distributed.h"
#include "server/pg.h"
#include "store/owners_rights.h"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/pg_type.h>
#include <commands/extension.h>
#include <executor/spi.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

constexpr int argument_count = 8;
Oid argument_types[argument_count] = {OIDOID, OIDOID, OIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, OIDOID};

// Of a setting that only some roles may read; whether the library is preloaded is no secret.
bool lists_library(const char *setting) {
  const char *value = GetConfigOption(setting, true, false);
  return value != nullptr && strstr(value, "people_os_spine") != nullptr;
}

const char *how_preloaded() {
  if (lists_library("shared_preload_libraries")) return "shared_preload_libraries";
  return lists_library("session_preload_libraries") ? "session_preload_libraries" : "no";
}

template <typename T, int n, typename TextOf>
Datum text_array(const T (&list)[n], TextOf text_of) {
  Datum texts[n];
  for (int i = 0; i < n; i++) texts[i] = text_datum(text_of(list[i]));
  return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

struct Run {
  Tuplestorestate *rows;
  TupleDesc shape;
  Snapshot now;
  Datum arguments[argument_count];

  void check(const char *query) const {
    SPIPlanPtr plan = SPI_prepare(psprintf("SELECT guard, expected, found, ok, CASE WHEN ok THEN NULL ELSE remedy END"
                                           "  FROM (%s) c (guard, expected, found, ok, remedy) ORDER BY guard", query),
                                  argument_count, argument_types);
    SPI_execute_snapshot(plan, const_cast<Datum *>(arguments), nullptr, now, InvalidSnapshot, true, false, 0);
    for (uint64 i = 0; i < SPI_processed; i++) tuplestore_puttuple(rows, SPI_tuptable->vals[i]);
    SPI_freetuptable(SPI_tuptable);
  }

  void check_all(const Checks &checks) const {
    for (int i = 0; i < checks.count; i++) check(checks.queries[i]);
  }
};

bool may_select(Oid relid) { return OidIsValid(relid) && pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK; }

bool sees_heads(Oid schema, Oid events) {
  return OidIsValid(events) && may_select(events) && may_select(get_relname_relid("verifications", schema)) &&
         OidIsValid(get_relname_relid("anchors", schema)) && sees_all_events(GetUserId());
}

// For who sees all heads, and need not be who reads the anchors.
void check_heads(const Run &run, Oid anchors) {
  OwnersRights rights;
  rights.begin_as_owner_of(anchors);
  run.check(heads_check);
  rights.end();
}

// What is captured and what is held to the rule: a row for each that ended, or one that says that none did.
void check_watches(const Run &run) {
  Oid watches = get_relname_relid("watches", get_namespace_oid("spine", true));
  bool is_there = OidIsValid(watches);
  uint64 broken = 0;
  if (is_there) {
    OwnersRights rights;  // who verifies the guards need not be who reads the table
    rights.begin_as_owner_of(watches);
    SPI_execute_snapshot(SPI_prepare(broken_watches, 0, nullptr), nullptr, nullptr, run.now, InvalidSnapshot, true, false, 0);
    broken = SPI_processed;
    rights.end();
  }
  for (uint64 i = 0; i < broken; i++) {
    Datum values[5];
    bool nulls[5] = {};
    for (int column : {0, 1, 2}) values[column] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column + 1, &nulls[column]);
    values[3] = BoolGetDatum(false);
    values[4] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &nulls[4]);
    tuplestore_putvalues(run.rows, run.shape, values, nulls);
  }
  if (broken > 0) return;
  const char *expected = "all of spine.watches in force";
  Datum values[] = {text_datum("captures and rules"), text_datum(expected), text_datum(is_there ? expected : "no table spine.watches"),
                    BoolGetDatum(is_there), text_datum("Have a superuser put the table back as CREATE EXTENSION makes it.")};
  bool nulls[] = {false, false, false, false, is_there};
  tuplestore_putvalues(run.rows, run.shape, values, nulls);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_verify_guards);
PGDLLEXPORT Datum spine_verify_guards(PG_FUNCTION_ARGS) {
  require_undistributed_spine();
  InitMaterializedSRF(fcinfo, 0);
  Oid schema = get_namespace_oid("spine", true);
  Oid events = OidIsValid(schema) ? get_relname_relid("events", schema) : InvalidOid;
  SPI_connect();
  const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Run run = {result->setResult, result->setDesc,
             // What is there now, not what the transaction has seen.
             RegisterSnapshot(GetLatestSnapshot()),
             {ObjectIdGetDatum(schema), ObjectIdGetDatum(get_extension_oid("people_os_spine", true)),
              ObjectIdGetDatum(events), text_datum(how_preloaded()),
              text_array(plain_indexes_made, [](const char *name) { return name; }),
              text_array(expected_rights, [](const ExpectedRight &r) { return r.kind == ObjectKind::table ? r.name : ""; }),
              text_array(expected_rights, grantable_privileges), ObjectIdGetDatum(InvalidOid)}};
  run.check_all(table_checks);
  if (sees_heads(schema, events)) check_heads(run, get_relname_relid("anchors", schema));
  run.check_all(code_checks);
  run.check_all(rights_checks);
  check_watches(run);
  run.check_all(server_checks);
  UnregisterSnapshot(run.now);
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
