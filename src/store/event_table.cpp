#include "store/event_table.h"

#include "server/cached_table.h"
#include "server/distributed.h"
#include "server/errors.h"
#include "store/stored_value.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <catalog/namespace.h>
#include <catalog/pg_am_d.h>
#include <catalog/partition.h>
#include <catalog/pg_enum.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_type.h>
#include <storage/bufmgr.h>
#include <utils/hsearch.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/partcache.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

HTAB *tables;
uint64 changes;  // counts invalidations

// Enum labels by value. An entry is never removed or moved, for events hold views of it.
struct CachedLabel {
  Oid value;
  bool valid;
  NameData label;
};
HTAB *labels;
CachedLabel *recent_labels[16];  // by value too: what a hash table would find again for each column of each row

// The type of each column; for the enums, its name in schema spine.
constexpr Oid column_types[column_count] = {
    UUIDOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, UUIDOID, InvalidOid, UUIDOID,
    InvalidOid, TIMESTAMPTZOID, InvalidOid, JSONBOID, INT8OID, XID8OID, TEXTOID, BYTEAOID, BYTEAOID,
    BYTEAOID, BYTEAOID, JSONBOID, BYTEAOID, BYTEAOID, TIMESTAMPTZOID, UUIDOID, UUIDOID};

int enum_index(Column column) {
  switch (column) {
    case Column::actor_type:
      return 0;
    case Column::environment:
      return 1;
    case Column::severity:
      return 2;
    default:
      return -1;
  }
}

// By Oid, for the life of the backend.
HTAB *create_table(const char *name, Size entry_size) {
  HASHCTL control{};
  control.keysize = sizeof(Oid);
  control.entrysize = entry_size;
  control.hcxt = CacheMemoryContext;
  return hash_create(name, 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

[[noreturn]] void bad_table(Relation relation, const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE),
                  errmsg("table \"%s\" cannot carry events: %s", RelationGetRelationName(relation), why),
                  errhint("Create it with CREATE TABLE … (LIKE spine.events INCLUDING ALL).")));
}

void check_column(Relation relation, const EventTable *table, int c, Form_pg_attribute attribute) {
  int e = enum_index(static_cast<Column>(c));
  bool fits = e < 0 ? attribute->atttypid == column_types[c]
                    : attribute->atttypid == table->enum_type[e] && get_typtype(attribute->atttypid) == TYPTYPE_ENUM;
  if (attribute->attgenerated != '\0')
    bad_table(relation, psprintf("its column \"%s\" is generated", column_names[c]));
  if (!fits)
    bad_table(relation, psprintf("its column \"%s\" has type %s", column_names[c], format_type_be(attribute->atttypid)));
}

// A B-tree that begins with these columns, ascending, of all rows. second: the same as first, where one is enough.
Oid find_index(Relation relation, const EventTable *table, Column first, Column second, bool must_be_unique) {
  Oid found = InvalidOid;
  List *indexes = RelationGetIndexList(relation);
  ListCell *cell;
  foreach (cell, indexes) {
    Oid oid = lfirst_oid(cell);
    Relation index = index_open(oid, AccessShareLock);
    Form_pg_index form = index->rd_index;
    auto is_at = [&](int i, Column column) {
      return form->indnkeyatts > i && form->indkey.values[i] == table->attnum[static_cast<int>(column)] && index->rd_indoption[i] == 0;
    };
    if ((form->indisunique || !must_be_unique) && form->indisvalid && index->rd_rel->relam == BTREE_AM_OID && is_at(0, first) &&
        (second == first || is_at(1, second)) && RelationGetIndexPredicate(index) == NIL)
      found = oid;
    index_close(index, AccessShareLock);
    if (OidIsValid(found)) break;
  }
  list_free(indexes);
  return found;
}

bool is_cut_by_time(Relation root) {
  if (root->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) return false;
  PartitionKey key = RelationGetPartitionKey(root);
  return key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 && key->partattrs[0] != InvalidAttrNumber &&
         strcmp(NameStr(TupleDescAttr(RelationGetDescr(root), key->partattrs[0] - 1)->attname),
                column_names[static_cast<int>(Column::timestamp)]) == 0;
}

