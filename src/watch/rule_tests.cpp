// spine.test_rule and spine.backtest_rule: rules on events without a trace.
#include "watch/rule_tests.h"

#include "access/access.h"
#include "core/event_name.h"
#include "core/uuid.h"
#include "server/errors.h"
#include "server/json.h"
#include "store/entity_uuid.h"
#include "store/event_scan.h"
#include "store/event_types.h"
#include "watch/event_fields.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <utils/array.h>
#include <utils/date.h>
#include <utils/fmgrprotos.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

[[noreturn]] void bad_tests(const char *pointer, const char *what) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RULE_TESTS), errmsg("the tests of the rule are refused at \"%s\": %s", clipped(pointer), what),
                  errhint("A test is {\"name\": …, \"finds\": how many findings, \"events\": [{\"event_type\": …, \"payload\": …}, …]}; docs/watch.md says what else it may hold.")));
}

JsonbContainer *container_of(const JsonbValue &value, const char *pointer, bool is_array) {
  if (value.type != jbvBinary || JsonContainerIsArray(value.val.binary.data) != is_array) bad_tests(pointer, is_array ? "it is no array" : "it is no object");
  return value.val.binary.data;
}

// Calls use(element, number, pointer) with each element of an array.
template <class Use>
void each_element(JsonbContainer *array, const char *pointer, Use use) {
  uint32 count = JsonContainerSize(array);
  for (uint32 i = 0; i < count; i++) use(*getIthJsonbValueFromContainer(array, i), static_cast<int64>(i), psprintf("%s/%u", pointer, i));
}

// The members of an object, of which each is one of those asked for.
class Members {
 public:
  Members(JsonbContainer *object, const char *pointer, std::initializer_list<const char *> known) : object_(object), pointer_(pointer) {
    JsonbIterator *iterator = JsonbIteratorInit(object);
    JsonbValue key;
    JsonbIteratorToken token;
    while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE) {
      if (token != WJB_KEY) continue;
      std::string_view name{key.val.string.val, static_cast<size_t>(key.val.string.len)};
      bool is_known = false;
      for (const char *one : known) is_known |= name == one;
      if (!is_known) bad_tests(psprintf("%s/%.*s", pointer, key.val.string.len, key.val.string.val), "there is no such member");
    }
  }
  const JsonbValue *find(const char *name) const { return getKeyJsonValueFromContainer(object_, name, static_cast<int>(strlen(name)), nullptr); }
  const char *at(const char *name) const { return psprintf("%s/%s", pointer_, name); }
  // Null: it is not there.
  const char *text(const char *name) const {
    const JsonbValue *value = find(name);
    if (value == nullptr) return nullptr;
    if (value->type != jbvString) bad_tests(at(name), "it is no text");
    return pnstrdup(value->val.string.val, static_cast<Size>(value->val.string.len));
  }

 private:
  JsonbContainer *object_;
  const char *pointer_;
};

std::string_view view_of(const char *text) { return {text, strlen(text)}; }

// A uuid, or that of a short name.
Uuid uuid_named(const char *text) {
  Uuid uuid;
  return parse_uuid(view_of(text), &uuid) ? uuid : entity_uuid("test", "name", view_of(text));
}

