// spine.note_change, and what backends keep in mind.
#include "server/cached_table.h"

#include "server/distributed.h"
#include "server/errors.h"

extern "C" {
#include <catalog/namespace.h>
#include <commands/trigger.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace spine {

Oid spine_table(const char *name) {
  require_undistributed_spine();
  return find_spine_table(name);
}

Oid find_spine_table(const char *name) {
  Oid schema = get_namespace_oid("spine", true);
  return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Relation open_kept_table(Oid relid, std::initializer_list<Oid> types) {
  if (!OidIsValid(relid)) return nullptr;
  Relation relation = table_open(relid, AccessShareLock);
  TupleDesc shape = RelationGetDescr(relation);
  bool fits = relation->rd_rel->relkind == RELKIND_RELATION && shape->natts >= static_cast<int>(types.size());
  for (int i = 0; fits && i < static_cast<int>(types.size()); i++) fits = TupleDescAttr(shape, i)->atttypid == types.begin()[i];
  if (fits) return relation;
  table_close(relation, AccessShareLock);
  return nullptr;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_note_change);
PGDLLEXPORT Datum spine_note_change(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("spine.note_change() is a trigger function"),
                    errhint("CREATE EXTENSION attaches it to the tables that sessions keep in mind.")));
  CacheInvalidateRelcache(reinterpret_cast<TriggerData *>(fcinfo->context)->tg_relation);
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace spine
