// Any text as a tlog proof: what is read is written back alike.
#include "core/tlog_proof.h"
#include "fuzz.h"

using spine::Buffer;
using spine::Status;
using spine::TlogProof;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text = Input(data, size).rest();
  TlogProof proof;
  if (spine::parse_tlog_proof(text, &proof) != nullptr) return 0;
  REQUIRE(proof.proof.count <= spine::Proof::max_hashes && proof.index <= spine::max_tree_size);
  Buffer again;
  REQUIRE(spine::append_tlog_proof(proof, &again) == Status::ok);
  REQUIRE(again.view() == text);
  return 0;
}
