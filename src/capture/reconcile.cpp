// spine.reconcile_table: the rows of a captured table beside what its events say of them.
//
// Both are read under one snapshot, for a change and its event are of one transaction. The rows are sorted by organization and entity, as
// the newest event of each entity comes, and the two are walked together: in memory is one of each, and what the sort takes.
#include "access/access.h"
#include "capture/capture.h"
#include "capture/captured_table.h"
#include "capture/definition.h"
#include "capture/watches.h"
#include "core/uuid.h"
#include "server/distributed.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/anchors.h"
#include "store/captured_images.h"
#include "store/event_arguments.h"
#include "store/event_table.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
#include <utils/tuplesort.h>
#include <utils/typcache.h>
}

namespace spine {

namespace {

constexpr long chunk = 500;  // events that are in memory at a time

constexpr const char *erased = "the event that says how the row is was erased";
constexpr const char *before_capture = "the row has no event, and was perhaps there before its capture began";
constexpr const char *retired = "the row has no event, and its organization has events that were retired";
constexpr const char *others = "the row does not say its organization, and the role may not read all";
constexpr const char *no_id = "the row has no id";
constexpr const char *several = "several rows have this id";
constexpr const char *not_whole = "the event does not hold the whole row";
constexpr const char *disordered = "two events of one transaction do not say which of them was last";

// How a row's image and what an event says of it come apart.
struct Comparison {
  List *changed = NIL, *untold = NIL;  // names of columns
  const char *why = nullptr;           // they are untold
};

// A place in the order in which both come.
struct RowPlace {
  bool has_organization;
  Uuid organization, entity;

  int compare(const RowPlace &other) const {
    if (has_organization != other.has_organization) return has_organization ? 1 : -1;
    if (has_organization && organization != other.organization) return organization < other.organization ? -1 : 1;
    return entity == other.entity ? 0 : entity < other.entity ? -1 : 1;
  }
};

struct Images {
  Jsonb *payload, *personal;  // null: it was erased or withheld, or there is none
};

char *text_of(Jsonb *object, const char *column) {
  JsonbValue value;
  if (!is_object(object) || getKeyJsonValueFromContainer(&object->root, column, static_cast<int>(strlen(column)), &value) == nullptr) return nullptr;
  if (value.type == jbvString) return pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
  Jsonb *stored = JsonbValueToJsonb(&value);
  return JsonbToCString(nullptr, &stored->root, static_cast<int>(VARSIZE(stored)));
}

Datum names_array(List *names) {
  Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(list_length(names), 1))));
  int count = 0;
  ListCell *cell;
  foreach (cell, names) values[count++] = CStringGetTextDatum(static_cast<char *>(lfirst(cell)));
  return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

class Reconciliation {
 public:
  // Raises SP143, SP026, 42501.
  void open(Oid relid, UnexplainedRow::Use use, void *context);
  void read_rows();
  void walk_events();
  void close();

 private:
  void read_member(Oid relid);
  bool next_row();
  void judge_alone(const RowPlace &place, const Images &row);
  void judge_event(bool has_row, Images row);
  void compare(const Images &event, const Images &row, Comparison *found);
  bool is_in_order(Jsonb *before);
  void tell(const RowPlace &place, const char *verdict, List *columns, int64 sequence, Jsonb *image, const char *detail);
  Jsonb *after_of(const Images &images) { return joined_images(image_member(images.payload, "after"), image_member(images.personal, "after")); }

  Oid relid_;
  const char *name_, *domain_, *entity_type_, *id_column_, *organization_column_;
  List *members_;
  Snapshot snapshot_;
  Organizations readable_, personal_;
  bool from_empty_, any_retired_;
  AnchorReader anchors_;
  Tuplesortstate *sort_;
  TupleDesc shape_;
  TupleTableSlot *sorted_, *put_;
  MemoryContext memory_;      // of a step
  MemoryContext row_memory_;  // of the row at hand
  bool has_row_, is_repeated_;
  RowPlace row_place_;
  Images row_;
  // The event at hand.
  RowPlace event_place_;
  Uuid event_organization_;
  int64 event_sequence_;
  const char *event_action_;
  Oid event_table_;  // whose row it says it is, where there is such a table: another may name its entities alike
  Images event_;
  UnexplainedRow::Use use_;
  void *context_;
};

