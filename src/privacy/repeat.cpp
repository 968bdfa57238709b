// spine.repeat_erasures: what was erased is erased again where a backup brought it back.
#include "privacy/erasure.h"

#include <algorithm>

#include "access/access.h"
#include "core/uuid.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/sql.h"
#include "store/emit.h"
#include "store/event_types.h"
#include "store/owners_rights.h"

extern "C" {
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
}

namespace spine {

namespace {

// An erasure event that was kept, or stands in the chain.
struct KnownErasure {
  Uuid organization, id;
  std::string_view reason;
  Bytes payload;  // stored jsonb without its header
};

struct KnownErasures {
  KnownErasure *known;
  int64 count, room;

  void add(const KnownErasure &erasure) {
    make_room(CurrentMemoryContext, &known, count, &room);
    known[count++] = erasure;
  }
};

[[noreturn]] void bad_erasures(int64 element, const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_ERASURES), errmsg("element " INT64_FORMAT " of the erasures %s", element, why),
                  errhint("Pass a JSON array of the events platform.personal.erased, each as to_jsonb() makes it of a row of spine.events.")));
}

bool find_member(const JsonbValue &object, std::string_view name, JsonbValue *value) {
  return object.type == jbvBinary && JsonContainerIsObject(object.val.binary.data) &&
         getKeyJsonValueFromContainer(object.val.binary.data, name.data(), static_cast<int>(name.size()), value) != nullptr;
}

std::string_view text_member(const JsonbValue &object, const char *name, int64 element) {
  JsonbValue value;
  if (!find_member(object, name, &value) || value.type != jbvString) bad_erasures(element, psprintf("has no text \"%s\"", name));
  return {value.val.string.val, static_cast<size_t>(value.val.string.len)};
}

Uuid uuid_member(const JsonbValue &object, const char *name, int64 element) {
  Uuid uuid;
  if (!parse_uuid(text_member(object, name, element), &uuid)) bad_erasures(element, psprintf("has a \"%s\" that is no uuid", name));
  return uuid;
}

// only: of this organization; null: of all.
void read_list(Jsonb *list, const Uuid *only, KnownErasures *erasures) {
  if (!JB_ROOT_IS_ARRAY(list) || JB_ROOT_IS_SCALAR(list))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_ERASURES), errmsg("the erasures are no JSON array"),
                    errhint("Pass SELECT jsonb_agg(…) of the lines that were kept; docs/privacy.md shows how.")));
  JsonbIterator *iterator = JsonbIteratorInit(&list->root);
  JsonbValue event, payload;
  (void)JsonbIteratorNext(&iterator, &event, true);
  for (int64 i = 0; JsonbIteratorNext(&iterator, &event, true) == WJB_ELEM; i++) {
    if (text_member(event, "event_type", i) != erased_event) bad_erasures(i, "is of another event type");
    KnownErasure erasure{};
    erasure.organization = uuid_member(event, "organization_id", i);
    erasure.id = uuid_member(event, "id", i);
    if (!find_member(event, "payload", &payload) || payload.type != jbvBinary) bad_erasures(i, "has no payload");
    erasure.reason = text_member(payload, "reason", i);
    Jsonb *copy = JsonbValueToJsonb(&payload);
    erasure.payload = {reinterpret_cast<const uint8_t *>(VARDATA(copy)), VARSIZE(copy) - VARHDRSZ};
    if (only == nullptr || erasure.organization == *only) erasures->add(erasure);
  }
}

