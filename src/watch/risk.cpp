// spine.measure_risk and explain_risk: scores from findings, of organizations, actions and entities; and of actors, where
// spine.set_person_scores lets them be scored.
#include "core/risk.h"

#include "core/uuid.h"
#include "server/distributed.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "store/emit.h"
#include "store/entity_uuid.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"
#include "watch/rule_list.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr long chunk = 1000;  // rows that are in memory at a time

struct Subject {
  const char *name;
  const char *key;  // of an event e that a finding f rests on
  bool is_actor, is_entity;
};
constexpr Subject subjects[] = {{"organization", nullptr, false, false},
                                {"action", "e.event_type", false, false},
                                {"entity", "e.entity_id::text", false, true},
                                {"actor", "e.actor_id::text", true, false}};

// What a finding counts while it is new, by its severity: the marks that security products use.
constexpr struct {
  const char *severity;
  double score;
} scores[] = {{"low", 21}, {"medium", 47}, {"high", 73}, {"critical", 99}};

double score_of(const char *severity) {
  for (const auto &one : scores)
    if (strcmp(one.severity, severity) == 0) return one.score;
  return 0;
}

[[noreturn]] void bad_risk(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RISK), errmsg("%s", message), errhint("%s", hint)));
}

const Subject &subject_argument(FunctionCallInfo fcinfo, int argument) {
  const char *name = PG_ARGISNULL(argument) ? "null" : text_to_cstring(PG_GETARG_TEXT_PP(argument));
  for (const Subject &subject : subjects)
    if (strcmp(subject.name, name) == 0) return subject;
  bad_risk(psprintf("subject is \"%s\"", clipped(name)), "Pass organization, action, entity or actor.");
}

// Microseconds, a month being 30 days.
double half_life_argument(FunctionCallInfo fcinfo, int argument) {
  const Interval *span = PG_ARGISNULL(argument) ? nullptr : PG_GETARG_INTERVAL_P(argument);
  double length = span == nullptr ? 0
                                  : static_cast<double>(span->time) + (span->day + 30.0 * span->month) * static_cast<double>(USECS_PER_DAY);
  if (length <= 0) bad_risk("half_life is no time", "Pass an interval above 0, such as '30 days'.");
  return length;
}

// Whether persons may be scored: what the last event about it says.
bool scores_persons() {
  OwnersRights rights;
  rights.begin();
  uint64 rows = run_sql("SELECT coalesce((payload ->> 'enabled')::boolean, false) FROM spine.events"
                        " WHERE organization_id = '00000000-0000-0000-0000-000000000000' AND entity_id = $1 AND event_type = $2 ORDER BY sequence DESC LIMIT 1",
                        {{UUIDOID, uuid_datum(entity_uuid("platform", "person_scores", "all"))}, {TEXTOID, text_datum(person_scores_set_event)}});
  rights.end();
  return rows == 1 && DatumGetBool(require_field(0, 1));
}

// The findings that count for a subject, as a query with parameters $1, an organization or NULL, $2, a moment, and $3, a key or NULL, and
// what it shows of each; by organization, key and id.
//
// An entity is a person where it is of the domain hcm or of such a type, or where an event about it has a personal part.
const char *query_of(const Subject &subject, bool with_persons, const char *shown) {
  constexpr const char *counted =
      "WITH found AS (SELECT f.organization_id, f.id, f.rule, f.severity::text AS severity, greatest(f.happened_at, f.last_repeat) AS last_at, f.sentence, f.events"
      " FROM spine.findings f WHERE ($1::uuid IS NULL OR f.organization_id = $1) AND f.severity IS NOT NULL AND f.happened_at <= $2 AND f.verdict IS DISTINCT FROM 'dismissed')";
  if (subject.key == nullptr) return psprintf("%s SELECT organization_id, organization_id::text AS key%s FROM found WHERE $3::text IS NULL ORDER BY 1, id", counted, shown);
  const char *persons = !subject.is_entity || with_persons ? "false"
                                                           : "bool_or(e.domain = 'hcm' OR e.entity_type IN ('employee', 'person', 'candidate', 'applicant', 'contractor', 'worker', 'user')"
                                                             " OR e.personal IS NOT NULL OR e.personal_hash IS NOT NULL)";
  return psprintf("%s, touched AS (SELECT f.organization_id, f.id, %s AS key, %s AS is_person FROM found f CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(f.events) n"
                  "   JOIN spine.events e ON e.organization_id = f.organization_id AND e.sequence = (n.value ->> 'sequence')::bigint GROUP BY 1, 2, 3),"
                  " persons AS (SELECT DISTINCT organization_id, key FROM touched WHERE is_person)"
                  " SELECT organization_id, key%s FROM touched t JOIN found USING (organization_id, id) WHERE ($3::text IS NULL OR key = $3)"
                  "   AND NOT EXISTS (SELECT FROM persons p WHERE p.organization_id = t.organization_id AND p.key = t.key) ORDER BY 1, 2, id",
                  counted, subject.key, persons, shown);
}

