// RFC 6962 section 2.1 and RFC 9162 sections 2.1.3.2 and 2.1.4.2 word for word: what the trees are compared with.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "core/merkle.h"
#include "core/sha256.h"
#include "support.h"

namespace merkle {

using spine::Hash;
using Hashes = std::vector<Hash>;

inline Hash sha256(const std::string &message) {
  static spine::Sha256 sha256;
  Hash hash{};
  if (sha256.digest(message, &hash) != spine::Status::ok) throw std::runtime_error("no SHA-256");
  return hash;
}

inline std::string bytes_of(const Hash &hash) { return std::string(hash.begin(), hash.end()); }
inline Hash leaf(const std::string &data) { return sha256(std::string(1, '\0') + data); }
inline Hash node(const Hash &left, const Hash &right) { return sha256("\x01" + bytes_of(left) + bytes_of(right)); }

// A tree over the hashes of its leaves; D[begin:end] of the RFC is the stretch begin … end.
class Reference {
 public:
  explicit Reference(Hashes leaves) : leaves_(std::move(leaves)) {}
  const Hashes &leaves() const { return leaves_; }

  Hash root(uint64_t size) { return mth(0, size); }
  Hashes path(uint64_t index, uint64_t size) { return path(index, 0, size); }
  Hashes consistency(uint64_t old_size, uint64_t size) { return subproof(old_size, 0, size, true); }

  Hash mth(uint64_t begin, uint64_t end) {
    if (begin == end) return sha256("");
    if (end - begin == 1) return leaves_[begin];
    auto known = known_.find({begin, end});
    if (known != known_.end()) return known->second;
    uint64_t k = split(end - begin);
    return known_[{begin, end}] = node(mth(begin, begin + k), mth(begin + k, end));
  }

 private:
  // The largest power of two below n.
  static uint64_t split(uint64_t n) {
    uint64_t k = 1;
    while (2 * k < n) k *= 2;
    return k;
  }
  static Hashes plus(Hashes hashes, const Hash &last) {
    hashes.push_back(last);
    return hashes;
  }
  Hashes path(uint64_t m, uint64_t begin, uint64_t end) {
    if (end - begin == 1) return {};
    uint64_t k = split(end - begin);
    if (m < k) return plus(path(m, begin, begin + k), mth(begin + k, end));
    return plus(path(m - k, begin + k, end), mth(begin, begin + k));
  }
  Hashes subproof(uint64_t m, uint64_t begin, uint64_t end, bool complete) {
    if (m == end - begin) return complete ? Hashes{} : Hashes{mth(begin, end)};
    uint64_t k = split(end - begin);
    if (m <= k) return plus(subproof(m, begin, begin + k, complete), mth(begin + k, end));
    return plus(subproof(m - k, begin + k, end, false), mth(begin, begin + k));
  }

  Hashes leaves_;
  std::map<std::pair<uint64_t, uint64_t>, Hash> known_;
};

// RFC 9162, 2.1.3.2.
inline bool includes(uint64_t index, uint64_t size, const Hash &leaf_hash, const Hash &root, const Hashes &proof) {
  if (index >= size) return false;
  uint64_t fn = index, sn = size - 1;
  Hash r = leaf_hash;
  for (const Hash &p : proof) {
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      r = node(p, r);
      while (!(fn & 1) && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      r = node(r, p);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && r == root;
}

// RFC 9162, 2.1.4.2, for 0 < first < second.
inline bool extends(uint64_t first, uint64_t second, const Hash &first_hash, const Hash &second_hash, Hashes proof) {
  if (proof.empty()) return false;
  if ((first & (first - 1)) == 0) proof.insert(proof.begin(), first_hash);
  uint64_t fn = first - 1, sn = second - 1;
  while (fn & 1) {
    fn >>= 1;
    sn >>= 1;
  }
  Hash fr = proof[0], sr = proof[0];
  for (size_t i = 1; i < proof.size(); i++) {
    const Hash &c = proof[i];
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      fr = node(c, fr);
      sr = node(c, sr);
      while (!(fn & 1) && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      sr = node(sr, c);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && fr == first_hash && sr == second_hash;
}

inline Hashes hashes_of(const spine::Proof &proof) {
  return Hashes(proof.hashes.begin(), proof.hashes.begin() + static_cast<std::ptrdiff_t>(proof.count));
}

// As much of it as a proof holds.
inline spine::Proof proof_of(const Hashes &hashes) {
  spine::Proof proof;
  for (const Hash &hash : hashes) (void)proof.add(hash);
  return proof;
}

}  // namespace merkle