int64 moment_of(const char *text) {
  return unix_time(DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

int64 moment_after(int64 moment, const char *interval) {
  Datum span = DirectFunctionCall3(interval_in, CStringGetDatum(interval), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
  return unix_time(DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(moment - unix_time(0)), span)));
}

// The moment that a test's event or end says; what is said neither way is a second after the last.
int64 next_moment(const Members &members, const char *at, const char *after, int64 last) {
  const char *moment = members.text(at), *interval = members.text(after);
  return moment != nullptr ? moment_of(moment) : interval != nullptr ? moment_after(last, interval) : last + USECS_PER_SEC;
}

Event event_of(const Members &members, int64 sequence, int64 *moment) {
  Event event;
  auto has = [&](Column column) { event.present |= bit(column); };
  const char *type = members.text("event_type");
  EventName parts;
  if (type == nullptr || !parse_event_name(view_of(type), &parts)) bad_tests(members.at("event_type"), "it is no event name, such as hcm.employee.created");
  event.event_type = view_of(type);
  event.domain = parts.domain;
  event.entity_type = parts.entity_type;
  event.action = parts.action;
  auto or_else = [&](const char *name, const char *otherwise) {
    const char *text = members.text(name);
    return text == nullptr ? otherwise : text;
  };
  event.actor_type = view_of(or_else("actor_type", "human"));
  event.severity = view_of(or_else("severity", "low"));
  event.environment = view_of("test");
  event.recorded_by = view_of(or_else("recorded_by", "test"));
  event.entity_id = uuid_named(or_else("entity_id", "entity"));
  event.actor_id = uuid_named(or_else("actor_id", "actor"));
  event.organization_id = nil_uuid;
  event.sequence = sequence;
  event.timestamp = *moment = next_moment(members, "at", "after", *moment);
  for (Column column : {Column::event_type, Column::domain, Column::entity_type, Column::action, Column::actor_type, Column::severity, Column::environment,
                        Column::recorded_by, Column::entity_id, Column::actor_id, Column::organization_id, Column::sequence, Column::timestamp, Column::payload})
    has(column);
  if (const char *correlation = members.text("correlation_id")) {
    event.correlation_id = uuid_named(correlation);
    has(Column::correlation_id);
  }
  if (const char *occurred = members.text("occurred_at")) {
    event.occurred_at = moment_of(occurred);
    has(Column::occurred_at);
  }
  const JsonbValue *payload = members.find("payload");
  const Jsonb *stored;
  if (payload == nullptr) {
    stored = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
  } else {
    (void)container_of(*payload, members.at("payload"), false);
    stored = JsonbValueToJsonb(const_cast<JsonbValue *>(payload));
  }
  event.payload = {reinterpret_cast<const uint8_t *>(&stored->root), VARSIZE(stored) - VARHDRSZ};
  return event;
}

const RuleSet::Plan &plan_for(Watch *watch, std::string_view event_type) {
  const RuleSet::Plan *plan = watch->rules().plan(event_type);
  if (plan == nullptr) check(Status::out_of_memory);
  return *plan;
}

// How often a test's event comes, each time so long after the last.
int64 times_of(const Members &members) {
  const JsonbValue *times = members.find("times");
  if (times == nullptr) return 1;
  constexpr int64 most = 10000;
  int64 count = times->type == jbvNumeric ? DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(times->val.numeric))) : 0;
  if (count < 1 || count > most) bad_tests(members.at("times"), "it is no number from 1 to 10000");
  return count;
}

// Null where there is no memory.
const char *first_sentence(const Rule &rule, const RuleVerdict &verdict) noexcept {
  try {
    std::string sentence = sentence_of(rule, verdict);
    char *copy = static_cast<char *>(palloc_extended(sentence.size() + 1, MCXT_ALLOC_NO_OOM));
    if (copy != nullptr) memcpy(copy, sentence.c_str(), sentence.size() + 1);
    return copy;
  } catch (const std::bad_alloc &) {
    return nullptr;
  }
}

