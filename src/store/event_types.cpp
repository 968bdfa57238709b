// spine.register_event_type and spine.own_event_type, and what a backend knows of spine.event_types.
#include "store/event_types.h"

#include <algorithm>
#include <climits>
#include <iterator>

#include "server/cached_table.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/sql.h"
#include "store/event_arguments.h"
#include "store/event_table.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type.h>
#include <commands/extension.h>
#include <commands/trigger.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/varlena.h>
}

namespace spine {

namespace {

// The columns of spine.event_types.
enum TypeColumn { name_column = 1, description_column, severity_column, built_in_column };

struct EventType {
  std::string_view name;
  Oid severity;
};

// What was read last.
struct Registry {
  MemoryContext memory;  // of the list and its names
  EventType *sorted;     // by name
  int count;
  int capacity;

  void add(std::string_view name, Oid severity) {
    make_room(memory, &sorted, count, &capacity);
    sorted[count++] = {{pnstrdup(name.data(), name.size()), name.size()}, severity};
  }

  const EventType *find(std::string_view name) const {
    const EventType *first = sorted;
    const EventType *end = sorted + count;
    const EventType *at = std::lower_bound(first, end, name, [](const EventType &a, std::string_view b) { return a.name < b; });
    return at != end && at->name == name ? at : nullptr;
  }
};

Registry known;
bool is_valid;
uint64 changes;  // counts invalidations
Oid types_table;

// What takes a guard off is on record whatever somebody deleted here.
constexpr std::string_view always_registered = unguarded_event;

constexpr std::string_view evidence[] = {erased_event, hold_placed_event, hold_released_event, retention_set_event, rights_granted_event,
                                         rights_revoked_event, retired_event, evidence_event, rule_set_event, calendar_set_event,
                                         finding_raised_event, finding_confirmed_event, finding_dismissed_event, finding_closed_event,
                                         person_scores_set_event};

void read_types() {
  types_table = spine_table("event_types");
  Relation relation = open_kept_table(types_table, {TEXTOID, TEXTOID});
  if (relation == nullptr || RelationGetDescr(relation)->natts < built_in_column ||
      get_typtype(TupleDescAttr(RelationGetDescr(relation), severity_column - 1)->atttypid) != TYPTYPE_ENUM)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("table \"spine.event_types\" is missing, or not as CREATE EXTENSION made it"),
                    errhint("It says which types of events there are; have a superuser put it back.")));
  Registry read{};
  read.memory = AllocSetContextCreate(CurrentMemoryContext, "people_os_spine event types", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(read.memory);
  each_row_now(relation, severity_column, [&](const Datum *value, const bool *null) {
    if (null[name_column - 1] || null[severity_column - 1]) return;
    read.add(text_view(PG_DETOAST_DATUM_PACKED(value[name_column - 1])), DatumGetObjectId(value[severity_column - 1]));
  });
  MemoryContextSwitchTo(before);
  table_close(relation, AccessShareLock);
  std::sort(read.sorted, read.sorted + read.count, [](const EventType &a, const EventType &b) { return a.name < b.name; });
  // Only what was read without an error outlives the statement.
  MemoryContextSetParent(read.memory, CacheMemoryContext);
  if (known.memory != nullptr) MemoryContextDelete(known.memory);
  known = read;
}

// The registry as of the last message about a change. It holds until the next call.
const Registry &registry() {
  AcceptInvalidationMessages();  // a transaction that holds its locks already may have heard of no change for long
  read_until_valid(changes, &is_valid, read_types);
  return known;
}

int length(std::string_view text) { return static_cast<int>(text.size()); }

// The one whose name takes the fewest changes of a letter, of those the first; null where there is none.
const EventType *nearest(const Registry &types, std::string_view name) {
  const EventType *found = nullptr;
  int least = INT_MAX;
  for (int i = 0; i < types.count; i++) {
    const EventType &type = types.sorted[i];
    int distance = varstr_levenshtein_less_equal(name.data(), length(name), type.name.data(), length(type.name), 1, 1, 1,
                                                 least - 1, true);
    if (distance >= least) continue;
    found = &type;
    least = distance;
  }
  return found;
}

}  // namespace

Oid registered_severity(std::string_view event_type) {
  const EventType *type = registry().find(event_type);
  return type == nullptr ? InvalidOid : type->severity;
}