// What the chain of an organization itself says.
void read_chain(const Uuid &organization, KnownErasures *erasures) {
  EventScan scan;
  scan.begin(events_relid(), EventOrder::entity, 1, Sees::fresh, bit(Column::event_type));
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(erasure_entity(organization)));
  scan.find(&key);
  while (scan.next(ForwardScanDirection)) {
    (void)scan.whole();
    const Event &event = scan.event();
    constexpr uint32 needed = event_place | bit(Column::event_type) | bit(Column::id) | bit(Column::payload);
    if ((event.present & needed) != needed || event.organization_id != organization || event.event_type != erased_event) continue;
    KnownErasure erasure{};
    erasure.organization = organization;
    erasure.id = event.id;
    Jsonb *copy = static_cast<Jsonb *>(palloc(VARHDRSZ + event.payload.size));
    SET_VARSIZE(copy, VARHDRSZ + event.payload.size);
    memcpy(VARDATA(copy), event.payload.data, event.payload.size);
    erasure.payload = {reinterpret_cast<const uint8_t *>(VARDATA(copy)), event.payload.size};
    JsonbValue reason;
    constexpr std::string_view name = "reason";
    if (getKeyJsonValueFromContainer(&copy->root, name.data(), static_cast<int>(name.size()), &reason) != nullptr && reason.type == jbvString)
      erasure.reason = {reason.val.string.val, static_cast<size_t>(reason.val.string.len)};
    erasures->add(erasure);
  }
  scan.end();
}

// Those that the caller may erase for.
void read_all_chains(KnownErasures *erasures) {
  MemoryContext mine = CurrentMemoryContext;
  OwnersRights owner;
  SPI_connect();
  owner.begin();
  run_sql("SELECT organization_id FROM spine.read_chain_heads()");
  owner.end();
  SPITupleTable *chains = SPI_tuptable;
  for (uint64 i = 0; i < chains->numvals; i++) {
    CHECK_FOR_INTERRUPTS();
    bool null;
    Uuid organization = uuid_of(SPI_getbinval(chains->vals[i], chains->tupdesc, 1, &null));
    if (!has_duty(Duty::erase, organization)) continue;
    MemoryContext before = MemoryContextSwitchTo(mine);
    read_chain(organization, erasures);
    MemoryContextSwitchTo(before);
  }
  SPI_finish();
}

// What of it stands, as an event of that id and sequence, goes. What the chain does not hold, it need not lose.
void repeat(const KnownErasure &known, ReturnSetInfo *result) {
  int64 count;
  ErasedPart *parts = read_erased_parts(known.payload, &count);
  std::sort(parts, parts + count, [](const ErasedPart &a, const ErasedPart &b) { return a.id < b.id; });
  Erasure erasure;
  erasure.begin(known.organization);
  EventScan scan;
  scan.begin(events_relid(), EventOrder::id, 1, Sees::fresh, bit(Column::id));
  for (int64 i = 0, next = 0; i < count; i = next) {
    unsigned wanted = no_part;
    for (next = i; next < count && parts[next].id == parts[i].id; next++) wanted |= parts[next].part;
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(parts[i].id));
    scan.find(&key);
    while (scan.next(ForwardScanDirection)) {
      const Event &event = scan.event();
      if ((event.present & event_place) != event_place || event.organization_id != known.organization || event.sequence != parts[i].sequence) continue;
      if (scan.why() != nullptr) report_damaged(event, scan.why());
      if (event.has(Column::id) && event.id == parts[i].id) erasure.add(&scan, wanted);
    }
  }
  scan.end();
  (void)erasure.erase(known.reason.empty() ? "repeated" : known.reason, &known.id, result);
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_repeat_erasures);
PGDLLEXPORT Datum spine_repeat_erasures(PG_FUNCTION_ARGS) {
  require_writable("spine.repeat_erasures()");
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Uuid organization{};
  if (!PG_ARGISNULL(1)) organization = uuid_of(PG_GETARG_DATUM(1));
  const Uuid *only = PG_ARGISNULL(1) ? nullptr : &organization;
  if (only != nullptr) require_duty(Duty::erase, organization);
  KnownErasures erasures{};
  if (!PG_ARGISNULL(0))
    read_list(PG_GETARG_JSONB_P(0), only, &erasures);
  else if (only != nullptr)
    read_chain(organization, &erasures);
  else
    read_all_chains(&erasures);
  MemoryContext one = AllocSetContextCreate(CurrentMemoryContext, "erasure that is repeated", ALLOCSET_DEFAULT_SIZES);
  for (int64 i = 0; i < erasures.count; i++) {
    CHECK_FOR_INTERRUPTS();
    MemoryContext before = MemoryContextSwitchTo(one);
    repeat(erasures.known[i], result);
    MemoryContextSwitchTo(before);
    MemoryContextReset(one);
  }
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
