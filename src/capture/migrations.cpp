// spine.capture_migrations, spine.stop_capturing_migrations, and their event triggers' spine.note_migration.
#include "core/uuid.h"
#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "server/sql.h"
#include "store/event_types.h"
#include "store/owners_rights.h"
#include "store/platform_event.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <catalog/pg_class.h>
#include <catalog/pg_foreign_data_wrapper.h>
#include <catalog/pg_foreign_server.h>
#include <catalog/pg_language.h>
#include <catalog/pg_largeobject.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_type.h>
#include <commands/event_trigger.h>
#include <commands/extension.h>
#include <miscadmin.h>
#include <tcop/cmdtag.h>
#include <tcop/deparse_utility.h>
#include <utils/acl.h>
#include <utils/aclchk_internal.h>
#include <utils/array.h>
#include <utils/guc.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

// What a statement did: the object that its command names comes first. What is temporary, or of a temporary table, is
// left out. Of GRANT and ALTER DEFAULT PRIVILEGES there is one row without an object.
constexpr const char *commands =
    "SELECT c.object_type, c.schema_name, c.object_identity,"
    "       CASE split_part(c.command_tag, ' ', 1) WHEN 'CREATE' THEN 'created' WHEN 'SELECT' THEN 'created' WHEN 'IMPORT' THEN 'created'"
    "         WHEN 'GRANT' THEN 'granted' WHEN 'REVOKE' THEN 'revoked' WHEN 'COMMENT' THEN 'commented' WHEN 'SECURITY' THEN 'labeled'"
    "         WHEN 'REFRESH' THEN 'refreshed' WHEN 'REINDEX' THEN 'reindexed' WHEN 'DROP' THEN 'dropped' ELSE 'altered' END,"
    "       c.command"
    "  FROM pg_event_trigger_ddl_commands() WITH ORDINALITY"
    "       AS c(classid, objid, objsubid, command_tag, object_type, schema_name, object_identity, in_extension, command, n)"
    " WHERE c.schema_name IS DISTINCT FROM 'pg_temp'"
    "   AND NOT EXISTS (SELECT FROM pg_class r WHERE r.relpersistence = 't' AND r.oid = CASE c.classid"
    "         WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = c.objid)"
    "         WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = c.objid)"
    "         WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = c.objid)"
    "         WHEN 'pg_constraint'::regclass THEN (SELECT conrelid FROM pg_constraint WHERE oid = c.objid) END)"
    " ORDER BY c.command_tag = $1 DESC, c.n";

// What it dropped: what it names, then what went with that by CASCADE, such as views. The server does not say of all that
// is of a temporary table that it is temporary.
constexpr const char *drops =
    "SELECT d.object_type, d.schema_name, d.object_identity, 'dropped'"
    "  FROM pg_event_trigger_dropped_objects() WITH ORDINALITY"
    "       AS d(classid, objid, objsubid, original, normal, is_temporary, object_type, schema_name, object_name, object_identity,"
    "            address_names, address_args, n)"
    " WHERE (d.original OR d.normal) AND NOT d.is_temporary"
    "   AND NOT (d.address_names[1] = 'pg_temp' AND d.object_type IN ('rule', 'trigger', 'policy', 'table constraint', 'default value'))"
    "   AND NOT (d.object_type = 'rule' AND d.address_names[3] = '_RETURN') ORDER BY d.original DESC, d.n";

constexpr const char *granted_objects =
    "SELECT i.type, i.schema, i.identity, $3 FROM unnest($2) WITH ORDINALITY o(oid, n), pg_identify_object($1, o.oid, 0) i"
    " WHERE i.schema IS NULL OR i.schema NOT LIKE 'pg\\_temp\\_%' ORDER BY n";

constexpr const char *our_triggers =
    "SELECT evtname FROM pg_event_trigger WHERE evtfoid = 'spine.note_migration()'::regprocedure ORDER BY evtname";

// A payload as it grows. What would make it too large is counted and left out.
struct Payload {
  JsonbParseState *state;
  size_t size;  // of the canonical form, at most
  int objects;
  int left_out;
  const char *first;  // the first object's identity

  // Of a string with its quotes, and a comma or a colon.
  static size_t size_of(const char *text) {
    size_t n = 3;
    for (; *text != '\0'; text++) n += static_cast<unsigned char>(*text) < 0x20 ? 6 : *text == '"' || *text == '\\' ? 2 : 1;
    return n;
  }

  void begin(const char *command) {
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    push_member(&state, "command", json_text(command));
    push_key(&state, "objects");
    pushJsonbValue(&state, WJB_BEGIN_ARRAY, nullptr);
    // With the brackets, and room for left_out.
    size = size_of("command") + size_of(command) + size_of("objects") + size_of("left_out") + 32;
  }

