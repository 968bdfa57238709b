#include "proof/new_events.h"

#include "server/errors.h"
#include "server/growing_array.h"
#include "server/owned_object.h"
#include "server/subtransaction.h"
#include "verify/verify.h"

namespace spine {

void OpenChains::begin(const RecentEvents *recent) {
  recent_ = recent;
  events_.begin(all_columns);
  anchors_.begin();
}

void OpenChains::end() {
  anchors_.end();
  events_.end();
}

bool is_unreadable(const ErrorData &error) {
  return tells_of_damage(error) || error.sqlerrcode == ERRCODE_SPINE_DAMAGED_EVENT;
}

namespace {

// The nodes that a chain's growth completes, in the memory in which it began.
class NodeList final : public SubtreeSink {
 public:
  explicit NodeList(MemoryContext memory) : memory_(memory) {}

  // Room is made before, for it may raise an error.
  void make_room_for_next() { make_room(memory_, &nodes_, count_ + 8, &room_); }

  void completed(unsigned level, uint64_t index, const Hash &root) noexcept override {
    if (level % levels_a_node == 0) nodes_[count_++] = {static_cast<int16>(level), static_cast<int64>(index), root};
  }
  TreeNode *nodes() const { return nodes_; }
  int64 count() const { return count_; }

 private:
  MemoryContext memory_;
  TreeNode *nodes_ = nullptr;
  int64 count_ = 0, room_ = 0;
};

class Check {
 public:
  Check(const Uuid &organization, const ChainCheckpoint *from, int64 to, int64 known_end, bool with_tree)
      : organization_(organization),
        from_(from),
        size_(from == nullptr ? 0 : from->size),
        to_(to),
        known_end_(known_end),
        with_tree_(with_tree),
        nodes_(CurrentMemoryContext) {}

  NewEvents run(OpenChains *open) {
    found_ = {};
    found_.last_sequence = size_;
    if (from_ != nullptr) found_.head_hash = from_->head_hash;
    begin_tree();
    walker_ = owned_by_context<ChainWalker>();
    if (walker_ == nullptr) report(Status::out_of_memory, "the verification");
    if (open != nullptr) {
      read(open);
    } else {
      auto read_alone = [this] {
        OpenChains own;
        own.begin(nullptr);
        read(&own);
        own.end();
      };
      // What is unreadable ends the reading; so far it is judged.
      if (catch_error(read_alone, is_unreadable) != nullptr) add_fault(found_.last_sequence + 1, FaultKind::unreadable);
    }
    found_.nodes = nodes_.nodes();
    found_.node_count = nodes_.count();
    return found_;
  }

 private:
  void add_fault(int64 sequence, const char *fault) {
    if (found_.faults++ > 0 && sequence >= found_.first_fault_sequence) return;
    found_.first_fault_sequence = sequence;
    found_.first_fault = fault;
  }
  void add_fault(int64 sequence, FaultKind kind) { add_fault(sequence, fault_names[static_cast<int>(kind)]); }

  void add_faults(const StructureFaults &faults) {
    for (int i = 0; i < faults.count; i++) add_fault(faults.fault[i].sequence, faults.fault[i].kind);
  }

  void begin_tree() {
    if (from_ == nullptr) return;
    if (from_->is_sound())
      found_.range = from_->range;
    else
      add_fault(size_, "checkpoint_broken");
  }

  // What the chain goes on from: the checkpoint's last event, as it is there or as the anchor has it; the next event
  // that is read is the one behind it. Without it, that is a fault, and it goes on from what the checkpoint says.
  Anchor beginning(OpenChains *open) {
    ChainScan *scan = &open->events();
    Anchor begin{size_, PG_INT64_MIN, found_.head_hash};
    Anchor anchor;
    bool is_retired = open->anchors().find(organization_, PG_INT64_MAX, &anchor) && anchor.sequence >= size_;
    if (is_retired) {
      // Behind the checkpoint, events were retired: spine.retire_events left a checkpoint there, and that is gone.
      if (anchor.sequence > size_) add_fault(anchor.sequence, "checkpoint_broken");
      if (anchor.sequence == size_ && anchor.hash != begin.hash) add_fault(size_, FaultKind::link_broken);
      scan->seek(organization_, anchor.sequence, organization_);
      return anchor.sequence == size_ ? Anchor{size_, anchor.timestamp, begin.hash} : anchor;
    }
    scan->seek(organization_, Max(size_ - 1, 0), organization_);
    if (size_ == 0) return begin;
    if (!scan->next() || scan->event().sequence != size_) {
      add_fault(size_, FaultKind::event_missing);
      scan->seek(organization_, size_, organization_);
      return begin;
    }
    (void)judge(scan->event());
    if (hash_of(scan->event().event_hash) != begin.hash) add_fault(size_, "checkpoint_broken");
    begin.timestamp = scan->event().timestamp;
    return begin;
  }

