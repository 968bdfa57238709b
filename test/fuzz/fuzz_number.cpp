// Sign, point and digits as a number: the text is canonical and reads back as the same value.
#include <memory>

#include "core/canonical_number.h"
#include "fuzz.h"

namespace {

struct Decimal {
  bool negative = false;
  std::string digits;
  int64_t point = 0;
};

Decimal read_back(std::string_view text) {
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
  if (at < text.size()) d.point += std::stoll(std::string(text.substr(at + 1)));
  size_t zeros = d.digits.find_first_not_of('0');
  if (zeros == d.digits.npos) return {};
  d.point -= static_cast<int64_t>(zeros);
  d.digits = d.digits.substr(zeros, d.digits.find_last_not_of('0') + 1 - zeros);
  return d;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  uint8_t choice = input.take<uint8_t>();
  bool negative = choice & 1;
  // Near the borders between the forms, or anywhere that a numeric reaches.
  int32_t point = choice & 2 ? input.take<int8_t>() : input.take<int32_t>() % 200000;
  std::string digits;
  for (char c : input.rest()) digits += static_cast<char>('0' + static_cast<uint8_t>(c) % 10);
  size_t first = digits.find_first_not_of('0');
  digits = first == digits.npos ? "" : digits.substr(first, digits.find_last_not_of('0') + 1 - first);

  std::unique_ptr<char[]> out(new char[digits.size() + spine::number_overhead]);
  char *end = spine::write_number(out.get(), negative, digits, point);
  std::string_view text(out.get(), static_cast<size_t>(end - out.get()));
  REQUIRE(CanonicalReader::accepts(text));
  Decimal d = read_back(text);
  REQUIRE(d.digits == digits);
  if (!digits.empty()) REQUIRE(d.negative == negative && d.point == point);
  size_t e = text.find('e');
  REQUIRE((e != text.npos) == (!digits.empty() && (point > 21 || point <= -6)));
  return 0;
}
