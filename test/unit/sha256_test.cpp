#include "core/sha256.h"

#include <gtest/gtest.h>

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
