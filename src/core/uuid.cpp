#include "core/uuid.h"

#include <openssl/evp.h>

#include <cstring>

namespace spine {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void mark(Uuid *uuid, uint8_t version) {
  (*uuid)[6] = static_cast<uint8_t>(((*uuid)[6] & 0x0f) | (version << 4));
  (*uuid)[8] = static_cast<uint8_t>(((*uuid)[8] & 0x3f) | 0x80);
}

}  // namespace

Uuid uuid_before(Uuid uuid) noexcept {
  for (size_t i = uuid.size(); i-- > 0;)
    if (uuid[i]-- != 0) break;
  return uuid;
}

Uuid uuid_after(Uuid uuid) noexcept {
  for (size_t i = uuid.size(); i-- > 0;)
    if (++uuid[i] != 0) break;
  return uuid;
}

bool parse_uuid(std::string_view text, Uuid *uuid) noexcept {
  if (text.size() >= 2 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
  size_t at = 0;
  for (size_t i = 0; i < 16; i++) {
    if (text.size() - at < 2) return false;
    int high = hex_value(text[at]);
    int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return false;
    (*uuid)[i] = static_cast<uint8_t>(high << 4 | low);
    at += 2;
    if (i % 2 == 1 && i < 15 && at < text.size() && text[at] == '-') at++;
  }
  return at == text.size();
}

char *write_uuid(char *out, const Uuid &uuid) noexcept {
  char digits[32];
  write_hex8(digits, uuid.data());
  write_hex8(digits + 16, uuid.data() + 8);
  std::memcpy(out, digits, 8);
  out[8] = '-';
  std::memcpy(out + 9, digits + 8, 4);
  out[13] = '-';
  std::memcpy(out + 14, digits + 12, 4);
  out[18] = '-';
  std::memcpy(out + 19, digits + 16, 4);
  out[23] = '-';
  std::memcpy(out + 24, digits + 20, 12);
  return out + 36;
}

Uuid make_uuid_v7(uint64_t unix_microseconds, const uint8_t random[8]) noexcept {
  Uuid uuid;
  uint64_t milliseconds = unix_microseconds / 1000;
  uint64_t fraction = unix_microseconds % 1000 * 4096 / 1000;
  for (size_t i = 0; i < 6; i++) uuid[i] = static_cast<uint8_t>(milliseconds >> (8 * (5 - i)));
  uuid[6] = static_cast<uint8_t>(fraction >> 8);
  uuid[7] = static_cast<uint8_t>(fraction);
  std::memcpy(&uuid[8], random, 8);
  mark(&uuid, 7);
  return uuid;
}

Status make_uuid_v5(const Uuid &namespace_, std::string_view name, Uuid *uuid) noexcept {
  uint8_t digest[EVP_MAX_MD_SIZE];
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (context == nullptr) return Status::out_of_memory;
  bool done = EVP_DigestInit_ex(context, EVP_sha1(), nullptr) == 1 &&
              EVP_DigestUpdate(context, namespace_.data(), namespace_.size()) == 1 &&
              EVP_DigestUpdate(context, name.data(), name.size()) == 1 &&
              EVP_DigestFinal_ex(context, digest, nullptr) == 1;
  EVP_MD_CTX_free(context);
  if (!done) return Status::crypto_failed;
  std::memcpy(uuid->data(), digest, uuid->size());
  mark(uuid, 5);
  return Status::ok;
}

}  // namespace spine
