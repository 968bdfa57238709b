#include "core/merkle.h"

#include <new>

namespace spine {

namespace {

constexpr char leaf_prefix = 0, node_prefix = 1;

std::string_view view_of(const Hash &hash) { return {reinterpret_cast<const char *>(hash.data()), hash.size()}; }

unsigned bit_length(uint64_t n) { return n == 0 ? 0 : 64 - static_cast<unsigned>(__builtin_clzll(n)); }
unsigned bits_set(uint64_t n) { return static_cast<unsigned>(__builtin_popcountll(n)); }
unsigned trailing_zeros(uint64_t n) { return static_cast<unsigned>(__builtin_ctzll(n)); }  // n is not 0

// The level of the largest perfect subtree that begins at begin and ends at end or before; begin < end.
unsigned first_level(uint64_t begin, uint64_t end) {
  unsigned fits = bit_length(end - begin) - 1;
  if (begin == 0) return fits;
  unsigned aligned = trailing_zeros(begin);
  return aligned < fits ? aligned : fits;
}

size_t subtrees_between(uint64_t begin, uint64_t end) {
  size_t count = 0;
  for (; begin < end; begin += uint64_t{1} << first_level(begin, end)) count++;
  return count;
}

// The way from a perfect subtree up to the root of a tree. First come inner levels, on each of which the sibling
// may be to the left or to the right; the last of them may have a sibling that is no perfect subtree. Above them
// the siblings are to the left, one for each bit that is set in the index there.
struct Path {
  unsigned inner;
  unsigned border;

