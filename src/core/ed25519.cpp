#include "core/ed25519.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

namespace spine {

namespace {

struct Free {
  void operator()(EVP_PKEY *key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

// Takes OpenSSL's notes of what failed here back out of the thread's queue: whoever looks there next means his own.
class QuietErrors {
 public:
  QuietErrors() { ERR_set_mark(); }
  QuietErrors(const QuietErrors &) = delete;
  QuietErrors &operator=(const QuietErrors &) = delete;
  ~QuietErrors() { ERR_pop_to_mark(); }
};

Key private_key(const std::array<uint8_t, 32> &seed) {
  return Key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
}

const uint8_t *bytes_of(std::string_view message) { return reinterpret_cast<const uint8_t *>(message.data()); }

}  // namespace

Ed25519PrivateKey::~Ed25519PrivateKey() { OPENSSL_cleanse(seed.data(), seed.size()); }

Status Ed25519PrivateKey::generate() noexcept {
  QuietErrors quiet;
  return RAND_priv_bytes(seed.data(), static_cast<int>(seed.size())) == 1 ? Status::ok : Status::crypto_failed;
}

Status Ed25519PrivateKey::public_key(Ed25519PublicKey *key) const noexcept {
  QuietErrors quiet;
  Key own = private_key(seed);
  size_t size = key->size();
  bool done = own != nullptr && EVP_PKEY_get_raw_public_key(own.get(), key->data(), &size) == 1 &&
              size == key->size();
  return done ? Status::ok : Status::crypto_failed;
}

Status Ed25519PrivateKey::sign(std::string_view message, Ed25519Signature *signature) const noexcept {
  QuietErrors quiet;
  Key own = private_key(seed);
  Context context(EVP_MD_CTX_new());
  size_t size = signature->size();
  bool done = own != nullptr && context != nullptr &&
              EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, own.get()) == 1 &&
              EVP_DigestSign(context.get(), signature->data(), &size, bytes_of(message), message.size()) == 1 &&
              size == signature->size();
  return done ? Status::ok : Status::crypto_failed;
}

Status verify_ed25519(const Ed25519PublicKey &key, std::string_view message, const Ed25519Signature &signature,
                      bool *valid) noexcept {
  QuietErrors quiet;
  *valid = false;
  Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  Context context(EVP_MD_CTX_new());
  if (theirs == nullptr || context == nullptr ||
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, theirs.get()) != 1)
    return Status::crypto_failed;
  *valid = EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes_of(message),
                            message.size()) == 1;
  return Status::ok;
}

}  // namespace spine
