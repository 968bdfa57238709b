// Who signs: a key in a file, or one behind an ssh-agent's socket.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/signed_note.h"
#include "notary/ssh_agent.h"

namespace spine {

class Signer {
 public:
  // A key in the text that write_signer_key writes. Failure: others may read the file, or it holds no such key.
  static std::unique_ptr<Signer> from_file(const std::string &path);

  // The private key of a public key in the text of signed notes. Failure: the text is none.
  static std::unique_ptr<Signer> from_agent(const std::string &socket_path, const std::string &public_key);

  const VerifierKey &key() const { return key_; }

  // A note's signature line over text. time, in seconds since 1970, is a cosignature's.
  std::string sign(std::string_view text, uint64_t time = 0) const;

 private:
  Signer() = default;

  std::string name_;  // of key_
  VerifierKey key_;
  std::unique_ptr<Ed25519PrivateKey> private_key_;  // null: the agent has it
  std::unique_ptr<SshAgent> agent_;
};

// Makes a key, writes it to a new file that its owner alone may read, and gives its public key in the text of signed
// notes.
std::string make_key_file(const std::string &path, const std::string &name, SignatureType type);

// The public key of an OpenSSH public key file in the text of signed notes.
std::string public_key_of_ssh(const std::string &path, const std::string &name, SignatureType type);

}  // namespace spine