TestResult run_test(const LoadedRules &rules, FieldReader *reader, JsonbContainer *object, const char *pointer) {
  Members test(object, pointer, {"name", "finds", "events", "until", "wait", "holidays"});
  TestResult result{};
  result.name = test.text("name");
  if (result.name == nullptr) bad_tests(pointer, "it has no name");
  const JsonbValue *finds = test.find("finds");
  if (finds == nullptr || finds->type != jbvNumeric) bad_tests(test.at("finds"), "it is no number");
  result.expected = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(finds->val.numeric)));
  const JsonbValue *events = test.find("events");
  if (events == nullptr) bad_tests(pointer, "it has no events");
  DateADT holidays[100];
  int holiday_count = 0;
  if (const JsonbValue *days = test.find("holidays"))
    each_element(container_of(*days, test.at("holidays"), true), test.at("holidays"), [&](const JsonbValue &day, int64, const char *at) {
      if (day.type != jbvString || holiday_count == lengthof(holidays)) bad_tests(at, "it is no day, or there are more than 100");
      holidays[holiday_count++] = DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(pnstrdup(day.val.string.val, static_cast<Size>(day.val.string.len)))));
    });
  Calendar calendar = test_calendar(holidays, holiday_count);
  Watch *watch = rules.watch;
  watch->forget_groups();
  watch->forget_findings();
  int64 moment = moment_of("2026-01-05T09:59:59Z");  // a Monday
  int64 sequence = 0;
  each_element(container_of(*events, test.at("events"), true), test.at("events"), [&](const JsonbValue &value, int64, const char *at) {
    Members members(container_of(value, at, false), at, {"event_type", "entity_id", "actor_id", "actor_type", "severity", "payload", "at", "after",
                                                         "occurred_at", "recorded_by", "correlation_id", "times"});
    for (int64 times = times_of(members); times > 0; times--) {
      int64 before = moment;
      Event event = event_of(members, ++sequence, &moment);
      if (moment < before) bad_tests(at, "it is before the event before it");
      const RuleSet::Plan &plan = plan_for(watch, event.event_type);
      check(watch->note(event.organization_id, event.sequence, event.timestamp, plan, reader->read(event, plan, &calendar)));
      check(watch->decide());
    }
  });
  if (test.find("until") != nullptr || test.find("wait") != nullptr) check(watch->end_all_waiting(next_moment(test, "until", "wait", moment)));
  for (const WatchFinding &finding : watch->findings()) {
    if (finding.is_repeat) continue;
    if (result.found++ == 0) result.sentence = first_sentence(watch->rules().rule(0), finding.verdict);
  }
  return result;
}

// One organization's events, by one rule.
class Backtest {
 public:
  void begin(const LoadedRules &rules, const Calendars &calendars, ReturnSetInfo *result, int64 from, int64 to) {
    watch_ = rules.watch;
    calendars_ = calendars;
    result_ = result;
    from_ = from;
    to_ = to;
    reader_.begin(watch_->rules());
    memory_ = AllocSetContextCreate(CurrentMemoryContext, "events of a backtest", ALLOCSET_DEFAULT_SIZES);
  }

  void run(ChainScan *scan, const Uuid &organization) {
    watch_->forget_groups();
    watch_->forget_findings();
    const Calendar *calendar = calendars_.of(organization);
    int64 after = 0;
    bool more = true, reaches_end = true;
    MemoryContext before = MemoryContextSwitchTo(memory_);
    while (more) {
      MemoryContextReset(memory_);
      scan->seek(organization, after, organization);
      more = false;
      for (int i = 0; i < portion && scan->next(); i++) {
        const Event &event = scan->event();
        require_columns(event, bit(Column::timestamp) | bit(Column::event_type));
        if (event.timestamp > to_) {
          reaches_end = false;
          break;
        }
        after = event.sequence;
        more = i + 1 == portion;
        if (event.timestamp >= from_ && is_watched(event)) note(event, calendar);
      }
      check(watch_->decide());
    }
    // Time that has not passed yet makes nothing late.
    check(watch_->end_all_waiting(reaches_end ? Min(to_, unix_time(GetCurrentTimestamp())) : to_));
    MemoryContextSwitchTo(before);
    put(organization);
  }

 private:
  static constexpr int portion = 1000;

  // Never what the watch itself found.
  static bool is_watched(const Event &event) { return event.event_type != finding_raised_event; }

  void note(const Event &event, const Calendar *calendar) {
    const RuleSet::Plan &plan = plan_for(watch_, event.event_type);
    if (plan.selections.empty()) return;
    require_readable_parts(event);
    check(watch_->note(event.organization_id, event.sequence, event.timestamp, plan, reader_.read(event, plan, calendar)));
  }

