// Differences between the server's versions 15 to 18, and nothing else.
#pragma once

#include "server/pg.h"

extern "C" {
#include <access/genam.h>
#include <access/toast_internals.h>
#include <catalog/pg_class.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_proc.h>
#include <executor/executor.h>
#include <nodes/nodeFuncs.h>
#include <nodes/plannodes.h>
#include <nodes/readfuncs.h>
#if PG_VERSION_NUM >= 160000
#include <parser/parse_relation.h>
#endif
#if PG_VERSION_NUM >= 180000
#include <rewrite/rewriteHandler.h>
#endif
#include <storage/lock.h>
#include <utils/acl.h>
#include <utils/guc.h>
#if PG_VERSION_NUM >= 160000
#include <utils/guc_hooks.h>
#endif
#include <utils/guc_tables.h>
#include <utils/tuplesort.h>
}

namespace spine {

inline IndexScanDesc compat_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 180000
  return index_beginscan(heap, index, snapshot, nullptr, keys, 0);
#else
  return index_beginscan(heap, index, snapshot, keys, 0);
#endif
}

// What out-of-line values are read under.
inline Snapshot compat_toast_snapshot(SnapshotData *memory) {
#if PG_VERSION_NUM >= 180000
  (void)memory;
  return get_toast_snapshot();
#else
  init_toast_snapshot(memory);
  return memory;
#endif
}

inline List *compat_insert_index_tuples(ResultRelInfo *result, TupleTableSlot *slot, EState *estate) {
#if PG_VERSION_NUM >= 160000
  return ExecInsertIndexTuples(result, slot, estate, false, false, nullptr, NIL, false);
#else
  return ExecInsertIndexTuples(result, slot, estate, false, false, nullptr, NIL);
#endif
}

inline ExprState **&compat_check_states(ResultRelInfo *result) {
#if PG_VERSION_NUM >= 180000
  return result->ri_CheckConstraintExprs;
#else
  return result->ri_ConstraintExprs;
#endif
}

// A CHECK constraint as it is evaluated.
inline Expr *compat_check_expression(Relation relation, const char *stored) {
  Node *expression = static_cast<Node *>(stringToNode(stored));
#if PG_VERSION_NUM >= 180000
  expression = expand_generated_columns_in_expr(expression, relation, 1);
#else
  (void)relation;
#endif
  return reinterpret_cast<Expr *>(expression);
}

// The next of the sorted values, as a copy that the caller frees; false after the last.
inline bool compat_sorted_datum(Tuplesortstate *sort, Datum *value, bool *null) {
#if PG_VERSION_NUM >= 160000
  return tuplesort_getdatum(sort, true, true, value, null, nullptr);
#else
  return tuplesort_getdatum(sort, true, value, null, nullptr);
#endif
}

inline bool compat_lock_held(const LOCKTAG *tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 170000
  return LockHeldByMe(tag, mode, false);
#else
  return LockHeldByMe(tag, mode);
#endif
}

// Memory for what a setting's check hook notes beside the value; null where there is none.
inline void *compat_setting_memory(size_t size) {
#if PG_VERSION_NUM >= 160000
  return guc_malloc(LOG, size);
#else
  return malloc(size);
#endif
}

// A setting by its name, defined or not yet; null where nobody has said anything of it.
inline const config_generic *compat_find_setting(const char *name) {
#if PG_VERSION_NUM >= 160000
  return find_option(name, false, true, LOG);
#else
  config_generic **all = get_guc_variables();
  for (int i = 0; i < GetNumConfigOptions(); i++)
    if (pg_strcasecmp(all[i]->name, name) == 0) return all[i];
  return nullptr;
#endif
}

// For what is updated row by row, without a plan.
inline void compat_init_row_recheck(EPQState *recheck, EState *estate) {
#if PG_VERSION_NUM >= 160000
  EvalPlanQualInit(recheck, estate, nullptr, NIL, -1, NIL);
#else
  EvalPlanQualInit(recheck, estate, nullptr, NIL, -1);
#endif
}

inline bool compat_owns_table(Oid relid, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_ownercheck(RelationRelationId, relid, role);
#else
  return pg_class_ownercheck(relid, role);
#endif
}

inline bool compat_may_execute(Oid function, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
  return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

inline bool compat_may_create_in(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(NamespaceRelationId, schema, role, ACL_CREATE) == ACLCHECK_OK;
#else
  return pg_namespace_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK;
#endif
}

// Whose rights on a table a query asks for; InvalidOid: the current role's.
inline Oid compat_checked_role(const PlannedStmt *statement, const RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 160000
  if (entry->perminfoindex == 0) return InvalidOid;
  return getRTEPermissionInfo(statement->permInfos, const_cast<RangeTblEntry *>(entry))->checkAsUser;
#else
  (void)statement;
  return entry->checkAsUser;
#endif
}

// What of a relation a query reads and writes, and with whose rights: members relid, requiredPerms, checkAsUser, selectedCols.
#if PG_VERSION_NUM >= 160000
using CheckedRelation = RTEPermissionInfo;
inline const List *compat_checked_relations(const PlannedStmt *statement) { return statement->permInfos; }
#else
using CheckedRelation = RangeTblEntry;
inline const List *compat_checked_relations(const PlannedStmt *statement) { return statement->rtable; }
#endif

// Of an entry of a query's range table; null: nothing is checked.
inline CheckedRelation *compat_checked_relation(const Query *query, RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 160000
  return entry->perminfoindex == 0 ? nullptr : getRTEPermissionInfo(query->rteperminfos, entry);
#else
  (void)query;
  return entry;
#endif
}

// Functions that go through a query; up to 15 the server's headers say nothing of their parameters, and C++ takes that for none.
using Walker = bool (*)(Node *, void *);
using Mutator = Node *(*)(Node *, void *);

inline bool compat_walk(Node *node, Walker walker, void *context) {
#if PG_VERSION_NUM >= 160000
  return expression_tree_walker_impl(node, walker, context);
#else
  return expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
#endif
}

inline bool compat_walk_query(Query *query, Walker walker, void *context) {
#if PG_VERSION_NUM >= 160000
  return query_tree_walker_impl(query, walker, context, 0);
#else
  return query_tree_walker(query, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context, 0);
#endif
}

inline Node *compat_mutate(Node *node, Mutator mutator, void *context) {
#if PG_VERSION_NUM >= 160000
  return expression_tree_mutator_impl(node, mutator, context);
#else
  return expression_tree_mutator(node, reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(mutator)), context);
#endif
}

inline Query *compat_mutate_query(Query *query, Mutator mutator, void *context) {
#if PG_VERSION_NUM >= 160000
  return query_tree_mutator_impl(query, mutator, context, 0);
#else
  return query_tree_mutator(query, reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(mutator)), context, 0);
#endif
}

// The hook around the running of a query.
#if PG_VERSION_NUM >= 180000
#define COMPAT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define COMPAT_RUN_ARGUMENTS query, direction, count
#else
#define COMPAT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define COMPAT_RUN_ARGUMENTS query, direction, count, execute_once
#endif

}  // namespace spine
