// spine.close_finding, and the raising of findings.
#include "watch/findings.h"

#include "access/access.h"
#include "core/uuid.h"
#include "privacy/privacy.h"
#include "server/cached_table.h"
#include "server/distributed.h"
#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "store/emit.h"
#include "store/event_scan.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"
#include "watch/event_fields.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/fmgrprotos.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr size_t most_named = 50;  // events that a finding names
constexpr size_t most_numbers = 8;

// The columns that a finding can name, beside the hash.
constexpr uint32 named_columns = watched_columns & ~bit(Column::payload);

JsonbValue number_json(std::string_view text) {
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(text.data(), text.size())),
                                                          ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
  return value;
}

JsonbValue integer_json(int64 number) { return number_json(psprintf(INT64_FORMAT, number)); }

const char *moment_text(int64 unix_microseconds) {
  char *text = static_cast<char *>(palloc(41));
  *write_timestamp(text, unix_microseconds) = '\0';
  return text;
}

// What the core says as plain text, before any of the server's functions may raise an error.
struct Told {
  const char *title;
  const char *sentence;
  const char *number;
  const char *named[most_numbers];  // of verdict.numbers
};

// Null where there is no memory.
char *copy_of(const std::string &text) {
  char *copy = static_cast<char *>(palloc_extended(text.size() + 1, MCXT_ALLOC_NO_OOM));
  if (copy != nullptr) memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

Status tell(const Rule &rule, const RuleVerdict &verdict, Told *told) noexcept {
  try {
    told->title = copy_of(rule.title);
    told->sentence = copy_of(sentence_of(rule, verdict));
    told->number = copy_of(number_text(verdict.number));
    bool all = told->title != nullptr && told->sentence != nullptr && told->number != nullptr;
    for (size_t i = 0; i < std::min(most_numbers, verdict.numbers.size()); i++) {
      told->named[i] = copy_of(number_text(verdict.numbers[i].second));
      all = all && told->named[i] != nullptr;
    }
    return all ? Status::ok : Status::out_of_memory;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

// The events that the finding rests on, and what they have in common as far as it is no part of a payload.
void push_events(JsonbParseState **state, const Rule &rule, const WatchFinding &finding, ChainScan *scan) {
  JsonbParseState *group = nullptr;
  pushJsonbValue(&group, WJB_BEGIN_OBJECT, nullptr);
  push_key(state, "events");
  pushJsonbValue(state, WJB_BEGIN_ARRAY, nullptr);
  const auto &sequences = finding.verdict.sequences;
  for (size_t i = sequences.size() - Min(sequences.size(), most_named); i < sequences.size(); i++) {
    scan->seek(finding.organization, sequences[i] - 1, finding.organization);
    bool is_there = scan->next() && scan->event().sequence == sequences[i] && scan->event().has(Column::event_hash);
    pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
    push_member(state, "sequence", integer_json(sequences[i]));
    if (is_there) {
      const Event &event = scan->event();
      char *hash = static_cast<char *>(palloc(2 * event.event_hash.size));
      push_member(state, "hash", json_text({hash, static_cast<size_t>(write_hex(hash, event.event_hash) - hash)}));
      if (i + 1 == sequences.size())
        for (size_t g = 0; g < rule.group_names.size(); g++) {
          if (!rule.group_is_column[g]) continue;
          char uuid[36];
          Column column = Column::event_type;
          for (int c = 0; c < column_count; c++)
            if (rule.group_names[g] == column_names[c]) column = static_cast<Column>(c);
          FieldValue value = column_value(event, column, uuid);
          if (value.kind != FieldValue::Kind::text) continue;
          push_member(&group, rule.group_names[g], json_text({pnstrdup(value.text.data(), value.text.size()), value.text.size()}));
        }
    }
    pushJsonbValue(state, WJB_END_OBJECT, nullptr);
  }
  pushJsonbValue(state, WJB_END_ARRAY, nullptr);
  JsonbValue *common = pushJsonbValue(&group, WJB_END_OBJECT, nullptr);
  push_key(state, "group");
  pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
  for (int i = 0; i < common->val.object.nPairs; i++)
    push_member(state, {common->val.object.pairs[i].key.val.string.val, static_cast<size_t>(common->val.object.pairs[i].key.val.string.len)},
                common->val.object.pairs[i].value);
  pushJsonbValue(state, WJB_END_OBJECT, nullptr);
}

Datum payload_of(const LoadedRule &loaded, const Rule &rule, const WatchFinding &finding, ChainScan *scan) {
  Told told{};
  check(tell(rule, finding.verdict, &told));
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  push_member(&state, "finding", json_text(uuid_text(finding.id)));
  push_member(&state, "rule", json_text(loaded.name));
  push_member(&state, "rule_version", integer_json(loaded.version));
  push_member(&state, "title", json_text(told.title));
  push_member(&state, "sentence", json_text(told.sentence));
  push_key(&state, "control");
  JsonbValue control;
  JsonbToJsonbValue(DatumGetJsonbP(loaded.control), &control);
  (void)pushJsonbValue(&state, WJB_VALUE, &control);
  push_key(&state, "numbers");
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  push_member(&state, "events", integer_json(static_cast<int64>(finding.verdict.sequences.size())));
  if (!rule.bounds.empty()) push_member(&state, "value", number_json(told.number));
  for (size_t i = 0; i < Min(most_numbers, finding.verdict.numbers.size()); i++) push_member(&state, finding.verdict.numbers[i].first, number_json(told.named[i]));
  if (rule.timespan > 0) push_member(&state, "timespan", json_text(rule.timespan_text));
  pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
  push_member(&state, "from", json_text(moment_text(finding.verdict.first_time)));
  push_member(&state, "to", json_text(moment_text(finding.verdict.last_time)));
  push_events(&state, rule, finding, scan);
  return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
}

void raise_one(const LoadedRules &rules, const WatchFinding &finding, ChainScan *scan) {
  const LoadedRule &loaded = rules.rule[finding.rule];
  Datum payload = payload_of(loaded, rules.watch->rules().rule(finding.rule), finding, scan);
  Uuid event = emit_own_event(finding_raised_event, finding.organization, finding.id, loaded.severity, payload, ChainedWhen::at_commit);
  if (run_sql("INSERT INTO spine.finding_records (organization_id, id, rule, rule_version, raised_event, repeats) VALUES ($1, $2, $3, $4, $5, 0)",
              {{UUIDOID, uuid_datum(finding.organization)},
               {UUIDOID, uuid_datum(finding.id)},
               {TEXTOID, CStringGetTextDatum(loaded.name)},
               {INT4OID, Int32GetDatum(loaded.version)},
               {UUIDOID, uuid_datum(event)}}) != 1)
    report_suppressed("finding_records");
}

[[noreturn]] void unknown_finding(const SqlArgument &id) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_FINDING), errmsg("there is no finding %s", id.null ? "NULL" : uuid_text(uuid_of(id.value))),
                  errhint("SELECT id FROM spine.findings lists those that the role may read.")));
}

}  // namespace

