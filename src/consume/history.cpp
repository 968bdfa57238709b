// spine.entity_history, and spine.entity_as_of, which knows the events that captured tables emit.
#include "access/access.h"
#include "server/errors.h"
#include "server/json.h"
#include "store/captured_images.h"
#include "store/erased_parts.h"
#include "store/event_arguments.h"
#include "store/event_scan.h"
#include "store/event_table.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/hsearch.h>
#include <utils/jsonb.h>
#include <utils/timestamp.h>
#include <utils/tuplesort.h>
#include <utils/typcache.h>
}

namespace spine {

namespace {

// The events of one entity that the caller may read, by sequence; those of several organizations are mixed.
class EntityScan {
 public:
  // needed: the columns (bits) without which an event is of no use.
  void begin(std::string_view entity_type, Datum entity_id, ScanDirection direction, uint32 needed) {
    Oid relid = events_relid();
    readable_ = require_reading(relid);
    personal_ = personal_organizations(relid);
    // An entity's type has no dot: before one stands its domain.
    size_t dot = entity_type.find('.');
    if (dot != std::string_view::npos) domain_ = entity_type.substr(0, dot);
    entity_type_ = dot == std::string_view::npos ? entity_type : entity_type.substr(dot + 1);
    entity_id_ = uuid_of(entity_id);
    direction_ = direction;
    needed_ = needed | bit(Column::sequence) | bit(Column::entity_id) | bit(Column::entity_type) | bit(Column::domain);
    scan_.begin(relid, EventOrder::entity, 1, Sees::fresh, needed_);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, entity_id);
    scan_.find(&key);
  }

  // Raises SP045: an event that does not say whose it is, or whether it is of the entity, may be of the history.
  bool next() {
    while (scan_.next(direction_)) {
      const Event &found = event();
      bool says_whose = found.has(Column::organization_id);
      if (says_whose && !readable_.has(found.organization_id)) continue;
      if (scan_.why() != nullptr) report_damaged(found, scan_.why());
      if (!says_whose) report_damaged(Event(), "its organization_id is null");
      require_columns(found, needed_);
      if (found.entity_id != entity_id_) report_damaged(found, "its row has another entity_id than its index");
      if (found.entity_type == entity_type_ && (domain_.empty() || found.domain == domain_)) return true;
    }
    return false;
  }
  const Event &event() const { return scan_.event(); }
  TupleTableSlot *whole() { return scan_.whole(); }
  bool shows_personal() const { return personal_.has(event().organization_id); }
  // The event's row as the caller may see it.
  TupleTableSlot *shown() { return shows_personal() ? scan_.whole() : scan_.without_personal(); }
  TupleDesc shape() const { return scan_.shape(); }
  AttrNumber attnum(Column column) const { return scan_.attnum(column); }
  void end() { scan_.end(); }

