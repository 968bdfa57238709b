#include "core/signed_note.h"

#include <openssl/crypto.h>

#include <charconv>
#include <new>

#include "core/base64.h"
#include "core/sha256.h"
#include "core/text_lines.h"
#include "core/utf8.h"

namespace spine {

namespace {

constexpr std::string_view dash = "\xe2\x80\x94 ";  // U+2014 and a space
constexpr std::string_view private_prefix = "PRIVATE+KEY+";
constexpr size_t key_bytes = 1 + 32;  // type, then public key or seed
constexpr size_t id_bytes = 4, time_bytes = 8;
constexpr size_t most_signature_bytes = id_bytes + time_bytes + sizeof(Ed25519Signature);

size_t time_bytes_of(SignatureType type) { return type == SignatureType::cosignature ? time_bytes : 0; }

bool is_utf8_without_controls(std::string_view text) {
  uint32_t point;
  while (!text.empty())
    if (!take_character(&text, &point) || (point < ' ' && point != '\n')) return false;
  return true;
}

// Unicode's property White_Space.
bool is_space(uint32_t point) {
  return (point >= 0x09 && point <= 0x0d) || point == 0x20 || point == 0x85 || point == 0xa0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 || point == 0x202f ||
         point == 0x205f || point == 0x3000;
}

// Numbers of so many bytes, the highest first.
uint64_t read_number(const uint8_t *in, size_t bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; i++) number = number << 8 | in[i];
  return number;
}

uint8_t *write_number(uint8_t *out, uint64_t number, size_t bytes) {
  for (size_t i = bytes; i > 0; i--, number >>= 8) out[i - 1] = static_cast<uint8_t>(number);
  return out + bytes;
}

uint32_t read_id(const uint8_t *in) { return static_cast<uint32_t>(read_number(in, id_bytes)); }

char *write_text(char *out, std::string_view text) {
  for (char c : text) *out++ = c;
  return out;
}

const char *parse_signature_line(std::string_view line, NoteSignature *signature) {
  if (line.substr(0, dash.size()) != dash) return "a signature line does not begin with an em dash and a space";
  line.remove_prefix(dash.size());
  size_t space = line.find(' ');
  if (space == std::string_view::npos) return "a signature line has no signature";
  signature->key_name = line.substr(0, space);
  signature->base64 = line.substr(space + 1);
  if (!is_key_name(signature->key_name)) return "the key name of a signature line is none";
  if (!is_base64(signature->base64)) return "a signature is not base64";
  if (base64_bytes(signature->base64) <= id_bytes) return "a signature is too short";
  uint8_t beginning[6];
  (void)read_base64(signature->base64.substr(0, 8), beginning);
  signature->key_id = read_id(beginning);
  return nullptr;
}

// Reads <name>+<id>+<base64>. bytes: the type, then 32 of the key.
const char *parse_key(std::string_view text, VerifierKey *key, uint8_t *bytes) {
  size_t first = text.find('+');
  if (first == std::string_view::npos) return "a key has three parts, joined by plus signs";
  size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return "a key has three parts, joined by plus signs";
  std::string_view name = text.substr(0, first), id = text.substr(first + 1, second - first - 1);
  std::string_view base64 = text.substr(second + 1);
  if (!is_key_name(name)) return "the key's name is empty, not UTF-8, or holds a space or a control character";
  if (id.size() != 2 * id_bytes || id.find_first_not_of(hex_digits) != std::string_view::npos)
    return "the key's id is not 8 lower-case hex digits";
  if (base64.empty() || !is_base64(base64)) return "the key's last part is not base64";
  uint8_t beginning[3];
  (void)read_base64(base64.substr(0, 4), beginning);
  if (beginning[0] != static_cast<uint8_t>(SignatureType::ed25519) &&
      beginning[0] != static_cast<uint8_t>(SignatureType::cosignature))
    return "the key's type is neither Ed25519 nor Ed25519 cosignature";
  if (base64_bytes(base64) != key_bytes) return "the key is not 32 bytes long";
  (void)read_base64(base64, bytes);
  key->name = name;
  key->type = static_cast<SignatureType>(bytes[0]);
  std::from_chars(id.data(), id.data() + id.size(), key->id, 16);
  return nullptr;
}

char *write_key(char *out, const VerifierKey &key, const uint8_t *last_part) {
  uint8_t id[id_bytes], bytes[key_bytes];
  write_number(id, key.id, id_bytes);
  bytes[0] = static_cast<uint8_t>(key.type);
  std::memcpy(bytes + 1, last_part, key_bytes - 1);
  out = write_text(out, key.name);
  *out++ = '+';
  out = write_hex(out, {id, sizeof id});
  *out++ = '+';
  out = write_base64(out, {bytes, sizeof bytes});
  OPENSSL_cleanse(bytes, sizeof bytes);
  return out;
}

// Reads the time and the signature of a line that names a key of that type.
bool read_signature(const NoteSignature &line, SignatureType type, uint64_t *time, Ed25519Signature *signature) {
  uint8_t bytes[most_signature_bytes];
  if (base64_bytes(line.base64) != id_bytes + time_bytes_of(type) + signature->size()) return false;
  if (!read_base64(line.base64, bytes)) return false;
  *time = read_number(bytes + id_bytes, time_bytes_of(type));
  std::memcpy(signature->data(), bytes + id_bytes + time_bytes_of(type), signature->size());
  return *time <= INT64_MAX;
}

NoteVerdict verify_signature(std::string_view text, const NoteSignature &line, const VerifierKey &key,
                             uint64_t *time) {
  Ed25519Signature signature;
  if (!read_signature(line, key.type, time, &signature)) return NoteVerdict::bad_signature;
  Buffer message;
  bool valid;
  if (append_signed_message(key.type, *time, text, &message) != Status::ok ||
      verify_ed25519(key.public_key, message.view(), signature, &valid) != Status::ok)
    return NoteVerdict::failed;
  return valid ? NoteVerdict::verified : NoteVerdict::bad_signature;
}

bool same_key(const VerifierKey &a, const VerifierKey &b) { return a.type == b.type && a.public_key == b.public_key; }

// Verifies one line. unknown_signers: it is of no known key.
NoteVerdict verify_line(std::string_view text, const NoteSignature &line, const VerifierKey *keys, size_t key_count,
                        SignedBy *by) {
  const VerifierKey *known = nullptr;
  for (size_t k = 0; k < key_count; k++) {
    if (keys[k].id != line.key_id || keys[k].name != line.key_name) continue;
    if (known == nullptr) known = &keys[k];
    if (!same_key(*known, keys[k])) return NoteVerdict::ambiguous_key;
  }
  if (known == nullptr) return NoteVerdict::unknown_signers;
  uint64_t time;
  NoteVerdict verdict = verify_signature(text, line, *known, &time);
  if (verdict != NoteVerdict::verified) return verdict;
  SignedBy &entry = by[known - keys];
  entry.verified = true;
  if (time > entry.time) entry.time = time;
  return NoteVerdict::verified;
}

}  // namespace

