#include "core/ed25519.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "support.h"

using spine::Ed25519PrivateKey;
using spine::Ed25519PublicKey;
using spine::Ed25519Signature;
using spine::Status;

namespace {

std::string bytes_of_hex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

bool valid(const Ed25519PublicKey &key, std::string_view message, const Ed25519Signature &signature) {
  bool valid = true;
  EXPECT_EQ(spine::verify_ed25519(key, message, signature, &valid), Status::ok);
  EXPECT_EQ(ERR_peek_error(), 0u);  // nothing is left behind for who looks there next
  return valid;
}

struct Example {
  const char *seed, *public_key, *message, *signature;
};
// RFC 8032, section 7.1, tests 1 to 3.
const Example examples[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"}};

}  // namespace

TEST(Ed25519, MatchesTheExamplesOfRfc8032) {
  for (const Example &example : examples) {
    Ed25519PrivateKey key;
    std::string seed = bytes_of_hex(example.seed), message = bytes_of_hex(example.message);
    std::memcpy(key.seed.data(), seed.data(), seed.size());
    Ed25519PublicKey public_key;
    ASSERT_EQ(key.public_key(&public_key), Status::ok);
    EXPECT_EQ(hex_of(public_key.data(), public_key.size()), example.public_key);
    Ed25519Signature signature;
    ASSERT_EQ(key.sign(message, &signature), Status::ok);
    EXPECT_EQ(hex_of(signature.data(), signature.size()), example.signature);
    EXPECT_TRUE(valid(public_key, message, signature));
  }
}

TEST(Ed25519, RefusesEveryOtherSignatureMessageAndKey) {
  Ed25519PrivateKey key, other;
  ASSERT_EQ(key.generate(), Status::ok);
  ASSERT_EQ(other.generate(), Status::ok);
  EXPECT_NE(key.seed, other.seed);
  Ed25519PublicKey public_key, other_key;
  ASSERT_EQ(key.public_key(&public_key), Status::ok);
  ASSERT_EQ(other.public_key(&other_key), Status::ok);
  Ed25519Signature signature;
  ASSERT_EQ(key.sign("a message", &signature), Status::ok);
  EXPECT_TRUE(valid(public_key, "a message", signature));
  EXPECT_FALSE(valid(public_key, "a message ", signature));
  EXPECT_FALSE(valid(public_key, "", signature));
  EXPECT_FALSE(valid(other_key, "a message", signature));
  for (size_t i = 0; i < signature.size(); i++) {
    Ed25519Signature changed = signature;
    changed[i] ^= 1;
    EXPECT_FALSE(valid(public_key, "a message", changed)) << i;
  }
  // The same scalar with the group's order added, which RFC 8032 forbids.
  Ed25519Signature again = signature;
  std::string order = bytes_of_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  int carry = 0;
  for (size_t i = 0; i < 32; i++) {
    carry += again[32 + i] + static_cast<uint8_t>(order[i]);
    again[32 + i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(valid(public_key, "a message", again));
  Ed25519PublicKey no_point;
  no_point.fill(0xff);
  EXPECT_FALSE(valid(no_point, "a message", signature));
}
