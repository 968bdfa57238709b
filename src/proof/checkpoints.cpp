#include "proof/checkpoints.h"

#include <new>

#include "core/uuid.h"
#include "proof/faces.h"
#include "proof/proof.h"
#include "server/cached_table.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/transaction_lock.h"
#include "store/owners_rights.h"

extern "C" {
#include <catalog/pg_type.h>
#include <executor/spi.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// The columns of spine.checkpoints.
enum CheckpointColumn {
  organization_column = 1,
  size_column,
  root_column,
  head_column,
  range_column,
  number_column,
  taken_column
};

void begin_checkpoints(KeyScan *scan, int keys) {
  scan->begin("checkpoints", {UUIDOID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, INT8OID, TIMESTAMPTZOID}, nullptr, keys);
}

void read(KeyScan *scan, ChainCheckpoint *found) {
  found->organization = uuid_of(scan->value(organization_column));
  found->size = DatumGetInt64(scan->value(size_column));
  found->root = scan->hash(root_column);
  found->head_hash = scan->hash(head_column);
  found->range_is_read = found->range.read(scan->bytes(range_column));
  found->directory_number = DatumGetInt64(scan->value(number_column));
  found->taken_at = DatumGetTimestampTz(scan->value(taken_column));
}

constexpr const char *insert_checkpoints =
    "INSERT INTO spine.checkpoints (organization_id, size, root, head_hash, compact_range, directory_number, taken_at)"
    " SELECT c.* FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
    " pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7)) c";
constexpr const char *insert_nodes =
    "INSERT INTO spine.tree_nodes (organization_id, level, index, hash)"
    " SELECT $1, n.* FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) n";

// Nodes written by one statement.
constexpr int64 nodes_at_once = 10000;

// A plan for the session, made where there is none yet.
SPIPlanPtr kept_plan(SPIPlanPtr *plan, const char *statement, std::initializer_list<Oid> types) {
  if (*plan == nullptr) {
    SPIPlanPtr made = SPI_prepare(statement, static_cast<int>(types.size()), const_cast<Oid *>(types.begin()));
    SPI_keepplan(made);
    *plan = made;
  }
  return *plan;
}

}  // namespace

TreeHasher &tree_hasher() {
  static TreeHasher *only = nullptr;
  if (only == nullptr) only = new (std::nothrow) TreeHasher();
  if (only == nullptr) report(Status::out_of_memory, "a tree");
  return *only;
}

void require_hashed(Status status) {
  if (status != Status::ok) report(status == Status::crypto_failed ? status : Status::out_of_memory, "a tree");
}

bool ChainCheckpoint::is_sound() const {
  if (!range_is_read || range.begin() != 0 || range.end() != static_cast<uint64_t>(size)) return false;
  Hash computed;
  require_hashed(range.root(tree_hasher(), &computed));
  return computed == root;
}

void CheckpointReader::begin() { begin_checkpoints(&scan_, 2); }

bool CheckpointReader::find(const Uuid &organization, int64 size, ScanDirection direction, ChainCheckpoint *found) {
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], organization_column, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&key_organization_));
  if (ScanDirectionIsForward(direction))
    ScanKeyInit(&keys[1], size_column, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(size));
  else
    ScanKeyInit(&keys[1], size_column, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(size));
  scan_.find(keys, direction);
  if (!scan_.next()) return false;
  read(&scan_, found);
  return true;
}

void NewestCheckpoints::begin(int64 number) {
  begin_checkpoints(&scan_, 1);
  number_ = number;
  is_open_ = at_end_ = false;
  last_ = last_uuid;
}

// The rows of a chain that are passed over are its older ones; where those are many, the next chain is sought by the
// index.
bool NewestCheckpoints::next(ChainCheckpoint *found) {
  constexpr int steps = 4;
  int passed = 0;
  for (bool is_first = !is_open_; !at_end_;) {
    if (is_first || passed > steps) {
      memcpy(key_last_.data, last_.data(), UUID_LEN);
      ScanKeyData key;
      // Of the organization that was found last nothing is wanted any more.
      ScanKeyInit(&key, organization_column, is_open_ ? BTLessStrategyNumber : BTLessEqualStrategyNumber,
                  is_open_ ? F_UUID_LT : F_UUID_LE, UUIDPGetDatum(&key_last_));
      scan_.find(&key, BackwardScanDirection);
      is_first = false;
      passed = 0;
    }
    if (!scan_.next()) {
      at_end_ = true;
      return false;
    }
    if (is_open_ && uuid_of(scan_.value(organization_column)) == last_) {
      passed++;
      continue;
    }
    if (DatumGetInt64(scan_.value(number_column)) > number_) continue;
    read(&scan_, found);
    last_ = found->organization;
    is_open_ = true;
    return true;
  }
  return false;
}

