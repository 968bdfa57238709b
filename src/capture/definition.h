// How tables are captured: by four triggers that run spine.capture_change and carry the definition as their arguments, so
// that it is the table's own, in dumps too. And what capture and the rule both ask of a table.
#pragma once

#include "server/pg.h"

extern "C" {
#include <catalog/pg_trigger.h>
#include <nodes/pg_list.h>
#include <utils/rel.h>
#include <utils/reltrigger.h>
}

namespace spine {

// The first arguments, in this order; columns by name, an empty one is none. After them come, in any number, a prefix with
// a column's name, and inherited_mark on a table that is captured because of what it inherits from.
enum CaptureArgument : int {
  capture_domain,
  capture_entity_type,
  capture_entity_id,
  capture_organization,
  capture_severity,
  capture_arguments
};
inline constexpr std::string_view exclude_prefix = "exclude ", mask_prefix = "mask ", personal_prefix = "personal ", inherited_mark = "inherited";

inline bool is_inherited(const Trigger &trigger) {
  return trigger.tgnargs > capture_arguments && trigger.tgargs[trigger.tgnargs - 1] == inherited_mark;
}

// Whether it is the trigger that makes its table a captured one, a row of pg_trigger or as the relation cache has it. Its
// name is the owner's to give, which function it runs is not.
template <typename SomeTrigger>
bool is_definition(const SomeTrigger &trigger, Oid function) {
  return trigger.tgfoid == function && trigger.tgnargs >= capture_arguments && !TRIGGER_FOR_ROW(trigger.tgtype) &&
         TRIGGER_FOR_AFTER(trigger.tgtype) && TRIGGER_FOR_INSERT(trigger.tgtype);
}

// What a trigger's arguments do with each column, by attnum - 1. A generated column shows what it is made from, so it is
// treated as the strictest of those.
enum class Shown : char { plain, personal, masked, excluded };

// How an argument has a column treated; null, with plain: it says nothing of one.
struct ColumnArgument {
  Shown shown;
  const char *column;
};
ColumnArgument column_argument(const char *argument);

Shown *shown_columns(Relation relation, const Trigger &trigger);

// spine.capture_change, whoever looks it up and may have no right to the schema; InvalidOid: there is none.
Oid capture_function();

// The trigger that makes the table a captured one; null: it is none.
const Trigger *capture_trigger(Relation relation);

// Without a lock on the table: whoever writes to a partition has none on the root, and asks for none that could deadlock.
bool is_captured(Oid relid);

List *parents_of(Oid relid);

// The topmost captured tables that this one inherits from, as a partition or otherwise, or itself; none where it is not captured.
List *captured_roots(Oid relid);

// As the payload and messages name it: schema and name, quoted where need be.
const char *table_name(Oid relid);

// 0: the table has no such column that is stored.
AttrNumber stored_column(Relation relation, const char *name);

// What a domain is of.
Oid base_type(Relation relation, AttrNumber column);

// A column of that name; an entity's and an organization's is stored, and the latter a uuid. Raises SP026.
AttrNumber captured_column(Relation relation, const char *name);
AttrNumber entity_column(Relation relation, const char *name);
AttrNumber organization_column(Relation relation, const char *name);

[[noreturn]] void cannot_capture(const char *message, const char *hint);

}  // namespace spine