// The rows of such a query, with the caller's rights.
Portal open_query(FunctionCallInfo fcinfo, const char *query, TimestampTz moment, Datum key, bool has_key) {
  Oid types[] = {UUIDOID, TIMESTAMPTZOID, TEXTOID};
  Datum values[] = {PG_ARGISNULL(0) ? static_cast<Datum>(0) : PG_GETARG_DATUM(0), TimestampTzGetDatum(moment), key};
  char nulls[] = {PG_ARGISNULL(0) ? 'n' : ' ', ' ', has_key ? ' ' : 'n'};
  return SPI_cursor_open_with_args(nullptr, query, lengthof(types), types, values, nulls, false, 0);
}

struct Parts {
  RiskPart *part = nullptr;
  int64 count = 0, room = 0;

  void add(const char *severity, TimestampTz last, TimestampTz moment, double half_life, uint64_t id) {
    make_room(CurrentMemoryContext, &part, count, &room);
    part[count++] = {score_of(severity), static_cast<double>(moment - last) / half_life, id};
  }
  double risk() { return measure_risk(part, static_cast<size_t>(count)); }
};

TimestampTz moment_or_now(FunctionCallInfo fcinfo, int argument) {
  if (PG_ARGISNULL(argument)) return GetCurrentTimestamp();
  if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(argument))) bad_risk("moment is infinite", "Pass a finite one, or NULL for now.");
  return PG_GETARG_TIMESTAMPTZ(argument);
}

bool persons_argument(const Subject &subject) {
  bool allowed = (subject.is_actor || subject.is_entity) && scores_persons();
  if (subject.is_actor && !allowed)
    ereport(ERROR, (errcode(ERRCODE_SPINE_PERSONS_NOT_SCORED), errmsg("actors are not scored in this database"),
                    errhint("Scoring people who work can be high-risk AI by law (EU AI Act, Annex III 4(b)). A superuser who may lets it be: "
                            "SELECT spine.set_person_scores(true, 'why'). It is recorded as an event.")));
  return allowed;
}

// One key's, while its findings come.
struct Group {
  Datum organization = 0, key = 0;
  Parts parts;
  bool is_there = false;

  bool is(Datum other_organization, Datum other_key) const {
    return is_there && uuid_of(organization) == uuid_of(other_organization) && text_view(DatumGetTextPP(key)) == text_view(DatumGetTextPP(other_key));
  }
  void begin(Datum of, Datum with) {
    organization = uuid_datum(uuid_of(of));
    key = text_datum(text_view(DatumGetTextPP(with)));
    is_there = true;
    parts.count = 0;
  }
  void put(ReturnSetInfo *result) {
    if (!is_there) return;
    Datum values[] = {organization, key, Float8GetDatum(parts.risk()), Int64GetDatum(parts.count)};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    pfree(DatumGetPointer(organization));
    pfree(DatumGetPointer(key));
  }
};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_measure_risk);
PGDLLEXPORT Datum spine_measure_risk(PG_FUNCTION_ARGS) {
  require_undistributed_spine();
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const Subject &subject = subject_argument(fcinfo, 1);
  double half_life = half_life_argument(fcinfo, 2);
  TimestampTz moment = moment_or_now(fcinfo, 3);
  SPI_connect();
  const char *query = query_of(subject, persons_argument(subject), ", severity, last_at");
  Portal rows = open_query(fcinfo, query, moment, 0, false);
  Group group;
  for (;;) {
    SPI_cursor_fetch(rows, true, chunk);
    if (SPI_processed == 0) break;
    for (uint64 i = 0; i < SPI_processed; i++) {
      Datum organization = require_field(i, 1), key = require_field(i, 2);
      if (!group.is(organization, key)) {
        group.put(result);
        group.begin(organization, key);
      }
      char *severity = text_to_cstring(DatumGetTextPP(require_field(i, 3)));
      group.parts.add(severity, DatumGetTimestampTz(require_field(i, 4)), moment, half_life, static_cast<uint64_t>(group.parts.count));
      pfree(severity);
    }
    SPI_freetuptable(SPI_tuptable);
  }
  group.put(result);
  SPI_cursor_close(rows);
  SPI_finish();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_explain_risk);
