// Proofs that an entry is in a log (c2sp.org/tlog-proof@v1), to be checked without the log:
//
//   c2sp.org/tlog-proof@v1
//   extra <base64>             (or no such line)
//   index <decimal, from 0>
//   <a hash of the inclusion proof, base64>   (any number of lines)
//
//   <the signed checkpoint>
#pragma once

#include "core/merkle.h"

namespace spine {

struct TlogProof {
  std::string_view extra;  // base64, empty where there is none; nothing vouches for it
  uint64_t index = 0;
  Proof proof;
  std::string_view checkpoint;  // a signed note, not read yet: see open_checkpoint
};

// Null, or what is wrong. The views are into text. Whether the proof holds is verify_inclusion's to say.
const char *parse_tlog_proof(std::string_view text, TlogProof *proof) noexcept;

// Appends what parse_tlog_proof reads. ok, out_of_memory, or malformed: extra is not base64, the index is
// above 2^63 - 1 or there is no checkpoint.
Status append_tlog_proof(const TlogProof &proof, Buffer *out) noexcept;

}  // namespace spine
