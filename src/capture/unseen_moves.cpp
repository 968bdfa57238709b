// The one kind of statement whose changes triggers do not see.
#include "capture/capture.h"
#include "capture/definition.h"

extern "C" {
#include <access/relation.h>
#include <access/sysattr.h>
#include <catalog/partition.h>
#include <catalog/pg_inherits.h>
#include <executor/executor.h>
#include <parser/parsetree.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

// Whether an UPDATE of these columns can move a row between partitions of the table, at any level.
bool moves_rows(Oid root, Oid updated_table, List *columns) {
  if (get_rel_relkind(root) != RELKIND_PARTITIONED_TABLE) return false;
  ListCell *member, *column;
  foreach (member, find_all_inheritors(root, AccessShareLock, nullptr)) {
    Relation relation = relation_open(lfirst_oid(member), NoLock);
    // Which may set a column of the key.
    bool moves = relation->trigdesc != nullptr && relation->trigdesc->trig_update_before_row;
    Bitmapset *updated = nullptr;
    foreach (column, columns) {
      AttrNumber attnum = get_attnum(RelationGetRelid(relation), get_attname(updated_table, static_cast<AttrNumber>(lfirst_int(column)), false));
      updated = bms_add_member(updated, attnum - FirstLowInvalidHeapAttributeNumber);
    }
    moves |= relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && has_partition_attrs(relation, updated, nullptr);
    relation_close(relation, NoLock);
    if (moves) return true;
  }
  return false;
}

// A MERGE moves a row to another partition by a DELETE and an INSERT, of which the server tells statement triggers only
// where the MERGE has branches of both kinds.
void refuse_unseen_moves(const PlannedStmt *statement, const Plan *plan) {
  if (plan == nullptr || !IsA(plan, ModifyTable)) return;
  const ModifyTable *modify = reinterpret_cast<const ModifyTable *>(plan);
  if (modify->operation != CMD_MERGE || modify->rootRelation == 0) return;
  Oid root = rt_fetch(modify->rootRelation, statement->rtable)->relid;
  if (!is_captured(root)) return;
  Oid updated_table = rt_fetch(static_cast<Index>(linitial_int(modify->resultRelations)), statement->rtable)->relid;
  bool inserts = false, deletes = false, moves = false;
  ListCell *cell;
  foreach (cell, static_cast<List *>(linitial(modify->mergeActionLists))) {
    const MergeAction *action = static_cast<MergeAction *>(lfirst(cell));
    inserts |= action->commandType == CMD_INSERT;
    deletes |= action->commandType == CMD_DELETE;
    if (action->commandType == CMD_UPDATE) moves |= moves_rows(root, updated_table, action->updateColnos);
  }
  if (moves && !(inserts && deletes))
    cannot_capture(psprintf("this MERGE could move rows of table %s between partitions without an event", table_name(root)),
                   "Change columns of the partition key, which a BEFORE UPDATE trigger could do too, by UPDATE; or give the MERGE a branch "
                   "that INSERTs and one that DELETEs.");
}

}  // namespace

void refuse_unseen_moves(const PlannedStmt *statement) {
  if (statement->commandType != CMD_MERGE && !statement->hasModifyingCTE) return;
  refuse_unseen_moves(statement, statement->planTree);
  ListCell *plan;
  foreach (plan, statement->subplans) refuse_unseen_moves(statement, static_cast<Plan *>(lfirst(plan)));
}

}  // namespace spine
