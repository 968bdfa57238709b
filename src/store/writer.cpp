// Storing events in spine.events.
#include "store/writer.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/chain.h"
#include "store/chain_partitions.h"
#include "store/event_arguments.h"
#include "store/head.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <catalog/pg_trigger.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <executor/executor.h>
#include <executor/nodeModifyTable.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <parser/parse_coerce.h>
#include <rewrite/rewriteHandler.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

// The trigger that chains direct INSERTs has no work here: the writer chains by itself, after all others ran.
bool is_chain_trigger(const Trigger &trigger) {
  static Oid known = InvalidOid;
  if (trigger.tgfoid == known) return true;
  char *name = get_func_name(trigger.tgfoid);
  bool is = name != nullptr && strcmp(name, "chain_event") == 0 &&
            get_func_namespace(trigger.tgfoid) == get_namespace_oid("spine", true);
  if (is) known = trigger.tgfoid;
  return is;
}

// The table's CHECK constraints, prepared. The executor prepares them anew for each statement, which costs more
// than the rest of storing a row; so the first Writer of a session keeps them, until the table changes.
struct PreparedChecks {
  Oid relid;
  Oid role;         // whose right to call the constraints' functions was checked
  uint64 version;   // EventTable's
  EState *estate;   // whose memory holds them
  ExprState **states;
  bool in_use;      // by a Writer further out, whose row's constraint or trigger emits: states are not reentrant
};
PreparedChecks prepared_checks;

ExprState **prepare_checks(Relation relation) {
  PreparedChecks &p = prepared_checks;
  uint64 version = event_table(relation)->version;
  if (p.estate != nullptr && p.relid == RelationGetRelid(relation) && p.role == GetUserId() && p.version == version)
    return p.states;
  if (p.estate != nullptr) FreeExecutorState(p.estate);
  p.estate = nullptr;
  EState *estate = CreateExecutorState();
  MemoryContext before = MemoryContextSwitchTo(estate->es_query_cxt);
  TupleConstr *constraints = RelationGetDescr(relation)->constr;
  ExprState **states = static_cast<ExprState **>(palloc(sizeof(ExprState *) * Max(constraints->num_check, 1)));
  for (int i = 0; i < constraints->num_check; i++)
    states[i] = ExecPrepareExpr(compat_check_expression(relation, constraints->check[i].ccbin), estate);
  MemoryContextSwitchTo(before);
  // Only what was prepared without an error outlives the statement.
  MemoryContextSetParent(estate->es_query_cxt, CacheMemoryContext);
  p = {RelationGetRelid(relation), GetUserId(), version, estate, states, p.in_use};
  return states;
}

// Stores events in the partitions of spine.events as the executor's INSERT would, without its start-up: triggers, generated
// columns, constraints and indexes all work, rules do not apply, and each event is one row or an error.
class Writer {
 public:
  void open(Relation root, bool use_prepared_checks);
  // Chains and stores one event. Raises what complete_event and chain_event raise, and SP015.
  void store(EventValues *values);
  void close();

 private:
  void enter(TimestampTz moment);
  bool is_in(TimestampTz moment) const;
  void leave();
  bool chain(EventValues *values);
  void drop_chain_trigger();
  void prepare_defaults();
  void fill_added_columns();

  Relation root_;
  bool use_prepared_checks_;
  EState *estate_;
  ResultRelInfo *root_result_;  // null where root_ has no triggers for statements that INSERT
  TransitionCaptureState *transition_;
  // The partition that the last event went to; null before the first.
  Relation relation_;
  TimestampTz starts_;
  ResultRelInfo *result_;
  TupleTableSlot *slot_;
  ExprState **defaults_;  // by column, of those that somebody added; null without any
  Oid before_;            // the partition of the event before the one that is being stored
};

void Writer::drop_chain_trigger() {
  TriggerDesc *triggers = result_->ri_TrigDesc;
  if (triggers == nullptr) return;
  int kept = 0;
  triggers->trig_insert_before_row = false;
  for (int i = 0; i < triggers->numtriggers; i++) {
    const Trigger &trigger = triggers->triggers[i];
    if (is_chain_trigger(trigger)) continue;
    triggers->trig_insert_before_row |= TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_BEFORE(trigger.tgtype) &&
                                        TRIGGER_FOR_INSERT(trigger.tgtype);
    triggers->triggers[kept++] = trigger;
  }
  triggers->numtriggers = kept;
}

