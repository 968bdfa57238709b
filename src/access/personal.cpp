// What a query sees of the personal part of events. Row security cannot hide a column, so the planner is given the query with
// each use of that part behind spine.shown_event, which decides row by row; and a query that was planned without it does not run.
#include "access/access.h"

#include "server/cached_table.h"
#include "server/compat.h"
#include "server/errors.h"
#include "store/event_table.h"

extern "C" {
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/sysattr.h>
#include <catalog/namespace.h>
#include <catalog/pg_proc.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <parser/parsetree.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

constexpr const char *personal_columns[] = {"personal", "personal_salt", "personal_hash"};

bool names_column(const Bitmapset *columns, AttrNumber column) {
  return bms_is_member(column - FirstLowInvalidHeapAttributeNumber, columns);
}

// Whether a query names a column that tells of the personal part, alone or in a whole row.
bool names_personal(const CheckedRelation &relation) {
  if ((relation.requiredPerms & ACL_SELECT) == 0 || relation.selectedCols == nullptr || !OidIsValid(relation.relid) ||
      relation.relid != find_spine_table("events"))
    return false;
  bool found = names_column(relation.selectedCols, 0);
  for (const char *column : personal_columns) found |= names_column(relation.selectedCols, get_attnum(relation.relid, column));
  return found;
}

Oid role_of(const CheckedRelation &relation) { return OidIsValid(relation.checkAsUser) ? relation.checkAsUser : GetUserId(); }

void require_personal_of(Oid role) {
  if (sees_all_personal(role)) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("role \"%s\" may not read the personal part of spine.events", GetUserNameFromId(role, false)),
                  errhint("Run it again: it shows as NULL once the library is loaded. In an SQL function that returns a set, name "
                          "the columns that you need. spine.grant_reader() with personal => true lets a role read it.")));
}

// A query on its way, and those around it.
struct Level {
  const Level *outer;
  const Query *query;
};

struct Hiding {
  const Level *level;
  Oid events;
  Oid function;
};

// Whose right to the table is one to some columns, the server refuses the others.
bool hides(const Query *query, RangeTblEntry *entry, Oid events) {
  if (entry->rtekind != RTE_RELATION || entry->relid != events) return false;
  const CheckedRelation *relation = compat_checked_relation(query, entry);
  return relation != nullptr && names_personal(*relation) && is_restricted(events, role_of(*relation)) &&
         pg_class_aclcheck(events, role_of(*relation), ACL_SELECT) == ACLCHECK_OK;
}

bool is_found(Node *node, void *events);

bool has_hidden(Query *query, Oid *events) {
  ListCell *cell;
  foreach (cell, query->rtable)
    if (hides(query, static_cast<RangeTblEntry *>(lfirst(cell)), *events)) return true;
  return compat_walk_query(query, is_found, events);
}

bool is_found(Node *node, void *events) {
  if (node == nullptr) return false;
  if (IsA(node, Query)) return has_hidden(reinterpret_cast<Query *>(node), static_cast<Oid *>(events));
  return compat_walk(node, is_found, events);
}

Node *hide(Node *node, void *argument);

Bitmapset *all_columns_of(Oid events) {
  Bitmapset *columns = nullptr;
  Relation relation = relation_open(events, NoLock);  // the query holds its lock
  TupleDesc shape = RelationGetDescr(relation);
  for (int i = 0; i < shape->natts; i++)
    if (!TupleDescAttr(shape, i)->attisdropped) columns = bms_add_member(columns, i + 1 - FirstLowInvalidHeapAttributeNumber);
  relation_close(relation, NoLock);
  return columns;
}

Query *hide_in(Query *query, const Hiding *hiding) {
  Level level{hiding->level, query};
  Hiding inner = *hiding;
  inner.level = &level;
  List *hidden = NIL;
  for (int i = 0; i < list_length(query->rtable); i++)
    if (hides(query, static_cast<RangeTblEntry *>(list_nth(query->rtable, i)), hiding->events)) hidden = lappend_int(hidden, i);
  Query *changed = compat_mutate_query(query, hide, &inner);
  // What is read as it is stored is from now on the rest.
  ListCell *cell;
  foreach (cell, hidden) {
    CheckedRelation *relation = compat_checked_relation(changed, static_cast<RangeTblEntry *>(list_nth(changed->rtable, lfirst_int(cell))));
    Bitmapset *selected = bms_copy(relation->selectedCols);
    bool whole = names_column(selected, 0);
    selected = bms_del_member(selected, 0 - FirstLowInvalidHeapAttributeNumber);
    if (whole) selected = bms_add_members(selected, all_columns_of(hiding->events));
    selected = bms_add_member(selected, get_attnum(hiding->events, "organization_id") - FirstLowInvalidHeapAttributeNumber);
    for (const char *column : personal_columns)
      selected = bms_del_member(selected, get_attnum(hiding->events, column) - FirstLowInvalidHeapAttributeNumber);
    relation->selectedCols = selected;
  }
  return changed;
}

