// Subscriptions: what each is, who may consume it, and which events pass its filters.
//
// How far a subscription is, is a position in each organization: within one, sequences have no gap and are in commit
// order, so that "all up to n" skips nothing that commits late, and holds after a restore into whatever cluster.
//
// Who gives out an organization's events holds the row lock of its position to the end of the transaction, and others
// pass it over; so the work is shared however long a consumer's transaction is, and no number of organizations fills
// the lock table. Where an organization has no position yet, whoever adds it holds a lock on the two of them; after some of those
// one on the subscription, so that nobody else adds any.
#pragma once

#include "server/growing_array.h"
#include "server/sql.h"
#include "store/event_scan.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <fmgr.h>
#include <storage/lockdefs.h>
#include <utils/array.h>
}

namespace spine {

// Of what the last statement returned; the one without null raises SP046 where the field is NULL.
Datum field(uint64 row, int column, bool *null);
Datum field(uint64 row, int column);

// The elements of an array of that type, uuid, text or bigint, without nulls; -1: the array is NULL.
struct Elements {
  int count = -1;
  Datum *value = nullptr;

  void take(Datum array, Oid type);
};

inline SqlArgument text_argument(const char *text) { return {TEXTOID, CStringGetTextDatum(text)}; }

// The name that a function was called with. Raises SP029 where it is null.
const char *name_argument(FunctionCallInfo fcinfo);

// Raises SP031.
[[noreturn]] void report_bad(const char *message, const char *hint);

// To the end of the transaction. Who consumes a subscription shares it, who makes or drops it does so alone.
void lock_subscription(const char *name, LOCKMODE mode);

// That this transaction alone adds the organization's position; count: how many it has added in this call. False: another may be at that.
bool lock_addition(const char *name, const Uuid &organization, int64 count);

// That this transaction alone writes the subscription's first progress. False: another may be at that.
bool lock_first_progress(const char *name);

// What Subscription::read reads.
#define SPINE_COLUMNS_OF_SUBSCRIPTION                                                                                     \
  "organizations, domains, event_types, entity_types, actors, minimum_severity, redeliver_after, created_at, max_deliveries," \
  " from_snapshot::text, from_system"
inline constexpr const char *columns_of_subscription = "SELECT owner, " SPINE_COLUMNS_OF_SUBSCRIPTION " FROM spine.subscriptions WHERE name = $1";

// Transactions as of a moment: those below xmax but for those in progress.
struct Seen {
  uint64 xmax;
  uint64 *in_progress;  // sorted
  int count;

  bool shows(uint64 transaction) const;
};

// From and to the text of a pg_snapshot.
Seen read_seen(const char *text);
const char *write_seen(const Seen &seen);

// Whoever reads a subscription is connected to SPI, whose memory it lies in.
struct Subscription {
  const char *name;
  Elements organizations, domains, event_types, entity_types, actors;
  bool has_minimum;
  Oid severity_type;
  Datum minimum_severity;
  FmgrInfo at_least;
  Datum redeliver_after;
  Datum created_at;
  int32 max_deliveries;     // 0: no limit
  bool begins_later;        // in an organization without a position it begins behind what this showed:
  Seen began;
  bool is_of_this_cluster;  // which counts the transactions of this cluster
  bool any_restored;        // and rows were restored since then

  // One that the role may consume. Raises SP029, 42501.
  void open(const char *its_name, LOCKMODE mode, Oid role);
  // From a row of the last statement.
  void read(uint64 row, int column);
  bool is_filtered() const;
  // Behind which sequence it begins in an organization where it has no position yet. scan: with origin_columns.
  int64 beginning(const Uuid &organization, ChainScan *scan) const;
  // Whether an event passes the filters; its organization is the caller's to look at.
  bool lets_through(const Event &event);

  // What lets_through looks at.
  static constexpr uint32 filtered_columns = bit(Column::severity) | bit(Column::actor_id) | bit(Column::domain) |
                                             bit(Column::event_type) | bit(Column::entity_type);
  // What beginning looks at.
  static constexpr uint32 origin_columns = bit(Column::transaction_id) | bit(Column::timestamp);

 private:
  void look_up(Oid role, const char *row_lock) const;
};

}  // namespace spine
