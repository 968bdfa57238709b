// Any text as a signed note, as a key's text and as base64: what is read is written back alike.
#include "../unit/note_examples.h"
#include "core/base64.h"
#include "core/signed_note.h"
#include "fuzz.h"

using spine::Buffer;
using spine::Note;
using spine::NoteVerdict;
using spine::SignedBy;
using spine::Status;
using spine::VerifierKey;

namespace {

void read_base64(std::string_view text) {
  std::string bytes(spine::base64_bytes(text), '\0');
  bool read = spine::read_base64(text, reinterpret_cast<uint8_t *>(bytes.data()));
  REQUIRE(spine::is_base64(text) == read);
  if (!read) return;
  Buffer again;
  spine::append_base64(again, {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()});
  REQUIRE(again.view() == text);
}

void read_keys(std::string_view text) {
  VerifierKey key;
  if (spine::parse_verifier_key(text, &key) == nullptr) {
    REQUIRE(spine::is_key_name(key.name));
    std::string again(spine::verifier_key_size(key.name), '\0');
    REQUIRE(spine::write_verifier_key(again.data(), key) == again.data() + again.size());
    REQUIRE(again == text);
  }
  spine::SignerKey signer;
  if (spine::parse_signer_key(text, &signer) == nullptr) {
    std::string again(spine::signer_key_size(signer.verifier.name), '\0');
    REQUIRE(spine::write_signer_key(again.data(), signer) == again.data() + again.size());
    REQUIRE(again == text);
  }
}

void read_note(std::string_view message) {
  static const std::vector<VerifierKey> keys = [] {
    std::vector<VerifierKey> known(3);
    REQUIRE(spine::parse_verifier_key(example::log_key, &known[0]) == nullptr);
    REQUIRE(spine::parse_verifier_key(example::witness_key, &known[1]) == nullptr);
    REQUIRE(spine::parse_verifier_key(example::other_witness_key, &known[2]) == nullptr);
    return known;
  }();
  Note note;
  if (spine::parse_note(message, &note) != nullptr) return;
  REQUIRE(spine::is_note_text(note.text));
  REQUIRE(note.signature_count > 0 && note.signature_count <= Note::max_signatures);
  Buffer again;
  REQUIRE(spine::append_note_text(note.text, &again) == Status::ok);
  for (size_t i = 0; i < note.signature_count; i++) {
    const spine::NoteSignature &signature = note.signatures[i];
    REQUIRE(spine::is_key_name(signature.key_name));
    REQUIRE(spine::is_base64(signature.base64));
    again.append("\xe2\x80\x94 ");
    again.append(signature.key_name);
    again.append(' ');
    again.append(signature.base64);
    again.append('\n');
  }
  REQUIRE(again.view() == message);

  SignedBy by[3];
  NoteVerdict verdict = spine::verify_note(note, keys.data(), keys.size(), by);
  bool anyone = by[0].verified || by[1].verified || by[2].verified;
  REQUIRE((verdict == NoteVerdict::verified) == anyone);
  REQUIRE(verdict != NoteVerdict::failed && verdict != NoteVerdict::ambiguous_key);
  // These keys signed one text, and nobody who fuzzes has them.
  if (anyone) REQUIRE(note.text == example::text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text = Input(data, size).rest();
  read_base64(text);
  read_keys(text);
  read_note(text);
  return 0;
}
