#include "proof/tree.h"

#include "core/uuid.h"
#include "proof/recent_events.h"
#include "server/errors.h"
#include "verify/verify.h"

extern "C" {
#include <utils/memutils.h>
}

namespace spine {

namespace {

// A tree of which no more is known than the compact range of its first leaves, and all leaves behind that.
class GrowthSource final : public TreeSource {
 public:
  GrowthSource(const CompactRange &range, const Hash *leaves) : range_(range), leaves_(leaves) {}

  Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept override {
    if (range_.find(level, index, root)) return Answer::found;
    if (level > 0) return Answer::not_kept;
    if (index < range_.end()) return Answer::failed;
    *root = leaves_[index - range_.end()];
    return Answer::found;
  }

 private:
  const CompactRange &range_;
  const Hash *leaves_;
};

// The leaves between two checkpoints, from what this session read when it took the later one. Right content and links from
// head to head leave no other. False: not all of them are known.
bool recent_leaves(const ChainCheckpoint &from, const ChainCheckpoint &to, Hash *leaves) {
  const RecentEvent *end;
  const RecentEvent *one = recent_events().from(from.organization, from.size + 1, &end);
  if (end - one < to.size - from.size) return false;
  const Hash *before = &from.head_hash;
  for (int64 sequence = from.size + 1; sequence <= to.size; sequence++, one++, leaves++) {
    if (!one->is_right || one->link.sequence != sequence || !one->link.links_to(*before)) return false;
    before = &one->link.event_hash;
    require_hashed(tree_hasher().leaf(*before, leaves));
  }
  return *before == to.head_hash;
}

}  // namespace

void ChainTree::begin() {
  memory_ = CurrentMemoryContext;
  groups_ = static_cast<Group *>(palloc(sizeof(Group) * groups));
  checkpoints_.begin();
  nodes_.begin();
  events_.begin(bit(Column::event_hash));
  anchors_.begin();
}

void ChainTree::seek(const Uuid &organization) {
  organization_ = organization;
  count_ = -1;
  uses_ = 0;
  error_ = nullptr;
  for (int i = 0; i < groups; i++) {
    groups_[i].number = -1;
    groups_[i].used = 0;
  }
  Anchor anchor;
  retired_ = anchors_.find(organization, PG_INT64_MAX, &anchor) ? anchor.sequence : 0;
  before_ = CompactRange();
  if (retired_ == 0) return;
  ChainCheckpoint at;
  if (!checkpoints_.last_upto(organization, retired_, &at) || at.size != retired_ || at.head_hash != anchor.hash ||
      !at.is_sound())
    ereport(ERROR, (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                    errmsg("organization %s has no sound checkpoint at its anchor, event " INT64_FORMAT,
                           uuid_text(organization), retired_),
                    errhint("Without it nothing can be proved of what came later: restore its row in spine.checkpoints "
                            "from a backup, or "
                            "attach what was retired with spine.attach_partition.")));
  before_ = at.range;
  last_retired_ = at.head_hash;
}

int64 ChainTree::events() {
  if (count_ >= 0) return count_;
  events_.seek(organization_, 0, organization_);
  count_ = events_.last() ? events_.event().sequence : retired_;
  return count_;
}

void ChainTree::require_size(int64 size) {
  if (size < 1)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_IN_TREE), errmsg("there is no tree of " INT64_FORMAT " events", size),
                    errhint("Pass how many of the chain's events the tree is to have, 1 at the least.")));
  if (size > events())
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_IN_TREE),
                    errmsg("organization %s has " INT64_FORMAT " events, and no tree of " INT64_FORMAT,
                           uuid_text(organization_), events(), size),
                    errhint("spine.tree_head(organization_id) says how many there are.")));
}

void ChainTree::report_missing(int64 sequence) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_INTACT),
                  errmsg("event " INT64_FORMAT " of organization %s is missing or damaged", sequence,
                         uuid_text(organization_)),
                  errhint("SELECT * FROM spine.find_chain_faults('%s') says more.", uuid_text(organization_))));
}

bool ChainTree::next_is(int64 sequence) {
  return events_.next() && events_.event().sequence == sequence && events_.event().has(Column::event_hash) &&
         events_.event().event_hash.size == sizeof(Hash);
}

Hash ChainTree::event_hash(int64 sequence) {
  if (sequence == retired_) return last_retired_;
  if (sequence < retired_) require(ProofStatus::hash_not_found, sequence);
  events_.seek(organization_, sequence - 1, organization_);
  if (!next_is(sequence)) report_missing(sequence);
  return hash_of(events_.event().event_hash);
}

// Stored hashes ------------------------------------------------------------------------------------------------------

void ChainTree::read_events(Group *group, int64 number) {
  int64 first = number * leaves_a_node + 1;
  int64 last = Min(first + leaves_a_node - 1, events());
  int64 expected = Max(first, retired_ + 1);
  events_.seek(organization_, expected - 1, organization_);
  for (; expected <= last; expected++) {
    if (!next_is(expected)) report_missing(expected);
    int64 i = expected - first;
    require_hashed(tree_hasher().leaf(hash_of(events_.event().event_hash), &group->hash[i]));
    group->has[i] = true;
  }
}

