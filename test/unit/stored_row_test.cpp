#include "core/stored_row.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "row_shape.h"
#include "support.h"

using spine::Bytes;
using spine::Column;
using spine::Event;
using spine::RowRest;
using spine::RowShape;

namespace {

template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char *>(&value), sizeof value);
}

enum class Header { one_byte, four_bytes };

std::string varlena(const std::string &content, Header header = Header::one_byte) {
  if (header == Header::one_byte) return static_cast<char>((content.size() + 1) << 1 | 1) + content;
  return raw(static_cast<uint32_t>((content.size() + 4) << 2)) + content;
}

const std::string compressed = raw(uint32_t{12 << 2 | 2}) + raw(uint32_t{99}) + "abcd";
const std::string out_of_line = std::string("\x01\x12", 2) + std::string(16, 'p');

// A row as the server stores it: one value for each attribute, nothing for null. Varlenas with a header of one byte,
// pointers to out-of-line values too, are not aligned.
std::string row(const RowShape &shape, const std::vector<std::optional<std::string>> &values) {
  std::string header(23, '\0'), data;
  bool has_null = false;
  std::string nulls((values.size() + 7) / 8, '\0');
  for (size_t i = 0; i < values.size(); i++) {
    const spine::StoredAttribute &attribute = shape.attributes[i];
    if (!values[i]) {
      has_null = true;
      continue;
    }
    nulls[i / 8] = static_cast<char>(nulls[i / 8] | 1 << (i % 8));
    if (attribute.length != -1 || !((*values[i])[0] & 1))
      while (data.size() % attribute.align != 0) data += '\0';
    data += *values[i];
  }
  header[18] = static_cast<char>(values.size());
  header[20] = has_null ? 1 : 0;
  if (has_null) header += nulls;
  while (header.size() % 8 != 0) header += '\0';
  header[22] = static_cast<char>(header.size());
  return header + data;
}

std::vector<std::optional<std::string>> sample(Header header = Header::one_byte) {
  auto uuid = [](char c) { return std::string(16, c); };
  return {uuid('i'), varlena("hcm.employee.created", header), varlena("hcm", header), varlena("employee", header), uuid('e'),
          varlena("created", header), uuid('a'), raw(uint32_t{101}), uuid('o'), raw(uint32_t{102}), raw(int64_t{7}), raw(uint32_t{103}),
          varlena("\x01{payload}", header), raw(int64_t{1815}), raw(uint64_t{771}), varlena("payroll", header),
          varlena(std::string(32, 'p'), header), varlena(std::string(32, 'h'), header), varlena(std::string(16, 's'), header),
          varlena(std::string(32, 'q'), header), varlena("\x01{personal}", header), varlena(std::string(16, 't'), header),
          varlena(std::string(32, 'r'), header), raw(int64_t{5}), uuid('c'), uuid('d')};
}

// What sample() holds, in the places of crowded_shape.
std::vector<std::optional<std::string>> crowded_sample(Header header = Header::one_byte) {
  auto values = sample(header);
  std::vector<std::optional<std::string>> out;
  for (int i = 0; i < crowded_shape.count; i++) {
    const spine::StoredAttribute &attribute = crowded_attributes[i];
    if (attribute.column >= 0)
      out.push_back(values[static_cast<size_t>(attribute.column)]);
    else
      out.push_back(attribute.length == -1 ? varlena("theirs", header) : std::string(static_cast<size_t>(attribute.length), 't'));
  }
  return out;
}

