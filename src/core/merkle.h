// Merkle trees as RFC 6962 section 2.1 and RFC 9162 section 2.1 have them, with SHA-256: hashes, roots, proofs.
//
// A tree of n leaves is a perfect tree over the first k of them, k the largest power of two below n, beside the
// tree of the rest. So each of its hashes is the root of a perfect subtree, or is made of such roots. A perfect
// subtree has a level and an index: it spans the leaves from index * 2^level up to, but without, (index + 1) *
// 2^level.
#pragma once

#include "core/buffer.h"
#include "core/bytes.h"
#include "core/sha256.h"

namespace spine {

// Leaves in a tree at most; a sequence is a bigint.
inline constexpr uint64_t max_tree_size = INT64_MAX;

// The root of the tree without leaves: the SHA-256 of nothing.
inline constexpr Hash empty_tree_root = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
                                         0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
                                         0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

// Hashes for trees; one serves any number of them. ok, out_of_memory or crypto_failed.
class TreeHasher {
 public:
  // SHA-256(0x00 || data): the leaf of any data; an event's data are the 32 bytes of its event_hash.
  Status leaf(std::string_view data, Hash *hash) noexcept;
  Status leaf(const Hash &event_hash, Hash *hash) noexcept;

  // SHA-256(0x01 || left || right). hash may be one of the two.
  Status node(const Hash &left, const Hash &right, Hash *hash) noexcept;

 private:
  Sha256 sha256_;
  Buffer prefixed_;
};

// Hears of subtrees as they become complete.
class SubtreeSink {
 public:
  // The perfect subtree of that level and index is complete, and this is its root. level is 1 at least.
  virtual void completed(unsigned level, uint64_t index, const Hash &root) noexcept = 0;

 protected:
  ~SubtreeSink() = default;
};

// The leaves begin … end - 1 as the fewest perfect subtrees that span them, from left to right. With begin 0 it is
// all that a tree needs to grow: as many hashes as end has bits set, 63 at most.
class TreeSource;
enum class ProofStatus : uint8_t;

class CompactRange {
 public:
  static constexpr size_t max_hashes = 126;
  static constexpr size_t max_bytes = 16 + max_hashes * 32;

  // No leaf yet; the first one appended has index begin, or 0.
  CompactRange() : CompactRange(0) {}
  explicit CompactRange(uint64_t begin) : begin_(begin), end_(begin) {}

  uint64_t begin() const { return begin_; }
  uint64_t end() const { return end_; }
  size_t count() const { return count_; }
  const Hash &hash(size_t i) const { return hashes_[i]; }

  // Appends one leaf, given as its leaf hash, or all of next's, which must begin where this ends (malformed).
  // too_large: there would be more leaves than max_tree_size. After a failure the range is as it was. sink, if there is
  // one, hears of each subtree that the leaf completes.
  Status append(TreeHasher &hasher, const Hash &leaf_hash, SubtreeSink *sink = nullptr) noexcept;
  Status append(TreeHasher &hasher, const CompactRange &next) noexcept;

  // The root of the tree of all leaves below end; malformed where the range does not begin at 0.
  Status root(TreeHasher &hasher, Hash *root) const noexcept;

  // Whether the perfect subtree of that level and index is one of the range's; then *root is its root.
  bool find(unsigned level, uint64_t index, Hash *root) const noexcept;

  // begin and end, 8 bytes each, the highest first, then the hashes. write returns how many bytes it wrote,
  // max_bytes at most; read says false where the bytes are not what write gives for some range. Whether the hashes
  // are those of a tree can only be told from a root that is trusted.
  size_t write(uint8_t *out) const noexcept;
  bool read(Bytes bytes) noexcept;

 private:
  friend ProofStatus tree_range(TreeHasher &, TreeSource &, uint64_t, uint64_t, CompactRange *) noexcept;

  Status append_subtree(TreeHasher &hasher, unsigned level, const Hash &root, SubtreeSink *sink = nullptr) noexcept;

