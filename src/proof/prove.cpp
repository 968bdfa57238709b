// spine.tree_head, prove_inclusion, prove_consistency and prove_growth.
#include "access/access.h"
#include "core/uuid.h"
#include "proof/faces.h"
#include "proof/tree.h"
#include "server/errors.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/uuid.h>
}

namespace spine {

Datum proof_datum(const Proof &proof) {
  Datum hashes[Proof::max_hashes];
  for (size_t i = 0; i < proof.count; i++) hashes[i] = hash_datum(proof.hashes[i]);
  return PointerGetDatum(construct_array(hashes, static_cast<int>(proof.count), BYTEAOID, -1, false, TYPALIGN_INT));
}

void require_order(int64 old_size, int64 new_size) {
  if (old_size > new_size)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_IN_TREE),
                    errmsg("a tree of " INT64_FORMAT " is no beginning of one of " INT64_FORMAT, old_size, new_size),
                    errhint("Pass the smaller one first.")));
}

void put_row(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls) {
  constexpr int most = 16;
  const bool none[most] = {};
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Assert(result->setDesc->natts <= most);
  tuplestore_putvalues(result->setResult, result->setDesc, const_cast<Datum *>(values),
                       const_cast<bool *>(nulls == nullptr ? none : nulls));
}

bool may_prove(const Uuid &organization) { return is_notary() || require_reading(events_relid()).has(organization); }

namespace {

// To whom it is none of his, an organization has no events.
[[noreturn]] void report_no_tree(const Uuid &organization) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_IN_TREE),
                  errmsg("organization %s has 0 events, and no tree", uuid_text(organization)),
                  errhint("spine.tree_head(organization_id) says how many there are.")));
}

// The elements of an argument that is an array, none of them null.
int elements(FunctionCallInfo fcinfo, int argument, Oid type, Datum **values) {
  bool *nulls;
  int count;
  bool is_uuid = type == UUIDOID;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), type, is_uuid ? UUID_LEN : static_cast<int>(sizeof(int64)),
                    !is_uuid && FLOAT8PASSBYVAL, is_uuid ? TYPALIGN_CHAR : TYPALIGN_DOUBLE, values, &nulls, &count);
  for (int i = 0; i < count; i++)
    if (nulls[i])
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("element %d of %s is null", i + 1,
                             argument == 0   ? "organization_ids"
                             : argument == 1 ? "old_sizes"
                                             : "new_sizes"),
                      errhint("Pass organizations, and two sizes for each.")));
  return count;
}

void begin_readable(ChainTree *tree, const Uuid &organization, bool is_readable) {
  if (!is_readable) report_no_tree(organization);
  tree->begin();
  tree->seek(organization);
}

// The place of an event that the role may read.
void find_event(const Uuid &id, Uuid *organization, int64 *sequence) {
  Oid events = events_relid();
  Organizations readable = require_reading(events);
  EventScan scan;
  scan.begin(events, EventOrder::id, 1, Sees::fresh, event_place);
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(id));
  scan.find(&key);
  bool is_known = false;
  while (!is_known && scan.next(ForwardScanDirection)) {
    const Event &event = scan.event();
    if (!event.has(Column::organization_id) || !readable.has(event.organization_id)) continue;
    if (scan.why() != nullptr) report_damaged(event, scan.why());
    require_columns(event, event_place);
    *organization = event.organization_id;
    *sequence = event.sequence;
    is_known = true;
  }
  scan.end();
  if (!is_known)
    ereport(ERROR, (errcode(ERRCODE_SPINE_UNKNOWN_EVENT), errmsg("there is no event %s", uuid_text(id)),
                    errhint("Pass the id of an event of spine.events. Of one that was retired, use evidence that was "
                            "exported before.")));
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_tree_head);
PGDLLEXPORT Datum spine_tree_head(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  if (PG_ARGISNULL(0)) return static_cast<Datum>(0);
  Uuid organization = uuid_of(PG_GETARG_DATUM(0));
  bool is_readable = may_prove(organization);
  ChainTree tree;
  if (is_readable || !PG_ARGISNULL(1)) begin_readable(&tree, organization, is_readable);
  int64 size = !PG_ARGISNULL(1) ? PG_GETARG_INT64(1) : is_readable ? tree.events() : 0;
  bool is_empty = size == 0 && PG_ARGISNULL(1);
  Datum values[] = {Int64GetDatum(size), hash_datum(is_empty ? empty_tree_root : tree.root(size)),
                    is_empty ? static_cast<Datum>(0) : hash_datum(tree.event_hash(size))};
  bool nulls[] = {false, false, is_empty};
  if (is_readable) tree.end();
  put_row(fcinfo, values, nulls);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_prove_inclusion);