// Reads from a copy that ends where the row ends; the views hold until the next.
class StoredRow : public testing::Test {
 protected:
  const char *read(const RowShape &shape, const std::string &bytes, uint32_t wanted = spine::all_columns, size_t skew = 0) {
    copy_.emplace(bytes, skew);
    return spine::read_row(shape, copy_->bytes(), wanted, &event_, &rest_);
  }
  void expect_sample() {
    EXPECT_EQ(event_.present, spine::all_columns & ~spine::enum_columns);
    EXPECT_EQ(rest_.labels, spine::enum_columns);
    EXPECT_EQ(rest_.elsewhere, 0u);
    EXPECT_EQ(event_.id[15], 'i');
    EXPECT_EQ(event_.entity_id[0], 'e');
    EXPECT_EQ(event_.actor_id[0], 'a');
    EXPECT_EQ(event_.organization_id[0], 'o');
    EXPECT_EQ(event_.event_type, "hcm.employee.created");
    EXPECT_EQ(event_.domain, "hcm");
    EXPECT_EQ(event_.entity_type, "employee");
    EXPECT_EQ(event_.action, "created");
    EXPECT_EQ(event_.recorded_by, "payroll");
    EXPECT_EQ(event_.timestamp, 946684800000007);
    EXPECT_EQ(event_.sequence, 1815);
    EXPECT_EQ(event_.transaction_id, 771u);
    EXPECT_EQ(text(event_.payload), "\x01{payload}");
    EXPECT_EQ(text(event_.previous_hash), std::string(32, 'p'));
    EXPECT_EQ(text(event_.event_hash), std::string(32, 'h'));
    EXPECT_EQ(text(event_.payload_salt), std::string(16, 's'));
    EXPECT_EQ(text(event_.payload_hash), std::string(32, 'q'));
    EXPECT_EQ(text(event_.personal), "\x01{personal}");
    EXPECT_EQ(text(event_.personal_salt), std::string(16, 't'));
    EXPECT_EQ(text(event_.personal_hash), std::string(32, 'r'));
    EXPECT_EQ(event_.occurred_at, 946684800000005);
    EXPECT_EQ(event_.correlation_id[15], 'c');
    EXPECT_EQ(event_.causation_id[0], 'd');
    EXPECT_EQ(rest_.enum_value[static_cast<int>(Column::actor_type)], 101u);
    EXPECT_EQ(rest_.enum_value[static_cast<int>(Column::environment)], 102u);
    EXPECT_EQ(rest_.enum_value[static_cast<int>(Column::severity)], 103u);
  }
  static std::string text(Bytes bytes) { return std::string(reinterpret_cast<const char *>(bytes.data), bytes.size); }

  Event event_;
  RowRest rest_;
  std::optional<Copy> copy_;
};

}  // namespace

TEST_F(StoredRow, EveryColumnWithEitherHeaderAtAnyAddress) {
  for (Header header : {Header::one_byte, Header::four_bytes})
    for (size_t skew = 0; skew < 8; skew++) {
      EXPECT_EQ(read(events_shape, row(events_shape, sample(header)), spine::all_columns, skew), nullptr);
      expect_sample();
    }
}

TEST_F(StoredRow, ColumnsOfOthersAreSkipped) {
  for (Header header : {Header::one_byte, Header::four_bytes}) {
    EXPECT_EQ(read(crowded_shape, row(crowded_shape, crowded_sample(header))), nullptr);
    expect_sample();
  }
}

// A column that was added after the row was stored is not in it.
TEST_F(StoredRow, AShortRowLacksItsLastColumns) {
  auto values = sample();
  values.pop_back();
  EXPECT_EQ(read(events_shape, row(events_shape, values)), nullptr);
  EXPECT_FALSE(event_.has(Column::causation_id));
  EXPECT_TRUE(event_.has(Column::correlation_id));
}

TEST_F(StoredRow, NullsAreAbsent) {
  for (int c = 0; c < spine::column_count; c++) {
    auto values = sample();
    values[static_cast<size_t>(c)].reset();
    EXPECT_EQ(read(events_shape, row(events_shape, values)), nullptr);
    EXPECT_EQ(event_.present | rest_.labels, spine::all_columns & ~(uint32_t{1} << c));
    EXPECT_EQ(event_.has(Column::event_hash) ? text(event_.event_hash) : std::string(32, 'h'), std::string(32, 'h'));
  }
}

TEST_F(StoredRow, OnlyWhatIsWanted) {
  for (int c = 0; c < spine::column_count; c++) {
    uint32_t wanted = uint32_t{1} << c;
    EXPECT_EQ(read(events_shape, row(events_shape, sample()), wanted), nullptr);
    EXPECT_EQ(event_.present | rest_.labels, wanted);
  }
  // Damage behind it is nobody's concern.
  std::string bytes = row(events_shape, sample());
  EXPECT_EQ(read(events_shape, bytes.substr(0, 40), spine::bit(Column::id)), nullptr);
  EXPECT_EQ(event_.id[15], 'i');
}

TEST_F(StoredRow, WhatLiesElsewhereIsLeftToTheCaller) {
  for (const std::string &stored : {compressed, out_of_line}) {
    auto values = sample();
    values[static_cast<size_t>(Column::payload)] = stored;
    EXPECT_EQ(read(events_shape, row(events_shape, values)), nullptr);
    EXPECT_EQ(rest_.elsewhere, spine::bit(Column::payload));
    EXPECT_FALSE(event_.has(Column::payload));
    EXPECT_EQ(text({rest_.value[static_cast<int>(Column::payload)], stored.size()}), stored);
    EXPECT_EQ(text(event_.event_hash), std::string(32, 'h'));
  }
}

