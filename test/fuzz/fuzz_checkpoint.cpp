// Any text as a checkpoint, bare and signed: what is read is written back alike, and none opens that the log did not
// sign.
#include "../unit/note_examples.h"
#include "core/checkpoint.h"
#include "fuzz.h"

using spine::Buffer;
using spine::Checkpoint;
using spine::Status;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text = Input(data, size).rest();
  Checkpoint checkpoint;
  if (spine::parse_checkpoint(text, &checkpoint) == nullptr) {
    REQUIRE(!checkpoint.origin.empty() && checkpoint.size <= spine::max_tree_size);
    Buffer again;
    REQUIRE(spine::append_checkpoint(checkpoint, &again) == Status::ok);
    REQUIRE(again.view() == text);
  }

  // What a caller holds may be anything as well.
  Input parts(data, size);
  Checkpoint made;
  made.size = parts.take<uint64_t>();
  made.root = parts.take<spine::Hash>();
  made.origin = parts.text(parts.take<uint8_t>());
  made.extensions = parts.rest();
  Buffer out;
  if (spine::append_checkpoint(made, &out) == Status::ok) {
    REQUIRE(spine::parse_checkpoint(out.view(), &checkpoint) == nullptr);
    REQUIRE(checkpoint.origin == made.origin && checkpoint.size == made.size && checkpoint.root == made.root);
    REQUIRE(checkpoint.extensions == made.extensions);
  }

  spine::VerifierKey keys[2];
  REQUIRE(spine::parse_verifier_key(example::log_key, &keys[0]) == nullptr);
  REQUIRE(spine::parse_verifier_key(example::witness_key, &keys[1]) == nullptr);
  spine::SignedBy by[2];
  if (spine::open_checkpoint(text, keys, 2, by, &checkpoint) == nullptr) {
    REQUIRE(by[0].verified);
    REQUIRE(text.substr(0, example::text.size()) == example::text);
  } else {
    REQUIRE(!by[0].verified && !by[1].verified);
  }
  return 0;
}