PGDLLEXPORT Datum spine_explain_risk(PG_FUNCTION_ARGS) {
  require_undistributed_spine();
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ORGANIZATION), errmsg("no organization: organization_id is null"),
                    errhint("Pass the organization whose risk is to be explained.")));
  const Subject &subject = subject_argument(fcinfo, 1);
  if ((subject.key == nullptr) != PG_ARGISNULL(2))
    bad_risk(subject.key == nullptr ? "an organization's risk has no key" : psprintf("key is null, which says which %s", subject.name),
             "The key is an event type, or the uuid of an entity or an actor, as spine.measure_risk gives it; NULL for the organization itself.");
  double half_life = half_life_argument(fcinfo, 3);
  TimestampTz moment = moment_or_now(fcinfo, 4);
  SPI_connect();
  const char *query = query_of(subject, persons_argument(subject), ", id, rule, severity, last_at, sentence");
  Portal rows = open_query(fcinfo, query, moment, PG_ARGISNULL(2) ? 0 : PG_GETARG_DATUM(2), !PG_ARGISNULL(2));
  SPI_cursor_fetch(rows, true, FETCH_ALL);
  SPITupleTable *table = SPI_tuptable;
  Parts parts;
  for (uint64 i = 0; i < SPI_processed; i++)
    parts.add(text_to_cstring(DatumGetTextPP(require_field(i, 5))), DatumGetTimestampTz(require_field(i, 6)), moment, half_life, i);
  (void)parts.risk();
  for (int64 i = 0; i < parts.count; i++) {
    const RiskPart &part = parts.part[i];
    Datum values[8];
    bool nulls[8] = {};
    for (int c = 0; c < 4; c++) values[c] = SPI_getbinval(table->vals[part.id], table->tupdesc, c + 3, &nulls[c]);
    values[4] = Float8GetDatum(part.score);
    values[5] = Float8GetDatum(part.faded);
    values[6] = Float8GetDatum(part.share);
    values[7] = SPI_getbinval(table->vals[part.id], table->tupdesc, 7, &nulls[7]);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  SPI_cursor_close(rows);
  SPI_finish();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_set_person_scores);
PGDLLEXPORT Datum spine_set_person_scores(PG_FUNCTION_ARGS) {
  require_writable("spine.set_person_scores()");
  require_reason(fcinfo, 1);
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("enabled is null"), errhint("Pass true or false.")));
  if (!superuser())
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("only a superuser says whether persons are scored"),
                    errhint("It is a decision of the law's kind: have an administrator who answers for it call spine.set_person_scores.")));
  SPI_connect();
  (void)run_sql("SELECT pg_catalog.jsonb_build_object('enabled', $1, 'reason', $2, 'by', $3)",
                {{BOOLOID, PG_GETARG_DATUM(0)}, {TEXTOID, PG_GETARG_DATUM(1)}, {TEXTOID, CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))}});
  Uuid event = emit_own_event(person_scores_set_event, nil_uuid, entity_uuid("platform", "person_scores", "all"), "high", require_field(0, 1), ChainedWhen::at_commit);
  SPI_finish();
  PG_RETURN_DATUM(uuid_datum(event));
}

}  // extern "C"

}  // namespace spine
