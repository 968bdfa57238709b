// spine.event_line and spine.export_evidence. docs/evidence.md is the specification of the lines.
#include <algorithm>

#include "access/access.h"
#include "core/checkpoint.h"
#include "core/uuid.h"
#include "proof/directory.h"
#include "proof/faces.h"
#include "proof/tree.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/json.h"
#include "store/emit.h"
#include "store/entity_uuid.h"
#include "store/erased_parts.h"
#include "store/event_types.h"
#include "store/platform_event.h"
#include "verify/verify.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <lib/stringinfo.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/numeric.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// With its line feed.
constexpr size_t longest_line = 16 * 1024 * 1024;

std::string_view shown(const Event &event, bool payload, bool personal) {
  std::string_view document;
  Status status = hasher().shown_document(event, part_hashes(event), payload, personal, &document);
  if (status != Status::ok) report(status, "event");
  return document;
}

// A JSON object in the making.
class Object {
 public:
  void begin() { pushJsonbValue(&state_, WJB_BEGIN_OBJECT, nullptr); }
  void begin(const char *name) {
    push_key(&state_, name);
    begin();
  }
  void end() { value_ = pushJsonbValue(&state_, WJB_END_OBJECT, nullptr); }
  void text(const char *name, std::string_view value) { push_member(&state_, name, json_text(value)); }
  void uuid(const char *name, const Uuid &value) { text(name, uuid_text(value)); }
  void hash(const char *name, const Hash &value) { push_member(&state_, name, json_hash(value)); }
  void number(const char *name, int64 value) {
    JsonbValue number;
    number.type = jbvNumeric;
    number.val.numeric = int64_to_numeric(value);
    push_member(&state_, name, number);
  }
  void boolean(const char *name, bool value) {
    JsonbValue boolean;
    boolean.type = jbvBool;
    boolean.val.boolean = value;
    push_member(&state_, name, boolean);
  }
  // item(i) gives the JSON value of each.
  template <class Item>
  void array(const char *name, size_t count, Item item) {
    push_key(&state_, name);
    pushJsonbValue(&state_, WJB_BEGIN_ARRAY, nullptr);
    for (size_t i = 0; i < count; i++) push(&state_, WJB_ELEM, item(i));
    pushJsonbValue(&state_, WJB_END_ARRAY, nullptr);
  }
  void proof(const char *name, const Proof &proof) {
    array(name, proof.count, [&](size_t i) { return json_hash(proof.hashes[i]); });
  }
  void range(const char *name, const CompactRange &range) {
    array(name, range.count(), [&](size_t i) { return json_hash(range.hash(i)); });
  }
  Jsonb *jsonb() const { return JsonbValueToJsonb(value_); }

 private:
  static JsonbValue json_hash(const Hash &hash) {
    char *hex = static_cast<char *>(palloc(2 * sizeof(Hash)));
    (void)write_hex(hex, {hash.data(), hash.size()});
    return json_text({hex, 2 * sizeof(Hash)});
  }

  JsonbParseState *state_ = nullptr;
  JsonbValue *value_ = nullptr;
};

// What is to be exported, as the caller said.
struct Selection {
  Uuid organization;
  Uuid *ids;
  int id_count;  // -1: any
  std::string_view domain, entity_type;  // empty: any
  bool has_entity;
  Uuid entity;
  bool has_from, has_to;
  int64 from, to;
  std::string_view reason;
  bool payload, personal;
  std::string_view origin;  // empty: any

  bool is_stretch() const { return id_count < 0 && domain.empty() && entity_type.empty() && !has_entity; }
  bool has(const Event &event) const {
    return event.sequence >= from && event.sequence <= to && (domain.empty() || event.domain == domain) &&
           (entity_type.empty() || event.entity_type == entity_type) && (!has_entity || event.entity_id == entity);
  }
  // Adds a member that says it.
  void describe(Object *object) const {
    object->begin("selection");
    if (id_count >= 0)
      object->array("ids", static_cast<size_t>(id_count), [&](size_t i) { return json_text(uuid_text(ids[i])); });
    if (!domain.empty()) object->text("domain", domain);
    if (!entity_type.empty()) object->text("entity_type", entity_type);
    if (has_entity) object->uuid("entity_id", entity);
    if (has_from) object->number("from_sequence", from);
    if (has_to) object->number("to_sequence", to);
    object->end();
  }
};

