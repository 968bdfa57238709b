// Any sizes, any hashes as a proof: the verdict is that of the RFC's algorithms. Proofs of a small tree hold, and with
// anything changed are refused.
#include <algorithm>

#include "../unit/merkle_reference.h"
#include "fuzz.h"

using spine::Hash;
using spine::Proof;
using spine::ProofStatus;

namespace {

constexpr uint64_t small_tree = 70;

merkle::Reference &reference() {
  static merkle::Reference tree([] {
    merkle::Hashes leaves;
    for (uint64_t i = 0; i < small_tree; i++) leaves.push_back(merkle::leaf(std::to_string(i)));
    return leaves;
  }());
  return tree;
}

// Changes the proof as the input says; true where it is another one now.
bool change(Input &input, Proof *proof) {
  Proof before = *proof;
  size_t place = proof->count == 0 ? 0 : input.take<uint8_t>() % proof->count;
  switch (input.take<uint8_t>() % 5) {
    case 0:
      if (proof->count > 0) proof->hashes[place][input.take<uint8_t>() % 32] ^= input.take<uint8_t>();
      break;
    case 1:
      (void)proof->add(reference().leaves()[input.take<uint8_t>() % small_tree]);
      break;
    case 2:
      if (proof->count > 0) proof->count--;
      break;
    case 3:
      if (proof->count > 0) std::swap(proof->hashes[place], proof->hashes[0]);
      break;
    default:
      break;
  }
  return merkle::hashes_of(before) != merkle::hashes_of(*proof);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static spine::TreeHasher hasher;
  Input input(data, size);
  uint8_t choice = input.take<uint8_t>();

  if (choice & 1) {
    // Whatever comes.
    uint64_t first = input.take<uint64_t>() >> (input.take<uint8_t>() & 63);
    uint64_t second = input.take<uint64_t>() >> (input.take<uint8_t>() & 63);
    Hash one = input.take<Hash>(), two = input.take<Hash>();
    Proof proof;
    for (size_t n = input.take<uint8_t>() % (Proof::max_hashes + 1); n > 0; n--) REQUIRE(proof.add(input.take<Hash>()));
    merkle::Hashes hashes = merkle::hashes_of(proof);
    ProofStatus status = spine::verify_inclusion(hasher, first, second, one, two, proof);
    bool possible = second <= spine::max_tree_size, same = first == second && hashes.empty() && one == two;
    REQUIRE((status == ProofStatus::ok) == (possible && merkle::includes(first, second, one, two, hashes)));
    status = spine::verify_consistency(hasher, first, second, one, two, proof);
    if (first > 0 && first < second)
      REQUIRE((status == ProofStatus::ok) == (possible && merkle::extends(first, second, one, two, hashes)));
    else
      REQUIRE((status == ProofStatus::ok) == (first > 0 && possible && same));
    return 0;
  }

  uint64_t tree = 1 + input.take<uint8_t>() % small_tree, part = input.take<uint8_t>() % tree;
  spine::LeafList source(reference().leaves().data(), reference().leaves().size());
  Hash root = reference().root(tree);
  Proof proof;
  if (choice & 2) {
    REQUIRE(spine::prove_inclusion(hasher, source, part, tree, &proof) == ProofStatus::ok);
    bool changed = change(input, &proof);
    const Hash &leaf = reference().leaves()[part];
    REQUIRE((spine::verify_inclusion(hasher, part, tree, leaf, root, proof) == ProofStatus::ok) == !changed);
  } else {
    part++;
    REQUIRE(spine::prove_consistency(hasher, source, part, tree, &proof) == ProofStatus::ok);
    bool changed = change(input, &proof);
    ProofStatus status = spine::verify_consistency(hasher, part, tree, reference().root(part), root, proof);
    REQUIRE((status == ProofStatus::ok) == !changed);
  }
  return 0;
}
