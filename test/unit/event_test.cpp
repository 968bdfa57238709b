#include "core/event.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <vector>

#include "jsonb_builder.h"
#include "support.h"

using spine::bit;
using spine::Column;
using spine::Event;
using spine::Hash;
using spine::Hasher;
using spine::PartHashes;
using spine::Status;

namespace {

constexpr int64_t second = 1000000;
constexpr int64_t day = 86400 * second;

std::string timestamp(int64_t unix_microseconds) {
  std::unique_ptr<char[]> out(new char[40]);
  char *end = spine::write_timestamp(out.get(), unix_microseconds);
  return std::string(out.get(), end);
}

// The worked event of the specification.
class WorkedEvent : public testing::Test {
 protected:
  WorkedEvent()
      : payload_(jsonb::Encoder().encode(jsonb::object({{"name", jsonb::string("Ada")},
                                                        {"salary", jsonb::number("120000.50")},
                                                        {"department", jsonb::string("d-7")}}))),
        hasher_(Hasher::create()) {
    event_.present = of_the_worked_event;
    event_.id = uuid_of("019bd5a0-1234-7abc-8def-0123456789ab");
    event_.entity_id = uuid_of("00000000-0000-4000-8000-0000000000e1");
    event_.actor_id = uuid_of("00000000-0000-4000-8000-0000000000a1");
    event_.organization_id = uuid_of("00000000-0000-4000-8000-000000000001");
    event_.event_type = "hcm.employee.created";
    event_.domain = "hcm";
    event_.entity_type = "employee";
    event_.action = "created";
    event_.actor_type = "human";
    event_.environment = "prod";
    event_.severity = "low";
    event_.recorded_by = "payroll";
    event_.timestamp = 1768815000 * second;
    event_.payload = payload_.bytes();
    event_.sequence = 1;
    event_.transaction_id = 771;
    event_.previous_hash = {zero_.data(), zero_.size()};
    event_.event_hash = {zero_.data(), zero_.size()};
    for (size_t i = 0; i < salt_.size(); i++) salt_[i] = static_cast<uint8_t>(i);
    event_.payload_salt = {salt_.data(), salt_.size()};
  }

  // What an event may have besides.
  void add_the_rest() {
    event_.present |= bit(Column::personal) | bit(Column::personal_salt) | bit(Column::occurred_at) |
                      bit(Column::correlation_id) | bit(Column::causation_id);
    event_.personal = personal_.bytes();
    event_.personal_salt = {salt_.data(), salt_.size()};
    event_.occurred_at = 1768728600 * second;
    event_.correlation_id = uuid_of("00000000-0000-4000-8000-0000000000c1");
    event_.causation_id = uuid_of("00000000-0000-4000-8000-0000000000c2");
  }

  std::string document() {
    PartHashes parts;
    std::string_view text;
    EXPECT_EQ(hasher_->hash_parts(event_, &parts), Status::ok);
    EXPECT_EQ(hasher_->document(event_, parts, &text), Status::ok);
    return std::string(text);
  }
  std::string shown(bool payload, bool personal) {
    PartHashes parts;
    std::string_view text;
    EXPECT_EQ(hasher_->hash_parts(event_, &parts), Status::ok);
    EXPECT_EQ(hasher_->shown_document(event_, parts, payload, personal, &text), Status::ok);
    return std::string(text);
  }
  std::string digest() {
    PartHashes parts;
    Hash hash{};
    EXPECT_EQ(hasher_->hash_parts(event_, &parts), Status::ok);
    EXPECT_EQ(hasher_->digest(event_, parts, &hash), Status::ok);
    return hex_of(hash);
  }

  static constexpr uint32_t of_the_worked_event = (bit(Column::payload_salt) << 1) - 1;

  Copy payload_;
  Copy personal_{jsonb::Encoder().encode(jsonb::object({{"email", jsonb::string("ada@example.org")}}))};
  std::array<uint8_t, 16> salt_{};
  Hash zero_{};
  std::unique_ptr<Hasher> hasher_;
  Event event_;
};

}  // namespace