bool is_note_text(std::string_view text) noexcept {
  return !text.empty() && text.back() == '\n' && is_utf8_without_controls(text);
}

bool is_key_name(std::string_view name) noexcept {
  if (name.empty()) return false;
  uint32_t point;
  while (!name.empty())
    if (!take_character(&name, &point) || point < ' ' || point == '+' || is_space(point)) return false;
  return true;
}

const char *parse_note(std::string_view message, Note *note) noexcept {
  note->signature_count = 0;
  if (message.size() > Note::max_size) return "the note is longer than 1 MiB";
  if (!is_utf8_without_controls(message)) return "the note is not UTF-8, or holds a control character";
  size_t end = message.rfind("\n\n");
  if (end == std::string_view::npos) return "the note has no empty line before signatures";
  note->text = message.substr(0, end + 1);
  std::string_view rest = message.substr(end + 2), line;
  if (rest.empty()) return "the note has no signature";
  while (!rest.empty()) {
    if (!take_line(&rest, &line)) return "the note does not end with a newline";
    if (note->signature_count == Note::max_signatures) return "the note has more than 100 signatures";
    const char *why = parse_signature_line(line, &note->signatures[note->signature_count]);
    if (why != nullptr) return why;
    note->signature_count++;
  }
  return nullptr;
}