void require_registered(std::string_view event_type) {
  if (event_type == always_registered) return;
  const Registry &types = registry();
  if (types.find(event_type) != nullptr) return;
  const EventType *near = nearest(types, event_type);
  ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_EVENT_TYPE),
                  errmsg("event type \"%.*s\" is not registered", length(event_type), event_type.data()),
                  near == nullptr ? errhint("spine.register_event_type registers it.")
                                  : errhint("The nearest registered type is \"%.*s\"; spine.register_event_type registers "
                                            "another.",
                                            length(near->name), near->name.data())));
}

bool is_evidence(std::string_view event_type) {
  return std::find(std::begin(evidence), std::end(evidence), event_type) != std::end(evidence);
}

bool is_reserved(std::string_view event_type) {
  return is_evidence(event_type) || event_type == migration_event || event_type == unguarded_event;
}

void refuse_reserved(std::string_view event_type) {
  if (!is_reserved(event_type)) return;
  ereport(ERROR, (errcode(ERRCODE_SPINE_RESERVED_EVENT_TYPE),
                  errmsg("event type \"%.*s\" is the spine's own", length(event_type), event_type.data()),
                  errhint("Only the spine emits such events, so that they can be believed: take another name.")));
}

void forget_event_types(Oid relid) {
  if (OidIsValid(relid) && relid != types_table) return;
  changes++;
  is_valid = false;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_register_event_type);
PGDLLEXPORT Datum spine_register_event_type(PG_FUNCTION_ARGS) {
  EventName parts;
  std::string_view name = event_name_or_error(PG_GETARG_DATUM(0), PG_ARGISNULL(0), &parts);
  if (PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("the description of event type \"%.*s\" is null", length(name), name.data()),
                    errhint("Say in a line when such an event is emitted.")));
  const char *severity = PG_ARGISNULL(2) ? "low" : enum_label(PG_GETARG_OID(2));
  OwnersRights owner;
  SPI_connect();
  owner.begin();
  (void)run_sql("INSERT INTO spine.event_types (name, description, default_severity) VALUES ($1, $2, ($3)::spine.severity)"
                " ON CONFLICT (name) DO UPDATE SET description = excluded.description, default_severity = excluded.default_severity",
                {{TEXTOID, PG_GETARG_DATUM(0)},
                 {TEXTOID, PG_GETARG_DATUM(1)},
                 {TEXTOID, CStringGetTextDatum(severity == nullptr ? "?" : severity)}});
  owner.end();
  SPI_finish();
  PG_RETURN_VOID();
}

// What an extension's script writes, CREATE EXTENSION brings back. Whatever else is written is somebody's own: dumps hold
// it, and it takes the place of the built-in row of its name, also where it comes out of a dump.
PG_FUNCTION_INFO_V1(spine_own_event_type);
PGDLLEXPORT Datum spine_own_event_type(PG_FUNCTION_ARGS) {
  TriggerData *data = CALLED_AS_TRIGGER(fcinfo) ? reinterpret_cast<TriggerData *>(fcinfo->context) : nullptr;
  if (data == nullptr || !TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
      TRIGGER_FIRED_BY_DELETE(data->tg_event) || RelationGetRelid(data->tg_relation) != spine_table("event_types"))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.own_event_type() is the trigger function of spine.event_types"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  bool is_insert = TRIGGER_FIRED_BY_INSERT(data->tg_event);
  HeapTuple row = is_insert ? data->tg_trigtuple : data->tg_newtuple;
  TupleDesc shape = RelationGetDescr(data->tg_relation);
  if (is_insert && !creating_extension) {
    bool null;
    Datum name = heap_getattr(row, name_column, shape, &null);
    OwnersRights owner;
    SPI_connect();
    owner.begin();  // who may register need not be able to delete
    (void)run_sql("DELETE FROM spine.event_types WHERE name = $1 AND built_in", {{TEXTOID, name, null}});
    owner.end();
    SPI_finish();
  }
  int column = built_in_column;
  Datum built_in = BoolGetDatum(creating_extension);
  bool null = false;
  return PointerGetDatum(heap_modify_tuple_by_cols(row, shape, 1, &column, &built_in, &null));
}

}  // extern "C"

}  // namespace spine
