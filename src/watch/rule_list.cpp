#include "watch/rule_list.h"

#include "server/cached_table.h"
#include "server/errors.h"
#include "server/owned_object.h"
#include "store/owners_rights.h"

extern "C" {
#include <catalog/pg_type.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

constexpr const char *columns = "SELECT name, version, severity::text, pg_catalog.to_jsonb(control), tests, definition_version, definition FROM";

Watch *new_watch() {
  Watch *watch = owned_by_context<Watch>();
  if (watch == nullptr) check(Status::out_of_memory);
  return watch;
}

// The canonical form of a jsonb; it holds until the next one.
std::string_view canonical(Datum json) {
  const Jsonb *value = DatumGetJsonbP(json);
  std::string_view text;
  Status status = hasher().canonical_json({reinterpret_cast<const uint8_t *>(&value->root), VARSIZE(value) - VARHDRSZ},
                                          {MaxAllocSize, 128, false}, &text);
  if (status != Status::ok) report(status, "the definition of a rule");
  return text;
}

void add(const LoadedRules &rules, const LoadedRule &rule, int32 definition_version, Datum definition) {
  std::string_view text = canonical(definition);
  char *copy = pnstrdup(text.data(), text.size());
  RuleProblem *problem = owned_by_context<RuleProblem>();
  if (problem == nullptr) check(Status::out_of_memory);
  Status status = rules.watch->rules().add(rule.name, definition_version, {copy, text.size()}, problem);
  if (status == Status::malformed)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RULE),
                    errmsg("the definition of rule \"%s\" is refused at \"%s\": %s", clipped(rule.name), clipped(problem->pointer), problem->what.c_str()),
                    errhint("The text is a JSON pointer to the member at fault, and \"\" is the whole definition. docs/watch.md says what a definition holds.")));
  check(status);
  pfree(copy);
}

LoadedRules read_rows(uint64 rows) {
  SPITupleTable *table = SPI_tuptable;
  LoadedRules rules{new_watch(), static_cast<LoadedRule *>(palloc0(sizeof(LoadedRule) * Max(rows, 1))), 0};
  for (uint64 i = 0; i < rows; i++) {
    LoadedRule &rule = rules.rule[rules.count++];
    SPI_tuptable = table;
    rule = {text_to_cstring(DatumGetTextPP(require_field(i, 1))), DatumGetInt32(require_field(i, 2)), text_to_cstring(DatumGetTextPP(require_field(i, 3))),
            require_field(i, 4), require_field(i, 5)};
    add(rules, rule, DatumGetInt32(require_field(i, 6)), require_field(i, 7));
  }
  return rules;
}

}  // namespace

LoadedRules load_enabled_rules() {
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("rules"));
  uint64 rows = run_sql(psprintf("%s (SELECT DISTINCT ON (name) * FROM spine.rules ORDER BY name, version DESC) r WHERE enabled ORDER BY name", columns));
  rights.end();
  return read_rows(rows);
}

LoadedRules load_rule(FunctionCallInfo fcinfo, int name_argument) {
  const char *name = PG_ARGISNULL(name_argument) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(name_argument));
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("rules"));
  uint64 rows = run_sql(psprintf("%s spine.rules WHERE name = $1 ORDER BY version DESC LIMIT 1", columns), {{TEXTOID, CStringGetTextDatum(name)}});
  rights.end();
  if (rows == 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_RULE), errmsg("there is no rule \"%s\"", clipped(name)),
                    errhint("SELECT DISTINCT name FROM spine.rules lists those that there are.")));
  return read_rows(rows);
}

LoadedRules rule_of(const char *name, Datum definition, Datum tests) {
  LoadedRules rules{new_watch(), static_cast<LoadedRule *>(palloc0(sizeof(LoadedRule))), 1};
  rules.rule[0] = {name, 0, "", static_cast<Datum>(0), tests};
  add(rules, rules.rule[0], 0, definition);
  const Rule &rule = rules.watch->rules().rule(0);
  if (!rule.not_evaluated.empty() || !rule.product.empty())
    ereport(ERROR, (errcode(ERRCODE_SPINE_RULE_NOT_EVALUATED),
                    rule.product.empty() ? errmsg("rule \"%s\" has what is not evaluated here: %s", clipped(name), rule.not_evaluated.c_str())
                                         : errmsg("rule \"%s\" is about logs of %s", clipped(name), clipped(rule.product)),
                    errhint("The product of the spine's events is people_os_spine, or none is named; docs/watch.md lists what is evaluated.")));
  return rules;
}

Datum require_field(uint64 row, int column) {
  bool null;
  Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
  if (null)
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE), errmsg("a row of the watch's tables has no %s", SPI_fname(SPI_tuptable->tupdesc, column)),
                    errhint("Look for the NULL in the tables spine.rules, calendars, watch_positions, watch_states and finding_records.")));
  return value;
}

void report_suppressed(const char *table) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED), errmsg("a trigger on table \"spine.%s\" suppressed a row", table),
                  errhint("Drop the trigger that somebody added.")));
}

void check(Status status) {
  if (status == Status::ok) return;
  if (status == Status::malformed)
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE), errmsg("a row of spine.watch_states is damaged"),
                    errhint("Restore it from a backup; or DELETE it, and have spine.backtest_rule say what its rule would have found.")));
  report(status, "the watch");
}

}  // namespace spine