TEST_F(StoredRow, RefusesADamagedHeader) {
  std::string good = row(events_shape, sample());
  auto damaged = [&](size_t at, int value) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(value);
    return bytes;
  };
  EXPECT_STREQ(read(events_shape, damaged(18, spine::column_count + 1)), "its header is damaged");  // more attributes than there are
  EXPECT_STREQ(read(events_shape, damaged(19, 7)), "its header is damaged");
  EXPECT_STREQ(read(events_shape, damaged(20, 1)), "its header is damaged");   // nulls that its length leaves no room for
  EXPECT_STREQ(read(events_shape, damaged(22, 23)), "its header is damaged");
  EXPECT_STREQ(read(events_shape, damaged(22, 32)), "its header is damaged");
  EXPECT_EQ(read(events_shape, damaged(19, 8)), nullptr);  // flags beside the count
  for (size_t size = 0; size < 24; size++) EXPECT_STREQ(read(events_shape, good.substr(0, size)), "its header is damaged");
}

TEST_F(StoredRow, RefusesDamagedVarlenas) {
  auto with_payload = [&](const std::string &stored) {
    auto values = sample();
    values[static_cast<size_t>(Column::payload)] = stored;
    return read(events_shape, row(events_shape, values));
  };
  constexpr const char *why = "a column runs past the end of the row";
  EXPECT_STREQ(with_payload("\xff"), why);                            // longer than what is left
  EXPECT_STREQ(with_payload(raw(uint32_t{3 << 2})), why);             // shorter than its header
  EXPECT_STREQ(with_payload(raw(uint32_t{7 << 2 | 2}) + "abc"), why); // compressed, but no room for how
  EXPECT_STREQ(with_payload(raw(uint32_t{0xfffffffc})), why);
  EXPECT_STREQ(with_payload(std::string("\x01\x01", 2) + std::string(16, 'p')), why);  // a pointer into memory
  EXPECT_STREQ(with_payload(std::string("\x01\x02", 2) + std::string(16, 'p')), why);
  EXPECT_EQ(with_payload("\x03"), nullptr);  // empty
  EXPECT_EQ(event_.payload.size, 0u);
}

// A four-byte header begins at a multiple of four, and what is skipped to get there is zeros.
TEST_F(StoredRow, RefusesAVarlenaOffItsAlignment) {
  std::string bytes = row(events_shape, sample(Header::four_bytes));
  size_t domain = 24 + 16 + 4 + 20;
  EXPECT_EQ(read(events_shape, bytes), nullptr);
  bytes[24 + 16] = static_cast<char>(bytes[24 + 16] - 4);  // event_type one byte shorter: domain at an odd place
  bytes.erase(domain - 1, 1);
  EXPECT_STREQ(read(events_shape, bytes), "a column runs past the end of the row");
}

TEST_F(StoredRow, EveryTruncationIsRefused) {
  for (Header header : {Header::one_byte, Header::four_bytes}) {
    std::string bytes = row(events_shape, sample(header));
    for (size_t size = 0; size < bytes.size(); size++) EXPECT_NE(read(events_shape, bytes.substr(0, size)), nullptr) << size;
  }
}

TEST_F(StoredRow, EveryFlippedBitIsSurvived) {
  for (Header header : {Header::one_byte, Header::four_bytes})
    for (const RowShape *shape : {&events_shape, &crowded_shape}) {
      std::string good = shape == &events_shape ? row(*shape, sample(header)) : row(*shape, crowded_sample(header));
      for (size_t bit = 0; bit < 8 * good.size(); bit++) {
        std::string bytes = good;
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << (bit % 8));
        if (read(*shape, bytes) != nullptr) continue;
        for (auto [column, view] : {std::pair(Column::payload, event_.payload), std::pair(Column::previous_hash, event_.previous_hash),
                                    std::pair(Column::event_hash, event_.event_hash), std::pair(Column::personal, event_.personal),
                                    std::pair(Column::personal_salt, event_.personal_salt)})
          EXPECT_TRUE(!event_.has(column) || (view.data >= copy_->bytes().data && view.data + view.size <= copy_->bytes().data + bytes.size())) << bit;
      }
    }
}