void build(Relation relation, EventTable *table) {
  require_undistributed(relation);
  TupleDesc shape = RelationGetDescr(relation);
  Oid schema = get_namespace_oid("spine", false);
  const char *enums[] = {"actor_type", "environment", "severity"};
  for (int e = 0; e < 3; e++)
    table->enum_type[e] = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(enums[e]), ObjectIdGetDatum(schema));

  if (table->attributes != nullptr) pfree(table->attributes);
  table->attributes = nullptr;
  table->attributes = static_cast<StoredAttribute *>(
      MemoryContextAlloc(CacheMemoryContext, sizeof(StoredAttribute) * static_cast<size_t>(shape->natts)));
  table->natts = shape->natts;
  memset(table->attnum, 0, sizeof table->attnum);
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    StoredAttribute *out = &table->attributes[i];
    out->length = attribute->attlen;
    out->align = static_cast<uint8_t>(att_align_nominal(1, attribute->attalign));
    out->column = -1;
    if (attribute->attisdropped) continue;
    for (int c = 0; c < column_count; c++) {
      if (strcmp(NameStr(attribute->attname), column_names[c]) != 0) continue;
      check_column(relation, table, c, attribute);
      out->column = static_cast<int8>(c);
      table->attnum[c] = static_cast<AttrNumber>(i + 1);
    }
  }
  for (int c = 0; c < column_count; c++)
    if (table->attnum[c] == 0) bad_table(relation, psprintf("it has no column \"%s\"", column_names[c]));

  table->root = relation->rd_rel->relispartition ? partition_root(table->relid) : table->relid;
  table->is_events = table->root == get_relname_relid("events", schema);
  Relation root = table->root == table->relid ? relation : relation_open(table->root, AccessShareLock);
  table->is_cut_by_time = is_cut_by_time(root);
  if (root != relation) relation_close(root, AccessShareLock);
  table->sequence_index = find_index(relation, table, Column::organization_id, Column::sequence, true);
  table->entity_index = find_index(relation, table, Column::entity_id, Column::sequence, false);
  table->id_index = find_index(relation, table, Column::id, Column::id, false);
  table->transaction_index = find_index(relation, table, Column::transaction_id, Column::organization_id, false);
}

// What the core reads rows by.
static_assert(SizeofHeapTupleHeader == 23 && offsetof(HeapTupleHeaderData, t_infomask2) == 18 &&
              offsetof(HeapTupleHeaderData, t_infomask) == 20 && offsetof(HeapTupleHeaderData, t_hoff) == 22);
static_assert(HEAP_NATTS_MASK == 0x07ff && HEAP_HASNULL == 0x0001 && MAXIMUM_ALIGNOF == 8);
static_assert(VARTAG_ONDISK == 18 && VARHDRSZ_EXTERNAL + sizeof(varatt_external) == 18 && VARHDRSZ_COMPRESSED == 8);

// False: the value is none of the enum's.
bool set_label(Event *event, Column column, Oid value) {
  const char *label = enum_label(value);
  if (label == nullptr) return false;
  (column == Column::actor_type ? event->actor_type : column == Column::environment ? event->environment : event->severity) = label;
  event->present |= bit(column);
  return true;
}

}  // namespace

// get_partition_ancestors ends below a partition that is being detached.
Oid partition_root(Oid partition) {
  Oid root = get_partition_parent(partition, true);
  while (has_superclass(root)) root = get_partition_parent(root, true);
  return root;
}

const EventTable *event_table(Relation relation) {
  if (tables == nullptr) tables = create_table("people_os_spine tables", sizeof(EventTable));
  Oid relid = RelationGetRelid(relation);
  static EventTable *last;  // rows come in runs, each of one table
  if (last != nullptr && last->relid == relid && last->valid) return last;
  bool found;
  EventTable *table = static_cast<EventTable *>(hash_search(tables, &relid, HASH_ENTER, &found));
  if (!found) {
    table->valid = false;
    table->attributes = nullptr;
  }
  read_until_valid(changes, &table->valid, [=] {
    table->version = changes;
    build(relation, table);
  });
  last = table;
  return table;
}

