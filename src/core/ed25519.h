// Ed25519 (RFC 8032) through OpenSSL's EVP.
#pragma once

#include <array>

#include "core/bytes.h"

namespace spine {

using Ed25519PublicKey = std::array<uint8_t, 32>;
using Ed25519Signature = std::array<uint8_t, 64>;

// A private key, which RFC 8032 makes of 32 random bytes. They are wiped when it goes.
class Ed25519PrivateKey {
 public:
  Ed25519PrivateKey() = default;
  Ed25519PrivateKey(const Ed25519PrivateKey &) = delete;
  Ed25519PrivateKey &operator=(const Ed25519PrivateKey &) = delete;
  ~Ed25519PrivateKey();

  std::array<uint8_t, 32> seed{};

  // crypto_failed or ok, all of them.
  Status generate() noexcept;
  Status public_key(Ed25519PublicKey *key) const noexcept;
  Status sign(std::string_view message, Ed25519Signature *signature) const noexcept;
};

// crypto_failed or ok; *valid says whether the signature is the key's over that message.
Status verify_ed25519(const Ed25519PublicKey &key, std::string_view message, const Ed25519Signature &signature,
                      bool *valid) noexcept;

}  // namespace spine
