// A key behind an ssh-agent's socket (draft-ietf-sshm-ssh-agent): a file, a token or hardware, the client cannot tell.
#pragma once

#include <string>
#include <string_view>

#include "core/ed25519.h"

namespace spine {

class SshAgent {
 public:
  explicit SshAgent(std::string socket_path) : path_(std::move(socket_path)) {}

  // Has the agent sign with that Ed25519 key. Failure (unavailable): no agent answers, it does not have the key, it
  // refuses, or what it gave is not that key's signature over the message.
  Ed25519Signature sign(const Ed25519PublicKey &key, std::string_view message) const;

  // Whether the agent has that key.
  bool has(const Ed25519PublicKey &key) const;

 private:
  std::string path_;
};

// The Ed25519 key of a line of OpenSSH's public key files. False: there is none.
bool read_ssh_public_key(std::string_view line, Ed25519PublicKey *key);

}  // namespace spine