void ChainTree::read_nodes(Group *group, unsigned level, int64 number) {
  int64 first = number * leaves_a_node;
  nodes_.each(organization_, level, first, first + leaves_a_node - 1, [&](int64 index, const Hash &hash) {
    group->hash[index - first] = hash;
    group->has[index - first] = true;
  });
}

ChainTree::Group *ChainTree::group(unsigned level, int64 number) {
  Group *oldest = groups_;
  for (Group *one = groups_; one < groups_ + groups; one++) {
    if (one->number == number && one->level == level) {
      one->used = ++uses_;
      return one;
    }
    if (one->used < oldest->used) oldest = one;
  }
  oldest->number = -1;  // it is nothing as long as it is being read
  memset(oldest->has, 0, sizeof oldest->has);
  if (level == 0)
    read_events(oldest, number);
  else
    read_nodes(oldest, level, number);
  oldest->level = level;
  oldest->number = number;
  oldest->used = ++uses_;
  return oldest;
}

TreeSource::Answer ChainTree::subtree(unsigned level, uint64_t index, Hash *root) noexcept {
  if (before_.find(level, index, root)) return Answer::found;
  if (level % levels_a_node != 0) return Answer::not_kept;
  if (level == 0 && index < static_cast<uint64_t>(retired_)) return Answer::failed;
  volatile bool is_there = false;
  PG_TRY();
  {
    const Group *siblings = group(level, static_cast<int64>(index / leaves_a_node));
    int64 at = static_cast<int64>(index % leaves_a_node);
    is_there = siblings->has[at];
    if (is_there) *root = siblings->hash[at];
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory_);
    error_ = CopyErrorData();
    FlushErrorState();
  }
  PG_END_TRY();
  if (error_ != nullptr) return Answer::failed;
  return is_there ? Answer::found : level == 0 ? Answer::failed : Answer::not_kept;
}

void ChainTree::require(ProofStatus status, int64 size) {
  if (error_ != nullptr) ReThrowError(error_);
  switch (status) {
    case ProofStatus::ok:
      return;
    case ProofStatus::hash_not_found:
      ereport(ERROR, (errcode(ERRCODE_SPINE_RETIRED_EVENT),
                      errmsg("events 1 to " INT64_FORMAT
                             " of organization %s were retired, and this proof asks for some of them",
                             retired_, uuid_text(organization_)),
                      errhint("Use evidence that was exported before, or attach the table that has them with "
                              "spine.attach_partition.")));
    case ProofStatus::hashing_failed:
      require_hashed(Status::crypto_failed);
      return;
    default:
      report_broken(size);
  }
}

bool ChainTree::is_broken(unsigned level, int64 index, const Hash &stored) {
  CompactRange below;
  const Group *children = group(level - levels_a_node, index);
  for (int i = 0; i < leaves_a_node; i++) {
    if (!children->has[i]) return false;
    require_hashed(below.append(tree_hasher(), children->hash[i]));
  }
  return below.hash(0) != stored;
}

// Looks for the node that is at fault among those that were read.
void ChainTree::report_broken(int64 size) {
  const char *hint = "Nothing is proved by it: compare with a backup, and with what was signed.";
  Group *copies = static_cast<Group *>(palloc(sizeof(Group) * groups));  // reading puts others into their places
  memcpy(static_cast<void *>(copies), groups_, sizeof(Group) * groups);
  for (const Group *one = copies; one < copies + groups; one++) {
    if (one->number < 0 || one->level == 0) continue;
    for (int i = 0; i < leaves_a_node; i++) {
      int64 index = one->number * leaves_a_node + i;
      if (one->has[i] && is_broken(one->level, index, one->hash[i]))
        ereport(ERROR,
                (errcode(ERRCODE_SPINE_BROKEN_PROOF),
                 errmsg("node " INT64_FORMAT " of level %u in the tree of organization %s is not what lies below it",
                        index, one->level, uuid_text(organization_)),
                 errdetail("Its row in spine.tree_nodes, or an event below it, was altered."), errhint("%s", hint)));
    }
  }
  ereport(ERROR,
          (errcode(ERRCODE_SPINE_BROKEN_PROOF),
           errmsg("what is stored of organization %s does not lead to the root of its first " INT64_FORMAT " events",
                  uuid_text(organization_), size),
           errdetail("A row in spine.checkpoints, or an event, was altered."), errhint("%s", hint)));
}

// Roots and proofs --------------------------------------------------------------------------------------------------