void Reconciliation::open(Oid relid, UnexplainedRow::Use use, void *context) {
  relid_ = relid;
  use_ = use;
  context_ = context;
  members_ = find_all_inheritors(relid, AccessShareLock, nullptr);
  Relation relation = table_open(relid, NoLock);
  const Trigger *trigger = capture_trigger(relation);
  name_ = table_name(relid);
  if (trigger == nullptr || is_inherited(*trigger) || trigger->tgnargs < capture_arguments)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_CAPTURED), errmsg("table %s is not captured by itself", name_),
                    errhint("Pass a table that spine.capture_changes was called for: SELECT table_name FROM spine.watches WHERE kind = 'capture'.")));
  if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("role \"%s\" may not read table %s", GetUserNameFromId(GetUserId(), false), name_),
                    errhint("GRANT SELECT on it.")));
  ListCell *cell;
  foreach (cell, members_)
    if (check_enable_rls(lfirst_oid(cell), InvalidOid, true) == RLS_ENABLED)
      ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("row security of table %s hides rows from role \"%s\"", table_name(lfirst_oid(cell)), GetUserNameFromId(GetUserId(), false)),
                      errhint("What is hidden would seem to be missing: call it as a role that sees all rows.")));
  domain_ = pstrdup(trigger->tgargs[capture_domain]);
  entity_type_ = pstrdup(trigger->tgargs[capture_entity_type]);
  id_column_ = pstrdup(trigger->tgargs[capture_entity_id]);
  organization_column_ = pstrdup(trigger->tgargs[capture_organization]);
  table_close(relation, NoLock);
  from_empty_ = was_captured_from_empty(name_);
  Oid events = events_relid();
  readable_ = require_reading(events);
  personal_ = personal_organizations(events);
  anchors_.begin();
  Uuid first;
  any_retired_ = anchors_.find_organization(nil_uuid, &first);
  snapshot_ = RegisterSnapshot(GetTransactionSnapshot());
  memory_ = AllocSetContextCreate(CurrentMemoryContext, "reconciling a row", ALLOCSET_DEFAULT_SIZES);
  row_memory_ = AllocSetContextCreate(CurrentMemoryContext, "row to reconcile", ALLOCSET_DEFAULT_SIZES);
}

void Reconciliation::read_rows() {
  shape_ = CreateTemplateTupleDesc(4);
  TupleDescInitEntry(shape_, 1, "organization_id", UUIDOID, -1, 0);
  TupleDescInitEntry(shape_, 2, "entity_id", UUIDOID, -1, 0);
  TupleDescInitEntry(shape_, 3, "payload", JSONBOID, -1, 0);
  TupleDescInitEntry(shape_, 4, "personal", JSONBOID, -1, 0);
  AttrNumber by[] = {1, 2};
  Oid less = lookup_type_cache(UUIDOID, TYPECACHE_LT_OPR)->lt_opr;
  Oid operators[] = {less, less}, collations[] = {InvalidOid, InvalidOid};
  bool nulls_first[] = {true, true};
  sort_ = tuplesort_begin_heap(shape_, lengthof(by), by, operators, collations, nulls_first, work_mem, nullptr, TUPLESORT_NONE);
  put_ = MakeSingleTupleTableSlot(shape_, &TTSOpsVirtual);
  sorted_ = MakeSingleTupleTableSlot(shape_, &TTSOpsMinimalTuple);
  ListCell *cell;
  foreach (cell, members_) read_member(lfirst_oid(cell));
  tuplesort_performsort(sort_);
  has_row_ = next_row();
}

