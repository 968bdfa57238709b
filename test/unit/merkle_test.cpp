#include "core/merkle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <tuple>

#include "core/base64.h"
#include "merkle_reference.h"

using merkle::Hashes;
using merkle::hashes_of;
using merkle::proof_of;
using merkle::Reference;
using spine::CompactRange;
using spine::Hash;
using spine::LeafList;
using spine::max_tree_size;
using spine::Proof;
using spine::ProofStatus;
using spine::Status;
using spine::TreeHasher;
using spine::TreeSource;

namespace spine {

std::ostream &operator<<(std::ostream &out, ProofStatus status) {
  return out << proof_status_names[static_cast<int>(status)];
}

}  // namespace spine

namespace {

// The event hashes of the tests' chain, and the tree over its first 1000.
Hash event_hash(int number) { return merkle::sha256("event " + std::to_string(number)); }

Reference &reference() {
  static Reference tree([] {
    Hashes leaves;
    for (int i = 1; i <= 1000; i++) leaves.push_back(merkle::leaf(merkle::bytes_of(event_hash(i))));
    return leaves;
  }());
  return tree;
}

LeafList list() { return LeafList(reference().leaves().data(), reference().leaves().size()); }

CompactRange range_of(TreeHasher &hasher, uint64_t begin, uint64_t end) {
  CompactRange range(begin);
  for (uint64_t i = begin; i < end; i++) EXPECT_EQ(range.append(hasher, reference().leaves()[i]), Status::ok);
  return range;
}

std::string written(const CompactRange &range) {
  uint8_t bytes[CompactRange::max_bytes];
  size_t size = range.write(bytes);
  return std::string(reinterpret_cast<char *>(bytes), size);
}

bool readable(const std::string &bytes) {
  CompactRange range;
  return range.read(Copy(bytes).bytes());
}

std::string header(uint64_t begin, uint64_t end) {
  std::string bytes;
  for (uint64_t number : {begin, end})
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  return bytes;
}

ProofStatus inclusion(uint64_t index, uint64_t size, const Hash &leaf, const Hash &root, const Hashes &proof) {
  TreeHasher hasher;
  return spine::verify_inclusion(hasher, index, size, leaf, root, proof_of(proof));
}

ProofStatus consistency(uint64_t old_size, uint64_t size, const Hash &old_root, const Hash &root, const Hashes &proof) {
  TreeHasher hasher;
  return spine::verify_consistency(hasher, old_size, size, old_root, root, proof_of(proof));
}

// What a forger may do to a proof.
std::vector<Hashes> forgeries(const Hashes &proof, const Hash &extra) {
  std::vector<Hashes> all;
  for (size_t i = 0; i < proof.size(); i++) {
    Hashes less = proof, swapped = proof;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    all.push_back(less);
    for (int byte : {0, 31}) {
      Hashes flipped = proof;
      flipped[i][static_cast<size_t>(byte)] ^= 1;
      all.push_back(flipped);
    }
    if (i > 0) {
      std::swap(swapped[i], swapped[i - 1]);
      all.push_back(swapped);
    }
  }
  for (size_t i = 0; i <= proof.size(); i++) {
    Hashes more = proof;
    more.insert(more.begin() + static_cast<std::ptrdiff_t>(i), extra);
    all.push_back(more);
  }
  if (!proof.empty()) all.push_back({});
  return all;
}

// A tree of any size whose leaves are all alike, so that it keeps one hash a level; counts what it is asked for.
class UniformTree final : public TreeSource {
 public:
  explicit UniformTree(uint64_t size, unsigned kept_from = 0) : size_(size), kept_from_(kept_from) {
    levels_.push_back(merkle::leaf("the same"));
    for (int i = 0; i < 63; i++) levels_.push_back(merkle::node(levels_.back(), levels_.back()));
  }
  Answer subtree(unsigned level, uint64_t index, Hash *root) noexcept override {
    asked++;
    uint64_t width = uint64_t{1} << level;
    if (index > (max_tree_size >> level) || size_ < width || (index << level) > size_ - width) outside++;
    if (level > 0 && level < kept_from_) return Answer::not_kept;
    *root = levels_[level];
    return Answer::found;
  }
  const Hash &leaf() const { return levels_[0]; }
  int asked = 0;
  int outside = 0;