TEST_F(WorkedEvent, HasTheDocumentOfTheSpecification) {
  EXPECT_EQ(
      document(),
      "{\"action\":\"created\",\"actor_id\":\"00000000-0000-4000-8000-0000000000a1\",\"actor_type\":\"human\","
      "\"domain\":\"hcm\",\"entity_id\":\"00000000-0000-4000-8000-0000000000e1\",\"entity_type\":\"employee\","
      "\"environment\":\"prod\",\"event_type\":\"hcm.employee.created\",\"id\":\"019bd5a0-1234-7abc-8def-0123456789ab\","
      "\"organization_id\":\"00000000-0000-4000-8000-000000000001\","
      "\"payload_hash\":\"c5890cbe98d089891f2bad1da271349831a63864c6dd081638f5db0a75c8de62\","
      "\"previous_hash\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"recorded_by\":\"payroll\","
      "\"sequence\":1,\"severity\":\"low\",\"timestamp\":\"2026-01-19T09:30:00.000000Z\",\"transaction_id\":\"771\"}");
}

TEST_F(WorkedEvent, HasTheHashOfTheSpecification) {
  EXPECT_EQ(digest(), "8ba6cfb11b77aadd42fdbe0355774209951c657d7a19c7fbcb6fa7fcc866ea72");
}

TEST_F(WorkedEvent, EveryColumnButTheHashIsHashed) {
  add_the_rest();
  std::string healthy = digest();
  Hash ones;
  ones.fill(0xff);
  std::string other = jsonb::Encoder().encode(jsonb::object({}));
  Event before = event_;
  auto differs = [&](const char *column) {
    EXPECT_NE(digest(), healthy) << column;
    event_ = before;
  };
  event_.id[15] ^= 1;
  differs("id");
  event_.event_type = "hcm.employee.deleted";
  differs("event_type");
  event_.domain = "hcn";
  differs("domain");
  event_.entity_type = "employees";
  differs("entity_type");
  event_.entity_id[0] ^= 1;
  differs("entity_id");
  event_.action = "create";
  differs("action");
  event_.actor_id[7] ^= 1;
  differs("actor_id");
  event_.actor_type = "system";
  differs("actor_type");
  event_.organization_id[8] ^= 1;
  differs("organization_id");
  event_.environment = "dev";
  differs("environment");
  event_.timestamp++;
  differs("timestamp");
  event_.severity = "high";
  differs("severity");
  event_.payload = {reinterpret_cast<const uint8_t *>(other.data()), other.size()};
  differs("payload");
  event_.sequence = 2;
  differs("sequence");
  event_.transaction_id++;
  differs("transaction_id");
  event_.recorded_by = "Payroll";
  differs("recorded_by");
  event_.previous_hash = {ones.data(), ones.size()};
  differs("previous_hash");
  event_.payload_salt = {ones.data(), 16};
  differs("payload_salt");
  event_.personal = {reinterpret_cast<const uint8_t *>(other.data()), other.size()};
  differs("personal");
  event_.personal_salt = {ones.data(), 16};
  differs("personal_salt");
  event_.occurred_at++;
  differs("occurred_at");
  event_.correlation_id[3] ^= 1;
  differs("correlation_id");
  event_.causation_id[3] ^= 1;
  differs("causation_id");
  event_.event_hash = {ones.data(), ones.size()};
  EXPECT_EQ(digest(), healthy);
}

