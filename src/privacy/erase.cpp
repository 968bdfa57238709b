// spine.erase_events and spine.erase_entity.
#include "privacy/erasure.h"

#include <algorithm>

#include "access/access.h"
#include "core/uuid.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/json.h"
#include "server/settings.h"
#include "store/emit.h"
#include "store/entity_uuid.h"
#include "store/event_arguments.h"
#include "store/event_types.h"
#include "store/platform_event.h"

extern "C" {
#include <access/xact.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_type.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
}

namespace spine {

namespace {

// What the payload of an erasure event needs for one part of one event, and for all else but the reason.
constexpr int64 bytes_a_part = 80, bytes_besides = 512;

// The events of one erasure event: as many as its payload has room for.
int64 targets_at_once(std::string_view reason) {
  int64 room = settings.max_payload_size - bytes_besides - static_cast<int64>(reason.size());
  return std::clamp<int64>(room / (2 * bytes_a_part), 1, 10000);
}

Jsonb *payload_of(const ErasureTarget *targets, int64 count, std::string_view reason, const Uuid *repeats) {
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  push_member(&state, "by", json_text(GetUserNameFromId(GetUserId(), false)));
  push_member(&state, "reason", json_text(reason));
  if (repeats != nullptr) push_member(&state, "repeats", json_text(uuid_text(*repeats)));
  push_key(&state, "erased");
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  for (const PartColumns &part : part_columns) {
    if (std::none_of(targets, targets + count, [&](const ErasureTarget &target) { return (target.parts & part.part) != 0; })) continue;
    push_key(&state, part_name(part));
    pushJsonbValue(&state, WJB_BEGIN_ARRAY, nullptr);
    for (const ErasureTarget *target = targets; target < targets + count; target++) {
      if (!(target->parts & part.part)) continue;
      pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
      push_member(&state, "id", json_text(uuid_text(target->id)));
      JsonbValue sequence;
      sequence.type = jbvNumeric;
      sequence.val.numeric = int64_to_numeric(target->sequence);
      push_member(&state, "sequence", sequence);
      pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
    }
    pushJsonbValue(&state, WJB_END_ARRAY, nullptr);
  }
  pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
  return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

void put_erased(ReturnSetInfo *result, const Uuid &organization, const Uuid *id, const Uuid *repeats, int64 events, int64 parts) {
  // That of spine.repeat_erasures says of which organization, and what it repeats.
  bool says_which = result->setDesc->natts == 5;
  Datum values[5];
  bool nulls[5] = {};
  int n = 0;
  if (says_which) values[n++] = uuid_datum(organization);
  nulls[n] = id == nullptr;
  values[n++] = id == nullptr ? static_cast<Datum>(0) : uuid_datum(*id);
  if (says_which) values[n++] = uuid_datum(*repeats);
  values[n++] = Int64GetDatum(events);
  values[n++] = Int64GetDatum(parts);
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

int parts_in(unsigned parts) { return ((parts & payload_part) != 0) + ((parts & personal_part) != 0); }

// Arguments ---------------------------------------------------------------------------------------------------------

[[noreturn]] void null_argument(const char *name) {
  ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s is null", name), errhint("Pass a value; only parts has a default.")));
}

Uuid uuid_argument(FunctionCallInfo fcinfo, int i, const char *name) {
  if (PG_ARGISNULL(i)) null_argument(name);
  return uuid_of(PG_GETARG_DATUM(i));
}

std::string_view text_argument(FunctionCallInfo fcinfo, int i, const char *name) {
  if (PG_ARGISNULL(i)) null_argument(name);
  std::string_view said = text_view(PG_GETARG_TEXT_PP(i));
  if (said.empty())
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is empty", name), errhint("Say it, without a person's data: it is recorded as an event.")));
  return said;
}

// The personal part, or both: a payload does not go while what speaks of persons stays.
unsigned parts_argument(FunctionCallInfo fcinfo, int i) {
  if (PG_ARGISNULL(i)) null_argument("parts");
  Datum *names;
  bool *nulls;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(i), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
  unsigned parts = no_part;
  for (int n = 0; n < count; n++) {
    std::string_view name = nulls[n] ? std::string_view("NULL") : text_view(DatumGetTextPP(names[n]));
    unsigned part = no_part;
    for (const PartColumns &known : part_columns)
      if (name == part_name(known)) part = known.part;
    if (part == no_part)
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is no part of an event", clipped(name)),
                      errhint("The parts are payload and personal.")));
    parts |= part;
  }
  if (!(parts & personal_part))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("parts does not hold \"personal\""),
                    errhint("Pass '{personal}', which is the default, or '{payload,personal}'.")));
  return parts;
}

constexpr uint32 target_columns = bit(Column::id) | bit(Column::entity_id) | bit(Column::event_type) | bit(Column::domain) | bit(Column::entity_type) |
                                  bit(Column::timestamp);

}  // namespace

Uuid erasure_entity(const Uuid &organization) { return entity_uuid("platform", "personal", uuid_text(organization)); }


void Erasure::begin(const Uuid &organization) {
  require_duty(Duty::erase, organization);
  organization_ = organization;
  lock_privacy(organization);
  holds_ = holds_of(&organization);
  targets_ = nullptr;
  count_ = room_ = 0;
}

