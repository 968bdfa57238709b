#include "core/chain_check.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace spine {

namespace {

Segment start_segment(const Link &link) {
  Segment s{};
  s.first = link;
  s.last_sequence = link.sequence;
  s.last_timestamp = link.timestamp;
  s.last_hash = link.event_hash;
  return s;
}

StructureFault &append(StructureFaults *faults, FaultKind kind, int64_t sequence) {
  StructureFault &fault = faults->fault[faults->count++];
  fault = StructureFault{};
  fault.kind = kind;
  fault.sequence = sequence;
  return fault;
}

StructureFault &append(StructureFaults *faults, FaultKind kind, const Link &link) {
  StructureFault &fault = append(faults, kind, link.sequence);
  fault.has_id = true;
  fault.id = link.id;
  return fault;
}

}  // namespace

Status SegmentFolder::prepare(size_t divisor) noexcept {
  try {
    table_.resize(std::max(sets / divisor, size_t{1}) * ways);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

SegmentFolder::Slot &SegmentFolder::slot_of(const Uuid &organization) {
  // Any spread will do, for a collision costs a stored segment and never a wrong answer; but ids that people
  // number by hand differ in their last bytes alone, which multiplication does not carry downwards.
  uint64_t a, b;
  std::memcpy(&a, organization.data(), 8);
  std::memcpy(&b, organization.data() + 8, 8);
  uint64_t mixed = a ^ (b >> 29) ^ (b * 0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccd;
  Slot *set = &table_[(mixed ^ (mixed >> 33)) % (table_.size() / ways) * ways];
  Slot *free = nullptr;
  for (Slot *slot = set; slot < set + ways; slot++) {
    if (!slot->used)
      free = free != nullptr ? free : slot;
    else if (slot->segment.first.organization == organization)
      return *slot;
  }
  return free != nullptr ? *free : set[turn_++ % ways];
}

bool SegmentFolder::add(const Link &link, Segment *displaced) noexcept {
  Slot &slot = slot_of(link.organization);
  Segment &s = slot.segment;
  if (!slot.used) {
    slot.used = true;
    s = start_segment(link);
    return false;
  }
  if (s.first.organization == link.organization) {
    if (s.empty) {
      int64_t known_last = s.known_last;
      s = start_segment(link);
      s.known_last = known_last;
      return false;
    }
    if (s.last_sequence >= 1 && link.sequence > s.last_sequence && link.sequence - 1 == s.last_sequence &&
        link.links_to(s.last_hash) && link.timestamp >= s.last_timestamp) {
      s.last_sequence = link.sequence;
      s.last_timestamp = link.timestamp;
      s.last_hash = link.event_hash;
      return false;
    }
  }
  *displaced = s;
  s = start_segment(link);
  return true;
}

bool SegmentFolder::add_outside(const Uuid &organization, int64_t known_last, Segment *displaced) noexcept {
  Slot &slot = slot_of(organization);
  Segment &s = slot.segment;
  if (slot.used && s.first.organization == organization) {
    s.known_last = std::max(s.known_last, known_last);
    return false;
  }
  bool displaces = slot.used;
  if (displaces) *displaced = s;
  slot.used = true;
  s = Segment{};
  s.first.organization = organization;
  s.empty = true;
  s.known_last = known_last;
  return displaces;
}

bool SegmentFolder::drain(Segment *segment) noexcept {
  while (drained_ < table_.size()) {
    Slot &slot = table_[drained_++];
    if (slot.used) {
      slot.used = false;
      *segment = slot.segment;
      return true;
    }
  }
  drained_ = 0;
  return false;
}

Status ChainWalker::begin(const Range &range, bool singles, const Anchor *anchor) noexcept {
  range_ = range;
  singles_ = singles;
  overlapped_ = has_current_ = has_previous_ = false;
  known_last_ = events_ = first_ = last_ = 0;
  head_ = zero_hash;
  current_.clear();
  previous_.clear();
  // Where the range begins behind the event after it, that event's predecessor is not asked for.
  if (anchor == nullptr || range.from - 1 > anchor->sequence) return Status::ok;
  has_current_ = true;
  current_sequence_ = anchor->sequence;
  current_timestamp_ = anchor->timestamp;
  try {
    current_.push_back(anchor->hash);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

void ChainWalker::judge(const Segment &segment, StructureFaults *faults) const {
  const Link &link = segment.first;
  if (range_.has_context() && link.sequence < range_.from) return;  // its own predecessor is out of scope
  auto broken = [&](const Hash &expected) {
    StructureFault &fault = append(faults, FaultKind::link_broken, link);
    fault.has_expected = fault.has_found = true;
    fault.expected = expected;
    fault.found = link.previous_hash;
  };
  if (link.sequence == 1) {
    if (!link.links_to(zero_hash)) broken(zero_hash);
    return;
  }
  if (!has_previous_) return;  // the gap before it is the fault
  if (std::none_of(previous_.begin(), previous_.end(), [&](const Hash &hash) { return link.links_to(hash); }))
    broken(previous_[0]);
  if (link.timestamp < previous_timestamp_) append(faults, FaultKind::order_violated, link);
}

Status ChainWalker::add(const Segment &segment, StructureFaults *faults) noexcept {
  faults->count = 0;
  known_last_ = std::max(known_last_, segment.known_last);
  if (segment.empty) return Status::ok;
  const Link &link = segment.first;
  if (link.sequence < 1) {
    append(faults, FaultKind::malformed, link);
    return Status::ok;
  }
  int64_t start = range_.has_context() ? range_.from - 1 : 1;
  if (has_current_ && link.sequence <= current_sequence_) {
    if (!singles_) {
      overlapped_ = true;
      return Status::ok;
    }
    if (link.sequence >= range_.from) append(faults, FaultKind::event_duplicated, link);
  } else {
    bool gap = has_current_ ? link.sequence - 1 > current_sequence_ : link.sequence > start;
    if (gap) {
      StructureFault &fault =
          append(faults, FaultKind::event_missing, has_current_ ? current_sequence_ + 1 : start);
      fault.last_missing = link.sequence - 1;
      fault.has_expected = true;
      fault.expected = link.previous_hash;
    }
    has_previous_ = has_current_ && !gap;
    previous_timestamp_ = current_timestamp_;
    previous_.swap(current_);
    current_.clear();
  }
  judge(segment, faults);

  bool joins_group = has_current_ && link.sequence == current_sequence_;
  current_timestamp_ =
      joins_group ? std::min(current_timestamp_, segment.last_timestamp) : segment.last_timestamp;
  has_current_ = true;
  current_sequence_ = segment.last_sequence;
  try {
    if (current_.size() < max_group) current_.push_back(segment.last_hash);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }

  if (segment.last_sequence >= range_.from) {
    int64_t first = std::max(link.sequence, range_.from);
    if (events_ == 0) first_ = first;
    events_ += segment.last_sequence - first + 1;
    last_ = segment.last_sequence;
    head_ = segment.last_hash;
  }
  return Status::ok;
}

void ChainWalker::finish(StructureFaults *faults) noexcept {
  faults->count = 0;
  int64_t last = std::min(known_last_, range_.to);
  int64_t before = has_current_ ? current_sequence_ : range_.has_context() ? range_.from - 2 : 0;
  if (last > before) append(faults, FaultKind::event_missing, before + 1).last_missing = last;
}

}  // namespace spine
