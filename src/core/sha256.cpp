#include "core/sha256.h"

#include <openssl/evp.h>

namespace spine {

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

Status Sha256::digest(std::string_view prefix, std::string_view message, Hash *hash) noexcept {
  if (algorithm_ == nullptr) algorithm_ = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (algorithm_ == nullptr) return Status::crypto_failed;
  if (context_ == nullptr) context_ = EVP_MD_CTX_new();
  if (context_ == nullptr) return Status::out_of_memory;
  bool done = EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1 &&
              (prefix.empty() || EVP_DigestUpdate(context_, prefix.data(), prefix.size()) == 1) &&
              EVP_DigestUpdate(context_, message.data(), message.size()) == 1 &&
              EVP_DigestFinal_ex(context_, hash->data(), nullptr) == 1;
  return done ? Status::ok : Status::crypto_failed;
}

}  // namespace spine