TEST_F(WorkedEvent, APartThatIsErasedLeavesTheHash) {
  add_the_rest();
  std::string healthy = digest();
  Hash payload, personal;
  std::string_view canonical;
  ASSERT_EQ(hasher_->canonical_json(event_.payload, {SIZE_MAX, SIZE_MAX, false}, &canonical), Status::ok);
  ASSERT_EQ(hasher_->part_hash(event_.payload_salt, canonical, &payload), Status::ok);
  EXPECT_EQ(hex_of(payload), "c5890cbe98d089891f2bad1da271349831a63864c6dd081638f5db0a75c8de62");
  ASSERT_EQ(hasher_->canonical_json(event_.personal, {SIZE_MAX, SIZE_MAX, false}, &canonical), Status::ok);
  ASSERT_EQ(hasher_->part_hash(event_.personal_salt, canonical, &personal), Status::ok);
  EXPECT_NE(payload, personal);

  event_.present &= ~(bit(Column::personal) | bit(Column::personal_salt));
  event_.present |= bit(Column::personal_hash);
  event_.personal_hash = {personal.data(), personal.size()};
  EXPECT_EQ(digest(), healthy);
  event_.present &= ~(bit(Column::payload) | bit(Column::payload_salt));
  event_.present |= bit(Column::payload_hash);
  event_.payload_hash = {payload.data(), payload.size()};
  EXPECT_EQ(digest(), healthy);

  personal[0] ^= 1;
  EXPECT_NE(digest(), healthy);
  event_.present &= ~bit(Column::personal_hash);
  EXPECT_NE(digest(), healthy) << "that there was a personal part is hashed too";
}

TEST_F(WorkedEvent, APartIsHashedWithItsSalt) {
  std::string healthy = document();
  salt_[15] ^= 1;
  EXPECT_NE(document(), healthy);
  event_.present &= ~bit(Column::payload_salt);
  EXPECT_NE(document(), healthy);
}

TEST_F(WorkedEvent, ADamagedPartIsNoJson) {
  PartHashes parts;
  static constexpr uint8_t damage[] = {1, 2, 3};
  event_.payload = {damage, sizeof damage};
  EXPECT_EQ(hasher_->hash_parts(event_, &parts), Status::malformed);
}

TEST_F(WorkedEvent, AColumnThatIsNullHasNoMember) {
  add_the_rest();
  uint32_t present = event_.present;
  std::string all = document();
  for (int i = 0; i < spine::column_count; i++) {
    Column column = static_cast<Column>(i);
    // Without its salt a part is hashed otherwise, and an event that was not erased has no hash in a part's place.
    if (column == Column::payload_salt || column == Column::personal_salt || column == Column::payload_hash || column == Column::personal_hash)
      continue;
    event_.present = present & ~(uint32_t{1} << i);
    std::string member = spine::column_names[i];
    if (column == Column::payload || column == Column::personal) member += "_hash";
    std::string name = "\"" + member + "\":";
    std::string text = document();
    EXPECT_EQ(text.find(name), std::string::npos) << name;
    EXPECT_EQ(text.front(), '{');
    EXPECT_EQ(text.back(), '}');
    EXPECT_EQ(text.find(",,"), std::string::npos);
    EXPECT_NE(text[1], ',');
    EXPECT_EQ(text == all, i == static_cast<int>(Column::event_hash)) << name;
  }
  event_.present = 0;
  EXPECT_EQ(document(), "{}");
}

// Out of what is shown, docs/evidence.md cuts the document.
TEST_F(WorkedEvent, ShowsThePartsThatAreAskedFor) {
  add_the_rest();
  std::string hash(64, '0'), salt = "000102030405060708090a0b0c0d0e0f";
  std::string whole = document();
  std::string payload = ",\"payload\":{\"department\":\"d-7\",\"name\":\"Ada\",\"salary\":120000.5}", payload_salt = ",\"payload_salt\":\"" + salt + "\"";
  std::string personal_salt = ",\"personal_salt\":\"" + salt + "\"";
  for (bool with_payload : {false, true}) {
    for (bool with_personal : {false, true}) {
      std::string text = shown(with_payload, with_personal);
      auto cut = [&text](const std::string &part) {
        size_t at = text.find(part);
        if (at != std::string::npos) text.erase(at, part.size());
        return at != std::string::npos;
      };
      EXPECT_TRUE(cut("\"event_hash\":\"" + hash + "\",")) << text;
      EXPECT_EQ(cut(payload), with_payload) << text;
      EXPECT_EQ(cut(payload_salt), with_payload) << text;
      EXPECT_EQ(cut(personal_salt), with_personal) << text;
      size_t begin = text.find(",\"personal\":"), end = text.find(",\"personal_hash\":");
      EXPECT_EQ(begin != std::string::npos, with_personal) << text;
      if (begin != std::string::npos) text.erase(begin, end - begin);
      EXPECT_EQ(text, whole);
    }
  }
  event_.present &= ~(bit(Column::payload) | bit(Column::payload_salt) | bit(Column::personal) | bit(Column::personal_salt));
  EXPECT_EQ(shown(true, true), shown(false, false)) << "what is gone is not shown";
}