// The rows of one table of the tree, as its own trigger shows them.
void Reconciliation::read_member(Oid relid) {
  Relation relation = table_open(relid, NoLock);
  const Trigger *trigger = capture_trigger(relation);
  if (!RELKIND_HAS_TABLE_AM(relation->rd_rel->relkind)) {
    table_close(relation, NoLock);
    return;
  }
  if (trigger == nullptr)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_CAPTURED), errmsg("table %s is not captured, and inherits from table %s, which is", table_name(relid), name_),
                    errhint("Call spine.capture_changes for the latter anew.")));
  MemoryContext columns_memory = AllocSetContextCreate(CurrentMemoryContext, "columns to reconcile", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(columns_memory);
  CapturedTable table{};
  table.open(relation, trigger);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  PinnedSettings pinned;
  if (table.needs_pinned_settings) pinned.begin();
  TableScanDesc scan = table_beginscan(relation, snapshot_, 0, nullptr);
  MemoryContextSwitchTo(memory_);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    MemoryContextReset(memory_);
    slot_getallattrs(slot);
    RowPlace place{};
    place.has_organization = table.organization_of(slot, &place.organization);
    if (place.has_organization && !readable_.has(place.organization)) continue;
    if (slot->tts_isnull[table.entity_id.attnum - 1]) {
      tell(place, "cannot_tell", NIL, 0, nullptr, no_id);
      continue;
    }
    place.entity = table.entity_of(slot);
    table.payload.read(nullptr, slot, nullptr, nullptr);
    Jsonb *payload = table.payload.build(Part::payload), *personal = table.payload.build(Part::personal);
    ExecClearTuple(put_);
    put_->tts_values[0] = place.has_organization ? uuid_datum(place.organization) : 0;
    put_->tts_isnull[0] = !place.has_organization;
    put_->tts_values[1] = uuid_datum(place.entity);
    put_->tts_isnull[1] = false;
    put_->tts_values[2] = JsonbPGetDatum(payload);
    put_->tts_isnull[2] = false;
    put_->tts_values[3] = personal == nullptr ? 0 : JsonbPGetDatum(personal);
    put_->tts_isnull[3] = personal == nullptr;
    ExecStoreVirtualTuple(put_);
    tuplesort_puttupleslot(sort_, put_);
  }
  table_endscan(scan);
  if (table.needs_pinned_settings) pinned.end();
  ExecDropSingleTupleTableSlot(slot);
  MemoryContextSwitchTo(before);
  MemoryContextDelete(columns_memory);
  table_close(relation, NoLock);
}

// The next row by place; of several of one place the last.
bool Reconciliation::next_row() {
  is_repeated_ = false;
  bool was_one = false;
  RowPlace last{};
  for (;;) {
    if (TTS_EMPTY(sorted_) && !tuplesort_gettupleslot(sort_, true, false, sorted_, nullptr)) return was_one;
    slot_getallattrs(sorted_);
    RowPlace place{!sorted_->tts_isnull[0], {}, uuid_of(sorted_->tts_values[1])};
    if (place.has_organization) place.organization = uuid_of(sorted_->tts_values[0]);
    if (was_one && place.compare(last) != 0) return true;
    is_repeated_ = was_one;
    was_one = true;
    last = row_place_ = place;
    MemoryContextReset(row_memory_);
    MemoryContext before = MemoryContextSwitchTo(row_memory_);
    auto copy = [this](int column) { return sorted_->tts_isnull[column] ? nullptr : DatumGetJsonbPCopy(sorted_->tts_values[column]); };
    row_ = {copy(2), copy(3)};
    MemoryContextSwitchTo(before);
    ExecClearTuple(sorted_);
  }
}

void Reconciliation::tell(const RowPlace &place, const char *verdict, List *columns, int64 sequence, Jsonb *image, const char *detail) {
  UnexplainedRow row{place.has_organization ? &place.organization : nullptr, place.entity, text_of(image, id_column_), verdict, names_array(columns), sequence, detail};
  use_(context_, row);
}