// Sequences in rising order, once each.
struct Sequences {
  int64 *list = nullptr;
  int64 count = 0, room = 0;

  void add(int64 sequence) {
    make_room(CurrentMemoryContext, &list, count, &room);
    list[count++] = sequence;
  }
  void sort() {
    std::sort(list, list + count);
    count = std::unique(list, list + count) - list;
  }
  bool has(int64 sequence) const { return std::binary_search(list, list + count, sequence); }
};

// The newest signed checkpoint of the directory log.
struct SignedCheckpoint {
  int64 number;
  std::string_view origin, note;
};

void find_note(std::string_view origin, SignedCheckpoint *found) {
  enum NoteColumn { number_column = 1, origin_column, hash_column, note_column, stored_column };
  KeyScan scan;
  scan.begin("checkpoint_notes", {INT8OID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID}, nullptr, 0);
  scan.find(nullptr, BackwardScanDirection);
  found->number = 0;
  TimestampTz stored_at = DT_NOBEGIN;
  while (scan.next()) {
    int64 number = DatumGetInt64(scan.value(number_column));
    if (number < found->number) break;
    Bytes of = scan.bytes(origin_column);
    std::string_view name(reinterpret_cast<const char *>(of.data), of.size);
    TimestampTz stored = DatumGetTimestampTz(scan.value(stored_column));
    if ((!origin.empty() && name != origin) || stored < stored_at) continue;
    Bytes note = scan.bytes(note_column);
    stored_at = stored;
    *found = {number, {pnstrdup(name.data(), name.size()), name.size()},
              {pnstrdup(reinterpret_cast<const char *>(note.data), note.size), note.size}};
  }
  scan.end();
  if (found->number == 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_SIGNED),
                    origin.empty() ? errmsg("no notary has signed a directory checkpoint yet")
                                   : errmsg("no notary has signed a directory checkpoint under the origin \"%s\"",
                                            clipped(origin)),
                    errhint("Run spine-notary, then export again. spine.checkpoint_notes has all that was signed.")));
}