  uint64_t begin_, end_;
  size_t count_ = 0;
  std::array<Hash, max_hashes> hashes_;
};

// A proof's hashes, in the order of the RFCs: from the leaves up.
struct Proof {
  static constexpr size_t max_hashes = 64;  // one more than the levels of the largest tree

  size_t count = 0;
  std::array<Hash, max_hashes> hashes;

  // False: no proof has so many.
  bool add(const Hash &hash) {
    if (count == max_hashes) return false;
    hashes[count++] = hash;
    return true;
  }
};

enum class ProofStatus : uint8_t {
  ok,
  size_out_of_range,   // a tree without leaves, too large a one, or an old tree larger than the new one
  index_out_of_range,  // no leaf of the tree
  wrong_length,        // the sizes and the index ask for another number of hashes
  wrong_root,          // the hashes do not lead to the root
  hash_not_found,      // the source has no such hash
  hashing_failed,      // no memory, or OpenSSL gave no digest
};
inline constexpr const char *proof_status_names[] = {
    "ok", "size_out_of_range", "index_out_of_range", "wrong_length", "wrong_root", "hash_not_found", "hashing_failed"};

// Says whether proof shows that leaf_hash is leaf number index (from 0) of the tree of so many leaves with that
// root. The number of hashes is checked before any is computed.
// Trees of other sizes may have the same way up from a leaf: take size and root from one checkpoint that is trusted.
ProofStatus verify_inclusion(TreeHasher &hasher, uint64_t index, uint64_t size, const Hash &leaf_hash,
                             const Hash &root, const Proof &proof) noexcept;

// Says whether proof shows that the new tree begins with the leaves of the old one. An old tree without leaves is
// refused: everything extends it, so there is nothing to prove. Trees of one size need equal roots and an empty
// proof.
ProofStatus verify_consistency(TreeHasher &hasher, uint64_t old_size, uint64_t new_size, const Hash &old_root,
                               const Hash &new_root, const Proof &proof) noexcept;

// Where the hashes of a tree come from.
class TreeSource {
 public:
  enum class Answer : uint8_t {
    found,
    not_kept,  // make it of the two below; of a leaf the same as failed
    failed,
  };

  // The root of the perfect subtree of that level and index; level 0 are the leaf hashes. It is asked for subtrees
  // below the tree's size alone.
  virtual Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept = 0;

 protected:
  ~TreeSource() = default;
};

// A tree whose leaf hashes lie in memory.
class LeafList final : public TreeSource {
 public:
  LeafList(const Hash *leaf_hashes, uint64_t count) : leaf_hashes_(leaf_hashes), count_(count) {}
  Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept override;

 private:
  const Hash *leaf_hashes_;
  uint64_t count_;
};

// A tree of which one knows no more than compact ranges that do not overlap: of what lies between them, if there is
// any, there are no proofs. A range of one leaf is that leaf.
class RangeList final : public TreeSource {
 public:
  RangeList(const CompactRange *ranges, size_t count) : ranges_(ranges), count_(count) {}
  Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept override;

 private:
  const CompactRange *ranges_;
  size_t count_;
};

// The root and the proofs of a tree of so many leaves. A source that keeps no level but the leaves is asked for all
// of them; one that keeps each level is asked for at most two subtrees a level.
ProofStatus tree_root(TreeHasher &hasher, TreeSource &source, uint64_t size, Hash *root) noexcept;
// The compact range of the leaves begin … end - 1; size_out_of_range where begin is behind end.
ProofStatus tree_range(TreeHasher &hasher, TreeSource &source, uint64_t begin, uint64_t end, CompactRange *range) noexcept;
ProofStatus prove_inclusion(TreeHasher &hasher, TreeSource &source, uint64_t index, uint64_t size,
                            Proof *proof) noexcept;
ProofStatus prove_consistency(TreeHasher &hasher, TreeSource &source, uint64_t old_size, uint64_t new_size,
                              Proof *proof) noexcept;

}  // namespace spine
