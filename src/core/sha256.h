// SHA-256 (FIPS 180-4) through OpenSSL's EVP, set up once and used for every message.
#pragma once

#include "core/bytes.h"

struct evp_md_st;
struct evp_md_ctx_st;

namespace spine {

class Sha256 {
 public:
  Sha256() = default;
  Sha256(const Sha256 &) = delete;
  Sha256 &operator=(const Sha256 &) = delete;
  ~Sha256();

  // Of the prefix, then the message. Fetches the digest on first use: fetching it for each message costs more than a short
  // message's hash.
  Status digest(std::string_view prefix, std::string_view message, Hash *hash) noexcept;
  Status digest(std::string_view message, Hash *hash) noexcept { return digest({}, message, hash); }

 private:
  evp_md_st *algorithm_ = nullptr;
  evp_md_ctx_st *context_ = nullptr;
};

}  // namespace spine