  // Whether what its parts say can be read.
  bool judge(const Event &event) {
    ContentFaults faults = judge_content(event);
    for (int i = 0; i < faults.count; i++) add_fault(event.sequence, faults.fault[i].kind);
    if ((event.present & link_columns) != link_columns) add_fault(event.sequence, FaultKind::malformed);
    return faults.parts_are_json;
  }

  void read(OpenChains *open) {
    MemoryContext outer = CurrentMemoryContext;
    MemoryContext each = AllocSetContextCreate(outer, "event that is checked", ALLOCSET_DEFAULT_SIZES);
    ChainScan &scan = open->events();
    parts_.begin();
    MemoryContextSwitchTo(each);
    Anchor begin = beginning(open);
    require_walked(walker_->begin(Range{}, true, begin.sequence == 0 ? nullptr : &begin));
    int64 at = Max(begin.sequence, size_);
    const RecentEvent *end = nullptr;
    const RecentEvent *recent = open->recent() == nullptr ? nullptr : open->recent()->from(organization_, at + 1, &end);
    bool is_sought = true;  // the scan stands behind the event that was added last
    while (at < to_) {
      while (recent < end && recent->link.sequence <= at) recent++;
      if (recent < end && recent->link.sequence == at + 1 && recent->is_right) {
        add(recent->link);
        is_sought = false;
      } else {
        if (!is_sought && at == known_end_) break;
        if (!is_sought) scan.seek(organization_, at, organization_);
        is_sought = true;
        if (!scan.next() || scan.event().sequence > to_) break;
        if (judge(scan.event())) parts_.note(scan.event());
        add(link_of(scan.event()));
        MemoryContextReset(each);
      }
      at = found_.last_sequence;
    }
    MemoryContextSwitchTo(outer);
    MemoryContextDelete(each);
    int64 first_missing = 0;
    for (int64 missing = parts_.end(organization_, &first_missing); missing > 0; missing--)
      add_fault(first_missing, FaultKind::part_missing);
  }

  void add(const Link &link) {
    Segment one{};
    one.first = link;
    one.last_sequence = link.sequence;
    one.last_timestamp = link.timestamp;
    one.last_hash = link.event_hash;
    StructureFaults faults;
    require_walked(walker_->add(one, &faults));
    add_faults(faults);
    if (with_tree_ && found_.faults == 0) {
      Hash leaf;
      nodes_.make_room_for_next();
      require_hashed(tree_hasher().leaf(one.last_hash, &leaf));
      require_hashed(found_.range.append(tree_hasher(), leaf, &nodes_));
    }
    found_.events++;
    found_.last_sequence = link.sequence;
    found_.head_hash = link.event_hash;
  }

  static void require_walked(Status status) {
    if (status != Status::ok) report(status, "the verification");
  }

  Uuid organization_;
  const ChainCheckpoint *from_;
  int64 size_, to_, known_end_;
  bool with_tree_;
  NodeList nodes_;
  ChainWalker *walker_ = nullptr;
  PartCheck parts_;
  NewEvents found_;
};

}  // namespace

NewEvents check_new_events(OpenChains *open, const Uuid &organization, const ChainCheckpoint *from, int64 to, int64 known_end,
                           bool with_tree) {
  return Check(organization, from, to, known_end, with_tree).run(open);
}

NewEvents extend_chain(OpenChains *open, const Uuid &organization, const ChainCheckpoint *newest, int64 to, int64 known_end,
                       int64 directory_number, TimestampTz now, ChainCheckpoint *taken) {
  NewEvents found = check_new_events(open, organization, newest, to, known_end, true);
  if (found.faults > 0 || found.events == 0) return found;
  taken->organization = organization;
  taken->size = found.last_sequence;
  require_hashed(found.range.root(tree_hasher(), &taken->root));
  taken->head_hash = found.head_hash;
  taken->range = found.range;
  taken->range_is_read = true;
  taken->directory_number = directory_number;
  taken->taken_at = now;
  put_nodes(organization, found.nodes, found.node_count);
  return found;
}

}  // namespace spine
