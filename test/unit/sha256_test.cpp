#include "core/sha256.h"
#include "core/sha256_two.h"

#include <gtest/gtest.h>

#include <vector>

#include "support.h"

namespace {

std::string sha256(std::string_view message) {
  spine::Sha256 sha256;
  spine::Hash hash{};
  EXPECT_EQ(sha256.digest(message, &hash), spine::Status::ok);
  return hex_of(hash);
}

}  // namespace

// FIPS 180-4 and its published examples.
TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrs"
                   "tnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OneObjectDigestsManyMessages) {
  spine::Sha256 digester;
  spine::Hash first{}, again{};
  ASSERT_EQ(digester.digest("abc", &first), spine::Status::ok);
  ASSERT_EQ(digester.digest("something else", &again), spine::Status::ok);
  EXPECT_NE(first, again);
  ASSERT_EQ(digester.digest("abc", &again), spine::Status::ok);
  EXPECT_EQ(first, again);
}

TEST(Sha256, TakesBytesThatAreNoText) {
  using namespace std::string_view_literals;
  EXPECT_EQ(sha256("\0"sv), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

// Each length of a padding, and pairs of which either ends first.
TEST(Sha256, ManyMessagesAtOnceGiveWhatEachGives) {
  spine::Sha256 digester;
  std::vector<std::string> texts;
  for (size_t i = 0; i < 400; i++) {
    std::string text;
    for (size_t at = 0; at < i * 131 % 401; at++) text += static_cast<char>(at * at + 17 * i);
    texts.push_back(text);
  }
  for (int count : {0, 1, 2, 3, 400}) {
    std::vector<std::string> padded;
    std::vector<spine::Hash> hashes(static_cast<size_t>(count));
    std::vector<spine::PaddedMessage> messages;
    for (size_t i = 0; i < hashes.size(); i++) {
      std::string text = texts[i] + std::string(spine::padding_of(texts[i].size()), 'x');
      EXPECT_EQ(spine::write_padding(text.data() + texts[i].size(), texts[i].size()), text.data() + text.size());
      EXPECT_EQ(text.size() % 64, 0u);
      padded.push_back(text);
    }
    for (size_t i = 0; i < hashes.size(); i++)
      messages.push_back({reinterpret_cast<const uint8_t *>(padded[i].data()), texts[i].size(), &hashes[i]});
    ASSERT_EQ(digester.digest_all(messages.data(), count), spine::Status::ok);
    for (size_t i = 0; i < hashes.size(); i++) EXPECT_EQ(hex_of(hashes[i]), sha256(texts[i])) << texts[i].size();
  }
}

// What it gives otherwise is right too, but slow.
TEST(Sha256, TheProcessorsInstructionsAreUsedWhereItHasThem) {
  spine::Sha256 digester;
  bool can;
  EXPECT_EQ(digester.try_two(&can), spine::Status::ok);
  EXPECT_EQ(can, spine::has_sha256_two());
}