bool is_finding_known(const Uuid &organization, const Uuid &id) {
  return run_sql("SELECT FROM spine.finding_records WHERE organization_id = $1 AND id = $2", {{UUIDOID, uuid_datum(organization)}, {UUIDOID, uuid_datum(id)}}) > 0;
}

void raise_findings(const LoadedRules &rules, int64 *raised, int64 *repeated) {
  const auto &findings = rules.watch->findings();
  if (findings.empty()) return;
  MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "findings", ALLOCSET_DEFAULT_SIZES);
  MemoryContext one = AllocSetContextCreate(memory, "a finding", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(memory);
  ChainScan scan;
  scan.begin(named_columns);
  for (const WatchFinding &finding : findings) {
    CHECK_FOR_INTERRUPTS();
    MemoryContextSwitchTo(one);
    if (!finding.is_repeat) {
      raise_one(rules, finding, &scan);
      ++*raised;
    } else {
      run_sql("UPDATE spine.finding_records SET repeats = repeats + 1, last_repeat = $3 WHERE organization_id = $1 AND id = $2",
              {{UUIDOID, uuid_datum(finding.organization)}, {UUIDOID, uuid_datum(finding.id)}, {TIMESTAMPTZOID, TimestampTzGetDatum(finding.time - unix_time(0))}});
      ++*repeated;
    }
    MemoryContextSwitchTo(memory);
    MemoryContextReset(one);
  }
  scan.end();
  MemoryContextSwitchTo(before);
  MemoryContextDelete(memory);
  rules.watch->forget_findings();
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_close_finding);
PGDLLEXPORT Datum spine_close_finding(PG_FUNCTION_ARGS) {
  require_writable("spine.close_finding()");
  static constexpr struct {
    const char *verdict;
    std::string_view event_type;
  } verdicts[] = {{"confirmed", finding_confirmed_event}, {"dismissed", finding_dismissed_event}, {"closed", finding_closed_event}};
  require_reason(fcinfo, 2);
  const char *verdict = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
  std::string_view event_type;
  for (const auto &known : verdicts)
    if (strcmp(known.verdict, verdict) == 0) event_type = known.event_type;
  if (event_type.empty())
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_VERDICT), errmsg("\"%s\" is no verdict on a finding", clipped(verdict)),
                    errhint("Pass confirmed, dismissed, or closed where nobody can tell.")));
  if (!settings.has_actor_id)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ACTOR), errmsg("no actor: people_os_spine.actor_id is not set"),
                    errhint("A person answers for what becomes of a finding: SET people_os_spine.actor_id.")));
  Organizations readable = require_reading(events_relid());
  SqlArgument id = {UUIDOID, PG_ARGISNULL(0) ? static_cast<Datum>(0) : PG_GETARG_DATUM(0), PG_ARGISNULL(0)};
  SPI_connect();
  Oid records = spine_table("finding_records");
  SqlArgument by = {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
  OwnersRights rights;
  rights.begin_as_owner_of(records);
  uint64 rows = run_sql("SELECT f.organization_id, pg_catalog.jsonb_build_object('finding', f.id, 'rule', f.rule, 'rule_version', f.rule_version, 'raised', f.raised_event,"
                        " 'repeats', f.repeats, 'reason', $2, 'by', $3) || coalesce((SELECT pg_catalog.jsonb_build_object('title', r.payload -> 'title', 'control', r.payload -> 'control')"
                        "   FROM spine.events r WHERE r.id = f.raised_event AND r.organization_id = f.organization_id), '{}') FROM spine.finding_records f WHERE f.id = $1 FOR UPDATE OF f",
                        {id, {TEXTOID, PG_GETARG_DATUM(2)}, by});
  rights.end();
  if (rows == 0 || !readable.has(uuid_of(require_field(0, 1))))
    unknown_finding(id);
  Uuid organization = uuid_of(require_field(0, 1));
  Uuid event = emit_own_event(event_type, organization, uuid_of(id.value), "medium", require_field(0, 2), ChainedWhen::at_commit);
  rights.begin_as_owner_of(records);
  rows = run_sql("UPDATE spine.finding_records SET closed_event = $3 WHERE organization_id = $1 AND id = $2",
                 {{UUIDOID, uuid_datum(organization)}, id, {UUIDOID, uuid_datum(event)}});
  rights.end();
  if (rows != 1) report_suppressed("finding_records");
  SPI_finish();
  PG_RETURN_DATUM(uuid_datum(event));
}

