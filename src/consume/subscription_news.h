// Where a subscription to all organizations has news, found at the cost of what is new.
//
// An event names the transaction that stored it, and the table's index on (transaction_id, organization_id) finds what new transactions
// stored. A transaction is new that spine.subscription_progress does not show as looked at, which says so as the server's snapshots do:
// those below a number, but for some that were in progress. So it does not matter how long a transaction takes, whether it was prepared,
// nor what the clock says. What cannot be found so is in spine.subscription_news: organizations that were looked at and had more, and
// those of restored rows, which name a transaction of the past. A subscription without progress walks through all organizations once.
//
// All that is only where to look: what is new in an organization, its position says. So no harm is done where an organization is looked
// at in vain, and consumers look beside each other; one of them at a time writes down how far it has looked.
#pragma once

#include "consume/subscription.h"
#include "core/uuid.h"
#include "store/event_scan.h"

extern "C" {
#include <utils/hsearch.h>
}

namespace spine {

// The transactions that ended by now, as the server's snapshot has it; this one counts as one in progress. Connected to SPI.
Seen transactions_now();

class NewsScan {
 public:
  // Where to look first; most: of queued organizations.
  enum class First { queued, others };
  // Connected to SPI. Before whoever looks begins to scan chains: these must show at least what is known to be new here.
  void begin(const char *subscription, First first, int most);
  // The next organization that may have news, each once. False: there is none left. Raises SP045, SP018.
  bool next(Uuid *organization);
  // The last organization has more than was given out.
  void leave() { last_->is_left = true; }
  // Writes down how far it was looked, where that is worth it or something was given out, and no other consumer is at that.
  void settle(bool gave_out);
  // Once there is none left: whether that is all, and not what one call looks at.
  bool looked_at_all() const { return is_done_ && !is_walking_; }
  void end();

 private:
  struct Met {
    Uuid organization;
    bool is_left;
  };
  struct Queued {
    Uuid organization;
    uint64 transaction;
    bool has_restored_from;
    int64 restored_from;
  };
  // What of spine.events the frontier is in: the events of transactions behind (transaction, organization), up to before end.
  struct Cursor {
    uint64 transaction;
    Uuid organization;
    uint64 end;
  };
  void read_progress();
  void read_queue(int most);
  bool next_queued(Uuid *organization);
  bool next_walked(Uuid *organization);
  bool next_new(Uuid *organization);
  void look_from(uint64 transaction, const Uuid &organization, uint64 end);
  bool next_stretch();
  bool meet(const Uuid &organization);
  bool is_running(uint64 transaction) const;
  void complete_stretch();
  void write_queue();
  bool write_progress();

  const char *subscription_;
  MemoryContext memory_;
  bool has_progress_;
  const char *place_;  // of its row
  Seen seen_, now_;    // seen_ as it becomes
  uint64 own_;         // this transaction, or 0
  bool is_walking_, has_walked_;
  Uuid walked_;
  uint64 part_transaction_;  // 0: none
  Uuid part_organization_;

  First first_;
  int phase_;
  Queued *queue_;
  int queued_, taken_;  // how many there are, and were taken
  bool walk_is_open_, scan_is_open_, in_stretch_;
  ChainScan walk_;
  EventScan scan_;
  Cursor cursor_;
  int next_in_progress_;    // of those that were in progress, the next to look at
  bool in_range_, is_done_;
  pg_uuid_t key_organization_;
  ScanKeyData key_place_[2];
  int64 looked_;  // entries, and transactions that were in progress

  HTAB *met_;
  Met *last_;
};

}  // namespace spine
