#include "consume/subscription_news.h"

#include <algorithm>

#include "server/errors.h"
#include "store/restored_chains.h"

extern "C" {
#include <access/transam.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <catalog/pg_type.h>
#include <utils/fmgroids.h>
#include <utils/memutils.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

// A column of the last statement's only row, as text; null where it is NULL.
char *text_field(int column) { return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column); }

uint64 number_of(const char *text) { return strtoull(text, nullptr, 10); }

}  // namespace

bool Seen::shows(uint64 transaction) const {
  return transaction < xmax && !std::binary_search(in_progress, in_progress + count, transaction);
}

// xmin:xmax:one,another,…
Seen read_seen(const char *text) {
  Seen seen{0, nullptr, 0};
  const char *at = strchr(text, ':');
  if (at == nullptr) return seen;
  char *end;
  seen.xmax = strtoull(at + 1, &end, 10);
  seen.in_progress = static_cast<uint64 *>(palloc(sizeof(uint64) * (strlen(text) / 2 + 1)));
  for (at = end; *at == ':' || *at == ','; at = end) {
    uint64 one = strtoull(at + 1, &end, 10);
    if (end == at + 1) break;
    seen.in_progress[seen.count++] = one;
  }
  return seen;
}

const char *write_seen(const Seen &seen) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", seen.count > 0 ? seen.in_progress[0] : seen.xmax, seen.xmax);
  for (int i = 0; i < seen.count; i++) appendStringInfo(&text, i == 0 ? UINT64_FORMAT : "," UINT64_FORMAT, seen.in_progress[i]);
  return text.data;
}

Seen transactions_now() {
  run_sql("SELECT pg_catalog.pg_current_snapshot()::text");
  Seen now = read_seen(text_field(1));
  FullTransactionId own = GetTopFullTransactionIdIfAny();
  if (!FullTransactionIdIsValid(own) || !now.shows(U64FromFullTransactionId(own))) return now;
  uint64 *more = static_cast<uint64 *>(palloc(sizeof(uint64) * static_cast<Size>(now.count + 1)));
  std::copy_n(now.in_progress, now.count, more);
  more[now.count++] = U64FromFullTransactionId(own);
  std::sort(more, more + now.count);
  now.in_progress = more;
  return now;
}

