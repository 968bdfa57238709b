// spine.replay: a function that is called with each event of an organization, in order.
#include "access/access.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/anchors.h"
#include "store/event_scan.h"
#include "store/event_table.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/objectaccess.h>
#include <miscadmin.h>
#include <utils/memutils.h>
#include <utils/regproc.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr int batch_size = 1000;

struct Replay {
  Relation relation;
  Uuid organization;
  bool with_persons;
  int64 first;
  int64 last;  // that there is, or that was asked for
  int64 most;
  int64 replayed;
  int64 expected;  // the next sequence
  TimestampTz started;
  TimestampTz noticed;
};

struct ReplayedEvent {
  HeapTuple row;
  const char *id;
  const char *event_type;
  int64 sequence;
};

// What the handler has.
struct Current {
  const ReplayedEvent *event;
  const Replay *replay;
};

void name_event(void *argument) {
  const Current *current = static_cast<const Current *>(argument);
  errcontext("replay of event %s (%s), sequence " INT64_FORMAT " of organization %s; an error undoes the whole call: when its "
             "cause is mended, call it again with from_sequence => " INT64_FORMAT,
             current->event->id, clipped(current->event->event_type), current->event->sequence, uuid_text(current->replay->organization),
             current->replay->first);
}

[[noreturn]] void bad_handler(const char *message) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_HANDLER), errmsg("%s", message),
                  errhint("Pass a function of one argument of type spine.events that returns no set, such as "
                          "'apply_event(spine.events)'.")));
}

const char *why_not_a_handler(const FormData_pg_proc *function, Oid event) {
  switch (function->prokind) {
    case PROKIND_AGGREGATE:
      return "it is an aggregate";
    case PROKIND_WINDOW:
      return "it is a window function";
    case PROKIND_PROCEDURE:
      return "it is a procedure";
    default:
      break;
  }
  if (function->proretset) return "it returns a set";
  if (function->pronargs != 1 || function->proargtypes.values[0] != event) return "its arguments are not one of type spine.events";
  return nullptr;
}

void require_handler(Oid handler, Oid event) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(handler));
  if (!HeapTupleIsValid(tuple)) bad_handler(psprintf("there is no function with number %u", handler));
  const char *why = why_not_a_handler(reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(tuple)), event);
  ReleaseSysCache(tuple);
  const char *name = format_procedure(handler);
  if (why != nullptr) bad_handler(psprintf("%s cannot handle events: %s", name, why));
  if (!compat_may_execute(handler, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("role \"%s\" may not execute %s", GetUserNameFromId(GetUserId(), false), name),
                    errhint("Have its owner GRANT EXECUTE on it.")));
  InvokeFunctionExecuteHook(handler);
}

// What the handler emits comes behind it, so that a replay ends. 0: there is no event in the range.
int64 end_of_range(const Replay &replay) {
  ChainScan scan;
  scan.begin();
  scan.seek(replay.organization, replay.first - 1, replay.organization);
  int64 end = scan.last() ? Min(scan.event().sequence, replay.last) : 0;
  scan.end();
  return end;
}

// Those are no missing events.
void pass_over_retired(Replay *replay) {
  Anchor anchor;
  AnchorReader anchors;
  anchors.begin();
  bool any = anchors.find(replay->organization, PG_INT64_MAX, &anchor) && anchor.sequence >= replay->first;
  anchors.end();
  if (!any) return;
  int64 last = Min(anchor.sequence, replay->last);
  if (last >= replay->first)
    ereport(NOTICE, (errmsg("events " INT64_FORMAT " to " INT64_FORMAT " of organization %s were retired, and are not replayed", replay->first, last,
                            uuid_text(replay->organization))));
  replay->first = replay->expected = anchor.sequence + 1;
}

// Copies the next events; out-of-line values stay where they are.
int read_batch(const Replay &replay, ReplayedEvent *events) {
  constexpr uint32 named = bit(Column::id) | bit(Column::event_type);
  ChainScan scan;
  scan.begin(named);
  scan.seek(replay.organization, replay.expected - 1, replay.organization);
  int64 most = Min(replay.most - replay.replayed, static_cast<int64>(batch_size));
  int count = 0;
  while (count < most && scan.next() && scan.event().sequence <= replay.last) {
    HeapTuple row = ExecCopySlotHeapTuple(replay.with_persons ? scan.whole() : scan.without_personal());
    const Event &event = scan.event();
    require_columns(event, named);
    events[count++] = {row, uuid_text(event.id), pnstrdup(event.event_type.data(), event.event_type.size()), event.sequence};
  }
  scan.end();
  return count;
}

void warn_missing(const Replay &replay, int64 upto) {
  ereport(WARNING, (errmsg("events " INT64_FORMAT " to " INT64_FORMAT " of organization %s are missing, and not replayed",
                           replay.expected, upto, uuid_text(replay.organization)),
                    errhint("spine.find_chain_faults() says what is wrong with the chain.")));
}

