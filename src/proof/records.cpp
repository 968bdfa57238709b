// spine.keep_record: the tables of checkpoints, nodes and notes only grow.
#include "server/cached_table.h"
#include "server/errors.h"

extern "C" {
#include <commands/trigger.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace spine {

extern "C" {

PG_FUNCTION_INFO_V1(spine_keep_record);
PGDLLEXPORT Datum spine_keep_record(PG_FUNCTION_ARGS) {
  TriggerData *data = CALLED_AS_TRIGGER(fcinfo) ? reinterpret_cast<TriggerData *>(fcinfo->context) : nullptr;
  if (data == nullptr || !TRIGGER_FIRED_BEFORE(data->tg_event) || TRIGGER_FIRED_BY_INSERT(data->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.keep_record() is a trigger function, BEFORE a row is changed or removed"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  ereport(ERROR, (errcode(ERRCODE_SPINE_RECORD_IS_KEPT),
                  errmsg("%s of table \"spine.%s\" is refused", TRIGGER_FIRED_BY_UPDATE(data->tg_event)   ? "UPDATE"
                                                               : TRIGGER_FIRED_BY_DELETE(data->tg_event) ? "DELETE"
                                                                                                         : "TRUNCATE",
                         RelationGetRelationName(data->tg_relation)),
                  errhint("What was stated of a chain stays stated: its rows are never changed and never removed.")));
}

}  // extern "C"

}  // namespace spine
