#include "store/partitions.h"

#include "server/errors.h"
#include "server/sql.h"

extern "C" {
#include <access/relation.h>
#include <catalog/pg_type_d.h>
#include <partitioning/partbounds.h>
#include <partitioning/partdesc.h>
#include <utils/inval.h>
#include <utils/rel.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// The last of the bounds that is not behind the moment; -1: all are.
int last_bound(const PartitionBoundInfoData *bounds, TimestampTz moment) {
  int low = -1, high = bounds->ndatums - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    PartitionRangeDatumKind kind = bounds->kind[middle][0];
    bool is_behind = kind == PARTITION_RANGE_DATUM_VALUE ? DatumGetTimestampTz(bounds->datums[middle][0]) > moment
                                                         : kind == PARTITION_RANGE_DATUM_MAXVALUE;
    if (is_behind)
      high = middle - 1;
    else
      low = middle;
  }
  return low;
}

Partition find_partition(Relation root, TimestampTz moment, bool is_of_default) {
  PartitionDesc partitions = RelationGetPartitionDesc(root, true);
  if (partitions->nparts == 0) return {InvalidOid, 0};
  const PartitionBoundInfoData *bounds = partitions->boundinfo;
  int bound = is_of_default ? -1 : last_bound(bounds, moment);
  int index = is_of_default ? -1 : bounds->indexes[bound + 1];
  Partition found{InvalidOid, default_partition_starts};
  if (index < 0)
    index = bounds->default_index;
  else
    found.starts = bound >= 0 && bounds->kind[bound][0] == PARTITION_RANGE_DATUM_VALUE
                       ? DatumGetTimestampTz(bounds->datums[bound][0])
                       : DT_NOBEGIN;
  if (index >= 0 && partitions->is_leaf[index]) found.relid = partitions->oids[index];
  return found;
}

}  // namespace

List *leaves_of(Oid table) {
  AcceptInvalidationMessages();  // where the table is locked already, opening it does not
  Relation relation = try_relation_open(table, AccessShareLock);
  if (relation == nullptr) return NIL;
  List *found = NIL;
  if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
    PartitionDesc partitions = RelationGetPartitionDesc(relation, false);
    for (int i = 0; i < partitions->nparts; i++)
      found = partitions->is_leaf[i] ? lappend_oid(found, partitions->oids[i])
                                     : list_concat(found, leaves_of(partitions->oids[i]));
  } else {
    found = list_make1_oid(table);
  }
  relation_close(relation, AccessShareLock);
  return found;
}

Partition partition_at(Relation root, TimestampTz moment) {
  Partition found = find_partition(root, moment, false);
  if (!OidIsValid(found.relid))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE),
                    errmsg("table \"%s\" has no partition for %s", RelationGetRelationName(root), timestamptz_to_str(moment)),
                    errhint("Give it a default partition, or make the missing one. A partition must not be partitioned itself.")));
  return found;
}

bool is_only_partition(Relation root, const Partition &partition) {
  PartitionDesc partitions = RelationGetPartitionDesc(root, true);
  return partitions->nparts == 1 && partitions->oids[0] == partition.relid;
}

Partition partition_from(Relation root, TimestampTz starts) {
  return find_partition(root, starts, starts == default_partition_starts);
}

List *grantees_of(Oid table) {
  constexpr const char *grantees =
      "SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END"
      "  FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner";
  uint64 count = run_sql(grantees, {{OIDOID, ObjectIdGetDatum(table)}});
  List *names = NIL;
  for (uint64 i = 0; i < count; i++) names = lappend(names, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
  return names;
}

}  // namespace spine