TEST_F(WorkedEvent, EscapesTextAndKeepsUnicode) {
  event_.recorded_by = "pay\"roll\\\n\x01\xc3\xa4\xf0\x9f\x98\x80";
  EXPECT_NE(document().find("\"recorded_by\":\"pay\\\"roll\\\\\\n\\u0001\xc3\xa4\xf0\x9f\x98\x80\""), std::string::npos);
}

TEST_F(WorkedEvent, TakesTheLargestNumbers) {
  event_.sequence = INT64_MAX;
  event_.transaction_id = UINT64_MAX;
  EXPECT_NE(document().find("\"sequence\":9223372036854775807,"), std::string::npos);
  EXPECT_NE(document().find("\"transaction_id\":\"18446744073709551615\""), std::string::npos);
  event_.sequence = INT64_MIN;
  EXPECT_NE(document().find("\"sequence\":-9223372036854775808,"), std::string::npos);
}

TEST_F(WorkedEvent, ADamagedHashIsWrittenAsItIs) {
  event_.previous_hash = {zero_.data(), 3};
  EXPECT_NE(document().find("\"previous_hash\":\"000000\""), std::string::npos);
  event_.previous_hash = {};
  EXPECT_NE(document().find("\"previous_hash\":\"\""), std::string::npos);
}

TEST_F(WorkedEvent, ALargeDocumentDoesNotSpoilTheNext) {
  std::string healthy = digest();
  std::string large(1 << 20, 'x'), name = large;
  Event before = event_;
  event_.recorded_by = name;
  EXPECT_NE(digest(), healthy);
  event_ = before;
  EXPECT_EQ(digest(), healthy);
}

// Events of all lengths, with each combination of parts that are there, erased or never were; one is refused on the way.
TEST_F(WorkedEvent, ABatchGivesTheHashesThatEachGives) {
  spine::EventBatch batch;
  static constexpr uint8_t damage[] = {1, 2, 3};
  std::vector<std::string> expected;
  Event worked = event_;
  add_the_rest();
  Event all = event_;
  auto compare = [&] {
    ASSERT_EQ(batch.count(), static_cast<int>(expected.size()));
    const Hash *hashes;
    ASSERT_EQ(batch.digest(&hashes), Status::ok);
    for (size_t i = 0; i < expected.size(); i++) EXPECT_EQ(hex_of(hashes[i]), expected[i]) << i;
    EXPECT_EQ(batch.count(), 0);
    expected.clear();
  };
  std::string name;
  for (size_t i = 0; i < 500; i++) {
    name += static_cast<char>('a' + i % 26);
    event_ = i % 3 == 0 ? worked : all;
    event_.recorded_by = name;
    event_.payload_hash = event_.personal_hash = {zero_.data(), i % 7 == 0 ? size_t{5} : zero_.size()};
    if (i % 4 == 1) event_.present ^= bit(Column::payload) | bit(Column::payload_salt) | bit(Column::payload_hash);
    if (i % 5 == 1 && event_.has(Column::personal)) event_.present ^= bit(Column::personal) | bit(Column::personal_salt) | bit(Column::personal_hash);
    if (i % 6 == 1) event_.present &= ~bit(Column::payload_salt);
    expected.push_back(digest());
    ASSERT_EQ(batch.add(event_), Status::ok);
    if (event_.has(Column::personal)) {
      event_.personal = {damage, sizeof damage};
      EXPECT_EQ(batch.add(event_), Status::malformed);
    }
    if (batch.is_full()) compare();
  }
  compare();
  compare();
  std::string large(1 << 20, 'x');
  event_ = all;
  event_.recorded_by = large;
  expected.push_back(digest());
  ASSERT_EQ(batch.add(event_), Status::ok);
  EXPECT_TRUE(batch.is_full()) << "so much text is no longer held";
  compare();
}

