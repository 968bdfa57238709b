// The module: magic block, start-up, what lives as long as the backend; and all that the server calls the spine for
// without being asked by SQL. Nothing else in the library registers a callback or sets a hook, so the order is the order here.

#include "access/access.h"
#include "capture/capture.h"
#include "capture/required_events.h"
#include "guard/guard.h"
#include "partitions/partitions.h"
#include "server/compat.h"
#include "server/distributed.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/chain_lock.h"
#include "store/chain_partitions.h"
#include "store/chain_triggers.h"
#include "store/durability.h"
#include "store/event_types.h"
#include "store/head.h"
#include "store/notifier.h"
#include "store/pending.h"
#include "store/shared_heads.h"

extern "C" {
#include <access/xact.h>
#include <executor/executor.h>
#include <miscadmin.h>
#include <optimizer/planner.h>
#include <storage/ipc.h>
#include <tcop/utility.h>
#include <utils/inval.h>
#include <utils/resowner.h>
#include <utils/syscache.h>

#if PG_VERSION_NUM >= 180000
PG_MODULE_MAGIC_EXT(.name = "people_os_spine", .version = SPINE_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);
}

namespace spine {

Hasher &hasher() {
  static Hasher *only = nullptr;
  if (only == nullptr) only = Hasher::create().release();
  if (only == nullptr) report(Status::out_of_memory, "events");
  return *only;
}

namespace {

// Transactions ---------------------------------------------------------------------------------------------------

void on_transaction(XactEvent event, void *) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      chain_before_commit();
      check_changes();  // against what was stored
      warn_of_altered_rows();
      if (event == XACT_EVENT_PRE_COMMIT) prepare_commit();  // last: it knows whether there are events
      break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      forget_pending();
      forget_changes();
      forget_altered_rows();
      end_durability(event == XACT_EVENT_ABORT);
      forget_heads();
      forget_chain_locks();
      break;
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PARALLEL_ABORT:
      forget_heads();
      break;
    default:
      break;
  }
}

void on_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *) {
  if (event == SUBXACT_EVENT_ABORT_SUB) {
    roll_back_pending(mine);
    roll_back_changes(mine);
    roll_back_altered_rows(mine);
    end_durability_of_savepoint(true);
    forget_heads();
    roll_back_chain_locks(mine);
  } else if (event == SUBXACT_EVENT_COMMIT_SUB) {
    keep_pending(mine, parent);
    keep_changes(mine, parent);
    keep_altered_rows(mine, parent);
    end_durability_of_savepoint(false);
    keep_chain_locks(mine, parent);
  }
}

void on_release(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *) {
  if (phase == RESOURCE_RELEASE_AFTER_LOCKS && is_top_level) wait_after_release(is_commit);
}

// What backends keep in mind -----------------------------------------------------------------------------------------

// One callback of the ten that a backend has room for.
void on_relation_change(Datum, Oid relid) {
  forget_event_table(relid);
  forget_rights_from(relid);
  forget_event_types(relid);
  forget_latest_partition(relid);
  forget_distributed();
}

void on_definition_change(Datum, int, uint32) { forget_event_table(InvalidOid); }

void on_enum_change(Datum, int, uint32) { forget_enum_labels(); }

void on_role_change(Datum, int, uint32) { forget_rights(); }

// Statements ---------------------------------------------------------------------------------------------------------

planner_hook_type next_planner;
ExecutorStart_hook_type next_executor_start;
ExecutorRun_hook_type next_executor_run;
ExecutorFinish_hook_type next_executor_finish;
ProcessUtility_hook_type next_utility;
object_access_hook_type next_object_access;

PlannedStmt *plan(Query *query, const char *text, int options, ParamListInfo parameters) {
  Query *shown = hide_personal(query);
  if (next_planner != nullptr) return next_planner(shown, text, options, parameters);
  return standard_planner(shown, text, options, parameters);
}

void on_executor_start(QueryDesc *query, int flags) {
  refuse_hidden_plan(query, flags);  // first: a plan that is refused must not start
  (void)require_personal(query);
  if (next_executor_start != nullptr)
    next_executor_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
  // Once the server has checked the rights.
  if (!IsBinaryUpgrade) judge_query(query->plannedstmt, query->sourceText);
  refuse_unseen_moves(query->plannedstmt);
}

void run(COMPAT_RUN_PARAMETERS) {
  if (next_executor_run != nullptr)
    next_executor_run(COMPAT_RUN_ARGUMENTS);
  else
    standard_ExecutorRun(COMPAT_RUN_ARGUMENTS);
}

// A cursor may go on as another role than it began.
void on_executor_run(COMPAT_RUN_PARAMETERS) {
  bool reads_personal = require_personal(query);
  Oid outer = begin_personal(reads_personal);
  if (!reads_personal && !OidIsValid(outer)) return run(COMPAT_RUN_ARGUMENTS);
  PG_TRY();
  {
    run(COMPAT_RUN_ARGUMENTS);
  }
  PG_FINALLY();
  {
    end_personal(outer);
  }
  PG_END_TRY();
}