  void add(const char *type, const char *schema, const char *identity, const char *action) {
    if (first == nullptr) first = identity;
    const char *members[][2] = {{"type", type}, {"schema", schema}, {"identity", identity}, {"action", action}};
    size_t more = 2;
    for (const auto &member : members)
      if (member[1] != nullptr) more += size_of(member[0]) + size_of(member[1]);
    if (left_out > 0 || size + more > static_cast<size_t>(settings.max_payload_size)) {
      left_out++;
      return;
    }
    size += more;
    objects++;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (const auto &member : members)
      if (member[1] != nullptr) push_member(&state, member[0], json_text(member[1]));
    pushJsonbValue(&state, WJB_END_OBJECT, nullptr);
  }

  // Of the rows that the last statement returned: type, schema, identity, action.
  void add_row(uint64 row) {
    const char *column[4];
    for (int i = 0; i < 4; i++) column[i] = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1);
    add(column[0], column[1], column[2], column[3]);
  }

  Datum end() {
    pushJsonbValue(&state, WJB_END_ARRAY, nullptr);
    if (left_out > 0) {
      JsonbValue number;
      number.type = jbvNumeric;
      number.val.numeric = int64_to_numeric(left_out);
      push_member(&state, "left_out", number);
    }
    return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
  }
};

Oid catalog_of(ObjectType type) {
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_SEQUENCE:
      return RelationRelationId;
    case OBJECT_FUNCTION:
    case OBJECT_PROCEDURE:
    case OBJECT_ROUTINE:
      return ProcedureRelationId;
    case OBJECT_TYPE:
    case OBJECT_DOMAIN:
      return TypeRelationId;
    case OBJECT_SCHEMA:
      return NamespaceRelationId;
    case OBJECT_LANGUAGE:
      return LanguageRelationId;
    case OBJECT_LARGEOBJECT:
      return LargeObjectRelationId;
    case OBJECT_FDW:
      return ForeignDataWrapperRelationId;
    case OBJECT_FOREIGN_SERVER:
      return ForeignServerRelationId;
    default:
      return InvalidOid;
  }
}

void add_granted(Payload *payload, const InternalGrant *grant) {
  int n = list_length(grant->objects);
  Datum *objects = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(n, 1))));
  for (int i = 0; i < n; i++) objects[i] = ObjectIdGetDatum(list_nth_oid(grant->objects, i));
  ArrayType *array = construct_array(objects, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
  uint64 rows = run_sql(granted_objects, {{OIDOID, ObjectIdGetDatum(catalog_of(grant->objtype))},
                                          {OIDARRAYOID, PointerGetDatum(array)},
                                          {TEXTOID, CStringGetTextDatum(grant->is_grant ? "granted" : "revoked")}});
  for (uint64 i = 0; i < rows; i++) payload->add_row(i);
  ListCell *grantee;
  if (rows > 0)
    foreach (grantee, grant->grantees) {
      Oid role = lfirst_oid(grantee);
      payload->add("role", nullptr, role == ACL_ID_PUBLIC ? "PUBLIC" : quote_identifier(GetUserNameFromId(role, false)), "grantee");
    }
}

void add_commands(Payload *payload, const char *command) {
  uint64 rows = run_sql(commands, {{TEXTOID, CStringGetTextDatum(command)}});
  SPITupleTable *found = SPI_tuptable;
  for (uint64 i = 0; i < rows; i++) {
    SPI_tuptable = found;
    bool null;
    Datum collected = SPI_getbinval(found->vals[i], found->tupdesc, 5, &null);
    const CollectedCommand *what = reinterpret_cast<CollectedCommand *>(DatumGetPointer(collected));
    if (what->type == SCT_Grant)
      add_granted(payload, what->d.grant.istmt);
    else
      payload->add_row(i);
  }
}

// Whether the statement is of those that run in no transaction block: what they did before their last transaction stays.
bool is_stepwise(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_IndexStmt:
      return reinterpret_cast<const IndexStmt *>(statement)->concurrent;
    case T_DropStmt:
      return reinterpret_cast<const DropStmt *>(statement)->concurrent;
    case T_ReindexStmt:
    case T_CreateSubscriptionStmt:
    case T_AlterSubscriptionStmt:
    case T_DropSubscriptionStmt:
      return true;
    case T_AlterTableStmt: {
      ListCell *cell;
      foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds) {
        const AlterTableCmd *command = static_cast<const AlterTableCmd *>(lfirst(cell));
        if (command->subtype == AT_DetachPartition && reinterpret_cast<const PartitionCmd *>(command->def)->concurrent) return true;
      }
      return false;
    }
    default:
      return false;
  }
}

