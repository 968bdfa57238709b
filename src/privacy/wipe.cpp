// spine.wipe_erased: nothing of what was erased stays in the files of the tables.
#include "privacy/page_wiper.h"
#include "server/compat.h"
#include "server/sql.h"
#include "store/emit.h"

extern "C" {
#include <access/heapam.h>
#include <access/relation.h>
#include <access/sysattr.h>
#include <access/tableam.h>
#include <catalog/heap.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_statistic.h>
#include <catalog/pg_statistic_ext.h>
#include <catalog/pg_statistic_ext_data.h>
#include <catalog/pg_type_d.h>
#include <commands/defrem.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <nodes/bitmapset.h>
#include <optimizer/optimizer.h>
#include <storage/lmgr.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

enum WipeColumn { wiped_relation, wiped_blocks, wiped_removed, wiped_bytes, wiped_left, wiped_done, wipe_columns };

// A column that erasure empties.
constexpr Column erasable[] = {Column::payload, Column::payload_salt, Column::personal, Column::personal_salt};

// Who needs the version that transaction $1 made old: of those the one that has needed it longest, this session last.
// $2: whether the version is one of a catalog, which slots of logical replication need too.
constexpr const char *find_holder =
    "SELECT what, is_mine FROM ("
    "  SELECT format('process %s (%s)', pid, concat_ws(', ', backend_type, 'role ' || usename, nullif(application_name, ''))),"
    "         pid = pg_backend_pid(), greatest(age(backend_xid), age(backend_xmin))"
    "    FROM pg_stat_activity WHERE datname = current_database() OR backend_type = 'walsender'"
    "  UNION ALL"
    "  SELECT format('prepared transaction %L', gid), false, age(transaction)"
    "    FROM pg_prepared_xacts WHERE database = current_database()"
    "  UNION ALL"
    "  SELECT format('replication slot %L', slot_name), false, greatest(age(xmin), CASE WHEN $2 THEN age(catalog_xmin) END)"
    "    FROM pg_replication_slots) holder (what, is_mine, age)"
    " WHERE age >= age($1) ORDER BY is_mine, age DESC, what COLLATE \"C\" LIMIT 1";

void say_who_holds(const char *relation, const Wiped &wiped, bool is_catalog) {
  SPI_connect();
  uint64 found = 0;
  if (TransactionIdIsValid(wiped.newest_left))
    found = run_sql(find_holder, {{XIDOID, TransactionIdGetDatum(wiped.newest_left)}, {BOOLOID, BoolGetDatum(is_catalog)}});
  bool null;
  bool is_mine = found > 0 && DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
  const char *holder = found == 0 || is_mine ? nullptr : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
  if (holder != nullptr)
    ereport(NOTICE, (errmsg("%lld old versions are left in %s: %s may still read them", static_cast<long long>(wiped.left), relation, holder),
                     errhint("Once it is gone, or its transaction has ended, call spine.wipe_erased() again.")));
  else if (is_mine)
    ereport(NOTICE, (errmsg("%lld old versions are left in %s: this transaction may still read them", static_cast<long long>(wiped.left), relation),
                     errhint("Once it has ended, call spine.wipe_erased() again.")));
  else
    ereport(NOTICE, (errmsg("%lld old versions are left in %s: they were needed a moment ago", static_cast<long long>(wiped.left), relation),
                     errhint("Call spine.wipe_erased() again.")));
  SPI_finish();
}

class EventWiper {
 public:
  explicit EventWiper(ReturnSetInfo *result) : result_(result) {}
  void wipe_tree(Oid root);
  void wipe_statistics();

 private:
  void wipe_table(Relation table);
  void wipe_heap(Relation relation, bool is_catalog);
  void wipe_relation(Oid relid, bool is_catalog);
  void judge_indexes(Relation table);
  void remove_statistics(Relation table);
  void say_unknown(Oid relid);

  ReturnSetInfo *result_;
};

// Also of partitions that are being detached.
void EventWiper::wipe_tree(Oid root) {
  List *tables = list_make1_oid(root);
  ListCell *cell;
  foreach (cell, tables) {  // the list grows meanwhile
    Relation table = try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (table == nullptr) continue;  // dropped meanwhile
    tables = list_concat(tables, find_inheritance_children_extended(RelationGetRelid(table), false, NoLock, nullptr, nullptr));
    wipe_table(table);
    // Nothing of it is needed any more, and a long call must not keep others from detaching it.
    relation_close(table, AccessShareLock);
  }
}

void EventWiper::wipe_table(Relation table) {
  remove_statistics(table);
  if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) return;
  if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_tableam != GetHeapamTableAmRoutine()) {
    ereport(NOTICE, (errmsg("what is left in %s cannot be told: it is no table of heap", quote_identifier(RelationGetRelationName(table))),
                     errhint("Have whatever stores it remove its old versions.")));
    say_unknown(RelationGetRelid(table));
    return;
  }
  wipe_heap(table, false);
  if (OidIsValid(table->rd_rel->reltoastrelid)) wipe_relation(table->rd_rel->reltoastrelid, false);
  judge_indexes(table);
}

