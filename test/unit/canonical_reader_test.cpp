#include "core/canonical_reader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support.h"

using spine::Buffer;
using spine::CanonicalReader;
using namespace std::string_literals;

namespace {

// Null where the text can be read. From a copy, so that a sanitizer sees a read past it.
const char *wrong_with(const std::string &text, unsigned levels = 2) {
  static CanonicalReader reader;
  Copy copy(text);
  return reader.read({reinterpret_cast<const char *>(copy.bytes().data), text.size()}, levels);
}

std::string nested(size_t depth) {
  std::string text = "{\"a\":";
  for (size_t i = 1; i < depth; i++) text += '[';
  return text + "1" + std::string(depth - 1, ']') + "}";
}

std::string with_members(size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; i++) text += (i > 0 ? ",\"" : "\"") + std::to_string(1000 + i) + "\":0";
  return text + "}";
}

}  // namespace

TEST(CanonicalReader, GivesMembersAsTheyStand) {
  CanonicalReader reader;
  std::string text = R"({"a":"x\n\"y","b":{"c":[1,{"z":2}],"d":{},"e":-5.5e+30},"f":[],"g":true})";
  ASSERT_EQ(reader.read(text, 2), nullptr);
  ASSERT_EQ(reader.count(1), 4u);
  EXPECT_EQ(reader.members(1)[0].name, "a");
  EXPECT_EQ(reader.members(1)[0].value, R"("x\n\"y")");
  EXPECT_EQ(reader.members(1)[1].value, R"({"c":[1,{"z":2}],"d":{},"e":-5.5e+30})");
  EXPECT_EQ(reader.members(1)[2].value, "[]");
  EXPECT_EQ(reader.members(1)[3].value, "true");
  ASSERT_EQ(reader.count(2), 3u);
  EXPECT_EQ(reader.members(2)[0].value, R"([1,{"z":2}])");
  EXPECT_EQ(reader.members(2)[1].value, "{}");
  EXPECT_EQ(reader.members(2)[2].value, "-5.5e+30");
  EXPECT_EQ(std::string(reader.members(1)[1].begin(), reader.members(1)[2].end()), text.substr(text.find("\"b\""), text.find(",\"g\"") - text.find("\"b\"")));
  ASSERT_EQ(reader.read(text, 1), nullptr);
  EXPECT_EQ(reader.count(1), 4u);
  EXPECT_EQ(reader.count(2), 0u);
}

TEST(CanonicalReader, TakesWhatRfc8785Writes) {
  for (const std::string &text : {"{}"s, "{\"\":null}"s, "{\"a\":[]}"s, "{\"a\":{}}"s, "{\"a\":[{},[],\"\",0,-1,false]}"s, "{\"a\":0.5}"s, "{\"a\":1e+21}"s,
                                  "{\"a\":1.5e-7}"s, "{\"a\":12345678901234567890}"s, "{\"a\":\"\\b\\t\\n\\f\\r\\\"\\\\\\u0000\\u001f\"}"s,
                                  "{\"a\":\"/ \x7f \xc3\xb6 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf \xe2\x80\xa8\"}"s})
    EXPECT_EQ(wrong_with(text), nullptr) << text;
}

TEST(CanonicalReader, RefusesWhatIsNoObject) {
  for (const std::string &text : {""s, "["s, "[]"s, "1"s, "\"a\""s, "null"s, "x"s, "\xef\xbb\xbf{}"s, "{}{}"s, "{},"s, "{} "s, " {}"s, "{}\n"s, "{}\r"s, "{}\0"s,
                                  "{]"s, "{a:1}"s, "{'a':1}"s, "{\"a\"}"s, "{\"a\",1}"s, "{\"a\":}"s, "{\"a\":1,}"s, "{,}"s, "{\"a\":[1,]}"s, "{\"a\":[,1]}"s,
                                  "{\"a\":[1}}"s, "{\"a\":[1]]"s, "{1:1}"s, "{\"a\":1\"b\":2}"s, "{\"a\":[1 2]}"s, "{\"a\":nul}"s, "{\"a\":True}"s, "{\"a\":NaN}"s})
    EXPECT_NE(wrong_with(text), nullptr) << text;
}