void Writer::open(Relation root, bool use_prepared_checks) {
  root_ = root;
  use_prepared_checks_ = use_prepared_checks;
  relation_ = nullptr;
  if (!event_table(root)->is_cut_by_time)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE),
                    errmsg("\"%s\" is not partitioned by ranges of its timestamp", RelationGetRelationName(root)),
                    errhint("Events are emitted into the table that CREATE EXTENSION made; put it back.")));
  estate_ = CreateExecutorState();
  estate_->es_output_cid = GetCurrentCommandId(true);
  AfterTriggerBeginQuery();
  root_result_ = nullptr;
  transition_ = nullptr;
  const TriggerDesc *triggers = root->trigdesc;
  if (triggers != nullptr &&
      (triggers->trig_insert_before_statement || triggers->trig_insert_after_statement || triggers->trig_insert_new_table)) {
    root_result_ = makeNode(ResultRelInfo);
    InitResultRelInfo(root_result_, root, 0, nullptr, 0);
    transition_ = MakeTransitionCaptureState(root_result_->ri_TrigDesc, RelationGetRelid(root), CMD_INSERT);
    ExecBSInsertTriggers(estate_, root_result_);
  }
}

bool Writer::is_in(TimestampTz moment) const {
  return relation_ != nullptr && partition_at(root_, moment).relid == RelationGetRelid(relation_);
}

// Makes the partition of this moment the one that is stored in.
void Writer::enter(TimestampTz moment) {
  if (is_in(moment)) return;
  leave();
  MemoryContext before = MemoryContextSwitchTo(estate_->es_query_cxt);
  for (;;) {
    Partition found = partition_at(root_, moment);
    relation_ = table_open(found.relid, RowExclusiveLock);
    starts_ = found.starts;
    // While this waited for the lock, the moment may have got another one.
    if (is_in(moment)) break;
    table_close(relation_, RowExclusiveLock);
  }
  if (relation_->rd_rel->relkind != RELKIND_RELATION)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE), errmsg("\"%s\" is not a plain table", RelationGetRelationName(relation_)),
                    errhint("A partition of spine.events is a table as spine.create_partitions makes it; put it back.")));
  if (!OidIsValid(event_table(relation_)->sequence_index)) report_no_sequence_index(relation_);
  result_ = makeNode(ResultRelInfo);
  InitResultRelInfo(result_, relation_, 0, root_result_, 0);
  drop_chain_trigger();
  if (use_prepared_checks_ && RelationGetDescr(relation_)->constr != nullptr)
    compat_check_states(result_) = prepare_checks(relation_);
  ExecOpenIndices(result_, false);
  slot_ = ExecInitExtraTupleSlot(estate_, RelationGetDescr(relation_), &TTSOpsVirtual);
  MemoryContextSwitchTo(before);
  prepare_defaults();
}

void Writer::leave() {
  if (relation_ == nullptr) return;
  ExecCloseIndices(result_);
  table_close(relation_, NoLock);
  relation_ = nullptr;
}

// Columns that somebody added to the table get their defaults.
void Writer::prepare_defaults() {
  defaults_ = nullptr;
  TupleDesc shape = RelationGetDescr(relation_);
  if (shape->natts == column_count) return;
  MemoryContext before = MemoryContextSwitchTo(estate_->es_query_cxt);
  defaults_ = static_cast<ExprState **>(palloc0(sizeof(ExprState *) * static_cast<Size>(shape->natts)));
  const EventTable *table = event_table(relation_);
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    if (table->attributes[i].column >= 0 || attribute->attisdropped || attribute->attgenerated != '\0') continue;
    Node *expression = build_column_default(relation_, i + 1);
    // A domain may refuse the NULL that it gets without a default.
    if (expression == nullptr && get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN) {
      int32 type_modifier = attribute->atttypmod;
      Oid base = getBaseTypeAndTypmod(attribute->atttypid, &type_modifier);
      expression = coerce_to_domain(reinterpret_cast<Node *>(makeNullConst(base, type_modifier, attribute->attcollation)),
                                    base, type_modifier, attribute->atttypid, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST,
                                    -1, false);
    }
    if (expression != nullptr) defaults_[i] = ExecPrepareExpr(reinterpret_cast<Expr *>(expression), estate_);
  }
  MemoryContextSwitchTo(before);
}

void Writer::fill_added_columns() {
  if (defaults_ == nullptr) return;
  ExprContext *context = GetPerTupleExprContext(estate_);
  for (int i = 0; i < RelationGetDescr(relation_)->natts; i++) {
    slot_->tts_isnull[i] = true;
    if (defaults_[i] != nullptr)
      slot_->tts_values[i] = ExecEvalExprSwitchContext(defaults_[i], context, &slot_->tts_isnull[i]);
  }
}

void to_slot(const EventTable *table, const EventValues &values, TupleTableSlot *slot) {
  for (int c = 0; c < column_count; c++) {
    int i = table->attnum[c] - 1;
    slot->tts_values[i] = values.value[c];
    slot->tts_isnull[i] = values.null[c];
  }
}

