// What a query would do to rows that nothing changes but the spine: stored events, and the catalogs' rows that say what
// their table is. It stands below the triggers and holds whatever is disabled.
#include "guard/guard.h"
#include "guard/guarded.h"
#include "guard/refusal.h"

#include "store/chain_triggers.h"

extern "C" {
#include <catalog/catalog.h>
#include <catalog/namespace.h>
#include <catalog/pg_class.h>
#include <catalog/pg_database.h>
#include <catalog/pg_description.h>
#include <catalog/pg_largeobject.h>
#include <catalog/pg_shdescription.h>
#include <catalog/pg_statistic.h>
#include <catalog/pg_statistic_ext_data.h>
#include <catalog/pg_subscription_rel.h>
#include <commands/extension.h>
#include <nodes/plannodes.h>
#include <parser/parsetree.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

// Of a plan's top or one of its CTEs: what it would do to rows that are there; null for nothing.
const char *change_of(const ModifyTable *plan) {
  if (plan->operation == CMD_UPDATE || plan->onConflictAction == ONCONFLICT_UPDATE) return "UPDATE";
  if (plan->operation == CMD_DELETE) return "DELETE";
  ListCell *of_relation;
  foreach (of_relation, plan->mergeActionLists) {
    ListCell *action;
    foreach (action, static_cast<List *>(lfirst(of_relation))) {
      CmdType command = static_cast<MergeAction *>(lfirst(action))->commandType;
      if (command == CMD_UPDATE) return "UPDATE";
      if (command == CMD_DELETE) return "DELETE";
    }
  }
  return nullptr;
}

bool is_events(Oid relid) {
  Guarded guarded;
  if (!guarded.find() || !guarded.owns(RelationRelationId, guarded.events)) return false;
  return guarded.holds_events(relid);
}

// The table that the statement names, where this is a partition of it.
Oid named_by(const PlannedStmt *statement, const ModifyTable *modify, Oid relid) {
  return modify->rootRelation == 0 ? relid : rt_fetch(modify->rootRelation, statement->rtable)->relid;
}

void judge_plan(const PlannedStmt *statement, const Plan *plan, const char *text) {
  if (plan == nullptr || !IsA(plan, ModifyTable)) return;
  const ModifyTable *modify = reinterpret_cast<const ModifyTable *>(plan);
  const char *change = change_of(modify);
  ListCell *index;
  foreach (index, modify->resultRelations) {
    Oid relid = rt_fetch(static_cast<Index>(lfirst_int(index)), statement->rtable)->relid;
    if (change != nullptr && is_events(relid)) refuse_change(change, get_rel_name(named_by(statement, modify, relid)));
    Guarded guarded;
    if (defines_objects(relid) && guarded.find())
      refuse_query(change != nullptr ? change : "INSERT", psprintf("system catalog %s", get_rel_name(relid)), text);
  }
}

}  // namespace

bool defines_objects(Oid relid) {
  switch (relid) {
    // A database's own switches, comments, statistics and data: nothing of the spine is told by them.
    case DatabaseRelationId:
    case DescriptionRelationId:
    case SharedDescriptionRelationId:
    case StatisticRelationId:
    case StatisticExtDataRelationId:
    case LargeObjectRelationId:
    case SubscriptionRelRelationId:
      return false;
    default:
      // An extension's script comes from the server's disk, as this library does.
      return IsCatalogRelationOid(relid) && !creating_extension;
  }
}

void judge_query(const PlannedStmt *statement, const char *text) {
  if (statement->commandType == CMD_SELECT && !statement->hasModifyingCTE) return;
  judge_plan(statement, statement->planTree, text);
  ListCell *plan;
  foreach (plan, statement->subplans) judge_plan(statement, static_cast<Plan *>(lfirst(plan)), text);
}

}  // namespace spine