TEST(CanonicalReader, RefusesWhiteSpaceOutsideOfStrings) {
  // Where the marks stand.
  const std::string marked = R"(^{^"a"^:^[^1^,^{^"b"^:^"c"^}^]^,^"d"^:^true^})";
  std::string text = marked;
  text.erase(std::remove(text.begin(), text.end(), '^'), text.end());
  ASSERT_EQ(wrong_with(text), nullptr);
  for (size_t i = marked.find('^'), before = 0; i != std::string::npos; i = marked.find('^', i + 1), before++)
    for (const char *space : {" ", "\t", "\n", "\r"}) EXPECT_NE(wrong_with(text.substr(0, i - before) + space + text.substr(i - before)), nullptr) << i;
  EXPECT_NE(wrong_with(text + " "), nullptr);
}

TEST(CanonicalReader, RefusesEveryTruncation) {
  const std::string text = R"({"a":"x\n\u0001ö","b":{"c":[1.5e-7,{"z":null}],"d":{}},"e":false})";
  ASSERT_EQ(wrong_with(text), nullptr);
  for (size_t n = 0; n < text.size(); n++) EXPECT_NE(wrong_with(text.substr(0, n)), nullptr) << n;
}

TEST(CanonicalReader, NamesRiseStrictlyAtEveryLevel) {
  for (const std::string &members : {R"("a":1,"b":1)"s, R"("":1,"a":1)"s, R"("a":1,"aa":1)"s, "\"\xf0\x90\x80\x80\":1,\"\xee\x80\x80\":1"s,
                                     R"("\n":1," ":1)"s, R"("\u0001":1,"\t":1)"s, R"("\"":1,"#":1)"s, R"("[":1,"\\":1,"]":1)"s, R"("a\\":1,"a\\b":1)"s}) {
    EXPECT_EQ(wrong_with("{" + members + "}"), nullptr) << members;
    EXPECT_EQ(wrong_with("{\"x\":[[{" + members + "}]]}"), nullptr) << members;
  }
  for (const std::string &members : {R"("b":1,"a":1)"s, R"("a":1,"a":1)"s, R"("aa":1,"a":1)"s, "\"\xee\x80\x80\":1,\"\xf0\x90\x80\x80\":1"s,
                                     R"(" ":1,"\n":1)"s, R"("\t":1,"\u0001":1)"s, R"("\n":1,"\n":1)"s, R"("a":1,"b":1,"a":1)"s, R"("]":1,"\\":1)"s}) {
    EXPECT_NE(wrong_with("{" + members + "}"), nullptr) << members;
    EXPECT_NE(wrong_with("{\"x\":[[{" + members + "}]]}"), nullptr) << members;
  }
  // Another object begins anew.
  EXPECT_EQ(wrong_with(R"({"a":[{"b":1},{"a":1}],"b":{"a":1}})"), nullptr);
}

TEST(CanonicalReader, StringsHaveTheEscapesOfRfc8785Alone) {
  for (const std::string &text : {"\\/"s, "\\a"s, "\\'"s, "\\u0041"s, "\\u001F"s, "\\u0008"s, "\\u000a"s, "\\u0022"s, "\\u005c"s, "\\ud83d\\ude00"s, "\\u00"s, "\\U0001"s,
                                  "\\x01"s, "\\0"s, "\x01"s, "\x1f"s, "\n"s, "\0"s, "\\"s})
    EXPECT_NE(wrong_with("{\"a\":\"" + text + "\"}"), nullptr) << text;
  for (const std::string &text : {"\x80"s, "\xc3"s, "\xc0\x80"s, "\xed\xa0\x80"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s, "\xe2\x82"s})
    for (size_t before = 0; before < 18; before++)  // wherever it is in a word of eight bytes
      EXPECT_NE(wrong_with("{\"a\":\"" + std::string(before, 'x') + text + "\"}"), nullptr) << text;
  for (size_t before = 0; before < 18; before++) {
    EXPECT_NE(wrong_with("{\"a\":\"" + std::string(before, 'x') + "\x1f" + std::string(20, 'y') + "\"}"), nullptr) << before;
    EXPECT_EQ(wrong_with("{\"a\":\"" + std::string(before, 'x') + "\\\"ö" + std::string(20, 'y') + "\"}"), nullptr) << before;
  }
}