void EventWiper::wipe_relation(Oid relid, bool is_catalog) {
  Relation relation = relation_open(relid, AccessShareLock);
  wipe_heap(relation, is_catalog);
  relation_close(relation, AccessShareLock);
}

void EventWiper::wipe_heap(Relation relation, bool is_catalog) {
  Wiped wiped = PageWiper(relation).wipe();
  const char *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
  if (wiped.left > 0) say_who_holds(name, wiped, is_catalog);
  if (wiped.blocks_in_use > 0)
    ereport(NOTICE, (errmsg("old versions are left in %lld blocks of %s, which others hold in memory", static_cast<long long>(wiped.blocks_in_use), name),
                     errhint("A cursor that is open may stand there. Call spine.wipe_erased() again.")));
  Datum values[wipe_columns];
  bool nulls[wipe_columns] = {};
  values[wiped_relation] = ObjectIdGetDatum(RelationGetRelid(relation));
  values[wiped_blocks] = Int64GetDatum(wiped.blocks);
  values[wiped_removed] = Int64GetDatum(wiped.removed);
  values[wiped_bytes] = Int64GetDatum(wiped.bytes);
  values[wiped_left] = Int64GetDatum(wiped.left);
  values[wiped_done] = BoolGetDatum(wiped.left == 0);
  tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
}

void EventWiper::say_unknown(Oid relid) {
  Datum values[wipe_columns] = {};
  bool nulls[wipe_columns];
  for (bool &null : nulls) null = true;
  values[wiped_relation] = ObjectIdGetDatum(relid);
  nulls[wiped_relation] = false;
  tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
}

bool is_erasable(const char *column) {
  for (Column one : erasable)
    if (strcmp(column_names[static_cast<int>(one)], column) == 0) return true;
  return false;
}

// Whether one of these columns and expressions holds what can be erased. A reference to the whole row does.
bool holds_erasable(Oid table, const int16 *columns, int count, List *expressions) {
  Bitmapset *used = nullptr;
  for (int i = 0; i < count; i++)
    if (columns[i] != 0) used = bms_add_member(used, columns[i] - FirstLowInvalidHeapAttributeNumber);
  if (expressions != NIL) pull_varattnos(reinterpret_cast<Node *>(expressions), 1, &used);
  for (int member = -1; (member = bms_next_member(used, member)) >= 0;) {
    AttrNumber column = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
    if (column == InvalidAttrNumber) return true;
    const char *name = column > 0 ? get_attname(table, column, true) : nullptr;
    if (name != nullptr && is_erasable(name)) return true;
  }
  return false;
}

bool is_index_of_erasable(Oid table, Relation index) {
  return holds_erasable(table, index->rd_index->indkey.values, index->rd_index->indnatts, RelationGetIndexExpressions(index));
}

// Two that change one row of statistics at once would be an error.
void keep_from_analyze(Oid table) { LockRelationOid(table, ShareUpdateExclusiveLock); }

void remove_column_statistics(Oid table, Oid relid, AttrNumber column) {
  keep_from_analyze(table);
  RemoveStatistics(relid, column);
}