 private:
  Organizations readable_, personal_;
  std::string_view domain_, entity_type_;  // an empty domain: any
  Uuid entity_id_;
  ScanDirection direction_;
  uint32 needed_;
  EventScan scan_;
};

// What one event of a captured table says.
struct Change {
  bool is_captured;
  Jsonb *before, *after;  // null: there was no row; or the event holds none of it
  Jsonb *omitted;         // null: nothing; what the row after lacks, and why
  Jsonb *personal;        // null: none; the columns that the images lack because they stand in the personal part
  const char *gone;       // why that part cannot be read
  bool is_created, is_deleted;
  bool is_erased;         // its payload is gone, so that it does not say how the row was, nor what it was before
};

Jsonb *part_of(Bytes stored) {
  Jsonb *part = static_cast<Jsonb *>(palloc(VARHDRSZ + stored.size));
  SET_VARSIZE(part, VARHDRSZ + stored.size);
  memcpy(VARDATA(part), stored.data, stored.size);
  return part;
}

// Brings what the personal part says of the row, or why it does not say it.
void add_personal(Change *change, EntityScan *scan) {
  const Event &event = scan->event();
  if (!event.has(Column::personal) && !event.has(Column::personal_hash)) report_damaged(event, "its personal part is missing");
  if (!scan->shows_personal() || !event.has(Column::personal)) {
    change->gone = event.has(Column::personal) ? "withheld" : "erased";
    return;
  }
  change->personal = nullptr;
  Jsonb *part = part_of(event.personal);
  change->before = joined_images(change->before, image_member(part, "before"));
  change->after = joined_images(change->after, image_member(part, "after"));
  change->omitted = joined_images(change->omitted, omitted_after(part));
}

void read_change(Change *change, EntityScan *scan) {
  (void)scan->whole();
  change->is_created = scan->event().action == "created";
  change->is_deleted = scan->event().action == "deleted";
  if (parts_gone(scan->event()) & payload_part) {
    // Whether capture made it, nobody knows any more, but that it makes no others.
    change->is_captured = change->is_erased = change->is_created || change->is_deleted || scan->event().action == "updated";
    return;
  }
  require_columns(scan->event(), bit(Column::payload));
  Jsonb *payload = part_of(scan->event().payload);
  JsonbValue mark;
  change->is_captured =
      getKeyJsonValueFromContainer(&payload->root, capture_member.data(), static_cast<int>(capture_member.size()), &mark) != nullptr;
  if (!change->is_captured) return;
  change->before = image_member(payload, "before");
  change->after = image_member(payload, "after");
  change->omitted = omitted_after(payload);
  change->personal = image_member(payload, "personal");
  if (change->personal != nullptr) add_personal(change, scan);
}

// An entity's history may be long, so nothing of it is kept that is not asked for any more.
template <class Use>
void each_image(Change *change, Use use) {
  for (Jsonb **image : {&change->before, &change->after, &change->omitted, &change->personal})
    if (*image != nullptr) *image = use(*image);
}

Change change_of(EntityScan *scan) {
  Change change{};
  MemoryContext reading = AllocSetContextCreate(CurrentMemoryContext, "change of a captured row", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(reading);
  read_change(&change, scan);
  MemoryContextSwitchTo(before);
  each_image(&change, [](Jsonb *image) { return static_cast<Jsonb *>(memcpy(palloc(VARSIZE(image)), image, VARSIZE(image))); });
  MemoryContextDelete(reading);
  return change;
}

void forget_images(Change *change) {
  each_image(change, [](Jsonb *image) -> Jsonb * {
    pfree(image);
    return nullptr;
  });
}

// Whether two images can be of one row: what both show is the same. A column that came or went is in one of them alone, and
// what is masked in either says nothing.
bool agree(Jsonb *a, Jsonb *b) {
  bool all = true;
  each_column(a, b, [&all](std::string_view, JsonbValue &mine, JsonbValue *other) { all = all && (other == nullptr || may_be_same(&mine, other)); });
  return all;
}

// What the events say of the entity in one organization, read from the newest back to the first.
struct Chain {
  Uuid organization;    // the key
  bool has_next;        // the event before which the one at hand came
  Change next;
  int64 next_sequence;
  uint64 next_transaction;
  bool has_newest;      // of those that are not younger than the moment
  Change newest, later; // later: the one after it, where has_later
  bool has_later;
  int64 sequence, later_sequence;
  TimestampTz at;
  uint64 transaction, later_transaction;
};

[[noreturn]] void state_unknown(const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_STATE_UNKNOWN), errmsg("the row as it was is not known: %s", why),
                  errhint("spine.entity_history shows the events; what changed rows without one, such as DDL or disabled triggers, is in none.")));
}

const char *in_chain(int64 sequence, const Uuid &organization) {
  return psprintf("event " INT64_FORMAT " of organization %s", sequence, uuid_text(organization));
}

