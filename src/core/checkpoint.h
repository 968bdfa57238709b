// Checkpoints of transparency logs (c2sp.org/tlog-checkpoint): the text of a signed note that says which root a
// log's tree has.
//
//   <origin>
//   <leaves, decimal>
//   <root, base64>
//   <any number of extension lines>
#pragma once

#include "core/merkle.h"
#include "core/signed_note.h"

namespace spine {

struct Checkpoint {
  std::string_view origin;  // names the log
  uint64_t size = 0;
  Hash root{};
  std::string_view extensions;  // lines that are not empty, each with its newline; mostly none

  // False: a tree without leaves has another root.
  bool root_fits_size() const { return size > 0 || root == empty_tree_root; }
};

// Reads the text of a note, without signatures. Null, or what is wrong. The views are into text.
const char *parse_checkpoint(std::string_view text, Checkpoint *checkpoint) noexcept;

// Appends what parse_checkpoint reads. ok, out_of_memory, or malformed: no checkpoint may say that; out
// may then hold a part.
Status append_checkpoint(const Checkpoint &checkpoint, Buffer *out) noexcept;

// Reads a signed checkpoint and verifies it. Null where a key that bears the origin's name, of type ed25519, is
// among the known ones and signed it, no signature of a known key is bad, and a tree without leaves has its root.
// Else what is wrong. Which witnesses signed too is in by, one for each key, and is the caller's to judge. The
// views are into message.
const char *open_checkpoint(std::string_view message, const VerifierKey *keys, size_t key_count, SignedBy *by,
                            Checkpoint *checkpoint) noexcept;

}  // namespace spine