// A row without an event.
void Reconciliation::judge_alone(const RowPlace &place, const Images &row) {
  Jsonb *image = image_member(row.payload, "after");
  Anchor anchor;
  bool is_retired = place.has_organization ? any_retired_ && anchors_.find(place.organization, PG_INT64_MAX, &anchor) : any_retired_;
  if (!place.has_organization && !readable_.all) return tell(place, "cannot_tell", NIL, 0, image, others);
  if (is_retired) return tell(place, "cannot_tell", NIL, 0, image, retired);
  if (!from_empty_) return tell(place, "cannot_tell", NIL, 0, image, before_capture);
  tell(place, "extra", NIL, 0, image, nullptr);
}

// What both say of a column decides; what only one of them has came or went with the table's definition.
void Reconciliation::compare(const Images &event, const Images &row, Comparison *found) {
  Jsonb *said = after_of(event), *is = after_of(row);
  Jsonb *said_omitted = joined_images(omitted_after(event.payload), omitted_after(event.personal));
  Jsonb *is_omitted = joined_images(omitted_after(row.payload), omitted_after(row.personal));
  auto name = [](std::string_view column) { return pnstrdup(column.data(), column.size()); };
  auto untold = [&](std::string_view column, const char *why) {
    found->untold = lappend(found->untold, name(column));
    found->why = why;
  };
  if ((said_omitted != nullptr && !is_object(said_omitted)) || (is_omitted != nullptr && !is_object(is_omitted))) found->why = not_whole;
  each_column(is, said, [&](std::string_view column, JsonbValue &mine, JsonbValue *other) {
    if (other != nullptr && !may_be_same(&mine, other)) found->changed = lappend(found->changed, name(column));
  });
  // What one side holds and no event can hold on the other is not the same; what was too large may be, for the limit may have moved.
  auto judge_omission = [&](std::string_view column, JsonbValue *omission) {
    char *reason = text_of(JsonbValueToJsonb(omission), "reason");
    if (reason != nullptr && strcmp(reason, reason_json) == 0)
      found->changed = lappend(found->changed, name(column));
    else
      untold(column, not_whole);
  };
  each_column(is, said_omitted, [&](std::string_view column, JsonbValue &, JsonbValue *other) {
    if (other != nullptr) judge_omission(column, other);
  });
  each_column(is_omitted, said, [&](std::string_view column, JsonbValue &mine, JsonbValue *other) {
    if (other != nullptr) judge_omission(column, &mine);
  });
  // What no event can hold is told by its digest.
  each_column(is_omitted, said_omitted, [&](std::string_view column, JsonbValue &mine, JsonbValue *other) {
    if (other == nullptr) return;
    Jsonb *digest = image_member(JsonbValueToJsonb(&mine), "sha256"), *said_digest = image_member(JsonbValueToJsonb(other), "sha256");
    if (digest == nullptr || said_digest == nullptr)
      untold(column, not_whole);
    else if (compareJsonbContainers(&digest->root, &said_digest->root) != 0)
      found->changed = lappend(found->changed, name(column));
  });
  Jsonb *persons = image_member(event.payload, "personal");
  if (event.personal != nullptr || persons == nullptr || !JB_ROOT_IS_ARRAY(persons)) return;
  const char *why = personal_.has(event_organization_) ? "the event's personal part was erased" : "the event's personal part is withheld from the role";
  for (uint32 i = 0; i < JB_ROOT_COUNT(persons); i++) {
    JsonbValue *column = getIthJsonbValueFromContainer(&persons->root, i);
    if (column->type == jbvString) untold({column->val.string.val, static_cast<size_t>(column->val.string.len)}, why);
  }
}