// Goes on to the next older event of a chain.
void step_back(Chain *chain, Change change, int64 sequence, TimestampTz at, uint64 transaction, bool is_past) {
  if (!is_past) {
    forget_images(&chain->later);
    chain->later = change;
    chain->later_sequence = sequence;
    chain->later_transaction = transaction;
    chain->has_later = true;
    return;
  }
  if (!chain->has_newest) {
    chain->has_newest = true;
    chain->newest = change;
    chain->sequence = sequence;
    chain->at = at;
    chain->transaction = transaction;
  } else {
    // Within one transaction events may stand in another order than that of what happened, which the next one sets right.
    bool is_newest = chain->next_sequence == chain->sequence, is_same_transaction = chain->next_transaction == transaction;
    bool is_known = !change.is_erased && !chain->next.is_erased;
    if (is_known && chain->next.is_created && !change.is_deleted && (is_newest || !is_same_transaction))
      state_unknown(psprintf("%s created it while it was there", in_chain(chain->next_sequence, chain->organization)));
    // An inner statement's event that stands before that of the statement whose trigger ran it.
    if (is_known && is_newest && is_same_transaction && !chain->next.is_created &&
        (change.is_deleted || !agree(change.after, chain->next.before)))
      state_unknown(psprintf("%s does not go on from the one before it", in_chain(chain->sequence, chain->organization)));
    forget_images(&change);
  }
  chain->next = change;
  chain->next_sequence = sequence;
  chain->next_transaction = transaction;
}