  void put(const Uuid &organization) {
    MemoryContextReset(memory_);
    MemoryContext before = MemoryContextSwitchTo(memory_);
    const auto &findings = watch_->findings();
    for (size_t i = 0; i < findings.size(); i++) {
      const WatchFinding &finding = findings[i];
      if (finding.is_repeat) continue;
      int64 repeats = 0;
      for (size_t j = i + 1; j < findings.size(); j++) repeats += findings[j].is_repeat && findings[j].id == finding.id;
      size_t count = finding.verdict.sequences.size();
      Datum *sequences = static_cast<Datum *>(palloc(sizeof(Datum) * Max(count, size_t{1})));
      for (size_t s = 0; s < count; s++) sequences[s] = Int64GetDatum(finding.verdict.sequences[s]);
      const char *sentence = first_sentence(watch_->rules().rule(0), finding.verdict);
      if (sentence == nullptr) check(Status::out_of_memory);
      Datum values[] = {uuid_datum(organization), TimestampTzGetDatum(finding.time - unix_time(0)), Int64GetDatum(repeats),
                        PointerGetDatum(construct_array(sequences, static_cast<int>(count), INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE)),
                        CStringGetTextDatum(sentence)};
      bool nulls[lengthof(values)] = {};
      tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
    }
    MemoryContextSwitchTo(before);
  }

  Watch *watch_;
  Calendars calendars_;
  ReturnSetInfo *result_;
  int64 from_, to_;
  FieldReader reader_;
  MemoryContext memory_;
};

}  // namespace

TestResult *run_tests(const LoadedRules &rules, int *count) {
  JsonbContainer *tests = &DatumGetJsonbP(rules.rule[0].tests)->root;
  if (!JsonContainerIsArray(tests) || JsonContainerIsScalar(tests)) bad_tests("", "they are no array");
  *count = static_cast<int>(JsonContainerSize(tests));
  TestResult *results = static_cast<TestResult *>(palloc0(sizeof(TestResult) * static_cast<Size>(Max(*count, 1))));
  FieldReader reader;
  reader.begin(rules.watch->rules());
  each_element(tests, "", [&](const JsonbValue &test, int64 number, const char *pointer) {
    results[number] = run_test(rules, &reader, container_of(test, pointer, false), pointer);
  });
  return results;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_test_rule);
PGDLLEXPORT Datum spine_test_rule(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  SPI_connect();
  LoadedRules rules = load_rule(fcinfo, 0);
  int count;
  TestResult *results = run_tests(rules, &count);
  for (int i = 0; i < count; i++) {
    const TestResult &test = results[i];
    Datum values[] = {CStringGetTextDatum(test.name), Int64GetDatum(test.expected), Int64GetDatum(test.found), BoolGetDatum(test.found == test.expected),
                      test.sentence == nullptr ? static_cast<Datum>(0) : CStringGetTextDatum(test.sentence)};
    bool nulls[] = {false, false, false, false, test.sentence == nullptr};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  SPI_finish();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_backtest_rule);
PGDLLEXPORT Datum spine_backtest_rule(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  int64 from = PG_ARGISNULL(1) ? PG_INT64_MIN : unix_time(PG_GETARG_TIMESTAMPTZ(1));
  int64 to = PG_ARGISNULL(2) ? PG_INT64_MAX : unix_time(PG_GETARG_TIMESTAMPTZ(2));
  Organizations readable = require_reading(events_relid());
  SPI_connect();
  LoadedRules rules = load_rule(fcinfo, 0);
  Backtest backtest;
  backtest.begin(rules, read_calendars(), reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), from, to);
  // Two scans: one finds the organizations, the other goes through each.
  ChainScan organizations, events;
  organizations.begin();
  events.begin(watched_columns);
  bool is_one = !PG_ARGISNULL(3);
  Uuid first = is_one ? uuid_of(PG_GETARG_DATUM(3)) : nil_uuid, last = is_one ? first : last_uuid;
  organizations.seek(first, PG_INT64_MIN, last);
  while (organizations.next()) {
    Uuid organization = organizations.event().organization_id;
    if (readable.has(organization)) backtest.run(&events, organization);
    if (organization == last) break;
    organizations.seek(organization, PG_INT64_MAX, last);
  }
  organizations.end();
  events.end();
  SPI_finish();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
