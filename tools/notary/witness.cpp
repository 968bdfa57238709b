#include "notary/witness.h"

#include "core/checkpoint.h"
#include "core/sha256.h"
#include "core/text_lines.h"
#include "notary/encoding.h"
#include "notary/failure.h"

namespace spine {

namespace {

constexpr const char *identity_file = "witness";
constexpr size_t max_proof_lines = 63;

std::string name_of(std::string_view origin) {
  Sha256 sha256;
  Hash hash;
  if (sha256.digest(origin, &hash) != Status::ok) throw Failure(Exit::unavailable, "hashing failed");
  return hex_of(Bytes{hash.data(), hash.size()});
}

std::string text_of(const VerifierKey &key) {
  std::string text(verifier_key_size(key.name), '\0');
  write_verifier_key(text.data(), key);
  return text;
}

Answer refuse(int status, const std::string &why) { return {status, "text/plain; charset=utf-8", why + '\n'}; }

struct Request {
  uint64_t old_size = 0;
  Proof proof;
  std::string_view message;  // the signed checkpoint
};

// Null, or what is wrong.
const char *parse_request(std::string_view body, Request *request) {
  constexpr std::string_view old = "old ";
  std::string_view line;
  if (!take_line(&body, &line) || line.substr(0, old.size()) != old ||
      !parse_decimal(line.substr(old.size()), &request->old_size))
    return "the first line is not `old` and a size";
  for (;;) {
    if (!take_line(&body, &line)) return "there is no empty line before the checkpoint";
    if (line.empty()) break;
    Hash hash;
    if (!read_base64(line, &hash)) return "a line of the proof is not a hash in base64";
    if (request->proof.count == max_proof_lines) return "the proof has more than 63 lines";
    (void)request->proof.add(hash);
  }
  request->message = body;
  return nullptr;
}

bool extends(const Request &request, const Hash &old_root, const Checkpoint &checkpoint) {
  if (request.old_size == 0) return request.proof.count == 0;  // everything extends the empty tree
  TreeHasher hasher;
  return verify_consistency(hasher, request.old_size, checkpoint.size, old_root, checkpoint.root, request.proof) ==
         ProofStatus::ok;
}

std::vector<VerifierKey> keys_of(const std::vector<std::string> &texts) {
  std::vector<VerifierKey> keys(texts.size());
  for (size_t i = 0; i < texts.size(); i++) (void)parse_verifier_key(texts[i], &keys[i]);
  return keys;
}

bool is_signed(const Note &note, const std::vector<VerifierKey> &keys) {
  std::vector<SignedBy> by(keys.size());
  return verify_note(note, keys.data(), keys.size(), by.data()) == NoteVerdict::verified;
}

// The note with no other signatures than those of known keys.
std::string without_others(const Note &note, const std::vector<VerifierKey> &keys) {
  std::string out = std::string(note.text) + '\n';
  for (size_t i = 0; i < note.signature_count; i++) {
    const NoteSignature &line = note.signatures[i];
    for (const VerifierKey &key : keys)
      if (key.name == line.key_name && key.id == line.key_id)
        out += "\xe2\x80\x94 " + std::string(line.key_name) + ' ' + std::string(line.base64) + '\n';
  }
  return out;
}

}  // namespace

Witness::Witness(std::string directory, const Signer &signer, const std::vector<std::string> &logs, bool begin)
    : directory_(std::move(directory)), signer_(signer), lock_(lock_directory(directory_, begin)) {
  if (signer.key().type != SignatureType::cosignature)
    throw Failure(Exit::usage, "a witness needs a key for cosignatures", "spine-notary keygen --witness makes one");
  std::string own = text_of(signer.key()) + '\n';
  std::optional<std::string> there = read_file(directory_ + "/" + identity_file, 4096);
  if (!there && !begin)
    throw Failure(Exit::usage, directory_ + " has no witness's state",
                  "--begin makes it; where it was lost, begin with a new key, for this one's word was given");
  if (there && *there != own) throw Failure(Exit::usage, directory_ + " is the state of another witness or key");
  for (const std::string &text : logs) {
    VerifierKey key;
    const char *why = parse_verifier_key(text, &key);
    if (why == nullptr && key.type != SignatureType::ed25519) why = "it is a witness's key";
    if (why != nullptr) throw Failure(Exit::usage, "the log's key " + text + ": " + why);
    Log &log = logs_[name_of(key.name)];
    log.origin = key.name;
    log.key_texts.push_back(text);
  }
  for (auto &[name, log] : logs_) load(name, log);
  if (!there) write_file(directory_, identity_file, own);
}

void Witness::load(const std::string &name, Log &log) {
  std::string path = directory_ + "/" + name + ".checkpoint";
  std::optional<std::string> message = read_file(path, Note::max_size);
  if (!message) return;
  Note note;
  Checkpoint checkpoint;
  const char *why = parse_note(*message, &note);
  if (why == nullptr) why = parse_checkpoint(note.text, &checkpoint);
  if (why == nullptr && (checkpoint.origin != log.origin || !is_signed(note, {signer_.key()})))
    why = "this witness did not cosign it";
  if (why != nullptr) throw Failure(Exit::usage, path + " is damaged: " + why, "begin with a new key and state");
  log.size = checkpoint.size;
  log.root = checkpoint.root;
  log.note = *message;
}

Witness::Log *Witness::find(std::string_view origin) {
  for (auto &[name, log] : logs_)
    if (log.origin == origin) return &log;
  return nullptr;
}

Answer Witness::add_checkpoint(std::string_view body, uint64_t now) {
  Request request;
  Note note;
  Checkpoint checkpoint;
  const char *why = parse_request(body, &request);
  if (why == nullptr) why = parse_note(request.message, &note);
  if (why == nullptr) why = parse_checkpoint(note.text, &checkpoint);
  if (why != nullptr) return refuse(400, why);
  Log *log = find(checkpoint.origin);
  if (log == nullptr) return refuse(404, "the origin is not known here");
  std::vector<VerifierKey> keys = keys_of(log->key_texts);
  if (!is_signed(note, keys)) return refuse(403, "no known key of the origin signed the checkpoint");
  if (request.old_size > checkpoint.size) return refuse(400, "the old size is larger than the checkpoint's");
  if (request.old_size != log->size) return {409, "text/x.tlog.size", std::to_string(log->size) + '\n'};
  if (!checkpoint.root_fits_size()) return refuse(422, "a tree without leaves has another root");
  if (request.old_size == checkpoint.size && checkpoint.root != log->root)
    return {409, "text/x.tlog.size", std::to_string(log->size) + '\n'};
  if (!extends(request, log->root, checkpoint))
    return refuse(422, "the proof does not lead from the old checkpoint to the new one");
  std::string line = signer_.sign(note.text, now);
  std::string kept = without_others(note, keys) + line;
  write_file(directory_, name_of(log->origin) + ".checkpoint", kept);
  log->size = checkpoint.size;
  log->root = checkpoint.root;
  log->note = kept;
  return {200, "text/plain; charset=utf-8", line};
}

Answer Witness::checkpoint(std::string_view name) const {
  auto found = logs_.find(std::string(name));
  if (found == logs_.end() || found->second.note.empty()) return refuse(404, "there is no such checkpoint");
  return {200, "text/plain; charset=utf-8", found->second.note};
}

}  // namespace spine