// The row after an event, with {"withheld": "personal"} or {"erased": "personal"} for each column that cannot be told.
Jsonb *with_gaps(const Change &change) {
  if (change.personal == nullptr || !JB_ROOT_IS_ARRAY(change.personal)) return change.after;
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  for (uint32 i = 0; i < JB_ROOT_COUNT(change.personal); i++) {
    JsonbValue *column = getIthJsonbValueFromContainer(&change.personal->root, i);
    if (column->type != jbvString) continue;
    pushJsonbValue(&state, WJB_KEY, column);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    push_member(&state, change.gone, json_text("personal"));
    pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
  }
  return joined_images(change.after, JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
}

// The row after the chain's newest event until the moment, null where there was none. Raises SP061 where the event after it
// found another, SP062 where it is not whole in the event, SP076 where that was erased.
Jsonb *row_of(const Chain &chain) {
  if (chain.newest.is_erased)
    ereport(ERROR, (errcode(ERRCODE_SPINE_STATE_ERASED), errmsg("the row as it was is erased: %s said it", in_chain(chain.sequence, chain.organization)),
                    errhint("Why, the events platform.personal.erased of the organization say. Ask for another moment.")));
  bool is_known = chain.has_later && !chain.later.is_erased;  // what came after it
  if (chain.newest.is_deleted) {
    if (is_known && !chain.later.is_created)
      state_unknown(psprintf("it was there again before %s", in_chain(chain.later_sequence, chain.organization)));
    return nullptr;
  }
  if (is_known && (chain.later.is_created || !agree(chain.newest.after, chain.later.before)))
    state_unknown(psprintf("it changed without an event between %s and event " INT64_FORMAT, in_chain(chain.sequence, chain.organization),
                           chain.later_sequence));
  Jsonb *missing = chain.newest.omitted;
  if (missing != nullptr)
    ereport(ERROR, (errcode(ERRCODE_SPINE_VALUE_NOT_IN_EVENT),
                    errmsg("the row as it was is not whole in %s", in_chain(chain.sequence, chain.organization)),
                    errdetail("It lacks: %s", clipped(JsonbToCString(nullptr, &missing->root, static_cast<int>(VARSIZE(missing))))),
                    errhint("No event could hold these values; their size and SHA-256 are in spine.entity_history. Exclude such "
                            "columns from the capture to have the rest.")));
  return with_gaps(chain.newest);
}

// Whether the row left the chain in the very transaction that brought it into another, a moment later.
bool leaves_with(const Chain &chain, uint64 transaction) {
  return chain.has_later && chain.later.is_deleted && chain.later_transaction == transaction;
}

// One domain's, for entities of two are two.
void require_one_domain(const Event &event, const char **domain) {
  std::string_view mine = event.domain;
  if (*domain == nullptr) *domain = pnstrdup(mine.data(), mine.size());
  if (mine == *domain) return;
  const char *name = pnstrdup(event.entity_type.data(), event.entity_type.size());
  ereport(ERROR, (errcode(ERRCODE_SPINE_STATE_UNKNOWN),
                  errmsg("the row as it was is not known: it is one of %s.%s and one of %s.%s", *domain, name,
                         pnstrdup(mine.data(), mine.size()), name),
                  errhint("Pass the domain too: '%s.%s'.", *domain, name)));
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_entity_history);
PGDLLEXPORT Datum spine_entity_history(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  EntityScan scan;
  scan.begin(text_view(PG_GETARG_TEXT_PP(0)), PG_GETARG_DATUM(1), ForwardScanDirection, 0);
  AttrNumber by[] = {scan.attnum(Column::organization_id), scan.attnum(Column::sequence)};
  Oid less[] = {lookup_type_cache(UUIDOID, TYPECACHE_LT_OPR)->lt_opr, lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr};
  Oid collations[] = {InvalidOid, InvalidOid};
  bool nulls_first[] = {false, false};
  Tuplesortstate *sort =
      tuplesort_begin_heap(scan.shape(), lengthof(by), by, less, collations, nulls_first, work_mem, nullptr, TUPLESORT_NONE);
  while (scan.next()) tuplesort_puttupleslot(sort, scan.shown());
  tuplesort_performsort(sort);
  TupleTableSlot *sorted = MakeSingleTupleTableSlot(scan.shape(), &TTSOpsMinimalTuple);
  while (tuplesort_gettupleslot(sort, true, false, sorted, nullptr)) {
    CHECK_FOR_INTERRUPTS();
    tuplestore_puttupleslot(result->setResult, sorted);
  }
  ExecDropSingleTupleTableSlot(sorted);
  tuplesort_end(sort);
  scan.end();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_entity_as_of);
PGDLLEXPORT Datum spine_entity_as_of(PG_FUNCTION_ARGS) {
  TimestampTz moment = PG_GETARG_TIMESTAMPTZ(2);
  HASHCTL control{};
  control.keysize = sizeof(Uuid);
  control.entrysize = sizeof(Chain);
  control.hcxt = CurrentMemoryContext;
  HTAB *chains = hash_create("chains with an entity", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  const char *domain = nullptr;
  EntityScan scan;
  scan.begin(text_view(PG_GETARG_TEXT_PP(0)), PG_GETARG_DATUM(1), BackwardScanDirection,
             bit(Column::timestamp) | bit(Column::action) | bit(Column::transaction_id));
  while (scan.next()) {
    Change change = change_of(&scan);
    if (!change.is_captured) continue;
    const Event &event = scan.event();
    require_one_domain(event, &domain);
    Uuid organization = event.organization_id;
    bool was_known;
    Chain *chain = static_cast<Chain *>(hash_search(chains, &organization, HASH_ENTER, &was_known));
    if (!was_known) {
      *chain = {};
      chain->organization = organization;
    }
    TimestampTz at = event.timestamp - unix_time(0);
    step_back(chain, change, event.sequence, at, event.transaction_id, at <= moment);
  }
  scan.end();
  Jsonb *found = nullptr;
  const Chain *found_in = nullptr;
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, chains);
  while (Chain *chain = static_cast<Chain *>(hash_seq_search(&all))) {
    Jsonb *row = chain->has_newest ? row_of(*chain) : nullptr;
    if (row == nullptr) continue;
    if (found_in != nullptr && leaves_with(*chain, found_in->transaction)) continue;
    if (found_in != nullptr && !leaves_with(*found_in, chain->transaction))
      state_unknown(psprintf("it is there in organization %s and in %s", uuid_text(found_in->organization), uuid_text(chain->organization)));
    found = row;
    found_in = chain;
  }
  if (found == nullptr) PG_RETURN_NULL();
  return JsonbPGetDatum(found);
}

}  // extern "C"

}  // namespace spine