PGDLLEXPORT Datum spine_prove_inclusion(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  bool by_id = !PG_ARGISNULL(3);
  if (by_id ? !PG_ARGISNULL(0) || !PG_ARGISNULL(1) : PG_ARGISNULL(0) || PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("it is not said of which event"),
                    errhint("Pass organization_id and sequence, or event_id alone.")));
  Uuid organization;
  int64 sequence;
  bool is_readable = true;
  if (by_id) {
    find_event(uuid_of(PG_GETARG_DATUM(3)), &organization, &sequence);
  } else {
    organization = uuid_of(PG_GETARG_DATUM(0));
    sequence = PG_GETARG_INT64(1);
    is_readable = require_reading(events_relid()).has(organization);
  }
  ChainTree tree;
  begin_readable(&tree, organization, is_readable);
  int64 size = PG_ARGISNULL(2) ? tree.events() : PG_GETARG_INT64(2);
  Hash root = tree.root(size);
  Proof proof;
  tree.prove_inclusion(sequence, size, root, &proof);
  Datum values[] = {Int64GetDatum(sequence - 1), Int64GetDatum(size), hash_datum(root),
                    hash_datum(tree.event_hash(sequence)), proof_datum(proof)};
  tree.end();
  put_row(fcinfo, values);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_prove_consistency);
PGDLLEXPORT Datum spine_prove_consistency(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Uuid organization = uuid_of(PG_GETARG_DATUM(0));
  int64 old_size = PG_GETARG_INT64(1), new_size = PG_GETARG_INT64(2);
  ChainTree tree;
  begin_readable(&tree, organization, may_prove(organization));
  require_order(old_size, new_size);
  Hash old_root, new_root;
  Proof proof;
  tree.prove_consistency(old_size, new_size, &old_root, &new_root, &proof);
  tree.end();
  Datum values[] = {hash_datum(old_root), hash_datum(new_root), proof_datum(proof)};
  put_row(fcinfo, values);
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_prove_growth);
PGDLLEXPORT Datum spine_prove_growth(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  Datum *organizations, *old_sizes, *new_sizes;
  int count = elements(fcinfo, 0, UUIDOID, &organizations);
  int old_count = elements(fcinfo, 1, INT8OID, &old_sizes), new_count = elements(fcinfo, 2, INT8OID, &new_sizes);
  if (old_count != count || new_count != count)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("organization_ids has %d elements, old_sizes %d and new_sizes %d", count, old_count, new_count),
             errhint("Pass two sizes for each organization.")));
  bool is_notary = spine::is_notary();
  Organizations readable = is_notary ? Organizations{} : require_reading(events_relid());
  MemoryContext outer = CurrentMemoryContext;
  MemoryContext each = AllocSetContextCreate(outer, "chain whose growth is proved", ALLOCSET_DEFAULT_SIZES);
  ChainTree tree;
  tree.begin();
  for (int i = 0; i < count; i++) {
    CHECK_FOR_INTERRUPTS();
    MemoryContextSwitchTo(each);
    Uuid organization = uuid_of(organizations[i]);
    int64 old_size = DatumGetInt64(old_sizes[i]), new_size = DatumGetInt64(new_sizes[i]);
    if (!is_notary && !readable.has(organization)) report_no_tree(organization);
    require_order(old_size, new_size);
    Hash old_root, new_root;
    Proof proof;
    tree.seek(organization);
    tree.prove_consistency(old_size, new_size, &old_root, &new_root, &proof);
    Datum values[] = {organizations[i], hash_datum(old_root), hash_datum(new_root), proof_datum(proof)};
    put_row(fcinfo, values);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(each);
  }
  tree.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