// The row as spine.shown_event gives it, or a column of that.
Node *shown(const Var *var, const Hiding *hiding) {
  bool is_whole = var->varattno == 0;
  bool is_personal = is_whole;
  for (const char *column : personal_columns) is_personal |= var->varattno == get_attnum(hiding->events, column);
  if (!is_personal) return nullptr;
  Var *row = static_cast<Var *>(copyObjectImpl(var));
  row->varattno = row->varattnosyn = 0;
  row->vartype = get_rel_type_id(hiding->events);
  row->vartypmod = -1;
  row->varcollid = InvalidOid;
  Node *call = reinterpret_cast<Node *>(
      makeFuncExpr(hiding->function, row->vartype, list_make1(row), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
  if (is_whole) return call;
  FieldSelect *field = makeNode(FieldSelect);
  field->arg = reinterpret_cast<Expr *>(call);
  field->fieldnum = var->varattno;
  field->resulttype = var->vartype;
  field->resulttypmod = var->vartypmod;
  field->resultcollid = var->varcollid;
  return reinterpret_cast<Node *>(field);
}

Node *hide(Node *node, void *argument) {
  const Hiding *hiding = static_cast<const Hiding *>(argument);
  if (node == nullptr) return nullptr;
  if (IsA(node, Query)) return reinterpret_cast<Node *>(hide_in(reinterpret_cast<Query *>(node), hiding));
  if (IsA(node, Var)) {
    const Var *var = reinterpret_cast<const Var *>(node);
    const Level *level = hiding->level;
    for (Index up = var->varlevelsup; up > 0; up--) level = level->outer;
    RangeTblEntry *entry = rt_fetch(var->varno, level->query->rtable);
    Node *instead = hides(level->query, entry, hiding->events) ? shown(var, hiding) : nullptr;
    if (instead != nullptr) return instead;
  }
  return compat_mutate(node, hide, argument);
}

}  // namespace

Query *hide_personal(Query *query) {
  if (query->commandType == CMD_UTILITY) return query;
  Oid events = find_spine_table("events");
  if (!OidIsValid(events) || !has_hidden(query, &events)) return query;
  Oid row = get_rel_type_id(events);
  Oid function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("shown_event"),
                                 PointerGetDatum(buildoidvector(&row, 1)), ObjectIdGetDatum(get_rel_namespace(events)));
  if (!OidIsValid(function)) return query;
  Hiding hiding{nullptr, events, function};
  return hide_in(query, &hiding);
}

bool require_personal(const QueryDesc *query) {
  bool reads_personal = false;
  ListCell *cell;
  foreach (cell, compat_checked_relations(query->plannedstmt)) {
    const CheckedRelation *relation = static_cast<const CheckedRelation *>(lfirst(cell));
    if (!names_personal(*relation) || !is_restricted(relation->relid, role_of(*relation))) continue;
    reads_personal = true;
    // Of a view, its owner must not let others have what is hidden from him, nor they take what is hidden from them.
    require_personal_of(role_of(*relation));
    require_personal_of(GetUserId());
  }
  return reads_personal;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_shown_event);
PGDLLEXPORT Datum spine_shown_event(PG_FUNCTION_ARGS) {
  if (fcinfo->flinfo->fn_extra == nullptr) {
    AcceptInvalidationMessages();  // as spine.may_read does
    fcinfo->flinfo->fn_extra = fcinfo->flinfo;
  }
  HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
  Oid events = get_typ_typrelid(HeapTupleHeaderGetTypeId(row));
  if (!OidIsValid(events))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE), errmsg("the value is no row of a table of events"),
                    errhint("Pass a row of spine.events.")));
  Relation relation = relation_open(events, AccessShareLock);
  constexpr uint32 wanted = bit(Column::organization_id) | bit(Column::personal) | bit(Column::personal_salt) | bit(Column::personal_hash);
  const EventTable *table = event_table(relation);
  Event event;
  const char *why;
  if (!event_of_tuple(relation, table, row, HeapTupleHeaderGetDatumLength(row), wanted, &event, &why)) report_damaged(event, why);
  Datum shown = PG_GETARG_DATUM(0);
  bool is_there = event.has(Column::personal) || event.has(Column::personal_salt);
  if (is_there && !(event.has(Column::organization_id) && sees_personal(events, event.organization_id))) {
    Bytes hash = part_hashes(event).personal;
    int columns[] = {table->attnum[static_cast<int>(Column::personal)], table->attnum[static_cast<int>(Column::personal_salt)],
                     table->attnum[static_cast<int>(Column::personal_hash)]};
    Datum values[] = {0, 0, hash.data == nullptr ? 0 : bytea_datum(hash)};
    bool nulls[] = {true, true, hash.data == nullptr};
    HeapTupleData tuple;
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_tableOid = InvalidOid;
    tuple.t_data = row;
    TupleDesc shape = RelationGetDescr(relation);
    shown = heap_copy_tuple_as_datum(heap_modify_tuple_by_cols(&tuple, shape, lengthof(columns), columns, values, nulls), shape);
  }
  relation_close(relation, AccessShareLock);
  return shown;
}

}  // extern "C"

}  // namespace spine