void lock_checkpoints() {
  LOCKTAG tag = lock_tag(0, LockClass::checkpoints);
  ErrorContextCallback context;
  context.callback = [](void *) { errcontext("waiting for another transaction that takes checkpoints"); };
  context.arg = nullptr;
  context.previous = error_context_stack;
  error_context_stack = &context;
  for_transaction([&] { (void)LockAcquire(&tag, ExclusiveLock, false, false); });
  error_context_stack = context.previous;
}

void put_checkpoints(const ChainCheckpoint *checkpoints, int count) {
  if (count == 0) return;
  static SPIPlanPtr kept;
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("checkpoints"));
  SPIPlanPtr plan = kept_plan(&kept, insert_checkpoints,
                              {UUIDARRAYOID, INT8ARRAYOID, BYTEAARRAYOID, BYTEAARRAYOID, BYTEAARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID});
  MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "checkpoints", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(memory);
  Growing organizations{UUIDOID}, sizes{INT8OID}, roots{BYTEAOID}, heads{BYTEAOID}, ranges{BYTEAOID}, numbers{INT8OID},
      times{TIMESTAMPTZOID};
  for (int i = 0; i < count; i++) {
    const ChainCheckpoint &one = checkpoints[i];
    uint8_t range[CompactRange::max_bytes];
    size_t size = one.range.write(range);
    organizations.add(uuid_datum(one.organization));
    sizes.add(Int64GetDatum(one.size));
    roots.add(hash_datum(one.root));
    heads.add(hash_datum(one.head_hash));
    ranges.add(bytea_datum({range, size}));
    numbers.add(Int64GetDatum(one.directory_number));
    times.add(TimestampTzGetDatum(one.taken_at));
  }
  Datum values[] = {organizations.array(), sizes.array(), roots.array(), heads.array(), ranges.array(), numbers.array(), times.array()};
  (void)SPI_execute_plan(plan, values, nullptr, false, 0);
  MemoryContextSwitchTo(before);
  MemoryContextDelete(memory);
  bool are_stored = SPI_processed == static_cast<uint64>(count);
  rights.end();
  if (!are_stored)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_STORED),
                    errmsg("a trigger on table \"spine.checkpoints\" suppressed a checkpoint"),
                    errhint("Drop the trigger that somebody added.")));
}

void put_nodes(const Uuid &organization, const TreeNode *nodes, int64 count) {
  if (count == 0) return;
  static SPIPlanPtr kept;
  OwnersRights rights;
  rights.begin_as_owner_of(spine_table("tree_nodes"));
  SPIPlanPtr plan = kept_plan(&kept, insert_nodes, {UUIDOID, INT2ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID});
  MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "tree nodes", ALLOCSET_DEFAULT_SIZES);
  for (int64 done = 0; done < count; done += nodes_at_once) {
    CHECK_FOR_INTERRUPTS();
    MemoryContext before = MemoryContextSwitchTo(memory);
    int n = static_cast<int>(Min(count - done, nodes_at_once));
    Growing levels{INT2OID}, indexes{INT8OID}, hashes{BYTEAOID};
    for (int i = 0; i < n; i++) {
      const TreeNode &node = nodes[done + i];
      levels.add(Int16GetDatum(node.level));
      indexes.add(Int64GetDatum(node.index));
      hashes.add(hash_datum(node.hash));
    }
    Datum values[] = {uuid_datum(organization), levels.array(), indexes.array(), hashes.array()};
    (void)SPI_execute_plan(plan, values, nullptr, false, 0);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
    if (SPI_processed != static_cast<uint64>(n))
      ereport(ERROR,
              (errcode(ERRCODE_SPINE_NOT_STORED), errmsg("a trigger on table \"spine.tree_nodes\" suppressed a node"),
               errhint("Drop the trigger that somebody added.")));
  }
  MemoryContextDelete(memory);
  rights.end();
}

void NodeReader::begin() { scan_.begin("tree_nodes", {UUIDOID, INT2OID, INT8OID, BYTEAOID}, nullptr, 4); }

void NodeReader::find(const Uuid &organization, unsigned level, int64 first, int64 last) {
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  ScanKeyData keys[4];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&key_organization_));
  ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(static_cast<int16>(level)));
  ScanKeyInit(&keys[2], 3, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(first));
  ScanKeyInit(&keys[3], 3, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(last));
  scan_.find(keys, ForwardScanDirection);
}

}  // namespace spine