void Erasure::add(EventScan *scan, unsigned parts) {
  TupleTableSlot *row = scan->whole();
  const Event &event = scan->event();
  require_columns(event, target_columns);
  parts &= parts_there(event);
  if (parts == no_part) return;
  const char *which = psprintf("event %s, sequence " INT64_FORMAT " of organization %s,", uuid_text(event.id), static_cast<int64>(event.sequence), uuid_text(organization_));
  if (is_evidence(event.event_type))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_ERASABLE), errmsg("%s is the spine's own record and cannot be erased", which),
                    errhint("What was erased, held and given rests on such events.")));
  if (const Hold *hold = hold_on(holds_, event))
    ereport(ERROR, (errcode(ERRCODE_SPINE_HELD), errmsg("%s is held by hold %s", which, uuid_text(hold->id)),
                    errhint("Whoever keeps the holds ends it with spine.release_hold('%s', …).", uuid_text(hold->id))));
  make_room(CurrentMemoryContext, &targets_, count_, &room_);
  targets_[count_++] = {row->tts_tableOid, row->tts_tid, event.id, event.sequence, parts};
}

bool Erasure::erase(std::string_view reason, const Uuid *repeats, ReturnSetInfo *result) {
  // What this very command emitted may be among them.
  CommandCounterIncrement();
  PartEraser eraser;
  eraser.begin();
  int64 kept = 0;
  for (int64 i = 0; i < count_; i++) {
    CHECK_FOR_INTERRUPTS();
    ErasureTarget target = targets_[i];
    target.parts = eraser.erase(target.relid, &target.place, target.parts);
    if (target.parts != no_part) targets_[kept++] = target;
  }
  eraser.end();
  count_ = kept;
  int64 most = targets_at_once(reason);
  for (int64 i = 0; i < count_; i += most) {
    const ErasureTarget *targets = targets_ + i;
    int64 count = Min(most, count_ - i);
    Jsonb *payload = payload_of(targets, count, reason, repeats);
    Uuid id = emit_own_event(erased_event, organization_, erasure_entity(organization_), "high", JsonbPGetDatum(payload), ChainedWhen::at_commit);
    pfree(payload);
    int64 parts = 0;
    for (int64 n = 0; n < count; n++) parts += parts_in(targets[n].parts);
    put_erased(result, organization_, &id, repeats, count, parts);
  }
  return count_ > 0;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_erase_events);
PGDLLEXPORT Datum spine_erase_events(PG_FUNCTION_ARGS) {
  require_writable("spine.erase_events()");
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Uuid organization = uuid_argument(fcinfo, 0, "organization_id");
  if (PG_ARGISNULL(1)) null_argument("ids");
  std::string_view reason = text_argument(fcinfo, 2, "reason");
  unsigned parts = parts_argument(fcinfo, 3);
  Datum *given;
  bool *nulls;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &given, &nulls, &count);
  Uuid *ids = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(Max(count, 1))));
  for (int i = 0; i < count; i++) {
    if (nulls[i]) null_argument("an element of ids");
    ids[i] = uuid_of(given[i]);
  }
  std::sort(ids, ids + count);
  count = static_cast<int>(std::unique(ids, ids + count) - ids);

  Erasure erasure;
  erasure.begin(organization);
  EventScan scan;
  scan.begin(events_relid(), EventOrder::id, 1, Sees::fresh, target_columns);
  for (int i = 0; i < count; i++) {
    Datum id = uuid_datum(ids[i]);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, id);
    scan.find(&key);
    bool is_known = false;
    while (scan.next(ForwardScanDirection)) {
      const Event &event = scan.event();
      if (!event.has(Column::organization_id) || event.organization_id != organization) continue;
      if (scan.why() != nullptr) report_damaged(event, scan.why());
      require_columns(event, target_columns);
      if (event.id != ids[i]) report_damaged(event, "its row has another id than its index");
      is_known = true;
      erasure.add(&scan, parts);
    }
    if (!is_known)
      ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_EVENT), errmsg("organization %s has no event %s", uuid_text(organization), uuid_text(ids[i])),
                      errhint("Pass ids of its events. One that this transaction emitted to be chained at its commit is found after "
                              "spine.chain_pending().")));
  }
  scan.end();
  if (!erasure.erase(reason, nullptr, result)) put_erased(result, organization, nullptr, nullptr, 0, 0);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_erase_entity);
PGDLLEXPORT Datum spine_erase_entity(PG_FUNCTION_ARGS) {
  require_writable("spine.erase_entity()");
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Uuid organization = uuid_argument(fcinfo, 0, "organization_id");
  std::string_view domain = text_argument(fcinfo, 1, "domain");
  std::string_view entity_type = text_argument(fcinfo, 2, "entity_type");
  Uuid entity = uuid_argument(fcinfo, 3, "entity_id");
  std::string_view reason = text_argument(fcinfo, 4, "reason");
  unsigned parts = parts_argument(fcinfo, 5);

  Erasure erasure;
  erasure.begin(organization);
  EventScan scan;
  scan.begin(events_relid(), EventOrder::entity, 1, Sees::fresh, target_columns);
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, PG_GETARG_DATUM(3));
  scan.find(&key);
  while (scan.next(ForwardScanDirection)) {
    const Event &event = scan.event();
    if (!event.has(Column::organization_id) || event.organization_id != organization) continue;
    if (scan.why() != nullptr) report_damaged(event, scan.why());
    require_columns(event, target_columns);
    if (event.entity_id != entity) report_damaged(event, "its row has another entity_id than its index");
    if (event.domain == domain && event.entity_type == entity_type) erasure.add(&scan, parts);
  }
  scan.end();
  if (!erasure.erase(reason, nullptr, result)) put_erased(result, organization, nullptr, nullptr, 0, 0);
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