  // Of the subtree of that level and index, which spans leaves of the tree alone.
  Path(unsigned level, uint64_t index, uint64_t size) {
    inner = bit_length(index ^ ((size - 1) >> level));
    border = bits_set(index >> inner);
  }
  size_t length() const { return inner + border; }
};

void write_number(uint8_t *out, uint64_t number) {
  for (int i = 7; i >= 0; i--, number >>= 8) out[i] = static_cast<uint8_t>(number);
}

uint64_t read_number(const uint8_t *in) {
  uint64_t number = 0;
  for (int i = 0; i < 8; i++) number = number << 8 | in[i];
  return number;
}

}  // namespace

Status TreeHasher::leaf(std::string_view data, Hash *hash) noexcept {
  try {
    prefixed_.clear();
    prefixed_.append(leaf_prefix);
    prefixed_.append(data);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  return sha256_.digest(prefixed_.view(), hash);
}

Status TreeHasher::leaf(const Hash &event_hash, Hash *hash) noexcept { return leaf(view_of(event_hash), hash); }

Status TreeHasher::node(const Hash &left, const Hash &right, Hash *hash) noexcept {
  char message[1 + 2 * sizeof(Hash)];
  message[0] = node_prefix;
  std::memcpy(message + 1, left.data(), left.size());
  std::memcpy(message + 1 + left.size(), right.data(), right.size());
  return sha256_.digest({message, sizeof message}, hash);
}

Status CompactRange::append(TreeHasher &hasher, const Hash &leaf_hash, SubtreeSink *sink) noexcept {
  return append_subtree(hasher, 0, leaf_hash, sink);
}

Status CompactRange::append(TreeHasher &hasher, const CompactRange &next) noexcept {
  if (next.begin_ != end_) return Status::malformed;
  CompactRange longer(*this);
  uint64_t at = next.begin_;
  for (size_t i = 0; i < next.count_; i++) {
    unsigned level = first_level(at, next.end_);
    Status status = longer.append_subtree(hasher, level, next.hashes_[i]);
    if (status != Status::ok) return status;
    at += uint64_t{1} << level;
  }
  *this = longer;
  return Status::ok;
}

// end_ is a multiple of 2^level.
Status CompactRange::append_subtree(TreeHasher &hasher, unsigned level, const Hash &root, SubtreeSink *sink) noexcept {
  uint64_t width = uint64_t{1} << level;
  if (end_ > max_tree_size || max_tree_size - end_ < width) return Status::too_large;
  // While it is a right child, the range's last hash is its left sibling, unless the range begins within that.
  Hash hash = root;
  size_t count = count_;
  uint64_t index = end_ >> level;
  for (; index & 1 && (index - 1) << level >= begin_; index >>= 1, level++) {
    Status status = hasher.node(hashes_[count - 1], hash, &hash);
    if (status != Status::ok) return status;
    count--;
    if (sink != nullptr) sink->completed(level + 1, index >> 1, hash);
  }
  hashes_[count] = hash;
  count_ = count + 1;
  end_ += width;
  return Status::ok;
}

Status CompactRange::root(TreeHasher &hasher, Hash *root) const noexcept {
  if (begin_ != 0) return Status::malformed;
  if (count_ == 0) {
    *root = empty_tree_root;
    return Status::ok;
  }
  Hash hash = hashes_[count_ - 1];
  for (size_t i = count_ - 1; i > 0; i--) {
    Status status = hasher.node(hashes_[i - 1], hash, &hash);
    if (status != Status::ok) return status;
  }
  *root = hash;
  return Status::ok;
}

bool CompactRange::find(unsigned level, uint64_t index, Hash *root) const noexcept {
  uint64_t at = begin_;
  for (size_t i = 0; i < count_; i++) {
    unsigned here = first_level(at, end_);
    if (here == level && at >> level == index) {
      *root = hashes_[i];
      return true;
    }
    at += uint64_t{1} << here;
  }
  return false;
}

size_t CompactRange::write(uint8_t *out) const noexcept {
  write_number(out, begin_);
  write_number(out + 8, end_);
  for (size_t i = 0; i < count_; i++) std::memcpy(out + 16 + i * sizeof(Hash), hashes_[i].data(), sizeof(Hash));
  return 16 + count_ * sizeof(Hash);
}

bool CompactRange::read(Bytes bytes) noexcept {
  if (bytes.size < 16) return false;
  uint64_t begin = read_number(bytes.data), end = read_number(bytes.data + 8);
  if (begin > end || end > max_tree_size) return false;
  size_t count = subtrees_between(begin, end);
  if (bytes.size != 16 + count * sizeof(Hash)) return false;
  begin_ = begin;
  end_ = end;
  count_ = count;
  for (size_t i = 0; i < count; i++) std::memcpy(hashes_[i].data(), bytes.data + 16 + i * sizeof(Hash), sizeof(Hash));
  return true;
}

ProofStatus verify_inclusion(TreeHasher &hasher, uint64_t index, uint64_t size, const Hash &leaf_hash,
                             const Hash &root, const Proof &proof) noexcept {
  if (size == 0 || size > max_tree_size) return ProofStatus::size_out_of_range;
  if (index >= size) return ProofStatus::index_out_of_range;
  Path path(0, index, size);
  if (proof.count != path.length()) return ProofStatus::wrong_length;
  Hash hash = leaf_hash;
  for (size_t i = 0; i < proof.count; i++) {
    const Hash &sibling = proof.hashes[i];
    bool to_the_left = i >= path.inner || (index >> i & 1);
    Status status = to_the_left ? hasher.node(sibling, hash, &hash) : hasher.node(hash, sibling, &hash);
    if (status != Status::ok) return ProofStatus::hashing_failed;
  }
  return hash == root ? ProofStatus::ok : ProofStatus::wrong_root;
}

ProofStatus verify_consistency(TreeHasher &hasher, uint64_t old_size, uint64_t new_size, const Hash &old_root,
                               const Hash &new_root, const Proof &proof) noexcept {
  if (old_size == 0 || old_size > new_size || new_size > max_tree_size) return ProofStatus::size_out_of_range;
  if (old_size == new_size) {
    if (proof.count != 0) return ProofStatus::wrong_length;
    return old_root == new_root ? ProofStatus::ok : ProofStatus::wrong_root;
  }
  // Both roots are computed on the way up from the largest perfect subtree that ends where the old tree ends. Is
  // that the whole old tree, then its root is known and no part of the proof.
  unsigned level = trailing_zeros(old_size);
  uint64_t index = (old_size - 1) >> level;
  Path path(level, index, new_size);
  size_t first = index == 0 ? 0 : 1;
  if (proof.count != first + path.length()) return ProofStatus::wrong_length;
  Hash of_old = index == 0 ? old_root : proof.hashes[0], of_new = of_old;
  for (size_t i = 0; i < path.length(); i++) {
    const Hash &sibling = proof.hashes[first + i];
    Status status;
    if (i >= path.inner || (index >> i & 1)) {
      status = hasher.node(sibling, of_old, &of_old);
      if (status == Status::ok) status = hasher.node(sibling, of_new, &of_new);
    } else {
      status = hasher.node(of_new, sibling, &of_new);  // behind the old tree's end
    }
    if (status != Status::ok) return ProofStatus::hashing_failed;
  }
  return of_old == old_root && of_new == new_root ? ProofStatus::ok : ProofStatus::wrong_root;
}

TreeSource::Answer LeafList::subtree(unsigned level, uint64_t index, Hash *root) noexcept {
  if (level > 0) return Answer::not_kept;
  if (index >= count_) return Answer::failed;
  *root = leaf_hashes_[index];
  return Answer::found;
}

TreeSource::Answer RangeList::subtree(unsigned level, uint64_t index, Hash *root) noexcept {
  for (const CompactRange *range = ranges_; range < ranges_ + count_; range++)
    if (range->find(level, index, root)) return Answer::found;
  return level == 0 ? Answer::failed : Answer::not_kept;
}

namespace {

// Recursive, as deep as the level is high.
ProofStatus subtree_root(TreeHasher &hasher, TreeSource &source, unsigned level, uint64_t index, Hash *root) {
  TreeSource::Answer answer = source.subtree(level, index, root);
  if (answer == TreeSource::Answer::found) return ProofStatus::ok;
  if (answer == TreeSource::Answer::failed || level == 0) return ProofStatus::hash_not_found;
  Hash left, right;
  ProofStatus status = subtree_root(hasher, source, level - 1, 2 * index, &left);
  if (status == ProofStatus::ok) status = subtree_root(hasher, source, level - 1, 2 * index + 1, &right);
  if (status != ProofStatus::ok) return status;
  return hasher.node(left, right, root) == Status::ok ? ProofStatus::ok : ProofStatus::hashing_failed;
}

// The root of the leaves begin … end - 1, of which there is one at least; the subtrees that span them get smaller.
ProofStatus stretch_root(TreeHasher &hasher, TreeSource &source, uint64_t begin, uint64_t end, Hash *root) {
  Hash parts[64];
  size_t count = 0;
  while (begin < end) {
    unsigned level = first_level(begin, end);
    ProofStatus status = subtree_root(hasher, source, level, begin >> level, &parts[count++]);
    if (status != ProofStatus::ok) return status;
    begin += uint64_t{1} << level;
  }
  *root = parts[count - 1];
  for (size_t i = count - 1; i > 0; i--)
    if (hasher.node(parts[i - 1], *root, root) != Status::ok) return ProofStatus::hashing_failed;
  return ProofStatus::ok;
}

// Adds the siblings on the way from a perfect subtree to the tree's root.
ProofStatus add_path(TreeHasher &hasher, TreeSource &source, unsigned level, uint64_t index, uint64_t size,
                     Proof *proof) {
  Path path(level, index, size);
  for (unsigned i = 0; i < path.inner || index != 0; i++, level++, index >>= 1) {
    Hash sibling;
    ProofStatus status;
    if (index & 1) {
      status = subtree_root(hasher, source, level, index - 1, &sibling);
    } else if (i < path.inner) {
      uint64_t begin = (index + 1) << level, width = uint64_t{1} << level;
      status = stretch_root(hasher, source, begin, size - begin < width ? size : begin + width, &sibling);
    } else {
      continue;  // the last on this level
    }
    if (status != ProofStatus::ok) return status;
    (void)proof->add(sibling);
  }
  return ProofStatus::ok;
}

}  // namespace

ProofStatus tree_root(TreeHasher &hasher, TreeSource &source, uint64_t size, Hash *root) noexcept {
  if (size > max_tree_size) return ProofStatus::size_out_of_range;
  if (size > 0) return stretch_root(hasher, source, 0, size, root);
  *root = empty_tree_root;
  return ProofStatus::ok;
}

ProofStatus tree_range(TreeHasher &hasher, TreeSource &source, uint64_t begin, uint64_t end, CompactRange *range) noexcept {
  if (begin > end || end > max_tree_size) return ProofStatus::size_out_of_range;
  CompactRange found(begin);
  for (uint64_t at = begin; at < end;) {
    unsigned level = first_level(at, end);
    Hash hash;
    ProofStatus status = subtree_root(hasher, source, level, at >> level, &hash);
    if (status != ProofStatus::ok) return status;
    found.hashes_[found.count_++] = hash;
    at += uint64_t{1} << level;
  }
  found.end_ = end;
  *range = found;
  return ProofStatus::ok;
}

ProofStatus prove_inclusion(TreeHasher &hasher, TreeSource &source, uint64_t index, uint64_t size,
                            Proof *proof) noexcept {
  if (size == 0 || size > max_tree_size) return ProofStatus::size_out_of_range;
  if (index >= size) return ProofStatus::index_out_of_range;
  proof->count = 0;
  return add_path(hasher, source, 0, index, size, proof);
}

ProofStatus prove_consistency(TreeHasher &hasher, TreeSource &source, uint64_t old_size, uint64_t new_size,
                              Proof *proof) noexcept {
  if (old_size == 0 || old_size > new_size || new_size > max_tree_size) return ProofStatus::size_out_of_range;
  proof->count = 0;
  if (old_size == new_size) return ProofStatus::ok;
  unsigned level = trailing_zeros(old_size);
  uint64_t index = (old_size - 1) >> level;
  if (index != 0) {
    Hash last;
    ProofStatus status = subtree_root(hasher, source, level, index, &last);
    if (status != ProofStatus::ok) return status;
    (void)proof->add(last);
  }
  return add_path(hasher, source, level, index, new_size, proof);
}

}  // namespace spine