Status make_verifier_key(std::string_view name, SignatureType type, const Ed25519PublicKey &public_key,
                         VerifierKey *key) noexcept {
  if (!is_key_name(name)) return Status::malformed;
  Hash hash;
  try {
    Buffer named;
    named.append(name);
    named.append('\n');
    named.append(static_cast<char>(type));
    named.append({reinterpret_cast<const char *>(public_key.data()), public_key.size()});
    Sha256 sha256;
    Status status = sha256.digest(named.view(), &hash);
    if (status != Status::ok) return status;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  *key = {name, read_id(hash.data()), type, public_key};
  return Status::ok;
}

Status make_signer_key(std::string_view name, SignatureType type, SignerKey *key) noexcept {
  Ed25519PublicKey public_key;
  Status status = key->private_key.public_key(&public_key);
  return status == Status::ok ? make_verifier_key(name, type, public_key, &key->verifier) : status;
}

const char *parse_verifier_key(std::string_view text, VerifierKey *key) noexcept {
  VerifierKey written;
  uint8_t bytes[key_bytes];
  const char *why = parse_key(text, &written, bytes);
  if (why != nullptr) return why;
  std::memcpy(written.public_key.data(), bytes + 1, written.public_key.size());
  if (make_verifier_key(written.name, written.type, written.public_key, key) != Status::ok)
    return "the key's id cannot be computed";
  return key->id == written.id ? nullptr : "the key's id is not that of its name and key";
}

const char *parse_signer_key(std::string_view text, SignerKey *key) noexcept {
  if (text.substr(0, private_prefix.size()) != private_prefix) return "a private key begins with PRIVATE+KEY+";
  VerifierKey written;
  uint8_t bytes[key_bytes];
  const char *why = parse_key(text.substr(private_prefix.size()), &written, bytes);
  if (why != nullptr) return why;
  std::memcpy(key->private_key.seed.data(), bytes + 1, key->private_key.seed.size());
  OPENSSL_cleanse(bytes, sizeof bytes);
  if (make_signer_key(written.name, written.type, key) != Status::ok) return "the key's id cannot be computed";
  return key->verifier.id == written.id ? nullptr : "the key's id is not that of its name and key";
}

char *write_verifier_key(char *out, const VerifierKey &key) noexcept {
  return write_key(out, key, key.public_key.data());
}

char *write_signer_key(char *out, const SignerKey &key) noexcept {
  return write_key(write_text(out, private_prefix), key.verifier, key.private_key.seed.data());
}

Status append_note_text(std::string_view text, Buffer *out) noexcept {
  if (!is_note_text(text)) return Status::malformed;
  try {
    out->append(text);
    out->append('\n');
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status append_signature(const SignerKey &key, uint64_t time, std::string_view text, Buffer *out) noexcept {
  Buffer message;
  Ed25519Signature signature;
  Status status = append_signed_message(key.verifier.type, time, text, &message);
  if (status == Status::ok) status = key.private_key.sign(message.view(), &signature);
  return status == Status::ok ? append_signature_line(key.verifier, time, signature, out) : status;
}

Status append_signed_message(SignatureType type, uint64_t time, std::string_view text, Buffer *out) noexcept {
  if (!is_note_text(text)) return Status::malformed;
  if (type == SignatureType::cosignature && time > INT64_MAX) return Status::malformed;
  try {
    if (type == SignatureType::cosignature) {
      out->append("cosignature/v1\ntime ");
      append_decimal(*out, time);
      out->append('\n');
    }
    out->append(text);
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status append_signature_line(const VerifierKey &key, uint64_t time, const Ed25519Signature &signature,
                             Buffer *out) noexcept {
  if (!is_key_name(key.name)) return Status::malformed;
  if (key.type == SignatureType::cosignature && time > INT64_MAX) return Status::malformed;
  uint8_t bytes[most_signature_bytes];
  uint8_t *end = write_number(bytes, key.id, id_bytes);
  end = write_number(end, time, time_bytes_of(key.type));
  std::memcpy(end, signature.data(), signature.size());
  end += signature.size();
  try {
    out->append(dash);
    out->append(key.name);
    out->append(' ');
    append_base64(*out, {bytes, static_cast<size_t>(end - bytes)});
    out->append('\n');
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

NoteVerdict verify_note(const Note &note, const VerifierKey *keys, size_t key_count, SignedBy *by) noexcept {
  for (size_t k = 0; k < key_count; k++) by[k] = SignedBy();
  NoteVerdict all = NoteVerdict::unknown_signers;
  for (size_t i = 0; i < note.signature_count; i++) {
    NoteVerdict one = verify_line(note.text, note.signatures[i], keys, key_count, by);
    if (one == NoteVerdict::unknown_signers) continue;
    all = one;
    if (one != NoteVerdict::verified) break;
  }
  if (all != NoteVerdict::verified)
    for (size_t k = 0; k < key_count; k++) by[k] = SignedBy();
  return all;
}

}  // namespace spine
