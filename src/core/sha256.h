// SHA-256 (FIPS 180-4) through OpenSSL's EVP, set up once and used for every message.
#pragma once

#include "core/bytes.h"

struct evp_md_st;
struct evp_md_ctx_st;

namespace spine {

// A message that lies in memory as SHA-256 pads it, so that it is whole blocks; size: without the padding.
struct PaddedMessage {
  const uint8_t *at;
  size_t size;
  Hash *hash;  // where its SHA-256 goes
};
inline constexpr size_t sha256_block = 64;
constexpr size_t padding_of(size_t size) { return sha256_block - (size + 8) % sha256_block + 8; }
// Writes the padding of a message of this size behind it, returns the end.
char *write_padding(char *out, size_t size) noexcept;

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

  // Of many messages, two at a time where the processor can and its results are OpenSSL's, which is tried once.
  Status digest_all(const PaddedMessage *messages, int count) noexcept;
  // Tries that: messages of many lengths against OpenSSL. Fails only where OpenSSL does.
  Status try_two(bool *can) noexcept;

 private:
  evp_md_st *algorithm_ = nullptr;
  evp_md_ctx_st *context_ = nullptr;
};

}  // namespace spine
