#include "server/distributed.h"

#include "server/cached_table.h"
#include "server/errors.h"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/pg_namespace_d.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

bool is_known;    // what stands next
Oid distributed;  // a table of schema spine that Citus has distributed, or InvalidOid
uint64 changes;   // counts invalidations

[[noreturn]] void report_distributed(const char *schema, const char *table, const char *how) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_DISTRIBUTED), errmsg("table \"%s.%s\" is %s", schema, table, how),
                  errdetail("The chain, its rights and its reading are served on tables of one server alone."),
                  errhint("Undo what distributed it, or keep the spine in a database where Citus distributes none of its tables; "
                          "docs/scale.md says how to spread organizations over servers.")));
}

// Citus's catalog of that name, opened, or null where there is none of this shape.
Relation open_catalog(const char *name, std::initializer_list<Oid> types) {
  return open_kept_table(get_relname_relid(name, PG_CATALOG_NAMESPACE), types);
}

// A table that Citus has distributed and of which fits(table) says true, or InvalidOid.
template <class Fits>
Oid find_distributed(Fits fits) {
  Oid found = InvalidOid;
  Relation catalog = open_catalog("pg_dist_partition", {REGCLASSOID});
  if (catalog == nullptr) return found;
  each_row_now(catalog, 1, [&](const Datum *values, const bool *nulls) {
    if (!nulls[0] && fits(DatumGetObjectId(values[0]))) found = DatumGetObjectId(values[0]);
  });
  table_close(catalog, AccessShareLock);
  return found;
}

// A shard is named after its table, with an underscore and its number. 0: the name ends with none.
int64 shard_number(const char *name) {
  const char *at = strrchr(name, '_');
  if (at == nullptr || at[1] == '\0' || strspn(at + 1, "0123456789") != strlen(at + 1) || strlen(at + 1) > 18) return 0;
  return strtoll(at + 1, nullptr, 10);
}

bool is_shard(const char *name) {
  int64 number = shard_number(name);
  if (number == 0) return false;
  bool found = false;
  Relation catalog = open_catalog("pg_dist_shard", {REGCLASSOID, INT8OID});
  if (catalog == nullptr) return false;
  each_row_now(catalog, 2, [&](const Datum *values, const bool *nulls) { found |= !nulls[1] && DatumGetInt64(values[1]) == number; });
  table_close(catalog, AccessShareLock);
  return found;
}

}  // namespace

void require_undistributed(Relation table) {
  if (!OidIsValid(get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE))) return;
  Oid relid = RelationGetRelid(table);
  const char *schema = get_namespace_name(RelationGetNamespace(table));
  if (OidIsValid(find_distributed([=](Oid other) { return other == relid; })))
    report_distributed(schema, RelationGetRelationName(table), "distributed by Citus");
  if (is_shard(RelationGetRelationName(table)))
    report_distributed(schema, RelationGetRelationName(table), "a shard of a table that Citus distributed");
}

void require_undistributed_spine() {
  if (!OidIsValid(get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE))) return;
  read_until_valid(changes, &is_known, [] {
    Oid schema = get_namespace_oid("spine", true);
    distributed = find_distributed([=](Oid table) { return OidIsValid(schema) && get_rel_namespace(table) == schema; });
  });
  if (OidIsValid(distributed)) report_distributed("spine", get_rel_name(distributed), "distributed by Citus");
}

void forget_distributed() {
  changes++;
  is_known = false;
}

}  // namespace spine