void tell_progress(Replay *replay) {
  if (settings.progress_interval == 0) return;
  TimestampTz now = GetCurrentTimestamp();
  if (now - replay->noticed < int64{1000} * settings.progress_interval) return;
  replay->noticed = now;
  double seconds = static_cast<double>(now - replay->started) / USECS_PER_SEC;
  int64 all = Min(replay->last - replay->first + 1, replay->most);
  double done = static_cast<double>(replay->replayed);
  double share = Min(1.0, done / static_cast<double>(all));
  ereport(NOTICE, (errmsg("replaying: %.0f %% of the events, sequence " INT64_FORMAT ", %.0f events a second, about %.0f s left",
                          100 * share, replay->expected - 1, done / seconds, seconds / share - seconds)));
}

void handle(Replay *replay, FmgrInfo *handler, const ReplayedEvent &event) {
  if (event.sequence > replay->expected) warn_missing(*replay, event.sequence - 1);
  Current current{&event, replay};
  ErrorContextCallback context;
  context.callback = name_event;
  context.arg = &current;
  context.previous = error_context_stack;
  error_context_stack = &context;
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, handler, 1, InvalidOid, nullptr, nullptr);
  call->args[0].value = heap_copy_tuple_as_datum(event.row, RelationGetDescr(replay->relation));
  call->args[0].isnull = false;
  (void)FunctionCallInvoke(call);
  error_context_stack = context.previous;
  replay->replayed++;
  replay->expected = event.sequence + 1;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_replay);
PGDLLEXPORT Datum spine_replay(PG_FUNCTION_ARGS) {
  if (PG_ARGISNULL(0)) bad_handler("the handler is null");
  if (PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ORGANIZATION), errmsg("no organization: organization_id is null"),
                    errhint("Pass the organization whose events are to be replayed.")));
  Replay replay{};
  replay.organization = uuid_of(PG_GETARG_DATUM(1));
  replay.first = replay.expected = PG_ARGISNULL(2) ? 1 : PG_GETARG_INT64(2);
  replay.last = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3);
  replay.most = PG_ARGISNULL(4) ? PG_INT64_MAX : PG_GETARG_INT64(4);
  // One past the end is where a replay in batches arrives.
  if (replay.first < 1 || replay.last < replay.first - 1)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE),
                    errmsg("sequences " INT64_FORMAT " to " INT64_FORMAT " are no range", replay.first, replay.last),
                    errhint("A chain begins at 1, and from_sequence is at most to_sequence, or one more where nothing is left.")));
  if (replay.most < 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE), errmsg("max_events is " INT64_FORMAT, replay.most),
                    errhint("Pass how many events to replay at most, 0 or more.")));
  Oid relid = events_relid();
  bool readable = require_reading(relid).has(replay.organization);
  replay.with_persons = personal_organizations(relid).has(replay.organization);
  // Open throughout, so that nothing alters what an event is under the handler.
  replay.relation = table_open(relid, AccessShareLock);
  require_handler(PG_GETARG_OID(0), replay.relation->rd_rel->reltype);
  if (readable && replay.most > 0) pass_over_retired(&replay);
  replay.last = readable && replay.most > 0 ? end_of_range(replay) : 0;
  replay.started = replay.noticed = GetCurrentTimestamp();

  FmgrInfo handler;
  fmgr_info(PG_GETARG_OID(0), &handler);
  MemoryContext before = CurrentMemoryContext;
  MemoryContext per_batch = AllocSetContextCreate(before, "replay, a batch", ALLOCSET_DEFAULT_SIZES);
  MemoryContext per_event = AllocSetContextCreate(before, "replay, an event", ALLOCSET_DEFAULT_SIZES);
  ReplayedEvent *events = static_cast<ReplayedEvent *>(palloc(sizeof(ReplayedEvent) * batch_size));
  while (replay.expected <= replay.last && replay.replayed < replay.most) {
    MemoryContextReset(per_batch);
    MemoryContextSwitchTo(per_batch);
    int count = read_batch(replay, events);
    if (count == 0) {
      warn_missing(replay, replay.last);
      break;
    }
    for (int i = 0; i < count; i++) {
      CHECK_FOR_INTERRUPTS();
      MemoryContextReset(per_event);
      MemoryContextSwitchTo(per_event);
      handle(&replay, &handler, events[i]);
      tell_progress(&replay);
    }
  }
  MemoryContextSwitchTo(before);
  MemoryContextDelete(per_event);
  MemoryContextDelete(per_batch);
  table_close(replay.relation, AccessShareLock);
  if (replay.replayed == 0) PG_RETURN_NULL();
  PG_RETURN_INT64(replay.expected - 1);
}

}  // extern "C"

}  // namespace spine