// In it the query's AFTER triggers run.
void on_executor_finish(QueryDesc *query) {
  CapturedQuery outer = begin_triggers(query);
  PG_TRY();
  {
    if (next_executor_finish != nullptr)
      next_executor_finish(query);
    else
      standard_ExecutorFinish(query);
  }
  PG_FINALLY();
  {
    end_triggers(outer);
  }
  PG_END_TRY();
}

void on_utility(PlannedStmt *planned, const char *text, bool read_only_tree, ProcessUtilityContext context,
                ParamListInfo parameters, QueryEnvironment *environment, DestReceiver *destination,
                QueryCompletion *completion) {
  GuardedStatement outer = begin_statement(planned, text, context == PROCESS_UTILITY_SUBCOMMAND);
  CapturedQuery outer_query = begin_triggers(nullptr);
  bool explains = IsA(planned->utilityStmt, ExplainStmt);
  if (explains) begin_explain();
  // Some statements are gone once they have run; this kind is not.
  const AlterTableStmt *altered =
      IsA(planned->utilityStmt, AlterTableStmt) ? reinterpret_cast<const AlterTableStmt *>(planned->utilityStmt) : nullptr;
  PG_TRY();
  {
    if (!IsBinaryUpgrade) judge_statement(planned->utilityStmt);
    ProcessUtility_hook_type next = next_utility != nullptr ? next_utility : standard_ProcessUtility;
    next(planned, text, read_only_tree, context, parameters, environment, destination, completion);
    if (altered != nullptr && !IsBinaryUpgrade) note_attached(altered);
  }
  PG_FINALLY();
  {
    if (explains) end_explain();
    end_triggers(outer_query);
    end_statement(outer);
  }
  PG_END_TRY();
}

void on_object_access(ObjectAccessType access, Oid classid, Oid object, int column, void *argument) {
  if (next_object_access != nullptr) next_object_access(access, classid, object, column, argument);
  if (!IsBinaryUpgrade) judge_object(access, classid, object, argument);
}

// Start-up -------------------------------------------------------------------------------------------------------------

void watch_transactions() { RegisterXactCallback(on_transaction, nullptr); }
void watch_subtransactions() { RegisterSubXactCallback(on_subtransaction, nullptr); }
void watch_releases() { RegisterResourceReleaseCallback(on_release, nullptr); }

void watch_caches() {
  CacheRegisterRelcacheCallback(on_relation_change, static_cast<Datum>(0));
  CacheRegisterSyscacheCallback(PROCOID, on_definition_change, static_cast<Datum>(0));
  CacheRegisterSyscacheCallback(TYPEOID, on_definition_change, static_cast<Datum>(0));
  CacheRegisterSyscacheCallback(ENUMOID, on_enum_change, static_cast<Datum>(0));
  CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_role_change, static_cast<Datum>(0));
  CacheRegisterSyscacheCallback(AUTHOID, on_role_change, static_cast<Datum>(0));
}

// Shared memory can be had only where the server itself loads the library, as it starts.
shmem_request_hook_type next_shared_memory_request;
shmem_startup_hook_type next_shared_memory_startup;

void on_shared_memory_request() {
  if (next_shared_memory_request != nullptr) next_shared_memory_request();
  request_notifier_memory();
  request_shared_heads();
}

void on_shared_memory_startup() {
  if (next_shared_memory_startup != nullptr) next_shared_memory_startup();
  make_notifier_memory();
  make_shared_heads();
}

void share_memory() {
  if (!process_shared_preload_libraries_in_progress) return;
  next_shared_memory_request = shmem_request_hook;
  shmem_request_hook = on_shared_memory_request;
  next_shared_memory_startup = shmem_startup_hook;
  shmem_startup_hook = on_shared_memory_startup;
}

void set_hooks() {
  note_load();
  next_planner = planner_hook;
  planner_hook = plan;
  next_executor_start = ExecutorStart_hook;
  ExecutorStart_hook = on_executor_start;
  next_executor_run = ExecutorRun_hook;
  ExecutorRun_hook = on_executor_run;
  next_executor_finish = ExecutorFinish_hook;
  ExecutorFinish_hook = on_executor_finish;
  next_utility = ProcessUtility_hook;
  ProcessUtility_hook = on_utility;
  next_object_access = object_access_hook;
  object_access_hook = on_object_access;
}

}  // namespace

}  // namespace spine

extern "C" void _PG_init(void) {
  spine::run_steps<spine::define_settings, spine::watch_caches, spine::watch_transactions, spine::watch_subtransactions,
                   spine::watch_releases, spine::share_memory, spine::set_hooks>();
}