class Export {
 public:
  Export(FunctionCallInfo fcinfo, const Selection &what)
      : result_(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)), what_(what) {
    each_ = AllocSetContextCreate(CurrentMemoryContext, "line of evidence", ALLOCSET_DEFAULT_SIZES);
  }

  void run() {
    find_note(what_.origin, &signed_);
    put_beginning();
    tree_.begin();
    tree_.seek(what_.organization);
    if (tree_.root(chain_.size) != chain_.root)
      ereport(ERROR, (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                      errmsg("the events of organization %s do not give the root of its checkpoint at " INT64_FORMAT,
                             uuid_text(what_.organization), chain_.size),
                      errhint("Nothing is proved of them: SELECT * FROM spine.find_chain_faults('%s') says more.",
                              uuid_text(what_.organization))));
    scan_.begin(all_columns);
    if (what_.is_stretch())
      put_stretch();
    else
      put_selected();
    scan_.end();
    tree_.end();
    Object end;
    end.begin();
    end.begin("end");
    end.number("events", events_);
    end.end();
    end.end();
    put(end);
    emit();
  }

 private:
  // Lines -----------------------------------------------------------------------------------------------------------

  void put(std::string_view line) {
    if (line.size() + 1 > longest_line)
      ereport(ERROR, (errcode(ERRCODE_SPINE_LINE_TOO_LONG),
                      errmsg("a line of the evidence would have " UINT64_FORMAT " bytes, more than 16 MiB",
                             static_cast<uint64>(line.size() + 1)),
                      errhint("Export without the payload, or fewer ids at once.")));
    Datum values[] = {text_datum(line)};
    bool nulls[] = {false};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
    pfree(DatumGetPointer(values[0]));
  }

  void put(const Object &object) {
    Jsonb *json = object.jsonb();
    std::string_view line;
    Status status =
        hasher().canonical_json({reinterpret_cast<const uint8_t *>(VARDATA(json)), VARSIZE(json) - VARHDRSZ},
                                {SIZE_MAX, SIZE_MAX, false}, &line);
    if (status != Status::ok) report(status, "a line of evidence");
    put(line);
  }

  void put_beginning() {
    DirectoryLog log;
    DirectoryCheckpoint at;
    log.begin();
    Note *note = static_cast<Note *>(palloc(sizeof(Note)));
    Checkpoint said;
    // It passed spine.store_note, or was restored.
    if (!log.read(signed_.number, &at) || parse_note(signed_.note, note) != nullptr ||
        parse_checkpoint(note->text, &said) != nullptr || said.size != static_cast<uint64_t>(at.number) ||
        said.root != at.root)
      ereport(ERROR, (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                      errmsg("the note over directory checkpoint " INT64_FORMAT " is not over what is stored of it",
                             signed_.number),
                      errhint("Compare its rows in spine.checkpoint_notes and spine.directory_checkpoints with a "
                              "backup, and with what the notary keeps.")));
    Proof in_log, in_chains;
    log.prove_inclusion(at.number, at, &in_log);
    log.end();
    ChainsTree chains;
    int64 chain_index = read_chains_tree(at.number, what_.organization, &chains, &chain_);
    if (chains.root() != at.chains_root || chains.count() != at.chains)
      ereport(ERROR, (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                      errmsg("the checkpoints of the chains do not give the root of directory checkpoint " INT64_FORMAT,
                             at.number),
                      errhint("A row in spine.checkpoints was altered, added or removed: compare with a backup.")));
    if (chain_index < 0)
      ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_SIGNED),
                      errmsg("no signed checkpoint covers organization %s yet", uuid_text(what_.organization)),
                      errhint("Have the notary take the next one, then export again.")));
    root_of_log_ = at.root;
    uint64_t index = static_cast<uint64_t>(chain_index), count = static_cast<uint64_t>(chains.count());
    LeafList leaves(chains.leaves(), count);
    if (prove_inclusion(tree_hasher(), leaves, index, count, &in_chains) != ProofStatus::ok)
      require_hashed(Status::crypto_failed);
    chains.forget();

    Object header;
    char created[40];
    std::string_view now(created,
                         static_cast<size_t>(write_timestamp(created, unix_time(GetCurrentTimestamp())) - created));
    header.begin();
    header.begin("evidence");
    header.text("created", now);
    header.number("format", 1);
    header.uuid("organization_id", what_.organization);
    header.text("reason", what_.reason);
    what_.describe(&header);
    header.end();
    header.end();
    put(header);

    Object checkpoint;
    checkpoint.begin();
    checkpoint.text("checkpoint", signed_.note);
    checkpoint.end();
    put(checkpoint);

    Object directory;
    directory.begin();
    directory.begin("directory");
    directory.text("entry", at.text());
    directory.number("index", at.number - 1);
    directory.proof("proof", in_log);
    directory.end();
    directory.end();
    put(directory);

    Object chain;
    chain.begin();
    chain.begin("chain");
    chain.hash("head_hash", chain_.head_hash);
    chain.number("index", chain_index);
    chain.uuid("organization_id", what_.organization);
    chain.proof("proof", in_chains);
    chain.hash("root", chain_.root);
    chain.number("size", chain_.size);
    chain.end();
    chain.end();
    put(chain);
  }

  // The event at which the scan stands, which is to be as it was chained. proof: of one that stands alone.
  void put_event(const Proof *proof) {
    const Event &event = scan_.event();
    ContentFaults faults = judge_content(event);
    if (faults.count > 0 || (event.present & link_columns) != link_columns)
      not_intact(event.sequence, faults.count > 0 ? faults.fault[0].detail : "a column is NULL");
    // What was erased shows where it is said so.
    std::string_view document = shown(event, what_.payload || event.event_type == erased_event, what_.personal);
    StringInfoData line;
    initStringInfo(&line);
    appendStringInfoString(&line, "{\"event\":");
    appendBinaryStringInfo(&line, document.data(), static_cast<int>(document.size()));
    if (proof != nullptr) {
      appendStringInfoString(&line, ",\"proof\":[");
      for (size_t i = 0; i < proof->count; i++) {
        char hex[2 * sizeof(Hash)];
        (void)write_hex(hex, {proof->hashes[i].data(), sizeof(Hash)});
        appendStringInfoString(&line, i == 0 ? "\"" : ",\"");
        appendBinaryStringInfo(&line, hex, sizeof hex);
        appendStringInfoChar(&line, '"');
      }
      appendStringInfoChar(&line, ']');
    }
    appendStringInfoChar(&line, '}');
    put({line.data, static_cast<size_t>(line.len)});
    events_++;
  }

  [[noreturn]] void not_intact(int64 sequence, const char *why) {
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_INTACT),
                    errmsg("event " INT64_FORMAT " of organization %s is not intact: %s", sequence,
                           uuid_text(what_.organization), why),
                    errhint("It proves nothing as it is: SELECT * FROM spine.find_chain_faults('%s') says more.",
                            uuid_text(what_.organization))));
  }

  // One that is named by its sequence, with its proof.
  void put_alone(int64 sequence) {
    MemoryContext before = MemoryContextSwitchTo(each_);
    Proof proof;
    tree_.prove_inclusion(sequence, chain_.size, chain_.root, &proof);
    scan_.seek(what_.organization, sequence - 1, what_.organization);
    if (!scan_.next() || scan_.event().sequence != sequence) not_intact(sequence, "it is missing");
    put_event(&proof);
    MemoryContextSwitchTo(before);
    MemoryContextReset(each_);
  }

  void refuse_retired(int64 sequence) {
    if (sequence > tree_.retired()) return;
    ereport(
        ERROR,
        (errcode(ERRCODE_SPINE_RETIRED_EVENT),
         errmsg("events 1 to " INT64_FORMAT " of organization %s were retired", tree_.retired(),
                uuid_text(what_.organization)),
         errhint(
             "Use evidence that was exported before, or attach the table that has them with spine.attach_partition.")));
  }

  void refuse_unsigned(int64 sequence) {
    if (sequence <= chain_.size) return;
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_SIGNED),
                    errmsg("the newest signed checkpoint covers " INT64_FORMAT
                           " events of organization %s, and not event " INT64_FORMAT,
                           chain_.size, uuid_text(what_.organization), sequence),
                    errhint("Have the notary take the next one, then export again.")));
  }

  // All events from one to another, and then the erasures that come later and touch them.
  void put_stretch() {
    int64 first = what_.has_from ? what_.from : tree_.retired() + 1, last = what_.has_to ? what_.to : chain_.size;
    refuse_retired(first);
    refuse_unsigned(last);
    Sequences erasures = erasures_of([&](int64 sequence) { return sequence >= first && sequence <= last; });
    if (first <= last) {
      CompactRange range, after;
      tree_.range(0, first - 1, &range);
      tree_.range(last, chain_.size, &after);
      Object stretch;
      stretch.begin();
      stretch.begin("stretch");
      stretch.range("after", after);
      stretch.range("before", range);
      stretch.number("first", first);
      stretch.number("last", last);
      stretch.end();
      stretch.end();
      put(stretch);
      put_events(first, last, &range);
      Hash root;
      require_hashed(range.append(tree_hasher(), after));
      require_hashed(range.root(tree_hasher(), &root));
      if (root != chain_.root)
        ereport(ERROR, (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                        errmsg("events " INT64_FORMAT " to " INT64_FORMAT
                               " of organization %s do not lead to the root of its tree",
                               first, last, uuid_text(what_.organization)),
                        errhint("What is stored of the tree was altered, or an event: nothing is proved by it.")));
    }
    for (int64 i = 0; i < erasures.count; i++)
      if (erasures.list[i] > last) put_alone(erasures.list[i]);
  }

  void put_events(int64 first, int64 last, CompactRange *range) {
    MemoryContext before = MemoryContextSwitchTo(each_);
    scan_.seek(what_.organization, first - 1, what_.organization);
    Link previous{};
    for (int64 sequence = first; sequence <= last; sequence++) {
      CHECK_FOR_INTERRUPTS();
      if (!scan_.next() || scan_.event().sequence != sequence) not_intact(sequence, "it is missing");
      put_event(nullptr);
      Link link = link_of(scan_.event());
      if (sequence > first && (!link.links_to(previous.event_hash) || link.timestamp < previous.timestamp))
        not_intact(sequence, "it does not follow the event before it");
      Hash leaf;
      require_hashed(tree_hasher().leaf(link.event_hash, &leaf));
      require_hashed(range->append(tree_hasher(), leaf));
      previous = link;
      MemoryContextReset(each_);
    }
    MemoryContextSwitchTo(before);
  }

  void put_selected() {
    Sequences selected;
    if (what_.id_count >= 0)
      select_ids(&selected);
    else if (what_.has_entity)
      select_entity(&selected);
    else
      select_by_name(&selected);
    selected.sort();
    if (selected.count > 0) refuse_retired(selected.list[0]);
    Sequences erasures = erasures_of([&](int64 sequence) { return selected.has(sequence); });
    for (int64 i = 0; i < erasures.count; i++) selected.add(erasures.list[i]);
    selected.sort();
    for (int64 i = 0; i < selected.count; i++) put_alone(selected.list[i]);
  }

  static constexpr uint32 selecting =
      event_place | bit(Column::id) | bit(Column::entity_id) | bit(Column::domain) | bit(Column::entity_type);

  void select_ids(Sequences *selected) {
    EventScan scan;
    scan.begin(events_relid(), EventOrder::id, 1, Sees::fresh, selecting);
    for (int i = 0; i < what_.id_count; i++) {
      ScanKeyData key;
      ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(what_.ids[i]));
      scan.find(&key);
      bool is_known = false;
      while (!is_known && scan.next(ForwardScanDirection)) {
        const Event &event = scan.event();
        if (!event.has(Column::organization_id) || event.organization_id != what_.organization) continue;
        if (scan.why() != nullptr) report_damaged(event, scan.why());
        require_columns(event, selecting);
        is_known = true;
        refuse_unsigned(event.sequence);
        if (what_.has(event)) selected->add(event.sequence);
      }
      if (!is_known)
        ereport(ERROR,
                (errcode(ERRCODE_SPINE_UNKNOWN_EVENT),
                 errmsg("organization %s has no event %s", uuid_text(what_.organization), uuid_text(what_.ids[i])),
                 errhint("Pass ids of its events. Of one that was retired, use evidence that was exported before.")));
    }
    scan.end();
  }

  void select_entity(Sequences *selected) {
    EventScan scan;
    scan.begin(events_relid(), EventOrder::entity, 1, Sees::fresh, selecting);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(what_.entity));
    scan.find(&key);
    while (scan.next(ForwardScanDirection)) {
      const Event &event = scan.event();
      if (!event.has(Column::organization_id) || event.organization_id != what_.organization) continue;
      if (scan.why() != nullptr) report_damaged(event, scan.why());
      require_columns(event, selecting);
      if (event.sequence <= chain_.size && what_.has(event)) selected->add(event.sequence);
    }
    scan.end();
  }

  void select_by_name(Sequences *selected) {
    ChainScan scan;
    scan.begin(selecting);
    scan.seek(what_.organization, Max(what_.from, 1) - 1, what_.organization);
    int64 last = Min(what_.to, chain_.size);
    while (scan.next() && scan.event().sequence <= last) {
      require_columns(scan.event(), selecting);
      if (what_.has(scan.event())) selected->add(scan.event().sequence);
    }
    scan.end();
  }

  // The events of the chain, up to the checkpoint, that say that parts of such events were erased.
  template <class Touches>
  Sequences erasures_of(Touches touches) {
    Sequences found;
    EventScan scan;
    scan.begin(events_relid(), EventOrder::entity, 1, Sees::fresh,
               event_place | bit(Column::event_type) | bit(Column::payload));
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ,
                uuid_datum(entity_uuid("platform", "personal", uuid_text(what_.organization))));
    scan.find(&key);
    MemoryContext outer = CurrentMemoryContext;
    while (true) {
      MemoryContextSwitchTo(each_);
      bool any = scan.next(ForwardScanDirection);
      bool is_erasure = false;
      int64 sequence = 0;
      if (any && scan.why() == nullptr && (scan.event().present & event_place) == event_place &&
          scan.event().organization_id == what_.organization && scan.event().sequence <= chain_.size &&
          scan.event().event_type == erased_event && scan.event().has(Column::payload)) {
        (void)scan.whole();  // known to be JSON from here on
        sequence = scan.event().sequence;
        int64 count;
        const ErasedPart *parts = read_erased_parts(scan.event().payload, &count);
        for (int64 i = 0; i < count && !is_erasure; i++)
          is_erasure = parts[i].sequence < sequence && touches(parts[i].sequence);
      }
      MemoryContextSwitchTo(outer);
      MemoryContextReset(each_);
      if (is_erasure) found.add(sequence);
      if (!any) break;
    }
    scan.end();
    found.sort();
    return found;
  }

  void emit() {
    Object payload;
    payload.begin();
    payload.text("by", GetUserNameFromId(GetUserId(), false));
    payload.text("reason", what_.reason);
    what_.describe(&payload);
    payload.boolean("payload", what_.payload);
    payload.boolean("personal", what_.personal);
    payload.number("events", events_);
    payload.begin("checkpoint");
    payload.text("origin", signed_.origin);
    payload.number("number", signed_.number);
    payload.hash("root", root_of_log_);
    payload.number("size", chain_.size);
    payload.end();
    payload.end();
    (void)emit_own_event(evidence_event, what_.organization,
                         entity_uuid("platform", "evidence", uuid_text(what_.organization)), "medium",
                         JsonbPGetDatum(payload.jsonb()), ChainedWhen::at_commit);
  }

  ReturnSetInfo *result_;
  const Selection &what_;
  SignedCheckpoint signed_;
  ChainCheckpoint chain_;
  Hash root_of_log_;
  ChainTree tree_;
  ChainScan scan_;
  int64 events_ = 0;
  MemoryContext each_;
};

