// Signed notes (c2sp.org/signed-note): a text, an empty line, and lines that each hold a signature over the text.
//
//   — <key name> <base64 of: key id, 4 bytes, then the signature>
//
// Nothing that a note says may be used before verify_note found it signed by a key that is trusted.
#pragma once

#include "core/buffer.h"
#include "core/bytes.h"
#include "core/ed25519.h"

namespace spine {

enum class SignatureType : uint8_t {
  ed25519 = 0x01,      // over the text
  cosignature = 0x04,  // over a time and the text, a checkpoint's: cosignature/v1 of c2sp.org/tlog-cosignature
};

struct NoteSignature {
  std::string_view key_name;
  uint32_t key_id;
  std::string_view base64;  // of key id and signature
};

// All of it views into the message that it was read from.
struct Note {
  static constexpr size_t max_size = 1 << 20;  // bytes
  static constexpr size_t max_signatures = 100;

  std::string_view text;  // with its last newline
  size_t signature_count = 0;
  std::array<NoteSignature, max_signatures> signatures;
};

// Who may have signed. The name is a view into what the key was read or made from.
struct VerifierKey {
  std::string_view name;
  uint32_t id = 0;
  SignatureType type = SignatureType::ed25519;
  Ed25519PublicKey public_key{};
};

struct SignerKey {
  VerifierKey verifier;
  Ed25519PrivateKey private_key;
};

// True for UTF-8 that is not empty, ends with a newline and holds no control character below U+0020 but newlines.
bool is_note_text(std::string_view text) noexcept;

// True for UTF-8 that is not empty and holds no control character, no Unicode space and no plus.
bool is_key_name(std::string_view name) noexcept;

// Reads a note, of any signers. Null, or what is wrong with it.
const char *parse_note(std::string_view message, Note *note) noexcept;

// The id of a key of that name and type: the first 4 bytes of SHA-256(name || newline || type || public key).
// malformed: no key may have that name.
Status make_verifier_key(std::string_view name, SignatureType type, const Ed25519PublicKey &public_key,
                         VerifierKey *key) noexcept;

// Fills in key->verifier for key->private_key.
Status make_signer_key(std::string_view name, SignatureType type, SignerKey *key) noexcept;

// The text of a public key, <name>+<id in hex>+<base64 of type and public key>, and that of a private one, which
// Go's x/mod/sumdb/note made common: PRIVATE+KEY+<name>+<id in hex>+<base64 of type and seed>. The readers say
// null, or what is wrong; no reason repeats any of the text. The writers write so many characters and return the
// end.
constexpr size_t verifier_key_size(std::string_view name) { return name.size() + 54; }
constexpr size_t signer_key_size(std::string_view name) { return name.size() + 66; }
const char *parse_verifier_key(std::string_view text, VerifierKey *key) noexcept;
const char *parse_signer_key(std::string_view text, SignerKey *key) noexcept;
char *write_verifier_key(char *out, const VerifierKey &key) noexcept;
char *write_signer_key(char *out, const SignerKey &key) noexcept;

// Notes are written in parts. First the text and the empty line (malformed: no note may have that text); then a
// line for each signature. ok, malformed, out_of_memory or crypto_failed; out may then hold the beginning of a
// line.
Status append_note_text(std::string_view text, Buffer *out) noexcept;

// Signs the text and appends the line. time: seconds since 1970, of a cosignature alone; malformed above 2^63 - 1.
Status append_signature(const SignerKey &key, uint64_t time, std::string_view text, Buffer *out) noexcept;

// The same where the private key is somebody else's to use: what he signs, and the line made of his signature.
Status append_signed_message(SignatureType type, uint64_t time, std::string_view text, Buffer *out) noexcept;
Status append_signature_line(const VerifierKey &key, uint64_t time, const Ed25519Signature &signature,
                             Buffer *out) noexcept;

enum class NoteVerdict : uint8_t {
  verified,         // by one known key at least
  unknown_signers,  // no signature is of a known key
  bad_signature,    // one that names a known key is not that key's over this text
  ambiguous_key,    // one that names two known keys at once
  failed,           // no memory, or OpenSSL did not do its part
};
inline constexpr const char *note_verdict_names[] = {"verified", "unknown_signers", "bad_signature", "ambiguous_key",
                                                     "failed"};

// What a known key has to do with a note. A key counts once, however often it signed.
struct SignedBy {
  bool verified = false;
  uint64_t time = 0;  // the latest of its cosignatures, seconds since 1970; 0 for other types
};

// Verifies every signature of a known key and ignores all others. by: one for each key, all false unless the note
// is verified.
NoteVerdict verify_note(const Note &note, const VerifierKey *keys, size_t key_count, SignedBy *by) noexcept;

}  // namespace spine