// Runs the triggers that come before, and chains what they leave. False: the event belongs into another partition, and is
// as it was.
bool Writer::chain(EventValues *values) {
  ResetPerTupleExprContext(estate_);
  ExecClearTuple(slot_);
  fill_added_columns();
  const TriggerDesc *triggers = result_->ri_TrigDesc;
  bool was_stamped = values->has(Column::id);
  EventValues given = *values;
  if (triggers != nullptr && triggers->trig_insert_before_row) {
    // Triggers see what the caller said. What they say is checked as if he had.
    for (Column stamp : stamps) values->null[static_cast<int>(stamp)] = true;
    to_slot(event_table(relation_), *values, slot_);
    ExecStoreVirtualTuple(slot_);
    if (!ExecBRInsertTriggers(estate_, result_, slot_))
      ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED),
                      errmsg("a trigger on table \"%s\" suppressed the event", RelationGetRelationName(root_)),
                      errhint("A BEFORE INSERT trigger that somebody added returned NULL. Events must not get lost: "
                              "drop the trigger.")));
    slot_getallattrs(slot_);
    const EventTable *table = event_table(relation_);
    for (int c = 0; c < column_count; c++) {
      values->value[c] = slot_->tts_values[table->attnum[c] - 1];
      values->null[c] = slot_->tts_isnull[table->attnum[c] - 1];
    }
  }

  const EventTable *table = event_table(relation_);
  if (!values->has(Column::id)) {
    // What a trigger left as it was emitted was checked then, and rights are those of then.
    check_event(table, values, was_stamped ? &given : nullptr);
    if (was_stamped)
      for (Column stamp : {Column::id, Column::recorded_by, Column::transaction_id}) values->set(stamp, given.get(stamp));
    else
      stamp_event(values);
  }
  before_ = chain_event(table, values, nullptr);
  TimestampTz moment = DatumGetTimestampTz(values->get(Column::timestamp));
  if (is_in(moment)) return true;
  *values = given;
  enter(moment);
  return false;
}

void Writer::store(EventValues *values) {
  if (relation_ == nullptr) enter(GetCurrentTimestamp());
  while (!chain(values)) continue;
  const EventTable *table = event_table(relation_);
  to_slot(table, *values, slot_);
  if (TTS_EMPTY(slot_)) ExecStoreVirtualTuple(slot_);
  slot_->tts_tableOid = RelationGetRelid(relation_);

  TupleConstr *constraints = RelationGetDescr(relation_)->constr;
  if (constraints != nullptr) {
    if (constraints->has_generated_stored) ExecComputeStoredGenerated(result_, estate_, slot_, CMD_INSERT);
    ExecConstraints(result_, slot_, estate_);
  }
  table_tuple_insert(relation_, slot_, estate_->es_output_cid, 0, nullptr);
  List *recheck = NIL;
  if (result_->ri_NumIndices > 0) recheck = compat_insert_index_tuples(result_, slot_, estate_);
  if (result_->ri_TrigDesc != nullptr) ExecARInsertTriggers(estate_, result_, slot_, recheck, transition_);
  list_free(recheck);
  if (before_ != RelationGetRelid(relation_)) note_partition(uuid_of(values->get(Column::organization_id)), starts_);
  remember_head(event_table(relation_), *values, &slot_->tts_tid);
}

void Writer::close() {
  if (root_result_ != nullptr) ExecASInsertTriggers(estate_, root_result_, transition_);
  AfterTriggerEndQuery(estate_);
  ExecCloseResultRelations(estate_);
  leave();
  ExecResetTupleTable(estate_->es_tupleTable, false);
  FreeExecutorState(estate_);
}

}  // namespace

void store_events(Relation relation, EventValues *events, int count, int *position) {
  PreparedChecks &p = prepared_checks;
  bool outermost = !p.in_use;
  p.in_use = true;
  PG_TRY();
  {
    MemoryContext each = count > 1 ? AllocSetContextCreate(CurrentMemoryContext, "event", ALLOCSET_DEFAULT_SIZES)
                                   : CurrentMemoryContext;
    Writer writer;
    writer.open(relation, outermost);
    for (*position = 0; *position < count; ++*position) {
      CHECK_FOR_INTERRUPTS();
      EventValues *event = &events[*position];
      MemoryContext before = MemoryContextSwitchTo(each);
      writer.store(event);
      MemoryContextSwitchTo(before);
      if (each == before) continue;
      // The id outlives the event's memory: it is the answer.
      event->set(Column::id, uuid_datum(uuid_of(event->get(Column::id))));
      MemoryContextReset(each);
    }
    writer.close();
  }
  PG_FINALLY();
  {
    if (outermost) p.in_use = false;
  }
  PG_END_TRY();
}

}  // namespace spine
