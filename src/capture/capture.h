// How tables are captured: by four triggers that run spine.capture_change and carry the definition as their arguments, so
// that it is the table's own, in dumps too.
#pragma once

#include "server/pg.h"

extern "C" {
#include <nodes/pg_list.h>
#include <nodes/plannodes.h>
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
inline constexpr std::string_view exclude_prefix = "exclude ", mask_prefix = "mask ", inherited_mark = "inherited";

inline bool is_inherited(const Trigger &trigger) {
  return trigger.tgnargs > capture_arguments && trigger.tgargs[trigger.tgnargs - 1] == inherited_mark;
}

// spine.capture_change, whoever looks it up and may have no right to the schema; InvalidOid: there is none.
Oid capture_function();

// The topmost captured tables that this one inherits from, as a partition or otherwise, or itself; none where it is not captured.
List *captured_roots(Oid relid);

// As the payload and messages name it: schema and name, quoted where need be.
const char *table_name(Oid relid);

// A column of that name; an entity's and an organization's is stored, and the latter a uuid. Raises SP026.
AttrNumber captured_column(Relation relation, const char *name);
AttrNumber entity_column(Relation relation, const char *name);
AttrNumber organization_column(Relation relation, const char *name);

// Once a query has started: refuses the one kind whose changes triggers do not see. Raises SP026.
void refuse_unseen_moves(const PlannedStmt *statement);

}  // namespace spine
