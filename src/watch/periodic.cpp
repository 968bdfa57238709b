#include "watch/periodic.h"

#include <algorithm>

#include "capture/capture.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/subtransaction.h"
#include "store/event_table.h"
#include "watch/findings.h"

extern "C" {
#include <catalog/pg_type.h>
#include <lib/stringinfo.h>
#include <utils/array.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr int64 most_remembered = 10000;  // rows that tell the finding of one organization from others
constexpr int64 most_reported = 10000;    // organizations that a call tells of

void report(const LoadedRules &rules, uint32 rule, const Uuid &organization, std::string_view cause, const char *told, const int64 *sequences, int64 count) {
  Watch *watch = rules.watch;
  check(watch->report(rule, organization, cause, unix_time(GetCurrentTimestamp()), told, sequences, static_cast<size_t>(count)));
  if (is_finding_known(organization, watch->findings().back().id)) watch->note_repeat();
}

// What the rows of one organization have in common with no others'.
struct Unexplained {
  const LoadedRules *rules;
  uint32 rule;
  const char *table;
  MemoryContext memory;
  bool any;
  Uuid organization;
  int64 missing, extra, changed;
  StringInfo cause;
  List *columns;  // that changed
  int64 *sequences;
  int64 count, room;

  void begin(const Uuid &of) {
    MemoryContextReset(memory);
    MemoryContext before = MemoryContextSwitchTo(memory);
    any = true;
    organization = of;
    missing = extra = changed = count = room = 0;
    cause = makeStringInfo();
    columns = NIL;
    sequences = nullptr;
    MemoryContextSwitchTo(before);
  }

  void add(const UnexplainedRow &row) {
    MemoryContext before = MemoryContextSwitchTo(memory);
    (row.verdict[0] == 'm' ? missing : row.verdict[0] == 'e' ? extra : changed)++;
    if (missing + extra + changed <= most_remembered) {
      appendBinaryStringInfo(cause, reinterpret_cast<const char *>(row.entity.data()), static_cast<int>(row.entity.size()));
      appendStringInfo(cause, "%s " INT64_FORMAT " ", row.verdict, row.sequence);
      Datum *names;
      int named;
      deconstruct_array(DatumGetArrayTypeP(row.columns), TEXTOID, -1, false, TYPALIGN_INT, &names, nullptr, &named);
      for (int i = 0; i < named; i++) {
        char *name = TextDatumGetCString(names[i]);
        appendStringInfo(cause, "%s ", name);
        columns = list_append_unique(columns, makeString(name));
      }
      if (row.sequence > 0) {
        make_room(memory, &sequences, count, &room);
        sequences[count++] = row.sequence;
      }
    }
    MemoryContextSwitchTo(before);
  }

  void end() {
    if (!any) return;
    any = false;
    MemoryContext before = MemoryContextSwitchTo(memory);
    StringInfoData told;
    initStringInfo(&told);
    appendStringInfo(&told, "table %s holds what its events do not explain: " INT64_FORMAT " rows missing, " INT64_FORMAT " extra, " INT64_FORMAT " changed", table, missing, extra, changed);
    ListCell *cell;
    foreach (cell, columns) appendStringInfo(&told, "%s%s", foreach_current_index(cell) == 0 ? " in " : ", ", strVal(lfirst(cell)));
    if (sequences != nullptr) std::sort(sequences, sequences + count);
    MemoryContextSwitchTo(before);
    report(*rules, rule, organization, {cause->data, static_cast<size_t>(cause->len)}, told.data, sequences, count);
  }

  // Rows come by organization.
  static void use(void *context, const UnexplainedRow &row) {
    Unexplained *self = static_cast<Unexplained *>(context);
    if (row.verdict[0] == 'c' && row.verdict[1] == 'a') return;  // cannot_tell
    const Uuid of = row.organization == nullptr ? Uuid{} : *row.organization;
    if (!self->any || self->organization != of) {
      self->end();
      self->begin(of);
    }
    self->add(row);
  }
};

// A cancel, a shutdown or a conflict of transactions is none of the table's.
bool is_of_the_table(const ErrorData &error) {
  int category = ERRCODE_TO_CATEGORY(error.sqlerrcode);
  return category != ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) && category != ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK);
}