// Behind the newest checkpoint the tree grows from that; up to it, it is shown to be the beginning of a later one, or
// that one.
Hash ChainTree::root(int64 size) {
  require_size(size);
  ChainCheckpoint before, behind;
  Hash root;
  if (checkpoints_.first_from(organization_, size, &behind)) {
    require(tree_root(tree_hasher(), *this, static_cast<uint64_t>(size), &root), size);
    if (!behind.is_sound()) report_broken(behind.size);
    require_consistency(size, behind.size, root, behind.root, nullptr);
    return root;
  }
  bool any_before = checkpoints_.last_upto(organization_, size, &before);
  CompactRange range;
  if (any_before) {
    if (!before.is_sound()) report_broken(before.size);
    range = before.range;
  }
  for (int64 at = any_before ? before.size : 0; at < size; at++) {
    const Group *leaves = group(0, at / leaves_a_node);
    require_hashed(range.append(tree_hasher(), leaves->hash[at % leaves_a_node]));
  }
  require_hashed(range.root(tree_hasher(), &root));
  return root;
}

void ChainTree::prove_inclusion(int64 sequence, int64 size, const Hash &root, Proof *proof) {
  if (sequence < 1 || sequence > size)
    ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_IN_TREE),
                    errmsg("event " INT64_FORMAT " of organization %s is not in its tree of " INT64_FORMAT " events",
                           sequence, uuid_text(organization_), size),
                    errhint("Pass a sequence from 1 to the size of the tree.")));
  uint64_t index = static_cast<uint64_t>(sequence - 1), leaves = static_cast<uint64_t>(size);
  Hash leaf;
  if (sequence <= retired_) require(ProofStatus::hash_not_found, size);
  require(spine::prove_inclusion(tree_hasher(), *this, index, leaves, proof), size);
  const Group *siblings = group(0, (sequence - 1) / leaves_a_node);
  leaf = siblings->hash[(sequence - 1) % leaves_a_node];
  require(verify_inclusion(tree_hasher(), index, leaves, leaf, root, *proof), size);
}

void ChainTree::prove_consistency(int64 old_size, int64 new_size, Hash *old_root, Hash *new_root, Proof *proof) {
  if (prove_growth(old_size, new_size, old_root, new_root, proof)) return;
  *old_root = root(old_size);
  *new_root = root(new_size);
  require_consistency(old_size, new_size, *old_root, *new_root, proof);
}

// All that the proof needs of the old tree is in its compact range. That the chain is still the old one's, its last
// event tells, whose hash stands on those of all before it.
bool ChainTree::prove_growth(int64 old_size, int64 new_size, Hash *old_root, Hash *new_root, Proof *proof) {
  constexpr int64 few = 10000;
  ChainCheckpoint from, to;
  if (old_size < retired_ || new_size - old_size > few || !checkpoints_.first_from(organization_, old_size, &from) ||
      from.size != old_size || !checkpoints_.first_from(organization_, new_size, &to) || to.size != new_size)
    return false;
  if (!from.is_sound()) report_broken(old_size);
  if (!to.is_sound()) report_broken(new_size);
  Hash *leaves = static_cast<Hash *>(palloc(sizeof(Hash) * static_cast<Size>(new_size - old_size + 1)));
  if (old_size == retired_ && last_retired_ != from.head_hash) report_broken(old_size);
  if (!recent_leaves(from, to, leaves)) read_leaves(from, new_size, leaves);
  GrowthSource source(from.range, leaves);
  uint64_t before = static_cast<uint64_t>(old_size), behind = static_cast<uint64_t>(new_size);
  require(spine::prove_consistency(tree_hasher(), source, before, behind, proof), new_size);
  require(verify_consistency(tree_hasher(), before, behind, from.root, to.root, *proof), new_size);
  pfree(leaves);
  *old_root = from.root;
  *new_root = to.root;
  return true;
}

void ChainTree::read_leaves(const ChainCheckpoint &from, int64 new_size, Hash *leaves) {
  int64 first = Max(from.size, retired_ + 1);
  events_.seek(organization_, first - 1, organization_);
  for (int64 sequence = first; sequence <= new_size; sequence++) {
    if (!next_is(sequence)) report_missing(sequence);
    Hash hash = hash_of(events_.event().event_hash);
    if (sequence == from.size && hash != from.head_hash) report_broken(from.size);
    if (sequence > from.size) require_hashed(tree_hasher().leaf(hash, &leaves[sequence - from.size - 1]));
  }
}

void ChainTree::require_consistency(int64 old_size, int64 new_size, const Hash &old_root, const Hash &new_root,
                                    Proof *proof) {
  Proof own;
  if (proof == nullptr) proof = &own;
  uint64_t from = static_cast<uint64_t>(old_size), to = static_cast<uint64_t>(new_size);
  require(spine::prove_consistency(tree_hasher(), *this, from, to, proof), new_size);
  require(verify_consistency(tree_hasher(), from, to, old_root, new_root, *proof), new_size);
}

void ChainTree::range(int64 begin, int64 end, CompactRange *range) {
  require(tree_range(tree_hasher(), *this, static_cast<uint64_t>(begin), static_cast<uint64_t>(end), range), end);
}

void ChainTree::end() {
  anchors_.end();
  checkpoints_.end();
  nodes_.end();
  events_.end();
  pfree(groups_);
}

}  // namespace spine
