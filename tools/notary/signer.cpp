#include "notary/signer.h"

#include <openssl/crypto.h>

#include "notary/failure.h"
#include "notary/files.h"

namespace spine {

namespace {

std::string text_of(const VerifierKey &key) {
  std::string text(verifier_key_size(key.name), '\0');
  write_verifier_key(text.data(), key);
  return text;
}

void require(Status status, const char *doing) {
  if (status == Status::malformed)
    throw Failure(Exit::usage, "a key's name is UTF-8 without spaces, plus signs and control characters");
  if (status != Status::ok) throw Failure(Exit::unavailable, std::string(doing) + " failed");
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::unique_ptr<Signer> Signer::from_file(const std::string &path) {
  std::unique_ptr<Signer> signer(new Signer);
  std::string text = read_secret(path);
  SignerKey read;
  const char *why = parse_signer_key(first_line(text), &read);
  if (why != nullptr) {
    OPENSSL_cleanse(text.data(), text.size());
    throw Failure(Exit::usage, path + ": " + why, "spine-notary keygen makes such a file");
  }
  signer->name_ = read.verifier.name;
  signer->key_ = read.verifier;
  signer->key_.name = signer->name_;
  signer->private_key_ = std::make_unique<Ed25519PrivateKey>();
  signer->private_key_->seed = read.private_key.seed;
  OPENSSL_cleanse(text.data(), text.size());
  return signer;
}

std::unique_ptr<Signer> Signer::from_agent(const std::string &socket_path, const std::string &public_key) {
  std::unique_ptr<Signer> signer(new Signer);
  signer->name_ = public_key;
  const char *why = parse_verifier_key(signer->name_, &signer->key_);
  if (why != nullptr)
    throw Failure(Exit::usage, "--public-key: " + std::string(why), "spine-notary vkey gives that of an ssh key");
  signer->name_ = std::string(signer->key_.name);
  signer->key_.name = signer->name_;
  signer->agent_ = std::make_unique<SshAgent>(socket_path);
  return signer;
}

std::string Signer::sign(std::string_view text, uint64_t time) const {
  Buffer message, line;
  Ed25519Signature signature;
  require(append_signed_message(key_.type, time, text, &message), "making what is signed");
  if (agent_ != nullptr)
    signature = agent_->sign(key_.public_key, message.view());
  else
    require(private_key_->sign(message.view(), &signature), "signing");
  require(append_signature_line(key_, time, signature, &line), "writing a signature");
  return std::string(line.view());
}

std::string make_key_file(const std::string &path, const std::string &name, SignatureType type) {
  SignerKey key;
  require(key.private_key.generate(), "making random bytes");
  require(make_signer_key(name, type, &key), "making a key");
  std::string secret(signer_key_size(name), '\0');
  write_signer_key(secret.data(), key);
  secret += '\n';
  write_new_secret(path, secret);
  OPENSSL_cleanse(secret.data(), secret.size());
  return text_of(key.verifier);
}

std::string public_key_of_ssh(const std::string &path, const std::string &name, SignatureType type) {
  std::optional<std::string> text = read_file(path, 64 * 1024);
  Ed25519PublicKey public_key;
  if (!text || !read_ssh_public_key(first_line(*text), &public_key))
    throw Failure(Exit::usage, path + " holds no Ed25519 public key of OpenSSH",
                  "ssh-keygen -t ed25519 makes one, ssh-add -L shows the agent's");
  VerifierKey key;
  require(make_verifier_key(name, type, public_key, &key), "making a key");
  return text_of(key);
}

}  // namespace spine