void reconcile(const LoadedRules &rules, uint32 rule) {
  const char *table = rules.watch->rules().rule(rule).table.c_str();
  Unexplained found{};
  found.rules = &rules;
  found.rule = rule;
  found.table = table;
  found.memory = AllocSetContextCreate(CurrentMemoryContext, "unexplained rows", ALLOCSET_DEFAULT_SIZES);
  ErrorData *error = catch_error(
      [&] {
        (void)run_sql("SELECT pg_catalog.to_regclass($1)::oid", {{TEXTOID, CStringGetTextDatum(table)}});
        bool null;
        Oid relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
        if (null)
          ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table %s", clipped(table)),
                          errhint("Set the rule with the name of the table as spine.watches has it.")));
        reconcile_table(relid, true, Unexplained::use, &found);
      },
      is_of_the_table);
  if (error != nullptr) {
    ereport(WARNING, (errcode(error->sqlerrcode), errmsg("rule \"%s\" did not reconcile table %s: %s", rules.rule[rule].name, clipped(table), error->message),
                      errhint("Mend what it says, or turn the rule off; it tries again in time.")));
    // What was told before the error is not all of it.
    found.any = false;
  }
  found.end();
  MemoryContextDelete(found.memory);
}

void look_for_unverified(const LoadedRules &rules, uint32 number) {
  const Rule &rule = rules.watch->rules().rule(number);
  TimestampTz since = GetCurrentTimestamp() - rule.timespan;
  uint64 rows = run_sql("SELECT p.organization_id, p.sequence, v.verified_at, coalesce(v.intact, true), coalesce(v.faults, 0),"
                        "   pg_catalog.to_char(v.verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
                        " FROM spine.watch_positions p LEFT JOIN spine.verifications v USING (organization_id) WHERE NOT v.intact"
                        "   OR coalesce(v.verified_at, (SELECT e.\"timestamp\" FROM spine.events e WHERE e.organization_id = p.organization_id ORDER BY e.sequence LIMIT 1)) < $1"
                        " ORDER BY v.verified_at NULLS FIRST, p.organization_id LIMIT $2",
                        {{TIMESTAMPTZOID, TimestampTzGetDatum(since)}, {INT8OID, Int64GetDatum(most_reported)}});
  SPITupleTable *table = SPI_tuptable;
  for (uint64 i = 0; i < rows; i++) {
    SPI_tuptable = table;
    Uuid organization = uuid_of(require_field(i, 1));
    int64 sequence = DatumGetInt64(require_field(i, 2));
    bool is_intact = DatumGetBool(require_field(i, 4));
    int64 faults = DatumGetInt64(require_field(i, 5));
    const char *when = SPI_getvalue(table->vals[i], table->tupdesc, 6);
    const char *told = when == nullptr ? psprintf("the chain was never verified, and is older than %s", rule.timespan_text.c_str())
                       : is_intact     ? psprintf("the chain was last verified at %s UTC, more than %s ago", when, rule.timespan_text.c_str())
                                       : psprintf("the last verification of the chain, at %s UTC, found " INT64_FORMAT " faults", when, faults);
    report(rules, number, organization, psprintf("%s %d", when == nullptr ? "never" : when, is_intact), told, &sequence, 1);
  }
}

}  // namespace

int64 look_now(const LoadedRules &rules, uint32 number) {
  const Rule &rule = rules.watch->rules().rule(number);
  int64 every = rule.timespan;
  if (rule.type == RuleType::reconcile) {
    reconcile(rules, number);
  } else {
    look_for_unverified(rules, number);
    every = USECS_PER_DAY;
  }
  return unix_time(GetCurrentTimestamp()) + every;
}

}  // namespace spine
