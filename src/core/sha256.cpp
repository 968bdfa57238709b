#include "core/sha256.h"

#include <openssl/evp.h>

#include <algorithm>

#include "core/sha256_two.h"

namespace spine {

namespace {

// A message that is under way.
struct Stream {
  Sha256State state;
  const uint8_t *at;
  size_t blocks;  // that are left
  Hash *hash;

  void begin(const PaddedMessage &message) {
    // FIPS 180-4, 5.3.3.
    state = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
    at = message.at;
    blocks = (message.size + padding_of(message.size)) / sha256_block;
    hash = message.hash;
  }
  void advance(size_t count) {
    at += count * sha256_block;
    blocks -= count;
    if (blocks > 0) return;
    for (size_t i = 0; i < 8; i++)
      for (size_t j = 0; j < 4; j++) (*hash)[4 * i + j] = static_cast<uint8_t>(state.word[i] >> (24 - 8 * j));
  }
};

void digest_two_at_a_time(const PaddedMessage *next, int count) {
  const PaddedMessage *end = next + count;
  Stream a{}, b{};
  for (;;) {
    if (a.blocks == 0 && next < end) a.begin(*next++);
    if (b.blocks == 0 && next < end) b.begin(*next++);
    if (a.blocks == 0 || b.blocks == 0) break;
    size_t both = std::min(a.blocks, b.blocks);
    sha256_two(&a.state, a.at, &b.state, b.at, both);
    a.advance(both);
    b.advance(both);
  }
  Stream &last = a.blocks > 0 ? a : b;
  if (last.blocks == 0) return;
  sha256_one(&last.state, last.at, last.blocks);
  last.advance(last.blocks);
}

}  // namespace

char *write_padding(char *out, size_t size) noexcept {
  size_t zeros = padding_of(size) - 9;
  *out++ = static_cast<char>(0x80);
  std::memset(out, 0, zeros);
  out += zeros;
  for (int shift = 56; shift >= 0; shift -= 8) *out++ = static_cast<char>(static_cast<uint64_t>(size) * 8 >> shift);
  return out;
}

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

// Messages of one and of more blocks, whose paddings begin and end blocks, in pairs of unlike lengths.
Status Sha256::try_two(bool *can) noexcept {
  *can = false;
  if (!has_sha256_two()) return Status::ok;
  constexpr size_t sizes[] = {0, 183, 1, 55, 56, 64, 120, 63, 119};
  constexpr int count = sizeof sizes / sizeof *sizes;
  constexpr size_t room = 256;
  char text[count][room];
  Hash found[count], expected;
  PaddedMessage messages[count];
  for (int i = 0; i < count; i++) {
    for (size_t at = 0; at < sizes[i]; at++) text[i][at] = static_cast<char>(at * at * 7 + static_cast<size_t>(i) * 31);
    (void)write_padding(text[i] + sizes[i], sizes[i]);
    messages[i] = {reinterpret_cast<const uint8_t *>(text[i]), sizes[i], &found[i]};
  }
  digest_two_at_a_time(messages, count);
  for (int i = 0; i < count; i++) {
    Status status = digest({text[i], sizes[i]}, &expected);
    if (status != Status::ok) return status;
    if (expected != found[i]) return Status::ok;
  }
  *can = true;
  return Status::ok;
}

Status Sha256::digest_all(const PaddedMessage *messages, int count) noexcept {
  static bool was_tried, two;
  if (!was_tried) {
    Status status = try_two(&two);
    if (status != Status::ok) return status;
    was_tried = true;
  }
  if (two) {
    digest_two_at_a_time(messages, count);
    return Status::ok;
  }
  for (int i = 0; i < count; i++) {
    Status status = digest({reinterpret_cast<const char *>(messages[i].at), messages[i].size}, messages[i].hash);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace spine
