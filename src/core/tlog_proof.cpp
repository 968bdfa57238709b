#include "core/tlog_proof.h"

#include <new>

#include "core/base64.h"
#include "core/text_lines.h"

namespace spine {

namespace {

constexpr std::string_view title = "c2sp.org/tlog-proof@v1", extra_word = "extra ", index_word = "index ";

bool take_word(std::string_view *line, std::string_view word) {
  if (line->substr(0, word.size()) != word) return false;
  line->remove_prefix(word.size());
  return true;
}

}  // namespace

const char *parse_tlog_proof(std::string_view text, TlogProof *proof) noexcept {
  std::string_view line;
  if (!take_line(&text, &line) || line != title) return "the first line is not c2sp.org/tlog-proof@v1";
  proof->extra = {};
  proof->proof.count = 0;
  if (!take_line(&text, &line)) return "the proof has no line with an index";
  if (take_word(&line, extra_word)) {
    if (line.empty() || !is_base64(line)) return "the extra data are not base64";
    proof->extra = line;
    if (!take_line(&text, &line)) return "the proof has no line with an index";
  }
  if (!take_word(&line, index_word)) return "the proof has no line with an index";
  if (!parse_decimal(line, &proof->index)) return "the index is not a number from 0 to 9223372036854775807";
  for (;;) {
    if (!take_line(&text, &line)) return "the proof has no empty line before a checkpoint";
    if (line.empty()) break;
    Hash hash;
    if (!read_base64(line, &hash)) return "a hash is not 32 bytes in base64";
    if (!proof->proof.add(hash)) return "the proof has more hashes than any tree asks for";
  }
  if (text.empty()) return "the proof has no checkpoint";
  proof->checkpoint = text;
  return nullptr;
}

Status append_tlog_proof(const TlogProof &proof, Buffer *out) noexcept {
  if (!is_base64(proof.extra) || proof.index > INT64_MAX || proof.checkpoint.empty()) return Status::malformed;
  try {
    out->append(title);
    if (!proof.extra.empty()) {
      out->append('\n');
      out->append(extra_word);
      out->append(proof.extra);
    }
    out->append('\n');
    out->append(index_word);
    append_decimal(*out, proof.index);
    out->append('\n');
    for (size_t i = 0; i < proof.proof.count; i++) {
      const Hash &hash = proof.proof.hashes[i];
      append_base64(*out, {hash.data(), hash.size()});
      out->append('\n');
    }
    out->append('\n');
    out->append(proof.checkpoint);
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

}  // namespace spine
