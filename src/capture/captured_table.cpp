#include "capture/captured_table.h"

#include <algorithm>

#include "capture/definition.h"
#include "server/errors.h"
#include "store/entity_uuid.h"

extern "C" {
#include <catalog/pg_type.h>
}

namespace spine {

// So columns need no sorting in each row, and what is said of a row does not depend on the order in which a partition has them.
void CapturedTable::read_columns(const Trigger *trigger) {
  TupleDesc shape = RelationGetDescr(relation);
  const Shown *shown = shown_columns(relation, *trigger);
  columns = static_cast<RowColumn *>(palloc(sizeof(RowColumn) * static_cast<Size>(shape->natts)));
  count = 0;
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    // A virtual generated column ('v', from 18 on) has no value here.
    if (attribute->attisdropped || attribute->attgenerated == 'v' || shown[i] == Shown::excluded) continue;
    RowColumn column = row_column(relation, static_cast<AttrNumber>(i + 1), CurrentMemoryContext);
    column.is_masked = shown[i] == Shown::masked;
    column.is_personal = shown[i] == Shown::personal;
    needs_pinned_settings |= spine::needs_pinned_settings(column);
    columns[count++] = column;
  }
  std::sort(columns, columns + count,
            [](const RowColumn &a, const RowColumn &b) {
              size_t size = strlen(a.name), other = strlen(b.name);
              return size != other ? size < other : memcmp(a.name, b.name, size) < 0;
            });
  payload.begin(name, columns, count);
}

void CapturedTable::open(Relation its, const Trigger *trigger) {
  relation = its;
  needs_pinned_settings = false;
  Oid relid = RelationGetRelid(relation);
  PinnedSettings pinned;
  bool quotes_all = quote_all_identifiers;
  if (quotes_all) pinned.begin();
  // None where a detached partition's triggers are no longer complete, or somebody attached one by hand.
  List *roots = is_inherited(*trigger) ? captured_roots(relid) : NIL;
  name = table_name(roots == NIL ? relid : linitial_oid(roots));
  if (quotes_all) pinned.end();
  if (trigger->tgnargs < capture_arguments)
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" of table %s holds no definition", trigger->tgname, name),
                    errhint("spine.capture_changes makes these triggers.")));
  char **arguments = trigger->tgargs;
  domain = arguments[capture_domain];
  entity_type = arguments[capture_entity_type];
  entity_id = row_column(relation, entity_column(relation, arguments[capture_entity_id]), CurrentMemoryContext);
  has_organization_column = arguments[capture_organization][0] != '\0';
  if (has_organization_column)
    organization = row_column(relation, organization_column(relation, arguments[capture_organization]), CurrentMemoryContext);
  read_columns(trigger);
  if (entity_id.type == UUIDOID) return;
  key_text_.find(entity_id.type, CurrentMemoryContext);
  needs_pinned_settings |= key_text_.needs_pinned_settings();
}

Uuid CapturedTable::entity_of(TupleTableSlot *row) {
  int a = entity_id.attnum - 1;
  if (row->tts_isnull[a])
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ENTITY), errmsg("a row of table %s has no entity: column \"%s\" is null", name, entity_id.name),
                    errhint("Capture names entities by that column: declare it NOT NULL, or capture the table by another.")));
  if (entity_id.type == UUIDOID) return uuid_of(row->tts_values[a]);
  return entity_uuid(domain, entity_type, text_view(DatumGetTextPP(key_text_.of(row->tts_values[a]))));
}

bool CapturedTable::organization_of(TupleTableSlot *row, Uuid *found) const {
  if (!has_organization_column || row->tts_isnull[organization.attnum - 1]) return false;
  *found = uuid_of(row->tts_values[organization.attnum - 1]);
  return true;
}

}  // namespace spine