TEST(ColumnNames, AreInTheTablesOrder) {
  EXPECT_STREQ(spine::column_names[static_cast<int>(Column::id)], "id");
  EXPECT_STREQ(spine::column_names[static_cast<int>(Column::payload)], "payload");
  EXPECT_STREQ(spine::column_names[static_cast<int>(Column::event_hash)], "event_hash");
  EXPECT_STREQ(spine::column_names[static_cast<int>(Column::personal_hash)], "personal_hash");
  EXPECT_STREQ(spine::column_names[static_cast<int>(Column::causation_id)], "causation_id");
  EXPECT_EQ(static_cast<int>(Column::causation_id), spine::column_count - 1);
}

TEST(Timestamp, AroundTheEpoch) {
  EXPECT_EQ(timestamp(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(timestamp(1), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(timestamp(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(timestamp(-day), "1969-12-31T00:00:00.000000Z");
  EXPECT_EQ(timestamp(-day - 1), "1969-12-30T23:59:59.999999Z");
  EXPECT_EQ(timestamp(1768815000 * second), "2026-01-19T09:30:00.000000Z");
  EXPECT_EQ(timestamp(1768815000 * second + 123456), "2026-01-19T09:30:00.123456Z");
}

TEST(Timestamp, LeapDays) {
  EXPECT_EQ(timestamp(951782400 * second), "2000-02-29T00:00:00.000000Z");
  EXPECT_EQ(timestamp(951868800 * second), "2000-03-01T00:00:00.000000Z");
  EXPECT_EQ(timestamp(1709164800 * second), "2024-02-29T00:00:00.000000Z");
  EXPECT_EQ(timestamp(4107456000 * second), "2100-02-28T00:00:00.000000Z");
  EXPECT_EQ(timestamp(4107542400 * second), "2100-03-01T00:00:00.000000Z");  // 2100 has no leap day
  EXPECT_EQ(timestamp(-2203977600 * second), "1900-02-28T00:00:00.000000Z");
  EXPECT_EQ(timestamp(-2203891200 * second), "1900-03-01T00:00:00.000000Z");
}

TEST(Timestamp, EndsOfTheRangeThatIsStored) {
  EXPECT_EQ(timestamp(-62135596800 * second), "0001-01-01T00:00:00.000000Z");
  EXPECT_EQ(timestamp(253402300800 * second - 1), "9999-12-31T23:59:59.999999Z");
}

TEST(Timestamp, BeyondThatRangeNothingBreaks) {
  EXPECT_EQ(timestamp(-62135596800 * second - 1), "0000-12-31T23:59:59.999999Z");
  EXPECT_EQ(timestamp(-62167219200 * second - 1), "-1-12-31T23:59:59.999999Z");
  EXPECT_EQ(timestamp(253402300800 * second), "10000-01-01T00:00:00.000000Z");
  EXPECT_EQ(timestamp(INT64_MAX), "294247-01-10T04:00:54.775807Z");
  EXPECT_EQ(timestamp(INT64_MIN), "-290308-12-21T19:59:05.224192Z");
}

// Each day of the range against a calendar that counts day by day.
TEST(Timestamp, EveryDayOfTheRange) {
  int year = 1, month = 1, date = 1;
  for (int64_t at = -62135596800 * second; at < 253402300800 * second; at += day) {
    char expected[64];
    std::snprintf(expected, sizeof expected, "%04d-%02d-%02dT00:00:00.000000Z", year, month, date);
    ASSERT_EQ(timestamp(at), expected);
    static constexpr int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (++date > lengths[month - 1] + (month == 2 && leap ? 1 : 0)) {
      date = 1;
      if (++month > 12) {
        month = 1;
        year++;
      }
    }
  }
  EXPECT_EQ(year, 10000);
}