// An index that somebody added keeps old values in ways of its own. Only whoever makes it anew knows that they are gone.
void EventWiper::judge_indexes(Relation table) {
  ListCell *cell;
  foreach (cell, RelationGetIndexList(table)) {
    Relation index = try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (index == nullptr) continue;
    if (is_index_of_erasable(RelationGetRelid(table), index)) {
      ereport(NOTICE, (errmsg("what is left in index %s cannot be told: it holds what can be erased", quote_identifier(RelationGetRelationName(index))),
                       errhint("Once the other relations are done, use REINDEX INDEX CONCURRENTLY, which leaves nothing in it.")));
      say_unknown(RelationGetRelid(index));
    }
    relation_close(index, AccessShareLock);
  }
}

// Whether a statistics object covers what can be erased.
bool covers_erasable(Oid table, Oid statistics) {
  HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
  if (!HeapTupleIsValid(tuple)) return false;
  auto *form = reinterpret_cast<Form_pg_statistic_ext>(GETSTRUCT(tuple));
  bool null;
  Datum stored = SysCacheGetAttr(STATEXTOID, tuple, Anum_pg_statistic_ext_stxexprs, &null);
  List *expressions = null ? NIL : static_cast<List *>(stringToNode(TextDatumGetCString(stored)));
  bool covers = holds_erasable(table, form->stxkeys.values, form->stxkeys.dim1, expressions);
  ReleaseSysCache(tuple);
  return covers;
}

bool has_statistics(Oid relid, AttrNumber column) {
  for (bool with_children : {false, true})
    if (SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(column), BoolGetDatum(with_children))) return true;
  return false;
}

// What ANALYZE gathered where somebody had it do so: a copy of values. Once this transaction has ended, they are old versions.
void EventWiper::remove_statistics(Relation table) {
  Oid relid = RelationGetRelid(table);
  ListCell *cell;
  for (Column column : erasable) {
    AttrNumber attnum = get_attnum(relid, column_names[static_cast<int>(column)]);
    if (has_statistics(relid, attnum)) remove_column_statistics(relid, relid, attnum);
  }
  foreach (cell, RelationGetIndexList(table)) {
    Relation index = try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (index == nullptr) continue;
    for (AttrNumber column = 1; column <= RelationGetNumberOfAttributes(index); column++)
      if (has_statistics(RelationGetRelid(index), column) && is_index_of_erasable(relid, index))
        remove_column_statistics(relid, RelationGetRelid(index), column);
    relation_close(index, AccessShareLock);
  }
  foreach (cell, RelationGetStatExtList(table)) {
    for (bool with_children : {false, true}) {
      if (!SearchSysCacheExists2(STATEXTDATASTXOID, ObjectIdGetDatum(lfirst_oid(cell)), BoolGetDatum(with_children))) continue;
      if (!covers_erasable(relid, lfirst_oid(cell))) continue;
      keep_from_analyze(relid);
      RemoveStatisticsDataById(lfirst_oid(cell), with_children);
    }
  }
}

void EventWiper::wipe_statistics() {
  for (Oid catalog : {StatisticRelationId, StatisticExtDataRelationId}) {
    Relation relation = relation_open(catalog, AccessShareLock);
    wipe_heap(relation, true);
    wipe_relation(relation->rd_rel->reltoastrelid, true);
    relation_close(relation, AccessShareLock);
  }
}

void require_owner(Oid table) {
  const char *name = get_rel_name(table);
  if (name == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no relation with OID %u", table),
                    errhint("Name a table of events, or none for spine.events.")));
  if (!compat_owns_table(table, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to wipe table \"%s\"", name),
                    errhint("Its owner and superusers may.")));
}

void require_events(Oid relid) {
  Relation table = relation_open(relid, AccessShareLock);
  (void)event_table(table);
  relation_close(table, AccessShareLock);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_wipe_erased);
PGDLLEXPORT Datum spine_wipe_erased(PG_FUNCTION_ARGS) {
  require_writable("spine.wipe_erased()");
  Oid root = PG_ARGISNULL(0) ? events_relid() : PG_GETARG_OID(0);
  require_owner(root);
  require_events(root);
  InitMaterializedSRF(fcinfo, 0);
  EventWiper wiper(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
  wiper.wipe_tree(root);
  wiper.wipe_statistics();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
