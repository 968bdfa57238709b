// spine.read_chain_status.
#include "server/errors.h"
#include "server/sql.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
}

namespace spine {

namespace {

// The first of both lists together are among the first of each.
constexpr const char *read_page = R"sql(
SELECT coalesce(h.organization_id, v.organization_id), coalesce(h.sequence, 0), h.event_hash, h."timestamp",
       clock_timestamp() - h."timestamp", v.verified_at, v.verified_by, v.intact, v.last_sequence, v.faults
  FROM spine.read_chain_heads($1, $2) h
  FULL JOIN (SELECT * FROM spine.verifications WHERE $1 IS NULL OR organization_id > $1 ORDER BY organization_id LIMIT $2) v
         ON v.organization_id = h.organization_id
 ORDER BY 1 LIMIT $2
)sql";

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_chain_status);
PGDLLEXPORT Datum spine_read_chain_status(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  int64 chains = PG_ARGISNULL(1) ? -1 : PG_GETARG_INT64(1);
  if (chains < 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE), errmsg("max_chains is %s", PG_ARGISNULL(1) ? "NULL" : psprintf(INT64_FORMAT, chains)),
                    errhint("Pass how many chains to return at most, 0 or more. All of them: SELECT * FROM spine.chain_status.")));
  SqlArgument after{UUIDOID, PG_GETARG_DATUM(0), PG_ARGISNULL(0)}, most{INT8OID, Int64GetDatum(chains)};
  SPI_connect();
  uint64 rows = run_sql(read_page, {after, most});
  for (uint64 i = 0; i < rows; i++) tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