void report_no_index(Relation relation, const char *columns, const char *what_for) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE), errmsg("table \"%s\" has no %s", RelationGetRelationName(relation), columns),
                  errhint("Create one: %s in it.", what_for)));
}

void report_no_sequence_index(Relation relation) {
  report_no_index(relation, "unique index on (organization_id, sequence)", "the events of a chain, and its end, are found");
}

Oid events_relid() {
  Oid relid = spine_table("events");
  if (!OidIsValid(relid))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table \"spine.events\" does not exist"),
                    errhint("CREATE EXTENSION people_os_spine makes it; if it was renamed or moved, put it back.")));
  return relid;
}

bool lies_in_its_page(const TupleTableSlot *slot, HeapTuple tuple) {
  if (!TTS_IS_BUFFERTUPLE(slot)) return true;
  const char *page = BufferGetPage(reinterpret_cast<const BufferHeapTupleTableSlot *>(slot)->buffer);
  const char *row = reinterpret_cast<const char *>(tuple->t_data);
  return row >= page && row <= page + BLCKSZ && tuple->t_len <= static_cast<size_t>(page + BLCKSZ - row);
}

void event_of_values(const EventValues &values, Event *event) {
  event->present = 0;
  for (int c = 0; c < column_count; c++) {
    if (values.null[c]) continue;
    Datum datum = values.value[c];
    Column column = static_cast<Column>(c);
    int64 number;
    const void *p;
    switch (column) {
      case Column::actor_type:
      case Column::environment:
      case Column::severity:
        if (!set_label(event, column, DatumGetObjectId(datum)))
          ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                          errmsg("column \"%s\" holds no label of its enum", column_names[c]),
                          errhint("The labels are those that psql lists with \\dT+ spine.*.")));
        continue;
      case Column::timestamp:
      case Column::occurred_at:
      case Column::sequence:
      case Column::transaction_id:
        number = DatumGetInt64(datum);
        p = &number;
        break;
      case Column::id:
      case Column::entity_id:
      case Column::actor_id:
      case Column::organization_id:
      case Column::correlation_id:
      case Column::causation_id:
        p = DatumGetUUIDP(datum);
        break;
      default:
        p = PG_DETOAST_DATUM_PACKED(datum);
        break;
    }
    set_column(event, column, static_cast<const uint8_t *>(p));
  }
}

void event_of_row(HeapTupleHeader row, Event *event) {
  Oid relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(row));
  if (!OidIsValid(relid))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_TABLE), errmsg("the value is no row of a table of events"),
                    errhint("Pass a row of spine.events.")));
  Relation relation = relation_open(relid, AccessShareLock);
  const char *why;
  if (!event_of_tuple(relation, event_table(relation), row, HeapTupleHeaderGetDatumLength(row), all_columns, event, &why))
    report_damaged(*event, why);
  relation_close(relation, AccessShareLock);
}

void report_damaged(const Event &event, const char *why) {
  if (!event.has(Column::organization_id))
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_EVENT), errmsg("an event is damaged: %s", why),
                    errhint("SELECT * FROM spine.find_chain_faults() says which; restore its row from a backup.")));
  const char *organization = uuid_text(event.organization_id);
  const char *which = event.has(Column::sequence) ? psprintf("event " INT64_FORMAT, event.sequence) : "an event";
  ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_EVENT), errmsg("%s of organization %s is damaged: %s", which, organization, why),
                  errhint("See SELECT * FROM spine.find_chain_faults('%s'), and restore the row from a backup.", organization)));
}

void require_columns(const Event &event, uint32 columns) {
  for (int c = 0; c < column_count; c++)
    if (columns & ~event.present & (uint32_t{1} << c)) report_damaged(event, psprintf("its %s is null", column_names[c]));
}