// Whether the newest event goes on from the one before it in its transaction. Where an inner statement's stands in front of that of
// the statement that ran it, it does not, and is not the last.
bool Reconciliation::is_in_order(Jsonb *before) {
  Oid types[] = {UUIDOID, UUIDOID, INT8OID, TEXTOID, TEXTOID};
  Datum values[] = {uuid_datum(event_organization_), uuid_datum(event_place_.entity), Int64GetDatum(event_sequence_), CStringGetTextDatum(domain_), CStringGetTextDatum(entity_type_)};
  (void)SPI_execute_with_args("SELECT o.action, o.payload -> 'after' FROM spine.events o JOIN spine.events n ON n.organization_id = o.organization_id AND n.transaction_id = o.transaction_id"
                              " WHERE n.organization_id = $1 AND n.sequence = $3 AND o.entity_id = $2 AND o.sequence < $3 AND o.domain = $4 AND o.entity_type = $5"
                              "   AND o.payload ? 'spine_capture' ORDER BY o.sequence DESC LIMIT 1",
                              lengthof(types), types, values, nullptr, true, 1);
  if (SPI_processed == 0) return true;
  bool null;
  const char *action = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
  Datum after = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null);
  bool creates = strcmp(event_action_, "created") == 0;
  if ((strcmp(action, "deleted") == 0) != creates) return false;
  bool all = true;
  if (!creates && !null)
    each_column(DatumGetJsonbP(after), before, [&all](std::string_view, JsonbValue &mine, JsonbValue *other) { all = all && (other == nullptr || may_be_same(&mine, other)); });
  SPI_freetuptable(SPI_tuptable);
  return all;
}

// The newest event of an entity, and its row where there is one.
void Reconciliation::judge_event(bool has_row, Images row) {
  bool says_none = strcmp(event_action_, "deleted") == 0;
  Jsonb *image = has_row ? image_member(row.payload, "after") : image_member(event_.payload, "after");
  auto cannot_tell = [&](const char *why) { tell(event_place_, "cannot_tell", NIL, event_sequence_, image, why); };
  if (has_row && is_repeated_) return cannot_tell(several);
  if (event_.payload == nullptr) {
    if (has_row || !says_none) cannot_tell(erased);
    return;
  }
  Comparison found;
  if (!has_row) {
    if (says_none) return;
    if (OidIsValid(event_table_) && event_table_ != relid_) return;
  } else if (!says_none) {
    compare(event_, row, &found);
    if (found.changed == NIL && found.why == nullptr) return;
    if (found.changed == NIL) return tell(event_place_, "cannot_tell", found.untold, event_sequence_, image, found.why);
  }
  if (!is_in_order(image_member(event_.payload, "before"))) return cannot_tell(disordered);
  tell(event_place_, !has_row ? "missing" : says_none ? "extra" : "changed", found.changed, event_sequence_, image, nullptr);
}