TEST(CanonicalReader, NumbersHaveTheFormOfRfc8785) {
  for (const char *number : {"-", "+1", "01", "-01", "00", "-0", ".5", "1.", "1.0", "1.50", "0.0", "1e5", "0e+5", "0.5e-7", "-0.5e+30", "12e+30", "1e+20", "1e+3", "1e-6", "1.5e-06",
                             "0.0000001", "-0.00000015", "1234567890123456789012", "1E+21", "1e+", "1e+05", "1e-0", "1e+1.5", "1.e+5", "--1", "1-", "0x1",
                             "1_0", "Infinity", "-Infinity"})
    EXPECT_NE(wrong_with("{\"a\":"s + number + "}"), nullptr) << number;
  for (const char *number : {"0", "-1", "10", "0.1", "-0.1", "100.001", "1e+21", "1e+100", "1e-7", "1e-10", "-1.25e+300", "9223372036854775808",
                             "0.000001", "0.0000015", "123456789012345678901.5"})
    EXPECT_EQ(wrong_with("{\"a\":"s + number + "}"), nullptr) << number;
}

TEST(CanonicalReader, NestingAndMembersHaveALimit) {
  EXPECT_EQ(wrong_with(nested(CanonicalReader::max_depth)), nullptr);
  EXPECT_NE(wrong_with(nested(CanonicalReader::max_depth + 1)), nullptr);
  EXPECT_NE(wrong_with(std::string(1 << 20, '{')), nullptr);
  EXPECT_NE(wrong_with("{\"a\":" + std::string(1 << 20, '[')), nullptr);
  EXPECT_EQ(wrong_with(with_members(CanonicalReader::max_members)), nullptr);
  EXPECT_NE(wrong_with(with_members(CanonicalReader::max_members + 1)), nullptr);
  EXPECT_EQ(wrong_with("{\"a\":" + with_members(CanonicalReader::max_members) + "}"), nullptr);
  EXPECT_NE(wrong_with("{\"a\":" + with_members(CanonicalReader::max_members + 1) + "}"), nullptr);
  // Of objects that are not given, and within arrays, there is no such limit.
  EXPECT_EQ(wrong_with("{\"a\":" + with_members(5000) + "}", 1), nullptr);
  EXPECT_EQ(wrong_with("{\"a\":[" + with_members(5000) + "]}"), nullptr);
  EXPECT_EQ(wrong_with("{\"a\":{\"b\":" + with_members(5000) + "}}"), nullptr);
}

TEST(CanonicalReader, TakesEscapesOutOfStrings) {
  Buffer out;
  spine::append_unescaped(out, R"("a\b\t\n\f\r\"\\\u0000\u001föz")");
  EXPECT_EQ(out.view(), "a\b\t\n\f\r\"\\\0\x1föz"s);
  out.clear();
  spine::append_unescaped(out, "\"\"");
  EXPECT_EQ(out.view(), "");
}

TEST(CanonicalReader, TakesElementsOutOfArrays) {
  std::string_view elements = spine::array_elements(R"([1,"a,]\"",[2,[3]],{"b":[4,5]},{}])"), element;
  for (const char *expected : {"1", R"("a,]\"")", "[2,[3]]", R"({"b":[4,5]})", "{}"}) {
    ASSERT_TRUE(spine::take_element(&elements, &element));
    EXPECT_EQ(element, expected);
  }
  EXPECT_FALSE(spine::take_element(&elements, &element));
  elements = spine::array_elements("[]");
  EXPECT_FALSE(spine::take_element(&elements, &element));
}
