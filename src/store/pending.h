// Events that were emitted and wait to be chained: in people_os_spine.chain_at = commit, and those of the spine itself.
#pragma once

#include "store/event_table.h"

namespace spine {

// Whether the commit under way has chained what was pending: what is emitted now has nothing left to wait for.
bool past_chaining();

// Where an event stands among those that wait: by moment, then by rank, then as they were added.
struct Place {
  uint64 moment = 0;      // 0: now
  uint32 rank = 0;
  bool may_chain = true;  // whether adding it may chain those that wait
};

// A moment behind all events that were added until now, and before all that are added later without one.
uint64 take_moment();

// Keeps a stamped event, with the role that emitted it. Where those that wait hold more than 16 MB, all of
// them are chained at once.
void add_pending(const EventValues &values, Place place = {});

// Chains what is pending for these events' organizations, then the events, in order, after locking all their
// chains in the order that every caller shares. *position tells how far it is among the events.
void chain_now(EventValues *events, int count, int *position);

// Chains what is pending, in the order of their places. Returns how many events that were.
int64 chain_all_pending();

// Chains what is pending for one organization.
void chain_pending_of(const Uuid &organization);

// Chains what is pending, just before the commit or the prepare. It and the transaction's deferred triggers alternate
// until neither has work left: a deferred trigger may emit, and a stored row may queue one.
void chain_before_commit();

// The transaction ended.
void forget_pending();

// The subtransaction was rolled back: what it emitted is gone, what it chained waits again.
void roll_back_pending(SubTransactionId mine);

// The subtransaction became part of its parent.
void keep_pending(SubTransactionId mine, SubTransactionId parent);

}  // namespace spine
