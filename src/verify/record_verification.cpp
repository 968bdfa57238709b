// spine.record_verification.
#include "server/sql.h"
#include "store/emit.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type_d.h>
#include <funcapi.h>
#include <miscadmin.h>
}

namespace spine {

namespace {

constexpr const char *verify = "SELECT * FROM spine.verify_chain($1, thorough => $2)";

constexpr const char *record_one =
    "INSERT INTO spine.verifications AS v (organization_id, verified_at, verified_by, intact, last_sequence, head_hash, faults)"
    " VALUES ($1, clock_timestamp(), session_user, $2, $3, $4, $5)"
    " ON CONFLICT (organization_id) DO UPDATE SET verified_at = excluded.verified_at, verified_by = excluded.verified_by,"
    " intact = excluded.intact, last_sequence = excluded.last_sequence, head_hash = excluded.head_hash, faults = excluded.faults";

// What verify_chain returns.
enum Summary { summary_organization, summary_intact, summary_events, summary_first, summary_last, summary_head, summary_faults, summary_columns = 9 };

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_record_verification);
PGDLLEXPORT Datum spine_record_verification(PG_FUNCTION_ARGS) {
  require_writable("spine.record_verification()");
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  SPI_connect();
  run_sql(verify, {{UUIDOID, PG_ARGISNULL(0) ? static_cast<Datum>(0) : PG_GETARG_DATUM(0), PG_ARGISNULL(0)},
                   {BOOLOID, BoolGetDatum(!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))}});
  SPITupleTable *verified = SPI_tuptable;
  OwnersRights rights;
  rights.begin();
  for (uint64 i = 0; i < verified->numvals; i++) {
    CHECK_FOR_INTERRUPTS();
    Datum value[summary_columns];
    bool null[summary_columns];
    heap_deform_tuple(verified->vals[i], verified->tupdesc, value, null);
    tuplestore_putvalues(result->setResult, result->setDesc, value, null);
    // Rows that cannot say whose they are, and chains of which nothing was checked, have no place there.
    if (null[summary_organization] || null[summary_intact]) continue;
    run_sql(record_one, {{UUIDOID, value[summary_organization]},
                         {BOOLOID, value[summary_intact]},
                         {INT8OID, value[summary_last], null[summary_last]},
                         {BYTEAOID, value[summary_head], null[summary_head]},
                         {INT8OID, value[summary_faults]}});
  }
  rights.end();
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