void Reconciliation::walk_events() {
  // An event whose row says no organization is one's own by its setting then, so organizations are not told apart.
  constexpr const char *newest =
      "SELECT l.k, l.entity_id, l.organization_id, l.sequence, e.action, e.payload, e.personal, pg_catalog.to_regclass(e.payload ->> 'table')::oid FROM ("
      "  SELECT DISTINCT ON (k, entity_id) k, entity_id, organization_id, sequence FROM ("
      "    SELECT CASE WHEN $3 = '' OR coalesce(payload -> 'after', payload -> 'before') -> $3 = 'null'::jsonb THEN NULL ELSE organization_id END AS k,"
      "           entity_id, organization_id, sequence, \"timestamp\" FROM spine.events"
      "     WHERE domain = $1 AND entity_type = $2 AND action IN ('created', 'updated', 'deleted') AND (payload IS NULL OR payload ? 'spine_capture')) c"
      "   ORDER BY k, entity_id, \"timestamp\" DESC, sequence DESC) l"
      "  JOIN spine.events e ON e.organization_id = l.organization_id AND e.sequence = l.sequence ORDER BY l.k NULLS FIRST, l.entity_id";
  Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
  Datum values[] = {CStringGetTextDatum(domain_), CStringGetTextDatum(entity_type_), CStringGetTextDatum(organization_column_)};
  PushActiveSnapshot(snapshot_);
  SPI_connect();
  Portal events = SPI_cursor_open_with_args(nullptr, newest, lengthof(types), types, values, nullptr, true, 0);
  for (;;) {
    SPI_cursor_fetch(events, true, chunk);
    SPITupleTable *table = SPI_tuptable;
    uint64 rows = SPI_processed;
    if (rows == 0) break;
    MemoryContext before = MemoryContextSwitchTo(memory_);
    for (uint64 i = 0; i < rows; i++) {
      MemoryContextReset(memory_);
      bool null;
      auto field = [&](int column) { return SPI_getbinval(table->vals[i], table->tupdesc, column, &null); };
      Datum organization = field(1);
      event_place_ = {!null, null ? nil_uuid : uuid_of(organization), uuid_of(field(2))};
      event_organization_ = uuid_of(field(3));
      event_sequence_ = DatumGetInt64(field(4));
      event_action_ = text_to_cstring(DatumGetTextPP(field(5)));
      Datum payload = field(6);
      event_.payload = null ? nullptr : DatumGetJsonbP(payload);
      Datum personal = field(7);
      event_.personal = null ? nullptr : DatumGetJsonbP(personal);
      Datum of_table = field(8);
      event_table_ = null ? InvalidOid : DatumGetObjectId(of_table);
      while (has_row_ && row_place_.compare(event_place_) < 0) {
        judge_alone(row_place_, row_);
        has_row_ = next_row();
      }
      bool has_row = has_row_ && row_place_.compare(event_place_) == 0;
      judge_event(has_row, row_);
      if (has_row) has_row_ = next_row();
    }
    MemoryContextSwitchTo(before);
    SPI_freetuptable(table);
  }
  SPI_cursor_close(events);
  for (; has_row_; has_row_ = next_row()) judge_alone(row_place_, row_);
  SPI_finish();
  PopActiveSnapshot();
}

void Reconciliation::close() {
  ExecDropSingleTupleTableSlot(put_);
  ExecDropSingleTupleTableSlot(sorted_);
  tuplesort_end(sort_);
  anchors_.end();
  UnregisterSnapshot(snapshot_);
  MemoryContextDelete(memory_);
  MemoryContextDelete(row_memory_);
}

}  // namespace

void reconcile_table(Oid relid, bool as_owner, UnexplainedRow::Use use, void *context) {
  Reconciliation reconciliation{};
  reconciliation.open(relid, use, context);
  // What makes a row's values JSON may be functions of whoever owns the table.
  Oid role;
  int security;
  GetUserIdAndSecContext(&role, &security);
  if (as_owner) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    SetUserIdAndSecContext(reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner, security | SECURITY_RESTRICTED_OPERATION);
    ReleaseSysCache(tuple);
  }
  reconciliation.read_rows();
  SetUserIdAndSecContext(role, security);
  reconciliation.walk_events();
  reconciliation.close();
}

namespace {

void put_row(void *context, const UnexplainedRow &row) {
  ReturnSetInfo *result = static_cast<ReturnSetInfo *>(context);
  Datum values[] = {row.organization == nullptr ? 0 : uuid_datum(*row.organization), uuid_datum(row.entity), row.id == nullptr ? 0 : CStringGetTextDatum(row.id),
                    CStringGetTextDatum(row.verdict), row.columns, Int64GetDatum(row.sequence), row.detail == nullptr ? 0 : CStringGetTextDatum(row.detail)};
  bool nulls[] = {row.organization == nullptr, false, row.id == nullptr, false, false, row.sequence == 0, row.detail == nullptr};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_reconcile_table);
PGDLLEXPORT Datum spine_reconcile_table(PG_FUNCTION_ARGS) {
  require_undistributed_spine();
  InitMaterializedSRF(fcinfo, 0);
  reconcile_table(PG_GETARG_OID(0), false, put_row, fcinfo->resultinfo);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