// The commit waits for the platform's chain as long as that takes: an index that is built must not become invalid because
// lock_timeout is short. Until the end of the transaction.
void wait_at_commit() {
  (void)set_config_option("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

// Emits the event. The platform's chain takes it, whoever runs the statement and whatever for that role may emit.
void emit_migration(const char *command, Payload *payload) {
  emit_platform_event(migration_event, payload->first != nullptr ? payload->first : command, "medium", payload->end(),
                      ChainedWhen::at_commit);
}

// The statements whose events sql_drop emitted, so that ddl_command_end does not emit others: one, and those of others' event
// triggers that run between the two. An error there ends the subtransaction, so no other statement can be taken for it.
struct Noted {
  SubTransactionId subtransaction;
  const Node *statement;
};
List *noted;  // in the memory of this transaction:
FullTransactionId noted_in;

void note_statement(const EventTriggerData *data) {
  FullTransactionId mine = GetTopFullTransactionId();
  if (!FullTransactionIdEquals(noted_in, mine)) noted = NIL;
  noted_in = mine;
  MemoryContext before = MemoryContextSwitchTo(TopTransactionContext);
  Noted *added = static_cast<Noted *>(palloc(sizeof(Noted)));
  *added = {GetCurrentSubTransactionId(), data->parsetree};
  noted = lappend(noted, added);
  MemoryContextSwitchTo(before);
}

bool take_noted(const EventTriggerData *data) {
  if (!FullTransactionIdEquals(noted_in, GetTopFullTransactionIdIfAny())) return false;
  ListCell *cell;
  foreach (cell, noted) {
    const Noted *known = static_cast<Noted *>(lfirst(cell));
    if (known->statement != data->parsetree || known->subtransaction != GetCurrentSubTransactionId()) continue;
    // With what came after it: that is done, or was undone by an error.
    noted = list_truncate(noted, foreach_current_index(cell));
    return true;
  }
  return false;
}

// Records that migrations are captured from now on, or are no more.
void record_capture(const char *command, const char *action) {
  Payload payload{};
  payload.begin(command);
  for (const char *name : {"people_os_spine_migrations", "people_os_spine_migration_drops", "people_os_spine_migration_starts"})
    payload.add("event trigger", nullptr, name, action);
  OwnersRights rights;
  rights.begin();
  emit_migration(command, &payload);
  rights.end();
}

bool drop_triggers() {
  uint64 rows = run_sql(our_triggers);
  SPITupleTable *names = SPI_tuptable;
  for (uint64 i = 0; i < rows; i++)
    run_sql(psprintf("DROP EVENT TRIGGER %s", quote_identifier(SPI_getvalue(names->vals[i], names->tupdesc, 1))));
  return rows > 0;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_note_migration);
PGDLLEXPORT Datum spine_note_migration(PG_FUNCTION_ARGS) {
  const EventTriggerData *data = reinterpret_cast<EventTriggerData *>(fcinfo->context);
  bool is_drop = CALLED_AS_EVENT_TRIGGER(fcinfo) && strcmp(data->event, "sql_drop") == 0;
  bool is_start = CALLED_AS_EVENT_TRIGGER(fcinfo) && strcmp(data->event, "ddl_command_start") == 0;
  if (!is_drop && !is_start && !(CALLED_AS_EVENT_TRIGGER(fcinfo) && strcmp(data->event, "ddl_command_end") == 0))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.note_migration() is an event trigger function, for ddl_command_start, ddl_command_end and sql_drop"),
                    errhint("Call spine.capture_migrations(), which attaches it.")));
  // The script of an extension is the extension's; CREATE, ALTER or DROP EXTENSION is the statement.
  if (creating_extension || (!is_drop && take_noted(data))) PG_RETURN_NULL();
  const char *command = GetCommandTagName(data->tag);
  if (is_start) {
    // What could not be recorded is refused before its work.
    if (is_stepwise(data->parsetree)) check_platform_event(migration_event, command, "medium");
    PG_RETURN_NULL();
  }
  if (is_stepwise(data->parsetree)) wait_at_commit();
  Payload payload{};
  OwnersRights rights;
  rights.begin();
  SPI_connect();
  payload.begin(command);
  add_commands(&payload, command);
  if (is_drop) {
    uint64 rows = run_sql(drops);
    for (uint64 i = 0; i < rows; i++) payload.add_row(i);
  }
  if (payload.objects + payload.left_out > 0) {
    emit_migration(command, &payload);
    if (is_drop) note_statement(data);
  }
  SPI_finish();
  rights.end();
  PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(spine_capture_migrations);
PGDLLEXPORT Datum spine_capture_migrations(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  SPI_connect();
  (void)drop_triggers();
  run_sql("CREATE EVENT TRIGGER people_os_spine_migrations ON ddl_command_end EXECUTE FUNCTION spine.note_migration()");
  run_sql("CREATE EVENT TRIGGER people_os_spine_migration_drops ON sql_drop EXECUTE FUNCTION spine.note_migration()");
  run_sql("CREATE EVENT TRIGGER people_os_spine_migration_starts ON ddl_command_start EXECUTE FUNCTION spine.note_migration()");
  run_sql("ALTER EVENT TRIGGER people_os_spine_migrations ENABLE ALWAYS");
  run_sql("ALTER EVENT TRIGGER people_os_spine_migration_drops ENABLE ALWAYS");
  run_sql("ALTER EVENT TRIGGER people_os_spine_migration_starts ENABLE ALWAYS");
  record_capture("CREATE EVENT TRIGGER", "created");
  SPI_finish();
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_stop_capturing_migrations);
PGDLLEXPORT Datum spine_stop_capturing_migrations(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  SPI_connect();
  if (drop_triggers()) record_capture("DROP EVENT TRIGGER", "dropped");
  SPI_finish();
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