// Reads with the caller's rights.
PG_FUNCTION_INFO_V1(spine_explain_finding);
PGDLLEXPORT Datum spine_explain_finding(PG_FUNCTION_ARGS) {
  require_undistributed_spine();
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  SqlArgument id = {UUIDOID, PG_ARGISNULL(0) ? static_cast<Datum>(0) : PG_GETARG_DATUM(0), PG_ARGISNULL(0)};
  SPI_connect();
  if (run_sql("SELECT FROM spine.findings WHERE id = $1", {id}) == 0) unknown_finding(id);
  uint64 rows = run_sql("SELECT e.sequence, e.id, e.event_type, e.\"timestamp\", e.actor_id, e.entity_id, e.payload,"
                        "   e.event_hash = pg_catalog.decode(n.value ->> 'hash', 'hex') AND spine.event_digest(e) = e.event_hash"
                        " FROM spine.findings f CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(f.events) n"
                        " JOIN spine.events e ON e.organization_id = f.organization_id AND e.sequence = (n.value ->> 'sequence')::bigint"
                        " WHERE f.id = $1 ORDER BY e.sequence",
                        {id});
  for (uint64 i = 0; i < rows; i++) {
    Datum values[8];
    bool nulls[8];
    for (int c = 0; c < 8; c++) values[c] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, c + 1, &nulls[c]);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