void require_readable_parts(const Event &event) {
  for (auto [column, stored] : {std::make_pair(Column::payload, event.payload), std::make_pair(Column::personal, event.personal)}) {
    if (!event.has(column)) continue;
    std::string_view json;
    Status status = hasher().canonical_json(stored, {SIZE_MAX, SIZE_MAX, false}, &json);
    if (status == Status::out_of_memory) report(status, "a part of an event");
    if (status != Status::ok) report_damaged(event, damaged_part);
  }
}

PartHashes part_hashes(const Event &event) {
  PartHashes parts;
  Status status = hasher().hash_parts(event, &parts);
  if (status == Status::malformed) report_damaged(event, damaged_part);
  if (status != Status::ok) report(status, "an event");
  return parts;
}

bool event_of_tuple(Relation relation, const EventTable *table, HeapTupleHeader data, size_t size, uint32 wanted,
                    Event *event, const char **why) {
  RowRest rest;
  *why = read_row({table->natts, table->attributes}, {reinterpret_cast<const uint8_t *>(data), size}, wanted, event, &rest);
  bool bad_label = false;
  for (Column column : {Column::actor_type, Column::environment, Column::severity})
    if ((rest.labels & bit(column)) && !set_label(event, column, rest.enum_value[static_cast<int>(column)])) bad_label = true;
  if (*why != nullptr) return false;
  for (int c = 0; rest.elsewhere != 0; c++) {
    uint32 this_bit = uint32_t{1} << c;
    if (!(rest.elsewhere & this_bit)) continue;
    rest.elsewhere &= ~this_bit;
    const char *value = read_value(relation, reinterpret_cast<const varlena *>(rest.value[c]), why);
    if (value == nullptr) return false;
    set_column(event, static_cast<Column>(c), reinterpret_cast<const uint8_t *>(value));
  }
  if (bad_label) *why = no_such_label;
  return !bad_label;
}

const char *enum_label(Oid value) {
  CachedLabel *&recent = recent_labels[value % lengthof(recent_labels)];
  if (recent != nullptr && recent->value == value && recent->valid) return NameStr(recent->label);
  if (labels == nullptr) labels = create_table("people_os_spine labels", sizeof(CachedLabel));
  CachedLabel *cached = static_cast<CachedLabel *>(hash_search(labels, &value, HASH_FIND, nullptr));
  if (cached != nullptr && cached->valid) {
    recent = cached;
    return NameStr(cached->label);
  }
  HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  cached = static_cast<CachedLabel *>(hash_search(labels, &value, HASH_ENTER, nullptr));
  cached->label = (reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple)))->enumlabel;
  cached->valid = true;
  recent = cached;
  ReleaseSysCache(tuple);
  return NameStr(cached->label);
}

Oid enum_value(Oid type, std::string_view label) {
  NameData name;
  if (label.size() < NAMEDATALEN) {
    memset(&name, 0, sizeof name);
    memcpy(name.data, label.data(), label.size());
    Oid value = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type), NameGetDatum(&name));
    if (OidIsValid(value)) return value;
  }
  ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                  errmsg("\"%s\" is no value of %s", clipped(label), format_type_be(type)),
                  errhint("Take one of the labels that psql lists with \\dT+ spine.*.")));
}

void forget_event_table(Oid relid) {
  changes++;
  if (tables == nullptr) return;
  if (OidIsValid(relid)) {
    EventTable *table = static_cast<EventTable *>(hash_search(tables, &relid, HASH_FIND, nullptr));
    if (table == nullptr) return;
    table->valid = false;
    if (table->root != relid) return;  // else what is known of its partitions is known of it
  }
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, tables);
  while (EventTable *table = static_cast<EventTable *>(hash_seq_search(&all)))
    if (!OidIsValid(relid) || table->root == relid) table->valid = false;
}

void forget_enum_labels() {
  if (labels == nullptr) return;
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, labels);
  while (CachedLabel *cached = static_cast<CachedLabel *>(hash_seq_search(&all))) cached->valid = false;
}

}  // namespace spine
