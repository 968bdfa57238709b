#include "core/uuid.h"

#include <gtest/gtest.h>

#include "support.h"

using spine::make_uuid_v5;
using spine::make_uuid_v7;
using spine::parse_uuid;
using spine::Status;
using spine::Uuid;
using spine::write_uuid;

namespace {

std::string text_of(const Uuid &uuid) {
  std::string out(36, '\0');
  char *end = write_uuid(out.data(), uuid);
  EXPECT_EQ(end, out.data() + 36);
  return out;
}

std::string v5(const char *space, std::string_view name) {
  Uuid uuid{};
  EXPECT_EQ(make_uuid_v5(uuid_of(space), name, &uuid), Status::ok);
  return text_of(uuid);
}

constexpr const char *dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
constexpr const char *url = "6ba7b811-9dad-11d1-80b4-00c04fd430c8";
const std::string canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

}  // namespace

TEST(Uuid, ReadsEveryFormThatPostgresReads) {
  for (const char *text :
       {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}"}) {
    Uuid uuid{};
    ASSERT_TRUE(parse_uuid(text, &uuid)) << text;
    EXPECT_EQ(text_of(uuid), canonical) << text;
  }
}

TEST(Uuid, RefusesEveryOther) {
  for (const char *text :
       {"", "{}", "{", "}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11", "-a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        "a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99_9c0b-4ef8-bb6d-6bb9bd380a11"}) {
    Uuid uuid{};
    EXPECT_FALSE(parse_uuid(text, &uuid)) << text;
  }
}

TEST(Uuid, RefusesEveryTruncationAndEveryForeignByte) {
  Uuid uuid{};
  for (size_t n = 0; n < canonical.size(); n++) EXPECT_FALSE(parse_uuid(canonical.substr(0, n), &uuid)) << n;
  for (size_t i = 0; i < canonical.size(); i++) {
    std::string text = canonical;
    text[i] = '\x80';
    EXPECT_FALSE(parse_uuid(text, &uuid)) << i;
    text[i] = '\0';
    EXPECT_FALSE(parse_uuid(text, &uuid)) << i;
  }
}

TEST(Uuid, NilIsZero) { EXPECT_EQ(text_of(spine::nil_uuid), "00000000-0000-0000-0000-000000000000"); }

TEST(UuidV7, MatchesTheExampleOfRfc9562) {
  // Appendix A.6: 2022-02-22 14:22:22.000 -05:00, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
  const uint8_t random[8] = {0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
  Uuid uuid = make_uuid_v7(0x017f22e279b0ull * 1000, random);
  EXPECT_EQ(text_of(uuid), "017f22e2-79b0-7000-98c4-dc0c0c07398f");
  // 797 us are 0xcc0 of 4096: the nearest fraction to the example's that a microsecond can say.
  uuid = make_uuid_v7(0x017f22e279b0ull * 1000 + 797, random);
  EXPECT_EQ(text_of(uuid), "017f22e2-79b0-7cc0-98c4-dc0c0c07398f");
}

TEST(UuidV7, MarksVersionAndVariantWhateverTheRandomBits) {
  uint8_t ones[8], zeros[8] = {};
  std::memset(ones, 0xff, sizeof ones);
  EXPECT_EQ(text_of(make_uuid_v7(0, zeros)), "00000000-0000-7000-8000-000000000000");
  EXPECT_EQ(text_of(make_uuid_v7(0, ones)), "00000000-0000-7000-bfff-ffffffffffff");
  EXPECT_EQ(text_of(make_uuid_v7(0xffffffffffffull * 1000 + 999, ones)), "ffffffff-ffff-7ffb-bfff-ffffffffffff");
}

TEST(UuidV7, SortsByEveryMicrosecond) {
  uint8_t low[8] = {}, high[8];
  std::memset(high, 0xff, sizeof high);
  uint64_t start = 1768815000000000 - 500;
  for (uint64_t us = start; us < start + 5000; us++)
    ASSERT_LT(make_uuid_v7(us, high), make_uuid_v7(us + 1, low)) << us;
}

TEST(UuidV5, MatchesKnownOnes) {
  EXPECT_EQ(v5(dns, "www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");  // RFC 9562 appendix A.4
  EXPECT_EQ(v5(dns, "python.org"), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
  EXPECT_EQ(v5(url, "http://python.org/"), "4c565f0d-3f5a-5890-b41b-20cf47701c5e");
}

TEST(UuidV5, TakesEmptyAndBinaryNames) {
  using namespace std::string_view_literals;
  EXPECT_EQ(v5(dns, ""), "4ebd0208-8328-5d69-8c44-ec50939c0967");
  EXPECT_NE(v5(dns, "a"sv), v5(dns, "a\0"sv));
}
