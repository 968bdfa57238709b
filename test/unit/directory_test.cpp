#include "core/directory.h"

#include <gtest/gtest.h>

#include "support.h"

using spine::Buffer;
using spine::ChainLeaf;
using spine::DirectoryEntry;
using spine::Status;

namespace {

const std::string root = "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3g=\n";
const std::string empty_root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
const std::string organization = "aaaaaaaa-0000-4000-8000-00000000000b\n";
const std::string title = "people_os_spine directory v1\n";
const std::string taken = "2026-01-19T09:30:00.000000Z\n";
const std::string database = "7431234567890123456 1 00000000-0000-4000-8000-0000000000ff\n";

bool is_leaf(const std::string &text) {
  ChainLeaf leaf;
  return spine::parse_chain_leaf(text, &leaf) == nullptr;
}

bool is_entry(const std::string &text) {
  DirectoryEntry entry;
  return spine::parse_directory_entry(text, &entry) == nullptr;
}

std::string written(const ChainLeaf &leaf) {
  Buffer out;
  return spine::append_chain_leaf(leaf, &out) == Status::ok ? std::string(out.view()) : "malformed";
}

std::string written(const DirectoryEntry &entry) {
  Buffer out;
  return spine::append_directory_entry(entry, &out) == Status::ok ? std::string(out.view()) : "malformed";
}

}  // namespace

TEST(ChainLeaf, IsReadAndWrittenBack) {
  const std::string text = organization + "1000\n" + root + empty_root;
  ChainLeaf leaf;
  ASSERT_EQ(spine::parse_chain_leaf(text, &leaf), nullptr);
  EXPECT_EQ(leaf.organization, uuid_of("aaaaaaaa-0000-4000-8000-00000000000b"));
  EXPECT_EQ(leaf.size, 1000u);
  EXPECT_EQ(hex_of(leaf.root), "164f6cb91f74f9ef0eb0f08f9c375984cf92be3e268e6c074d5c38cf0c176378");
  EXPECT_EQ(hex_of(leaf.head_hash), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(written(leaf), text);
}

TEST(ChainLeaf, RefusesEveryOther) {
  const std::string good = organization + "1000\n" + root + root;
  for (size_t n = 0; n < good.size(); n++) EXPECT_FALSE(is_leaf(good.substr(0, n))) << n;
  EXPECT_FALSE(is_leaf(good + "\n"));
  EXPECT_FALSE(is_leaf(good + "x\n"));
  for (const char *other : {"AAAAAAAA-0000-4000-8000-00000000000b\n", "{aaaaaaaa-0000-4000-8000-00000000000b}\n",
                            "aaaaaaaa00004000800000000000000b\n", "\n", "aaaaaaaa-0000-4000-8000-00000000000b \n"})
    EXPECT_FALSE(is_leaf(other + good.substr(organization.size()))) << other;
  for (const char *size : {"0", "", "01", "-1", "9223372036854775808", " 1", "ten"})
    EXPECT_FALSE(is_leaf(organization + size + "\n" + root + root)) << size;
  for (const char *hash : {"\n", "Fk9suR90\n", "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3h=\n"}) {
    EXPECT_FALSE(is_leaf(organization + "1\n" + hash + root)) << hash;
    EXPECT_FALSE(is_leaf(organization + "1\n" + root + hash)) << hash;
  }
  ChainLeaf none;
  EXPECT_EQ(written(none), "malformed");
  none.size = uint64_t{1} << 63;
  EXPECT_EQ(written(none), "malformed");
}

TEST(DirectoryEntry, IsReadAndWrittenBack) {
  for (const std::string &text : {title + "1\n0\n" + empty_root + taken + "0 0 00000000-0000-0000-0000-000000000000\n",
                                  title + "9223372036854775807\n12\n" + root + "2024-02-29T23:59:59.999999Z\n" + "18446744073709551615 4294967295 ffffffff-ffff-ffff-ffff-ffffffffffff\n"}) {
    DirectoryEntry entry;
    ASSERT_EQ(spine::parse_directory_entry(text, &entry), nullptr) << text;
    EXPECT_EQ(written(entry), text);
  }
  const std::string text = title + "7\n12\n" + root + taken + database;
  DirectoryEntry entry;
  ASSERT_EQ(spine::parse_directory_entry(text, &entry), nullptr);
  EXPECT_EQ(entry.number, 7u);
  EXPECT_EQ(entry.chains, 12u);
  EXPECT_EQ(entry.taken_at, "2026-01-19T09:30:00.000000Z");
  EXPECT_EQ(entry.system_identifier, 7431234567890123456u);
  EXPECT_EQ(entry.timeline, 1u);
  EXPECT_EQ(entry.incarnation, uuid_of("00000000-0000-4000-8000-0000000000ff"));
}

TEST(DirectoryEntry, RefusesEveryOther) {
  const std::string good = title + "7\n12\n" + root + taken + database;
  ASSERT_TRUE(is_entry(good));
  for (size_t n = 0; n < good.size(); n++) EXPECT_FALSE(is_entry(good.substr(0, n))) << n;
  EXPECT_FALSE(is_entry(good + "\n"));
  EXPECT_FALSE(is_entry("people_os_spine directory v2\n7\n12\n" + root + taken + database));
  EXPECT_FALSE(is_entry(title + "0\n12\n" + root + taken + database));
  EXPECT_FALSE(is_entry(title + "7\n-1\n" + root + taken + database));
  EXPECT_FALSE(is_entry(title + "7\n0\n" + root + taken + database)) << "no chains have one root";
  for (const char *time : {"0000-01-01T00:00:00.000000Z", "2026-02-29T00:00:00.000000Z", "1900-02-29T00:00:00.000000Z",
                           "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z", "2026-01-00T00:00:00.000000Z",
                           "2026-04-31T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z",
                           "2026-01-01T00:00:60.000000Z", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00.000000Z",
                           "2026-01-01T00:00:00.000000z", "2026-01-01T00:00:00.00000aZ", ""})
    EXPECT_FALSE(is_entry(title + "7\n12\n" + root + time + "\n" + database)) << time;
  for (const char *other : {"1 1", "01 1 00000000-0000-4000-8000-0000000000ff", "1 4294967296 00000000-0000-4000-8000-0000000000ff",
                            "18446744073709551616 1 00000000-0000-4000-8000-0000000000ff", "1 1 00000000-0000-4000-8000-0000000000FF",
                            "1  1 00000000-0000-4000-8000-0000000000ff", "1 1 00000000-0000-4000-8000-0000000000ff ", ""})
    EXPECT_FALSE(is_entry(title + "7\n12\n" + root + taken + other + "\n")) << other;
  DirectoryEntry entry;
  ASSERT_EQ(spine::parse_directory_entry(good, &entry), nullptr);
  entry.taken_at = "yesterday";
  EXPECT_EQ(written(entry), "malformed");
}