void NewsScan::begin(const char *subscription, First first, int most) {
  subscription_ = subscription;
  first_ = first;
  memory_ = CurrentMemoryContext;
  FullTransactionId own = GetTopFullTransactionIdIfAny();
  own_ = FullTransactionIdIsValid(own) ? U64FromFullTransactionId(own) : 0;
  now_ = transactions_now();
  read_progress();
  read_queue(most);
  phase_ = 0;
  walk_is_open_ = scan_is_open_ = in_stretch_ = in_range_ = is_done_ = false;
  next_in_progress_ = 0;
  looked_ = 0;
  last_ = nullptr;
  HASHCTL control{};
  control.keysize = sizeof(Uuid);
  control.entrysize = sizeof(Met);
  control.hcxt = memory_;
  met_ = hash_create("organizations that were looked at", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

bool NewsScan::is_running(uint64 transaction) const {
  return std::binary_search(now_.in_progress, now_.in_progress + now_.count, transaction) || transaction >= now_.xmax;
}

void NewsScan::read_progress() {
  has_progress_ = run_sql("SELECT ctid::text, seen::text, is_walking, walked, part_transaction::text, part_organization, system FROM spine.subscription_progress"
                          " WHERE subscription = $1", {text_argument(subscription_)}) > 0;
  part_transaction_ = 0;
  has_walked_ = false;
  place_ = has_progress_ ? text_field(1) : nullptr;
  if (!has_progress_ || static_cast<uint64>(DatumGetInt64(field(0, 7))) != GetSystemIdentifier()) {
    // What is stored from now on is found as new; all else by walking.
    seen_ = {now_.xmax, now_.in_progress, now_.count};
    is_walking_ = true;
    return;
  }
  bool null;
  (void)field(0, 2);
  seen_ = read_seen(text_field(2));
  is_walking_ = DatumGetBool(field(0, 3));
  Datum walked = field(0, 4, &null);
  has_walked_ = !null;
  if (has_walked_) walked_ = uuid_of(walked);
  Datum part = field(0, 6, &null);
  if (!null && text_field(5) != nullptr) {
    part_transaction_ = number_of(text_field(5));
    part_organization_ = uuid_of(part);
  }
}

void NewsScan::read_queue(int most) {
  queued_ = static_cast<int>(run_sql("SELECT queued::text, organization_id, restored_from FROM spine.subscription_news WHERE subscription = $1"
                                     " ORDER BY queued, organization_id LIMIT $2", {text_argument(subscription_), {INT8OID, Int64GetDatum(most)}}));
  taken_ = 0;
  queue_ = static_cast<Queued *>(MemoryContextAllocHuge(memory_, sizeof(Queued) * static_cast<Size>(Max(queued_, 1))));
  for (int i = 0; i < queued_; i++) {
    bool null;
    (void)field(static_cast<uint64>(i), 1);
    queue_[i].transaction = number_of(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
    queue_[i].organization = uuid_of(field(static_cast<uint64>(i), 2));
    queue_[i].restored_from = DatumGetInt64(field(static_cast<uint64>(i), 3, &null));
    queue_[i].has_restored_from = !null;
  }
}

bool NewsScan::meet(const Uuid &organization) {
  bool found;
  last_ = static_cast<Met *>(hash_search(met_, &organization, HASH_ENTER, &found));
  if (!found) last_->is_left = false;
  return !found;
}

bool NewsScan::next(Uuid *organization) {
  for (; phase_ < 2; phase_++) {
    bool queued = (phase_ == 0) == (first_ == First::queued);
    if (queued ? next_queued(organization) : (next_walked(organization) || next_new(organization))) return true;
  }
  return false;
}

bool NewsScan::next_queued(Uuid *organization) {
  while (taken_ < queued_) {
    *organization = queue_[taken_++].organization;
    if (meet(*organization)) return true;
  }
  return false;
}

bool NewsScan::next_walked(Uuid *organization) {
  if (!is_walking_) return false;
  if (!walk_is_open_) {
    walk_.begin();
    walk_is_open_ = true;
  }
  for (;;) {
    if (has_walked_)
      walk_.seek(walked_, PG_INT64_MAX, last_uuid);
    else
      walk_.seek(nil_uuid, PG_INT64_MIN, last_uuid);
    looked_++;
    if (!walk_.next()) {
      is_walking_ = has_walked_ = false;
      return false;
    }
    *organization = walked_ = walk_.event().organization_id;
    has_walked_ = true;
    if (meet(*organization)) return true;
  }
}

void NewsScan::look_from(uint64 transaction, const Uuid &organization, uint64 end) {
  cursor_ = {transaction, organization, end};
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  auto number = [](uint64 n) { return FullTransactionIdGetDatum(FullTransactionIdFromU64(n)); };
  ScanKeyEntryInitialize(&key_place_[0], SK_ROW_MEMBER, 1, BTGreaterStrategyNumber, XID8OID, InvalidOid, F_XID8CMP, number(transaction));
  ScanKeyEntryInitialize(&key_place_[1], SK_ROW_MEMBER | SK_ROW_END, 2, BTGreaterStrategyNumber, UUIDOID, InvalidOid, F_UUID_CMP,
                         UUIDPGetDatum(&key_organization_));
  ScanKeyData keys[2]{};
  keys[0].sk_flags = SK_ROW_HEADER;
  keys[0].sk_attno = 1;
  keys[0].sk_strategy = BTGreaterStrategyNumber;
  keys[0].sk_argument = PointerGetDatum(key_place_);
  ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_XID8LT, number(end));
  if (!scan_is_open_) {
    scan_.begin(events_relid(), EventOrder::transaction, lengthof(keys), Sees::fresh, bit(Column::organization_id));
    scan_is_open_ = true;
  }
  scan_.find(keys);
}

// First the transactions that were in progress and are not now, one by one; then all that began since.
bool NewsScan::next_stretch() {
  auto from = [this](uint64 transaction, uint64 end) {
    if (part_transaction_ == transaction)
      look_from(transaction, part_organization_, end);
    else
      look_from(transaction == 0 ? 0 : transaction - 1, transaction == 0 ? nil_uuid : last_uuid, end);
    return true;
  };
  while (next_in_progress_ < seen_.count) {
    uint64 one = seen_.in_progress[next_in_progress_];
    looked_++;
    if (!is_running(one) || one == own_) return from(one, one + 1);
    next_in_progress_++;
  }
  if (in_range_) return false;
  in_range_ = true;
  // With what this very transaction stored.
  return from(seen_.xmax, Max(now_.xmax, own_ + 1));
}

// All of it was looked at.
void NewsScan::complete_stretch() {
  in_stretch_ = false;
  part_transaction_ = 0;
  if (in_range_) {
    is_done_ = true;
    return;
  }
  if (seen_.in_progress[next_in_progress_] == own_) {
    next_in_progress_++;
    return;
  }
  // Of its own memory, for now_ may have the same.
  uint64 *rest = static_cast<uint64 *>(MemoryContextAlloc(memory_, sizeof(uint64) * static_cast<Size>(seen_.count)));
  std::copy_n(seen_.in_progress, seen_.count, rest);
  std::copy(rest + next_in_progress_ + 1, rest + seen_.count, rest + next_in_progress_);
  seen_.in_progress = rest;
  seen_.count--;
}

bool NewsScan::next_new(Uuid *organization) {
  constexpr int64 most_looked = 200000;  // so that a call ends
  constexpr int enough = 16;  // of one organization in one transaction: then past the others by the index
  int same = 0;
  while (!is_done_ && looked_ < most_looked) {
    if (!in_stretch_ && !next_stretch()) {
      is_done_ = true;
      break;
    }
    in_stretch_ = true;
    if (!scan_.next(ForwardScanDirection)) {
      complete_stretch();
      continue;
    }
    looked_++;
    constexpr uint32 place = bit(Column::transaction_id) | bit(Column::organization_id);
    const Event &found = scan_.event();
    bool is_placed = (found.present & place) == place && found.transaction_id < cursor_.end &&
                     std::make_pair(found.transaction_id, found.organization_id) >= std::make_pair(cursor_.transaction, cursor_.organization);
    if (!is_placed) {
      Event unknown{};
      report_damaged(unknown, scan_.why() != nullptr ? scan_.why() : "its row has another transaction_id or organization_id than its index, or none");
    }
    if (scan_.why() != nullptr) report_damaged(found, scan_.why());
    bool again = found.transaction_id == cursor_.transaction && found.organization_id == cursor_.organization;
    cursor_.transaction = part_transaction_ = found.transaction_id;
    cursor_.organization = part_organization_ = found.organization_id;
    if (again) {
      if (++same == enough) look_from(cursor_.transaction, cursor_.organization, cursor_.end);
      continue;
    }
    same = 0;
    *organization = found.organization_id;
    if (meet(*organization)) return true;
  }
  return false;
}

void NewsScan::settle(bool gave_out) {
  constexpr int64 worth_it = 64;
  bool any_left = false;
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, met_);
  while (const Met *one = static_cast<const Met *>(hash_seq_search(&all))) any_left |= one->is_left;
  if (has_progress_ && !gave_out && !any_left && taken_ == 0 && looked_ < worth_it) return;
  // Another consumer that is about to write it has looked by itself.
  if (has_progress_) {
    if (run_sql("SELECT FROM spine.subscription_progress WHERE subscription = $1 AND ctid = $2::tid FOR NO KEY UPDATE SKIP LOCKED",
                {text_argument(subscription_), text_argument(place_)}) == 0)
      return;
  } else if (!lock_first_progress(subscription_) || !begin_first_progress()) {
    return;
  }
  if (write_progress()) write_queue();
}

// False: another consumer wrote it first.
bool NewsScan::write_progress() {
  uint64 xmax = seen_.xmax;
  bool is_part = part_transaction_ != 0;
  if (in_range_ && is_done_)
    xmax = now_.xmax;
  else if (in_range_ && is_part)
    xmax = Min(part_transaction_, now_.xmax);
  if (is_part && in_range_ && part_transaction_ >= now_.xmax) is_part = false;
  // In progress are those that were and are, or were not looked at, and those of now.
  Seen seen{xmax, static_cast<uint64 *>(palloc(sizeof(uint64) * static_cast<Size>(seen_.count + now_.count + 1))), 0};
  for (int i = 0; i < seen_.count; i++) seen.in_progress[seen.count++] = seen_.in_progress[i];
  for (int i = 0; i < now_.count; i++)
    if (now_.in_progress[i] >= seen_.xmax && now_.in_progress[i] < xmax) seen.in_progress[seen.count++] = now_.in_progress[i];
  std::sort(seen.in_progress, seen.in_progress + seen.count);
  seen.count = static_cast<int>(std::unique(seen.in_progress, seen.in_progress + seen.count) - seen.in_progress);
  return run_sql(has_progress_ ? "UPDATE spine.subscription_progress SET seen = $2::pg_snapshot, is_walking = $3, walked = $4, part_transaction = $5::xid8,"
                          " part_organization = $6, system = $7 WHERE subscription = $1"
                        : "INSERT INTO spine.subscription_progress (subscription, seen, is_walking, walked, part_transaction, part_organization, system)"
                          " VALUES ($1, $2::pg_snapshot, $3, $4, $5::xid8, $6, $7) ON CONFLICT DO NOTHING",
          {text_argument(subscription_), text_argument(write_seen(seen)), {BOOLOID, BoolGetDatum(is_walking_)},
           {UUIDOID, has_walked_ ? uuid_datum(walked_) : static_cast<Datum>(0), !has_walked_},
           {TEXTOID, is_part ? CStringGetTextDatum(psprintf(UINT64_FORMAT, part_transaction_)) : static_cast<Datum>(0), !is_part},
           {UUIDOID, is_part ? uuid_datum(part_organization_) : static_cast<Datum>(0), !is_part},
           {INT8OID, Int64GetDatum(static_cast<int64>(GetSystemIdentifier()))}}) > 0;
}

// What was taken from the queue goes, and what is left of all comes to its end.
void NewsScan::write_queue() {
  Growing gone{UUIDOID}, gone_in{TEXTOID}, left{UUIDOID}, restored{UUIDOID}, restored_from{INT8OID};
  for (int i = 0; i < taken_; i++) {
    gone.add(uuid_datum(queue_[i].organization));
    gone_in.add(CStringGetTextDatum(psprintf(UINT64_FORMAT, queue_[i].transaction)));
    const Met *met = static_cast<const Met *>(hash_search(met_, &queue_[i].organization, HASH_FIND, nullptr));
    if (!queue_[i].has_restored_from || met == nullptr || !met->is_left) continue;
    restored.add(uuid_datum(queue_[i].organization));
    restored_from.add(Int64GetDatum(queue_[i].restored_from));
  }
  if (taken_ > 0)
    run_sql("DELETE FROM spine.subscription_news n USING unnest($2, $3) g(organization_id, queued)"
            " WHERE n.subscription = $1 AND n.queued = g.queued::xid8 AND n.organization_id = g.organization_id",
            {text_argument(subscription_), {UUIDARRAYOID, gone.array()}, {TEXTARRAYOID, gone_in.array()}});
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, met_);
  bool any_left = false;
  while (const Met *one = static_cast<const Met *>(hash_seq_search(&all))) {
    if (!one->is_left) continue;
    any_left = true;
    left.add(uuid_datum(one->organization));
  }
  if (any_left)
    run_sql("INSERT INTO spine.subscription_news (subscription, queued, organization_id, restored_from)"
            " SELECT $1, pg_catalog.pg_current_xact_id(), o, (SELECT pg_catalog.min(f) FROM unnest($3, $4) r(p, f) WHERE p = o) FROM unnest($2) o"
            " ON CONFLICT (subscription, queued, organization_id) DO UPDATE SET restored_from = least(subscription_news.restored_from, excluded.restored_from)",
            {text_argument(subscription_), {UUIDARRAYOID, left.array()}, {UUIDARRAYOID, restored.array()}, {INT8ARRAYOID, restored_from.array()}});
}

void NewsScan::end() {
  if (walk_is_open_) walk_.end();
  if (scan_is_open_) scan_.end();
  hash_destroy(met_);
}

}  // namespace spine
