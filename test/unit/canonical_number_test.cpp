#include "core/canonical_number.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "support.h"

using spine::write_number;

namespace {

struct Decimal {
  bool negative = false;
  std::string digits;  // without zeros at either end
  int32_t point = 0;   // 0.digits × 10^point
};

// From JSON's syntax.
Decimal decimal_of(const std::string &text) {
  Decimal d;
  size_t at = 0;
  if (text[at] == '-') {
    d.negative = true;
    at++;
  }
  bool fraction = false;
  for (; at < text.size() && text[at] != 'e'; at++) {
    if (text[at] == '.') {
      fraction = true;
    } else {
      d.digits += text[at];
      if (!fraction) d.point++;
    }
  }
  if (at < text.size()) d.point += std::stoi(text.substr(at + 1));
  while (!d.digits.empty() && d.digits.front() == '0') {
    d.digits.erase(0, 1);
    d.point--;
  }
  while (!d.digits.empty() && d.digits.back() == '0') d.digits.pop_back();
  return d;
}

// Into a block of exactly the promised size, so that a sanitizer sees one byte too many.
std::string written(const Decimal &d) {
  std::unique_ptr<char[]> out(new char[d.digits.size() + spine::number_overhead]);
  char *end = write_number(out.get(), d.negative, d.digits, d.point);
  return std::string(out.get(), end);
}

std::string canonical(const std::string &text) { return written(decimal_of(text)); }

}  // namespace

// RFC 8785 appendix B: what ECMAScript prints for those doubles, from the digits that it prints.
TEST(CanonicalNumber, Rfc8785AppendixB) {
  for (const char *number :
       {"0", "5e-324", "-5e-324", "1.7976931348623157e+308", "-1.7976931348623157e+308", "9007199254740992",
        "-9007199254740992", "295147905179352830000", "9.999999999999997e+22", "1e+23", "1.0000000000000001e+23",
        "999999999999999700000", "999999999999999900000", "1e+21", "9.999999999999997e-7", "0.000001", "333333333.3333332",
        "333333333.33333325", "333333333.3333333", "333333333.3333334", "333333333.33333343",
        "-0.0000033333333333333333", "1424953923781206.2"})
    EXPECT_EQ(canonical(number), number);
}

TEST(CanonicalNumber, ZeroHasNoSign) {
  EXPECT_EQ(written({false, "", 0}), "0");
  EXPECT_EQ(written({true, "", 0}), "0");
  EXPECT_EQ(written({true, "", 77}), "0");
  EXPECT_EQ(canonical("-0"), "0");
  EXPECT_EQ(canonical("-0.000"), "0");
}

TEST(CanonicalNumber, WritesEqualNumbersAlike) {
  for (const char *one : {"1", "1.0", "1.00", "1e0", "10e-1", "0.1e1", "1000000e-6"}) EXPECT_EQ(canonical(one), "1");
  for (const char *n : {"120000.5", "120000.50", "1.200005e5", "1200005e-1"}) EXPECT_EQ(canonical(n), "120000.5");
}

TEST(CanonicalNumber, SwitchesToExponentsWhereEcmaScriptDoes) {
  EXPECT_EQ(canonical("1e20"), "100000000000000000000");
  EXPECT_EQ(canonical("1e21"), "1e+21");
  EXPECT_EQ(canonical("123456789012345678901"), "123456789012345678901");
  EXPECT_EQ(canonical("999999999999999999999"), "999999999999999999999");
  EXPECT_EQ(canonical("1234567890123456789012"), "1.234567890123456789012e+21");
  EXPECT_EQ(canonical("123456789012345678901.5"), "123456789012345678901.5");
  EXPECT_EQ(canonical("1234567890123456789012.5"), "1.2345678901234567890125e+21");
  EXPECT_EQ(canonical("1e-6"), "0.000001");
  EXPECT_EQ(canonical("1e-7"), "1e-7");
  EXPECT_EQ(canonical("1.5e-6"), "0.0000015");
  EXPECT_EQ(canonical("1.5e-7"), "1.5e-7");
  EXPECT_EQ(canonical("-1e-7"), "-1e-7");
  EXPECT_EQ(canonical("-1.25e21"), "-1.25e+21");
}

TEST(CanonicalNumber, LosesNoDigit) {
  for (const char *number : {"12345678901234567890", "0.1000000000000000055", "333333333.33333329", "9007199254740993",
                             "0.1000000000000000055511151231257827021181583404541015625"})
    EXPECT_EQ(canonical(number), number);
}

TEST(CanonicalNumber, HugeDigitCounts) {
  std::string sevens(100000, '7');
  EXPECT_EQ(written({false, sevens, 100000}), "7." + sevens.substr(1) + "e+99999");
  EXPECT_EQ(written({true, sevens, 21}), "-" + sevens.substr(0, 21) + "." + sevens.substr(21));
  EXPECT_EQ(written({true, sevens, -5}), "-0.00000" + sevens);
  EXPECT_EQ(written({true, sevens, -6}), "-7." + sevens.substr(1) + "e-7");
}

TEST(CanonicalNumber, ReachesTheEndsOfNumeric) {
  EXPECT_EQ(written({true, "1", 131072}), "-1e+131071");
  EXPECT_EQ(written({true, "12", -131071}), "-1.2e-131072");
}

// Every place of the point around every digit count that matters, against the specification's five cases.
TEST(CanonicalNumber, FollowsTheSpecificationsCases) {
  for (int k = 1; k <= 30; k++) {
    std::string digits = std::string("123456789123456789123456789123").substr(0, static_cast<size_t>(k));
    for (int n = -30; n <= 40; n++) {
      std::string expected;
      if (k <= n && n <= 21) {
        expected = digits + std::string(static_cast<size_t>(n - k), '0');
      } else if (0 < n && n <= 21) {
        expected = digits.substr(0, static_cast<size_t>(n)) + "." + digits.substr(static_cast<size_t>(n));
      } else if (-6 < n && n <= 0) {
        expected = "0." + std::string(static_cast<size_t>(-n), '0') + digits;
      } else {
        expected = digits.substr(0, 1) + (k > 1 ? "." + digits.substr(1) : "") + "e" + (n - 1 < 0 ? "-" : "+") +
                   std::to_string(std::abs(n - 1));
      }
      ASSERT_EQ(written({false, digits, n}), expected) << k << " digits, point " << n;
      ASSERT_EQ(written({true, digits, n}), "-" + expected) << k << " digits, point " << n;
    }
  }
}

TEST(CanonicalNumber, ReadsBackAsTheSameDouble) {
  std::mt19937_64 random(8785);
  for (int i = 0; i < 200000; i++) {
    uint64_t bits = random();
    double value;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value) || value == 0) continue;
    char shortest[64];
    char *end = std::to_chars(shortest, shortest + sizeof shortest, value, std::chars_format::scientific).ptr;
    std::string out = canonical(std::string(shortest, end));
    ASSERT_EQ(std::strtod(out.c_str(), nullptr), value) << out;
  }
}
