#include "core/base64.h"

#include <gtest/gtest.h>

#include "support.h"

namespace {

std::string encoded(const std::string &bytes) {
  std::string out(spine::base64_size(bytes.size()), '\0');
  EXPECT_EQ(spine::write_base64(out.data(), Copy(bytes).bytes()), out.data() + out.size());
  return out;
}

// What text stands for; "none" where it is not base64.
std::string decoded(const std::string &text) {
  std::string out(spine::base64_bytes(text), '\0');
  bool read = spine::read_base64(text, reinterpret_cast<uint8_t *>(out.data()));
  EXPECT_EQ(spine::is_base64(text), read) << text;
  return read ? out : "none";
}

}  // namespace

TEST(Base64, MatchesTheExamplesOfRfc4648) {
  for (auto [bytes, text] :
       {std::pair("", ""), std::pair("f", "Zg=="), std::pair("fo", "Zm8="), std::pair("foo", "Zm9v"),
        std::pair("foob", "Zm9vYg=="), std::pair("fooba", "Zm9vYmE="), std::pair("foobar", "Zm9vYmFy")}) {
    EXPECT_EQ(encoded(bytes), text);
    EXPECT_EQ(decoded(text), bytes);
  }
}

TEST(Base64, ReadsBackWhateverItWrote) {
  std::string bytes;
  for (int i = 0; i < 600; i++) {
    EXPECT_EQ(decoded(encoded(bytes)), bytes) << i;
    bytes += static_cast<char>(i * 37 + i / 256);
  }
}

// Every text of four characters from the alphabet's edges: it is either what its bytes are written as, or refused.
TEST(Base64, BytesHaveOneText) {
  const std::string some("AZaz09+/=BQgw-_ \n\0\xff", 19);
  for (char a : some) {
    for (char b : some) {
      for (char c : some) {
        for (char d : some) {
          std::string text{a, b, c, d}, bytes = decoded(text);
          EXPECT_TRUE(bytes == "none" || encoded(bytes) == text) << text;
        }
      }
    }
  }
}

TEST(Base64, RefusesEveryOther) {
  for (const char *text : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "=", "==", "===", "====", "A===", "Zm9v=",
                           "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Zm9vYg==\n", "Z=9v", "Zm=v"})
    EXPECT_EQ(decoded(text), "none") << text;
}

TEST(Base64, AHashIs32Bytes) {
  spine::Hash hash{};
  std::string text = encoded(std::string(32, 'x'));
  EXPECT_TRUE(spine::read_base64(text, &hash));
  EXPECT_EQ(hash[31], 'x');
  for (size_t size : {0, 30, 31, 33, 34})
    EXPECT_FALSE(spine::read_base64(encoded(std::string(size, 'y')), &hash)) << size;
  EXPECT_EQ(hash[31], 'x');
  text[42] = 'B';  // bits that nothing uses
  EXPECT_FALSE(spine::read_base64(text, &hash));
}
