#include "core/canonical_json.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "json_reference.h"
#include "jsonb_builder.h"
#include "support.h"

using jsonb::array;
using jsonb::boolean;
using jsonb::json_string;
using jsonb::null;
using jsonb::number;
using jsonb::object;
using jsonb::reference;
using jsonb::string;
using jsonb::utf16;
using jsonb::Value;
using spine::JsonLimits;
using spine::Status;

namespace {

constexpr JsonLimits no_limits{SIZE_MAX, SIZE_MAX, false};
constexpr JsonLimits emitted{1 << 20, spine::max_payload_depth, true};

struct Result {
  Status status;
  std::string text;
};

Result canonicalize(const std::string &stored, const JsonLimits &limits = no_limits, size_t skew = 0) {
  Copy copy(stored, skew);
  spine::JsonCanonicalizer canonicalizer;
  spine::Buffer out;
  Result result;
  result.status = canonicalizer.append(copy.bytes(), limits, out);
  result.text = out.view();
  return result;
}

std::string canonical(const Value &value, jsonb::NumericForm form = jsonb::NumericForm::automatic) {
  Result result = canonicalize(jsonb::Encoder(form).encode(value));
  EXPECT_EQ(result.status, Status::ok);
  return result.text;
}

Status status_of(const Value &value, const JsonLimits &limits) {
  return canonicalize(jsonb::Encoder().encode(value), limits).status;
}

std::string utf8(uint32_t point) {
  std::string out;
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
  return out;
}

class RandomValues {
 public:
  explicit RandomValues(uint64_t seed) : random_(seed) {}
  Value value(int depth) {
    switch (below(depth > 0 ? 8 : 5)) {
      case 0:
        return null();
      case 1:
        return boolean(below(2) == 0);
      case 2:
        return number(std::to_string(static_cast<int64_t>(random_()) >> below(60)));
      case 3:
      case 4:
        return string(text(below(20)));
      case 5: {
        std::vector<Value> items(below(4) == 0 ? below(80) : below(4));
        for (Value &item : items) item = value(depth - 1);
        return array(std::move(items));
      }
      default: {
        std::map<std::string, Value> members;
        uint32_t count = below(4) == 0 ? below(80) : below(4);
        for (uint32_t i = 0; i < count; i++) members[text(below(4))] = value(depth - 1);
        return object({members.begin(), members.end()});
      }
    }
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  std::string text(uint32_t length) {
    std::string out;
    for (uint32_t i = 0; i < length; i++) {
      switch (below(6)) {
        case 0:
          out += utf8(below(0x20) + (below(2) == 0 ? 1 : 0x20));
          break;
        case 1:
          out += utf8(0xe000 + below(0x2000));
          break;
        case 2:
          out += utf8(0x10000 + below(0x100000));
          break;
        case 3:
          out += utf8(0x80 + below(0xd000));
          break;
        default:
          out += static_cast<char>('!' + below(94));
      }
    }
    return out;
  }
  std::mt19937_64 random_;
};

std::vector<Value> samples() {
  std::vector<Value> many;
  for (int i = 0; i < 40; i++) many.push_back(i % 3 == 0 ? number(std::to_string(i)) : string(std::to_string(i)));
  return {null(),
          number("-1234567.000089"),
          string("a \"quoted\" text"),
          array({}),
          object({}),
          array({number("1"), string("ab"), null(), array({boolean(true)}), object({{"k", number("2.5")}})}),
          object({{"b", number("1e300")}, {"a", object({{"\xf0\x9f\x98\x80", string("x\n")}, {"\xef\xbf\xbf", array({})}})}, {"long key", boolean(false)}}),
          array(many)};
}

}  // namespace

TEST(CanonicalJson, ScalarsAtTheRoot) {
  EXPECT_EQ(canonical(null()), "null");
  EXPECT_EQ(canonical(boolean(true)), "true");
  EXPECT_EQ(canonical(boolean(false)), "false");
  EXPECT_EQ(canonical(number("-12.50")), "-12.5");
  EXPECT_EQ(canonical(string("")), "\"\"");
  EXPECT_EQ(canonical(string("x")), "\"x\"");
}

TEST(CanonicalJson, NestedEmpties) {
  EXPECT_EQ(canonical(array({})), "[]");
  EXPECT_EQ(canonical(object({})), "{}");
  EXPECT_EQ(canonical(array({array({}), object({}), array({array({})}), object({{"", object({})}})})), "[[],{},[[]],{\"\":{}}]");
}

TEST(CanonicalJson, SortsMembersByUtf16Units) {
  // The example of RFC 8785 3.2.3.
  EXPECT_EQ(canonical(object({{"\xe2\x82\xac", string("Euro Sign")},
                              {"\r", string("Carriage Return")},
                              {"\xef\xac\xb3", string("Hebrew Letter Dalet With Dagesh")},
                              {"1", string("One")},
                              {"\xf0\x9f\x98\x80", string("Emoji: Grinning Face")},
                              {"\xc2\x80", string("Control")},
                              {"\xc3\xb6", string("Latin Small Letter O With Diaeresis")}})),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\",\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
            "\"\xe2\x82\xac\":\"Euro Sign\",\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
            "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

TEST(CanonicalJson, ShorterKeysDoNotComeFirst) {
  EXPECT_EQ(canonical(object({{"b", number("1")}, {"aa", number("2")}, {"a", number("3")}, {"", number("4")}, {"B", number("5")}})),
            "{\"\":4,\"B\":5,\"a\":3,\"aa\":2,\"b\":1}");
}

TEST(CanonicalJson, SurrogatesComeBeforeThePrivateUseArea) {
  std::vector<uint32_t> points = {0x7f, 0x7ff, 0x800, 0xd7ff, 0x10000, 0x1ffff, 0x10ffff, 0xe000, 0xefff, 0xf000, 0xfffd, 0xffff};
  for (size_t i = 0; i < points.size(); i++)
    for (size_t k = 0; k < points.size(); k++) {
      std::string prefix = "same";
      EXPECT_EQ(spine::utf16_less(utf8(points[i]), utf8(points[k])), i < k) << std::hex << points[i] << " " << points[k];
      EXPECT_EQ(spine::utf16_less(prefix + utf8(points[i]) + "a", prefix + utf8(points[k])), i < k)
          << std::hex << points[i] << " " << points[k];
    }
}

TEST(CanonicalJson, ComparesAllCodePointsAsUtf16Does) {
  std::mt19937 random(3629);
  auto point = [&] {
    uint32_t p = random() % 4 == 0 ? 0x10000 + random() % 0x100000 : random() % 0xf800;
    return p >= 0xd800 && p < 0x10000 ? p + 0x800 : p;
  };
  for (int i = 0; i < 200000; i++) {
    std::string a = utf8(point()), b = utf8(point());
    if (random() % 2) {
      std::string c = utf8(point());
      a = c + a;
      b = c + b;
    }
    ASSERT_EQ(spine::utf16_less(a, b), utf16(a) < utf16(b));
  }
}

// Damaged keys may hold any byte; sorting them needs an order all the same, or the sort may leave its range.
TEST(CanonicalJson, OrdersAnyTwoDifferentBytes) {
  for (int a = 0; a < 256; a++)
    for (int b = 0; b < 256; b++) {
      std::string x(1, static_cast<char>(a)), y(1, static_cast<char>(b));
      EXPECT_EQ(spine::utf16_less(x, y) + spine::utf16_less(y, x), a == b ? 0 : 1) << std::hex << a << " " << b;
    }
}

TEST(CanonicalJson, EscapesWhatMustBeAndNothingElse) {
  for (int c = 0; c < 256; c++) {
    std::string s(1, static_cast<char>(c));
    EXPECT_EQ(canonical(string(s)), json_string(s)) << c;
  }
  EXPECT_EQ(canonical(string("\b\t\n\f\r\"\\/\x7f\x01\x1f")), "\"\\b\\t\\n\\f\\r\\\"\\\\/\x7f\\u0001\\u001f\"");
  EXPECT_EQ(canonical(string("\xe2\x80\xa8\xe2\x80\xa9<>&'")), "\"\xe2\x80\xa8\xe2\x80\xa9<>&'\"");
}

TEST(CanonicalJson, EscapesAtEveryPlaceOfAWord) {
  for (size_t length = 1; length <= 24; length++)
    for (size_t at = 0; at < length; at++)
      for (char c : {'"', '\\', '\n', '\x01', '\x1f', ' ', '!', '#', '[', ']', '\x7f'}) {
        std::string s(length, '\xc3');
        s[at] = c;
        ASSERT_EQ(canonical(string(s)), json_string(s)) << length << " " << at;
        s = std::string(length, 'x');
        s[at] = c;
        ASSERT_EQ(canonical(string(s)), json_string(s)) << length << " " << at;
      }
}

TEST(CanonicalJson, EscapesInKeys) { EXPECT_EQ(canonical(object({{"a\"\n", null()}})), "{\"a\\\"\\n\":null}"); }

TEST(CanonicalJson, AStringOfNothingButEscapes) {
  EXPECT_EQ(canonical(string(std::string(5000, '\x02'))), json_string(std::string(5000, '\x02')));
}

TEST(CanonicalJson, MoreChildrenThanOneOffsetStride) {
  for (int count : {31, 32, 33, 63, 64, 65, 100, 1000}) {
    std::vector<Value> items;
    std::vector<std::pair<std::string, Value>> members;
    for (int i = 0; i < count; i++) {
      Value item = i % 3 == 0 ? string(std::string(static_cast<size_t>(i % 7), 'v')) : i % 3 == 1 ? number(std::to_string(i)) : array({number("1")});
      items.push_back(item);
      members.emplace_back("k" + std::to_string(i * 7919 % 1000), item);
    }
    Value a = array(items), o = object(members);
    EXPECT_EQ(canonical(a), reference(a)) << count;
    EXPECT_EQ(canonical(o), reference(o)) << count;
  }
}

TEST(CanonicalJson, EveryStoredFormOfANumber) {
  for (const char *n : {"0", "1", "-1", "9999", "10000", "-10001", "99990000", "123456789.987654321", "0.0001", "0.00012345", "1.5e-7", "1e+21",
                        "5e-324", "1.7976931348623157e+308", "12345678901234567890", "0.1000000000000000055", "333333333.33333329"}) {
    EXPECT_EQ(canonical(number(n)), n);
    EXPECT_EQ(canonical(number(n), jsonb::NumericForm::long_form), n);
    EXPECT_EQ(canonical(number(n), jsonb::NumericForm::one_byte_header), n);
  }
  EXPECT_EQ(canonical(number("-0")), "0");
  EXPECT_EQ(canonical(number("-0.00"), jsonb::NumericForm::long_form), "0");
  EXPECT_EQ(canonical(number("1.00")), "1");
  EXPECT_EQ(canonical(number("120000.50")), "120000.5");
}

TEST(CanonicalJson, NumbersOfManyThousandDigits) {
  std::string digits(16000, '9');
  EXPECT_EQ(canonical(number("0." + digits)), "0." + digits);
  EXPECT_EQ(canonical(array({number(digits), number("-" + digits)})),
            "[9." + digits.substr(1) + "e+15999,-9." + digits.substr(1) + "e+15999]");
}

TEST(CanonicalJson, NumberRangeIsExact) {
  for (const char *n : {"1e308", "9.999e308", "-1e308", "1e-324", "-1e-324", "9e-324", "0", "0e-400", "0.00000", "1.7976931348623157e308"})
    EXPECT_EQ(status_of(object({{"n", number(n)}}), emitted), Status::ok) << n;
  for (const char *n : {"1e309", "-1e309", "10e308", "1e-325", "-1e-325", "9.99e-325", "1e9999", "1e-9999"}) {
    EXPECT_EQ(status_of(object({{"n", number(n)}}), emitted), Status::number_out_of_range) << n;
    EXPECT_EQ(status_of(object({{"n", number(n)}}), no_limits), Status::ok) << n;
  }
}

TEST(CanonicalJson, ANumberOutOfRangeIsTheLastThingWritten) {
  Result result = canonicalize(jsonb::Encoder().encode(object({{"a", number("1")}, {"b", number("-2.5e400")}, {"c", number("3")}})), emitted);
  EXPECT_EQ(result.status, Status::number_out_of_range);
  EXPECT_EQ(result.text, "{\"a\":1,\"b\":-2.5e+400");
}

TEST(CanonicalJson, DepthLimitIsExact) {
  EXPECT_EQ(status_of(jsonb::nested_arrays(128), emitted), Status::ok);
  EXPECT_EQ(status_of(jsonb::nested_arrays(129), emitted), Status::too_deep);
  Value deep = jsonb::nested_arrays(127);
  EXPECT_EQ(status_of(object({{"k", deep}}), emitted), Status::ok);
  EXPECT_EQ(status_of(object({{"k", array({deep})}}), emitted), Status::too_deep);
  // Siblings do not add up, and a scalar is no level.
  EXPECT_EQ(status_of(array({deep, deep, deep}), emitted), Status::ok);
  EXPECT_EQ(status_of(string("x"), {100, 0, true}), Status::ok);
  EXPECT_EQ(status_of(array({}), {100, 0, true}), Status::too_deep);
}

TEST(CanonicalJson, DepthWithoutLimitUsesNoStack) {
  // Every level is a header that counts one child, and an entry that says where the child ends.
  constexpr uint32_t levels = 100000;
  std::string stored;
  auto put = [&](uint32_t v) {
    for (int i = 0; i < 4; i++) stored += static_cast<char>(v >> (8 * i));
  };
  for (uint32_t level = levels; level > 1; level--) {
    put(0x40000001);
    put(0x80000000 | 0x50000000 | (8 * (level - 2) + 4));
  }
  put(0x40000000);
  Result result = canonicalize(stored);
  EXPECT_EQ(result.status, Status::ok);
  EXPECT_EQ(result.text, std::string(levels, '[') + std::string(levels, ']'));
}

TEST(CanonicalJson, SizeLimitIsExact) {
  std::vector<Value> values = samples();
  values.push_back(string(std::string(300, '\n')));
  values.push_back(object({{"a", null()}, {"b", null()}, {"c", null()}}));
  values.push_back(object({{"", string("")}}));
  values.push_back(object({{"a key that is most of the object", number("1")}}));
  for (const Value &value : values) {
    size_t size = canonical(value).size();
    EXPECT_EQ(status_of(value, {size, 128, true}), Status::ok) << size;
    for (size_t limit = 0; limit < size; limit++)
      ASSERT_EQ(status_of(value, {limit, 128, true}), Status::too_large) << limit << " of " << size;
  }
}

TEST(CanonicalJson, SizeLimitCountsOnlyWhatIsAppended) {
  std::string stored = jsonb::Encoder().encode(array({null()}));
  spine::JsonCanonicalizer canonicalizer;
  spine::Buffer out;
  out.append("before");
  Copy copy(stored);
  EXPECT_EQ(canonicalizer.append(copy.bytes(), {6, 128, true}, out), Status::ok);
  EXPECT_EQ(out.view(), "before[null]");
  EXPECT_EQ(canonicalizer.append(copy.bytes(), {5, 128, true}, out), Status::too_large);
}

// The rest of a container after its last child, and of an array that outgrows the limit early, is not read.
TEST(CanonicalJson, StopsAtTheLimit) {
  std::vector<Value> items(100000, string("xxxxxxxxxxxxxxxx"));
  std::string stored = jsonb::Encoder().encode(array(items));
  Copy copy(stored);
  spine::JsonCanonicalizer canonicalizer;
  spine::Buffer out;
  EXPECT_EQ(canonicalizer.append(copy.bytes(), {1000, 128, true}, out), Status::too_large);
  EXPECT_LT(out.size(), 1100u);
}

TEST(CanonicalJson, OneObjectServesManyValuesAndSurvivesFailures) {
  spine::JsonCanonicalizer canonicalizer;
  std::string good = jsonb::Encoder().encode(object({{"b", array({number("1")})}, {"a", null()}}));
  std::string bad = good.substr(0, good.size() - 1);
  for (int i = 0; i < 3; i++) {
    spine::Buffer out;
    Copy copy(good), damaged(bad);
    EXPECT_EQ(canonicalizer.append(damaged.bytes(), no_limits, out), Status::malformed);
    out.clear();
    EXPECT_EQ(canonicalizer.append(copy.bytes(), no_limits, out), Status::ok);
    EXPECT_EQ(out.view(), "{\"a\":null,\"b\":[1]}");
  }
}

TEST(CanonicalJson, ReadsBytesAtAnyAlignment) {
  for (const Value &value : samples())
    for (size_t skew = 0; skew < 4; skew++) {
      Result result = canonicalize(jsonb::Encoder().encode(value), no_limits, skew);
      EXPECT_EQ(result.status, Status::ok);
      EXPECT_EQ(result.text, canonical(value));
    }
}

TEST(CanonicalJson, RandomValuesAgainstTheReference) {
  RandomValues random(2020);
  for (int i = 0; i < 3000; i++) {
    Value value = random.value(5);
    ASSERT_EQ(canonical(value), reference(value));
  }
}

TEST(MalformedJsonb, RefusesWhatIsNoNumber) {
  std::string stored = jsonb::Encoder().encode(number("1"));
  size_t flags = stored.size() - 4;
  for (int special : {0xc0, 0xd0, 0xf0}) {
    std::string bytes = stored;
    bytes[flags + 1] = static_cast<char>(special);
    EXPECT_EQ(canonicalize(bytes).status, Status::malformed) << special;
  }
  std::string bytes = stored;
  bytes[stored.size() - 2] = 0x10;  // 10000 is no base-10000 digit
  bytes[stored.size() - 1] = 0x27;
  EXPECT_EQ(canonicalize(bytes).status, Status::malformed);
  bytes[stored.size() - 2] = 0x0f;
  EXPECT_EQ(canonicalize(bytes).text, "9999");
}

TEST(MalformedJsonb, RefusesANumberShorterThanItsEntry) {
  std::string stored = jsonb::Encoder().encode(number("1"));
  stored[4] = static_cast<char>(stored[4] + 4);
  EXPECT_EQ(canonicalize(stored + std::string(4, '\0')).status, Status::malformed);
}

TEST(MalformedJsonb, RefusesHeadersThatContradict) {
  auto header = [](uint32_t h, size_t more = 0) {
    std::string bytes(4 + more, '\0');
    for (size_t i = 0; i < 4; i++) bytes[i] = static_cast<char>(h >> (8 * i));
    return canonicalize(bytes).status;
  };
  EXPECT_EQ(header(0x40000000), Status::ok);
  EXPECT_EQ(header(0x20000000), Status::ok);
  EXPECT_EQ(header(0), Status::malformed);
  EXPECT_EQ(header(0x60000000), Status::malformed);
  EXPECT_EQ(header(0x10000000), Status::malformed);
  EXPECT_EQ(header(0x50000000), Status::malformed);      // a lone scalar needs its one element
  EXPECT_EQ(header(0x50000002, 8), Status::malformed);
  EXPECT_EQ(header(0x30000001, 8), Status::malformed);
  EXPECT_EQ(header(0x4fffffff, 64), Status::malformed);  // more elements than bytes
  EXPECT_EQ(header(0x2fffffff, 64), Status::malformed);
}

TEST(MalformedJsonb, RefusesKeysThatAreNoStrings) {
  std::string stored = jsonb::Encoder().encode(object({{"k", string("v")}}));
  stored[7] = static_cast<char>(stored[7] | 0x40);  // the key's entry says null
  EXPECT_EQ(canonicalize(stored).status, Status::malformed);
}

// The server searches keys by their stored order: a member out of it is there and cannot be found.
TEST(MalformedJsonb, RefusesKeysOutOfTheStoredOrder) {
  std::string stored = jsonb::Encoder().encode(object({{"a", null()}, {"b", null()}, {"cc", null()}}));
  size_t keys = stored.size() - 4;
  ASSERT_EQ(stored.substr(keys), "abcc");
  stored.replace(keys, 4, "bacc");
  EXPECT_EQ(canonicalize(stored).status, Status::malformed);
  stored.replace(keys, 4, "aacc");
  EXPECT_EQ(canonicalize(stored).status, Status::malformed);
  stored.replace(keys, 4, "abaa");
  EXPECT_EQ(canonicalize(stored).text, "{\"a\":null,\"aa\":null,\"b\":null}");
}

TEST(MalformedJsonb, RefusesOffsetsThatGoBack) {
  std::vector<Value> items(40, string("xx"));
  std::string stored = jsonb::Encoder().encode(array(items));
  size_t entry = 4 + 4 * 32;
  stored[entry] = 1;  // element 32 would end before element 31 began
  EXPECT_EQ(canonicalize(stored).status, Status::malformed);
}

TEST(MalformedJsonb, EveryTruncationIsRefused) {
  for (const Value &value : samples()) {
    std::string stored = jsonb::Encoder().encode(value);
    for (size_t n = 0; n < stored.size(); n++) ASSERT_NE(canonicalize(stored.substr(0, n)).status, Status::ok) << n << " of " << stored.size();
  }
}

// Some flips give another value; none may crash or read outside, which the sanitizers would report.
TEST(MalformedJsonb, EveryFlippedBitIsSurvived) {
  size_t refused = 0, read = 0;
  for (const Value &value : samples()) {
    std::string stored = jsonb::Encoder().encode(value);
    std::string healthy = canonical(value);
    for (size_t bit = 0; bit < 8 * stored.size(); bit++) {
      std::string bytes = stored;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      for (const JsonLimits &limits : {no_limits, emitted}) {
        Status status = canonicalize(bytes, limits).status;
        ASSERT_TRUE(status == Status::ok || status == Status::malformed || status == Status::number_out_of_range) << status;
        (status == Status::ok ? read : refused)++;
      }
    }
  }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(read, 100u);
}

TEST(MalformedJsonb, DamageInSeveralPlacesIsSurvived) {
  std::mt19937 random(4711);
  std::vector<Value> values = samples();
  for (int i = 0; i < 200000; i++) {
    std::string bytes = jsonb::Encoder().encode(values[random() % values.size()]);
    for (uint32_t k = 0, n = 1 + random() % 4; k < n; k++) bytes[random() % bytes.size()] = static_cast<char>(random());
    canonicalize(bytes, i % 2 ? no_limits : emitted);
  }
}