// Arguments ---------------------------------------------------------------------------------------------------------

std::string_view text_argument(FunctionCallInfo fcinfo, int i) {
  return PG_ARGISNULL(i) ? std::string_view() : text_view(PG_GETARG_TEXT_PP(i));
}

void ids_argument(FunctionCallInfo fcinfo, int argument, Selection *what) {
  what->id_count = -1;
  if (PG_ARGISNULL(argument)) return;
  Datum *given;
  bool *nulls;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &given, &nulls,
                    &what->id_count);
  what->ids = static_cast<Uuid *>(palloc(sizeof(Uuid) * static_cast<Size>(Max(what->id_count, 1))));
  for (int i = 0; i < what->id_count; i++) {
    if (nulls[i])
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("an element of ids is null"),
                      errhint("Pass the ids of events.")));
    what->ids[i] = uuid_of(given[i]);
  }
}

Selection selection_of(FunctionCallInfo fcinfo) {
  Selection what{};
  for (int required : {0, 8, 9})
    if (PG_ARGISNULL(required))
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("%s is null", required == 0   ? "organization_id"
                                           : required == 8 ? "payload"
                                                           : "personal"),
                      errhint("Pass a value.")));
  what.organization = uuid_of(PG_GETARG_DATUM(0));
  ids_argument(fcinfo, 1, &what);
  what.domain = text_argument(fcinfo, 2);
  what.entity_type = text_argument(fcinfo, 3);
  what.has_entity = !PG_ARGISNULL(4);
  if (what.has_entity) what.entity = uuid_of(PG_GETARG_DATUM(4));
  what.has_from = !PG_ARGISNULL(5);
  what.has_to = !PG_ARGISNULL(6);
  what.from = what.has_from ? PG_GETARG_INT64(5) : 1;
  what.to = what.has_to ? PG_GETARG_INT64(6) : PG_INT64_MAX;
  if (what.from < 1 || what.to < what.from)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE),
                    errmsg("sequences " INT64_FORMAT " to " INT64_FORMAT " are no range", what.from, what.to),
                    errhint("A chain begins at 1, and from_sequence is at most to_sequence.")));
  require_reason(fcinfo, 7);
  what.reason = text_argument(fcinfo, 7);
  what.payload = PG_GETARG_BOOL(8);
  what.personal = PG_GETARG_BOOL(9);
  what.origin = text_argument(fcinfo, 10);
  return what;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_event_line);