 private:
  uint64_t size_;
  unsigned kept_from_;
  Hashes levels_;
};

}  // namespace

TEST(Merkle, HashesAsTheRfcDoes) {
  TreeHasher hasher;
  Hash hash{};
  EXPECT_EQ(spine::empty_tree_root, merkle::sha256(""));
  for (const std::string &data : {std::string(), std::string("a"), std::string(100000, 'x')}) {
    ASSERT_EQ(hasher.leaf(data, &hash), Status::ok);
    EXPECT_EQ(hash, merkle::leaf(data));
  }
  ASSERT_EQ(hasher.leaf(std::string_view(), &hash), Status::ok);
  EXPECT_EQ(hash, merkle::leaf(""));
  ASSERT_EQ(hasher.leaf(event_hash(1), &hash), Status::ok);
  EXPECT_EQ(hash, reference().leaves()[0]);
  Hash left = event_hash(1), right = event_hash(2);
  ASSERT_EQ(hasher.node(left, right, &hash), Status::ok);
  EXPECT_EQ(hash, merkle::node(left, right));
  ASSERT_EQ(hasher.node(left, right, &right), Status::ok);
  EXPECT_EQ(right, hash);
}

// Made by another program, from the RFC.
TEST(Merkle, OwnVectors) {
  TreeHasher hasher;
  LeafList source = list();
  for (auto [size, root] : {std::pair<uint64_t, const char *>
       {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {1, "390145b17c0eb81ab29689daccd7c7973096d862d1fc20f13c6a50a867547057"},
       {2, "7d1c85e2c580f8311ac22ca0d3f5294d38e6c0331b2cadbdcdff6e18cc11c16b"},
       {3, "1207f030e8fb13cccfb4d9acb7958cc98ee3b95fdf9dad858022b303b96a9a92"},
       {6, "b1532211d85933ac6b442449e67db11779502cd1461ba5e16c9766d27c3292a9"},
       {7, "1b35c9853bf19a289248a3f47293af4950054d032860aa160031b7e5e6feb07d"},
       {8, "7a5b57842f156764aa35ae1544a4072c44f4cd06c0027f92c56b77c6d8c47318"},
       {13, "4cc7937ffbc73bad585081827bae4ca1b35d6909bce01e14114382b61a757e45"},
       {100, "b528d06dd5d04ced559188bca39d2116f62a0c9a7435b1f4126f5b09320d6d6a"},
       {1000, "164f6cb91f74f9ef0eb0f08f9c375984cf92be3e268e6c074d5c38cf0c176378"}}) {
    Hash hash;
    ASSERT_EQ(spine::tree_root(hasher, source, size, &hash), ProofStatus::ok);
    EXPECT_EQ(hex_of(hash), root) << size;
  }

  auto hex_lines = [](const Proof &proof) {
    std::string lines;
    for (const Hash &hash : hashes_of(proof)) lines += hex_of(hash) + "\n";
    return lines;
  };
  Proof proof;
  ASSERT_EQ(spine::prove_inclusion(hasher, source, 4, 7, &proof), ProofStatus::ok);
  EXPECT_EQ(hex_lines(proof), "28c0ce2299f78d3ec201a3dbe2e2cad2a1fde42c3f3969c8c93191d9d35eb589\n"
                              "01b17d9eef0b087a2c128fce5221085dd0b56db4626b9d3f3b261f7b62d21790\n"
                              "655c43b77bf1352785236eb2848a84e4187ef39af7eaf0df031dffaed9714a00\n");
  ASSERT_EQ(spine::prove_inclusion(hasher, source, 814, 1000, &proof), ProofStatus::ok);
  EXPECT_EQ(hex_lines(proof), "f1ff902f90729ae159de257b184412fdd1cef179352ea80166a9c11996a65074\n"
                              "b7b4ad5cf4b55e31166f8ba2b7f22d2eb5d6a1ca22921a5594c556a5808046b2\n"
                              "a5364490852400bbd329dbc0fb8a31d59d7e60b3d48c69d5ff98a2981d3b349b\n"
                              "b2bb920c2c32073b127d007acc3f34267b2bf4c94eba982f6fe025124d671ae3\n"
                              "de9e5b57c580f9a468dfcbc30576c5b8447ffe535f13ed1b27045f6167890a88\n"
                              "b4266851e2c5028690d3b65811edf8c26f8e2f86caf03f6c32b48f7e53263aff\n"
                              "18a234f5e12ed3b84793c0a0a128703cc4a1bd1136d5fa9bcd1c5a785b8571b3\n"
                              "1932dc79f9c41d5a1f72d0b0a2fbee97da4233c44ce6f7db945298ef6dca05fc\n"
                              "c9e96b30af1bf6c10b38a09dc5f55be7d812dc0a4c4fbcf3b848d9ce75891782\n"
                              "078ecb88e6f4903d5a19fe44463b02cfe8e399034de2d351d3df845c1f277444\n");
  ASSERT_EQ(spine::prove_consistency(hasher, source, 6, 13, &proof), ProofStatus::ok);
  EXPECT_EQ(hex_lines(proof), "da1eb72eb89c5e6a2cc78db6133afc03623b86955ee3d642ff099b17a92ff50f\n"
                              "e1f3b7b9abf84e5d9014f5071c39be6ed0b37f32c1af7a21f3a9fbe370e90c7e\n"
                              "655c43b77bf1352785236eb2848a84e4187ef39af7eaf0df031dffaed9714a00\n"
                              "212f004a3b071603d50cbb7ea3adf7d4e1dc7f03123d351547b2a5a4719659dd\n");
  ASSERT_EQ(spine::prove_consistency(hasher, source, 8, 13, &proof), ProofStatus::ok);
  EXPECT_EQ(hex_lines(proof), "212f004a3b071603d50cbb7ea3adf7d4e1dc7f03123d351547b2a5a4719659dd\n");
  ASSERT_EQ(spine::prove_consistency(hasher, source, 100, 1000, &proof), ProofStatus::ok);
  EXPECT_EQ(hex_lines(proof), "99e1ce0107dcb12e466ffa9cbada204ba58c30ad242afd959f73070a69c71eb2\n"
                              "c02e209079d0053e7df74613646eddc07b8887ef74b77178714d5d70f20ccead\n"
                              "22c18370ca578b094234bbbef256fddd66e10fe0a3619d074521287dfce5f3d3\n"
                              "10f5cac93a8293899121d3641876133a37a6c7eb97907bcbea26ecdd80436d4b\n"
                              "e6229a0e3616e0630f6c4a8d81cc4fa56b1c37cc229ecbba5e97d158b8791e2d\n"
                              "796c2e017dad104b1282e66e46fc68a44a86c1b07eaee489ed181db3bce6fcec\n"
                              "8596ac178b0a4912b11d8fc97508a975a5c9ca80057ffd57c28aaaad37efcf7a\n"
                              "9767b11bd5e53522f7d0a59c1d635febfe10a59dcd242be83845e4a75779a41e\n"
                              "8e5287449540be3c1efe58ba9964d130123eaf0da4dc3d9d2692b78212668db4\n");
}

TEST(Merkle, RootsAndInclusionProofsAreTheRfcs) {
  TreeHasher hasher;
  LeafList source = list();
  for (uint64_t size = 1; size <= 256; size++) {
    Hash root;
    ASSERT_EQ(spine::tree_root(hasher, source, size, &root), ProofStatus::ok);
    ASSERT_EQ(root, reference().root(size)) << size;
    for (uint64_t index = 0; index < size; index++) {
      Proof proof;
      ASSERT_EQ(spine::prove_inclusion(hasher, source, index, size, &proof), ProofStatus::ok);
      ASSERT_EQ(hashes_of(proof), reference().path(index, size)) << index << " in " << size;
      const Hash &leaf = reference().leaves()[index];
      ASSERT_EQ(spine::verify_inclusion(hasher, index, size, leaf, root, proof), ProofStatus::ok) << index;
    }
  }
}

TEST(Merkle, ConsistencyProofsAreTheRfcs) {
  TreeHasher hasher;
  LeafList source = list();
  for (uint64_t size = 1; size <= 160; size++) {
    for (uint64_t old_size = 1; old_size <= size; old_size++) {
      Proof proof;
      ASSERT_EQ(spine::prove_consistency(hasher, source, old_size, size, &proof), ProofStatus::ok);
      ASSERT_EQ(hashes_of(proof), reference().consistency(old_size, size)) << old_size << " to " << size;
      Hash old_root = reference().root(old_size), root = reference().root(size);
      ASSERT_EQ(spine::verify_consistency(hasher, old_size, size, old_root, root, proof), ProofStatus::ok)
          << old_size << " to " << size;
    }
  }
}

TEST(Merkle, NoForgedInclusionProofHolds) {
  for (uint64_t size = 1; size <= 33; size++) {
    Hash root = reference().root(size);
    for (uint64_t index = 0; index < size; index++) {
      const Hash &leaf = reference().leaves()[index];
      Hashes proof = reference().path(index, size);
      for (const Hashes &forged : forgeries(proof, reference().leaves()[7])) {
        ProofStatus status = inclusion(index, size, leaf, root, forged);
        ASSERT_EQ(status, forged.size() == proof.size() ? ProofStatus::wrong_root : ProofStatus::wrong_length);
      }
      ASSERT_EQ(inclusion(index, size, reference().leaves()[size], root, proof), ProofStatus::wrong_root);
      ASSERT_EQ(inclusion(index, size, leaf, reference().root(size + 1), proof), ProofStatus::wrong_root);
      for (uint64_t other = 0; other < 70; other++)
        ASSERT_EQ(inclusion(other, size, leaf, root, proof) == ProofStatus::ok, other == index);
      // A tree of another size may have the same way up: the size is believed for the checkpoint that says it.
      for (uint64_t other = 1; other < 70; other++)
        ASSERT_EQ(inclusion(index, other, leaf, root, proof) == ProofStatus::ok,
                  merkle::includes(index, other, leaf, root, proof));
    }
  }
}

TEST(Merkle, NoForgedConsistencyProofHolds) {
  for (uint64_t size = 1; size <= 33; size++) {
    Hash root = reference().root(size);
    for (uint64_t old_size = 1; old_size <= size; old_size++) {
      Hash old_root = reference().root(old_size);
      Hashes proof = reference().consistency(old_size, size);
      for (const Hashes &forged : forgeries(proof, reference().leaves()[7])) {
        ProofStatus status = consistency(old_size, size, old_root, root, forged);
        ASSERT_EQ(status, forged.size() == proof.size() ? ProofStatus::wrong_root : ProofStatus::wrong_length);
      }
      ASSERT_EQ(consistency(old_size, size, event_hash(1), root, proof), ProofStatus::wrong_root);
      ASSERT_EQ(consistency(old_size, size, old_root, event_hash(1), proof), ProofStatus::wrong_root);
      for (uint64_t other = 1; other < 70; other++) {
        if (other < size) {
          ASSERT_EQ(consistency(other, size, old_root, root, proof) == ProofStatus::ok,
                    merkle::extends(other, size, old_root, root, proof));
        }
        if (other > old_size) {
          ASSERT_EQ(consistency(old_size, other, old_root, root, proof) == ProofStatus::ok,
                    merkle::extends(old_size, other, old_root, root, proof));
        }
      }
    }
  }
}

TEST(Merkle, SizesAndIndexesOutOfRangeAreRefused) {
  TreeHasher hasher;
  LeafList source = list();
  Proof proof;
  Hash root;
  for (uint64_t size : {uint64_t{0}, max_tree_size + 1, UINT64_MAX}) {
    EXPECT_EQ(spine::prove_inclusion(hasher, source, 0, size, &proof), ProofStatus::size_out_of_range);
    EXPECT_EQ(inclusion(0, size, event_hash(1), event_hash(1), {}), ProofStatus::size_out_of_range);
    EXPECT_EQ(inclusion(0, size, spine::empty_tree_root, spine::empty_tree_root, {}), ProofStatus::size_out_of_range);
    EXPECT_EQ(consistency(size, size, event_hash(1), event_hash(1), {}), ProofStatus::size_out_of_range);
    EXPECT_EQ(consistency(size, 5, spine::empty_tree_root, event_hash(1), {}), ProofStatus::size_out_of_range);
    EXPECT_EQ(spine::prove_consistency(hasher, source, size, size, &proof), ProofStatus::size_out_of_range);
  }
  EXPECT_EQ(spine::tree_root(hasher, source, max_tree_size + 1, &root), ProofStatus::size_out_of_range);
  EXPECT_EQ(consistency(6, 5, event_hash(1), event_hash(1), {}), ProofStatus::size_out_of_range);
  EXPECT_EQ(spine::prove_consistency(hasher, source, 6, 5, &proof), ProofStatus::size_out_of_range);
  for (uint64_t index : {uint64_t{5}, uint64_t{6}, UINT64_MAX}) {
    EXPECT_EQ(spine::prove_inclusion(hasher, source, index, 5, &proof), ProofStatus::index_out_of_range);
    EXPECT_EQ(inclusion(index, 5, event_hash(1), event_hash(1), {}), ProofStatus::index_out_of_range);
  }
  EXPECT_EQ(consistency(5, 5, event_hash(1), event_hash(1), {}), ProofStatus::ok);
  EXPECT_EQ(consistency(5, 5, event_hash(1), event_hash(1), {event_hash(1)}), ProofStatus::wrong_length);
  EXPECT_EQ(consistency(5, 5, event_hash(1), event_hash(2), {}), ProofStatus::wrong_root);
}

TEST(Merkle, ProofsOfTheLargestTreesHold) {
  TreeHasher hasher;
  const uint64_t half = uint64_t{1} << 62;
  size_t longest = 0;
  for (uint64_t size : {max_tree_size, max_tree_size - 1, half + 1, half, half - 1, uint64_t{10000000}}) {
    UniformTree source(size);
    Hash root;
    ASSERT_EQ(spine::tree_root(hasher, source, size, &root), ProofStatus::ok);
    for (uint64_t index : {uint64_t{0}, uint64_t{1}, size / 3, size / 2, size - 2, size - 1}) {
      Proof proof;
      source.asked = 0;
      ASSERT_EQ(spine::prove_inclusion(hasher, source, index, size, &proof), ProofStatus::ok);
      EXPECT_LE(source.asked, 2 * 63);
      EXPECT_EQ(spine::verify_inclusion(hasher, index, size, source.leaf(), root, proof), ProofStatus::ok) << index;
      longest = std::max(longest, proof.count);
      proof.count--;
      EXPECT_EQ(spine::verify_inclusion(hasher, index, size, source.leaf(), root, proof), ProofStatus::wrong_length);

      if (index == 0) continue;
      Hash old_root;
      ASSERT_EQ(spine::tree_root(hasher, source, index, &old_root), ProofStatus::ok);
      ASSERT_EQ(spine::prove_consistency(hasher, source, index, size, &proof), ProofStatus::ok);
      EXPECT_EQ(spine::verify_consistency(hasher, index, size, old_root, root, proof), ProofStatus::ok) << index;
      longest = std::max(longest, proof.count);
    }
    EXPECT_EQ(source.outside, 0);
  }
  EXPECT_EQ(longest, Proof::max_hashes);
}

TEST(Merkle, AProofHoldsNoMoreHashesThanAnyTreeAsksFor) {
  Proof proof;
  for (size_t i = 0; i < Proof::max_hashes; i++) EXPECT_TRUE(proof.add(event_hash(1)));
  EXPECT_FALSE(proof.add(event_hash(1)));
  EXPECT_EQ(proof.count, Proof::max_hashes);
}

// A source that keeps the upper levels alone, as a database does: below them the leaves are read.
TEST(Merkle, LevelsThatASourceDoesNotKeepAreComputed) {
  TreeHasher hasher;
  UniformTree all(10000000), some(10000000, 8);
  for (uint64_t index : {uint64_t{0}, uint64_t{6543210}, uint64_t{9999999}}) {
    Proof wanted, proof;
    ASSERT_EQ(spine::prove_inclusion(hasher, all, index, 10000000, &wanted), ProofStatus::ok);
    some.asked = 0;
    ASSERT_EQ(spine::prove_inclusion(hasher, some, index, 10000000, &proof), ProofStatus::ok);
    EXPECT_EQ(hashes_of(proof), hashes_of(wanted));
    EXPECT_LE(some.asked, 1000);
  }
}

TEST(Merkle, ASourceWithoutTheHashFailsTheProof) {
  TreeHasher hasher;
  LeafList source(reference().leaves().data(), 10);
  Proof proof;
  Hash root;
  EXPECT_EQ(spine::prove_inclusion(hasher, source, 3, 11, &proof), ProofStatus::hash_not_found);
  EXPECT_EQ(spine::prove_inclusion(hasher, source, 3, max_tree_size, &proof), ProofStatus::hash_not_found);
  EXPECT_EQ(spine::prove_consistency(hasher, source, 3, 11, &proof), ProofStatus::hash_not_found);
  EXPECT_EQ(spine::prove_consistency(hasher, source, 11, 12, &proof), ProofStatus::hash_not_found);
  EXPECT_EQ(spine::tree_root(hasher, source, 11, &root), ProofStatus::hash_not_found);
}

TEST(CompactRange, GrowsLeafByLeaf) {
  TreeHasher hasher;
  CompactRange range;
  for (uint64_t size = 0; size <= 300; size++) {
    Hash root;
    EXPECT_EQ(range.end(), size);
    EXPECT_EQ(range.count(), static_cast<size_t>(__builtin_popcountll(size)));
    ASSERT_EQ(range.root(hasher, &root), Status::ok);
    ASSERT_EQ(root, reference().root(size)) << size;
    ASSERT_EQ(range.append(hasher, reference().leaves()[size]), Status::ok);
  }
}

TEST(CompactRange, TellsOfEverySubtreeThatALeafCompletes) {
  struct Sink final : spine::SubtreeSink {
    std::map<std::pair<unsigned, uint64_t>, Hash> seen;
    void completed(unsigned level, uint64_t index, const Hash &root) noexcept override { EXPECT_TRUE(seen.insert({{level, index}, root}).second); }
  } sink;
  TreeHasher hasher;
  CompactRange range;
  size_t expected = 0;
  for (uint64_t size = 1; size <= 600; size++) {
    ASSERT_EQ(range.append(hasher, reference().leaves()[size - 1], &sink), Status::ok);
    for (unsigned level = 1; size % (uint64_t{1} << level) == 0; level++) {
      uint64_t index = (size >> level) - 1;
      ASSERT_EQ(sink.seen.count({level, index}), 1u) << level << " " << index;
      ASSERT_EQ((sink.seen[{level, index}]), reference().mth(index << level, (index + 1) << level));
      expected++;
    }
    ASSERT_EQ(sink.seen.size(), expected) << size;
  }
}

TEST(CompactRange, FindsItsOwnSubtreesAndNoOther) {
  TreeHasher hasher;
  CompactRange range = range_of(hasher, 5, 29);  // 5, 6-7, 8-15, 16-23, 24-27, 28
  for (unsigned level = 0; level < 6; level++) {
    for (uint64_t index = 0; index << level < 40; index++) {
      Hash hash{};
      bool expected = (level == 0 && (index == 5 || index == 28)) || (level == 1 && index == 3) || (level == 2 && index == 6) || (level == 3 && (index == 1 || index == 2));
      ASSERT_EQ(range.find(level, index, &hash), expected) << level << " " << index;
      if (expected) {
        ASSERT_EQ(hash, reference().mth(index << level, (index + 1) << level));
      }
    }
  }
}

TEST(CompactRange, ComesOutOfATree) {
  TreeHasher hasher;
  LeafList source = list();
  for (uint64_t begin : {0, 1, 5, 8, 63, 64, 100}) {
    for (uint64_t end = begin; end <= 130; end++) {
      CompactRange found, grown = range_of(hasher, begin, end);
      ASSERT_EQ(spine::tree_range(hasher, source, begin, end, &found), ProofStatus::ok);
      ASSERT_EQ(found.begin(), begin);
      ASSERT_EQ(found.end(), end);
      ASSERT_EQ(found.count(), grown.count());
      for (size_t i = 0; i < found.count(); i++) ASSERT_EQ(found.hash(i), grown.hash(i)) << begin << " to " << end;
    }
  }
  CompactRange range;
  EXPECT_EQ(spine::tree_range(hasher, source, 5, 4, &range), ProofStatus::size_out_of_range);
  EXPECT_EQ(spine::tree_range(hasher, source, 0, spine::max_tree_size + 1, &range), ProofStatus::size_out_of_range);
  LeafList few(reference().leaves().data(), 10);
  EXPECT_EQ(spine::tree_range(hasher, few, 3, 11, &range), ProofStatus::hash_not_found);
  EXPECT_EQ(range.count(), 0u);
}

TEST(CompactRange, RangesSideBySideAreOneRange) {
  TreeHasher hasher;
  for (uint64_t begin = 0; begin <= 20; begin++) {
    for (uint64_t end = begin; end <= 45; end++) {
      CompactRange whole = range_of(hasher, begin, end);
      for (uint64_t middle = begin; middle <= end; middle++) {
        CompactRange left = range_of(hasher, begin, middle), right = range_of(hasher, middle, end);
        ASSERT_EQ(left.append(hasher, right), Status::ok);
        ASSERT_EQ(written(left), written(whole)) << begin << " " << middle << " " << end;
      }
    }
  }
}

TEST(CompactRange, RefusesARangeThatIsNotNext) {
  TreeHasher hasher;
  CompactRange range = range_of(hasher, 0, 5);
  std::string before = written(range);
  EXPECT_EQ(range.append(hasher, range_of(hasher, 6, 9)), Status::malformed);
  EXPECT_EQ(range.append(hasher, range_of(hasher, 4, 9)), Status::malformed);
  EXPECT_EQ(range.append(hasher, range_of(hasher, 0, 5)), Status::malformed);
  EXPECT_EQ(written(range), before);
  Hash root;
  EXPECT_EQ(range_of(hasher, 1, 5).root(hasher, &root), Status::malformed);
}

TEST(CompactRange, AnAlignedStretchIsOneHash) {
  TreeHasher hasher;
  CompactRange range = range_of(hasher, 256, 512);
  ASSERT_EQ(range.count(), 1u);
  EXPECT_EQ(range.hash(0), reference().mth(256, 512));
}

TEST(CompactRange, IsWrittenAndReadBack) {
  TreeHasher hasher;
  for (uint64_t begin : {0, 1, 6, 64}) {
    for (uint64_t end = begin; end <= 130; end++) {
      CompactRange range = range_of(hasher, begin, end), again;
      std::string bytes = written(range);
      ASSERT_EQ(bytes.size(), 16 + 32 * range.count());
      ASSERT_TRUE(again.read(Copy(bytes).bytes()));
      EXPECT_EQ(written(again), bytes);
      ASSERT_EQ(again.append(hasher, reference().leaves()[end]), Status::ok);
      EXPECT_EQ(written(again), written(range_of(hasher, begin, end + 1)));
    }
  }
}

TEST(CompactRange, RefusesBytesOfNoRange) {
  TreeHasher hasher;
  std::string bytes = written(range_of(hasher, 0, 21));
  for (size_t n = 0; n < bytes.size(); n++) EXPECT_FALSE(readable(bytes.substr(0, n))) << n;
  EXPECT_FALSE(readable(bytes + '\0'));
  EXPECT_FALSE(readable(bytes + std::string(32, 'x')));
  EXPECT_FALSE(readable(header(5, 4)));
  EXPECT_FALSE(readable(header(UINT64_MAX, 0)));
  EXPECT_FALSE(readable(header(0, UINT64_MAX)));
  EXPECT_FALSE(readable(header(UINT64_MAX, UINT64_MAX)));
  EXPECT_FALSE(readable(header(0, max_tree_size + 1) + std::string(32, 'x')));
  EXPECT_TRUE(readable(header(max_tree_size, max_tree_size)));
  // The range with the most hashes.
  std::string most = header(1, max_tree_size);
  while (!readable(most) && most.size() <= CompactRange::max_bytes) most += std::string(32, 'x');
  EXPECT_EQ(most.size(), 16u + 124 * 32);
  EXPECT_TRUE(readable(header(0, max_tree_size) + std::string(63 * 32, 'x')));
}

TEST(CompactRange, KeepsWhatItHadWhereNothingIsRead) {
  TreeHasher hasher;
  CompactRange range = range_of(hasher, 0, 21);
  std::string before = written(range);
  EXPECT_FALSE(range.read(Copy(before.substr(0, 40)).bytes()));
  EXPECT_EQ(written(range), before);
}

TEST(CompactRange, EndsAtTheLargestSize) {
  TreeHasher hasher;
  CompactRange range;
  ASSERT_TRUE(range.read(Copy(header(0, max_tree_size - 1) + std::string(62 * 32, 'x')).bytes()));
  ASSERT_EQ(range.append(hasher, event_hash(1)), Status::ok);
  EXPECT_EQ(range.count(), 63u);
  std::string full = written(range);
  EXPECT_EQ(range.append(hasher, event_hash(1)), Status::too_large);
  EXPECT_EQ(written(range), full);
  CompactRange beyond(max_tree_size), nowhere(UINT64_MAX);
  EXPECT_EQ(beyond.append(hasher, event_hash(1)), Status::too_large);
  EXPECT_EQ(nowhere.append(hasher, event_hash(1)), Status::too_large);
}

namespace {

// What a published vector says: a flat JSON object of numbers, strings and one array of strings.
class PublishedVector {
 public:
  explicit PublishedVector(const std::filesystem::path &file) {
    std::ifstream in(file);
    json_.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  uint64_t number(const std::string &name) const { return std::strtoull(json_.c_str() + value(name), nullptr, 10); }
  bool is_true(const std::string &name) const { return json_.compare(value(name), 4, "true") == 0; }
  // Some are no hashes but words that stand for any: the words' hashes do as well, for equal ones stay equal. False:
  // it is empty, which no reader of ours lets through.
  bool hash(const std::string &name, Hash *hash) const {
    size_t begin = json_.find('"', value(name)) + 1;
    std::string_view text = std::string_view(json_).substr(begin, json_.find('"', begin) - begin);
    if (text.empty() || spine::read_base64(text, hash)) return !text.empty();
    std::string word(spine::base64_bytes(text), '\0');
    if (!spine::read_base64(text, reinterpret_cast<uint8_t *>(word.data()))) throw std::invalid_argument(name);
    *hash = merkle::sha256(word);
    return true;
  }
  // False: one is not 32 bytes, which no reader of ours lets through.
  bool proof(Proof *proof) const {
    size_t at = value("proof");
    if (json_.compare(at, 4, "null") == 0) return true;
    size_t end = json_.find(']', at);
    for (;;) {
      size_t open = json_.find('"', at);
      if (open > end) return true;
      at = json_.find('"', open + 1);
      Hash hash;
      std::string_view text = std::string_view(json_).substr(open + 1, at - open - 1);
      if (!spine::read_base64(text, &hash) || !proof->add(hash)) return false;
      at++;
    }
  }

 private:
  size_t value(const std::string &name) const {
    std::string key = "\"" + name + "\": ";
    size_t at = json_.find(key);
    if (at == std::string::npos) throw std::invalid_argument(name);
    return at + key.size();
  }
  std::string json_;
};

bool holds(const PublishedVector &vector, bool is_inclusion) {
  TreeHasher hasher;
  Proof proof;
  Hash one, two;
  if (!vector.proof(&proof)) return false;
  if (!vector.hash(is_inclusion ? "leafHash" : "root1", &one)) return false;
  if (!vector.hash(is_inclusion ? "root" : "root2", &two)) return false;
  uint64_t first = vector.number(is_inclusion ? "leafIdx" : "size1");
  uint64_t second = vector.number(is_inclusion ? "treeSize" : "size2");
  return ProofStatus::ok == (is_inclusion ? spine::verify_inclusion(hasher, first, second, one, two, proof)
                                          : spine::verify_consistency(hasher, first, second, one, two, proof));
}

}  // namespace

// The folder testdata of github.com/transparency-dev/merkle, with inclusion and consistency in it, is no part of the
// project: SPINE_MERKLE_VECTORS names it. Without it the project's own vectors above stand alone.
TEST(Merkle, PublishedVectors) {
  const char *folder = std::getenv("SPINE_MERKLE_VECTORS");
  if (folder == nullptr) {
    std::cout << "SPINE_MERKLE_VECTORS names no folder: the published vectors were not checked, only our own\n";
    return;
  }
  int count = 0, refused = 0;
  for (const char *kind : {"inclusion", "consistency"}) {
    for (const auto &entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(folder) / kind)) {
      if (entry.path().extension() != ".json") continue;
      PublishedVector vector(entry.path());
      bool wanted = !vector.is_true("wantErr");
      EXPECT_EQ(holds(vector, kind == std::string("inclusion")), wanted) << entry.path();
      count++;
      refused += !wanted;
    }
  }
  std::cout << count << " published vectors, " << refused << " of them to be refused\n";
  EXPECT_GE(count, 196);
  EXPECT_GE(refused, 184);
}