PGDLLEXPORT Datum spine_event_line(PG_FUNCTION_ARGS) {
  Event event;
  event_of_row(PG_GETARG_HEAPTUPLEHEADER(0), &event);
  std::string_view line = shown(event, PG_GETARG_BOOL(1), PG_GETARG_BOOL(2));
  if (line.size() > MaxAllocSize - VARHDRSZ - 1)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the line of the event exceeds 1 GB"),
                    errhint("A text value cannot be longer.")));
  return text_datum(line);
}

PG_FUNCTION_INFO_V1(spine_export_evidence);
PGDLLEXPORT Datum spine_export_evidence(PG_FUNCTION_ARGS) {
  require_writable("spine.export_evidence()");
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  Selection what = selection_of(fcinfo);
  Oid events = events_relid();
  if (!require_reading(events).has(what.organization))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("role \"%s\" may not read events of organization %s", GetUserNameFromId(GetUserId(), false),
                           uuid_text(what.organization)),
                    errhint("spine.grant_reader says of which organizations a role reads events.")));
  if (what.personal && !sees_personal(events, what.organization))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("role \"%s\" may not read the personal part of events of organization %s",
                           GetUserNameFromId(GetUserId(), false), uuid_text(what.organization)),
                    errhint("Export without it, or have spine.grant_reader give it.")));
  Export evidence(fcinfo, what);
  evidence.run();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
