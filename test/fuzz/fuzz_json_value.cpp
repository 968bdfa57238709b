// Any JSON value in the form that the server stores: the canonical form is what RFC 8785 written for clarity gives.
#include "../unit/json_reference.h"
#include "core/canonical_number.h"
#include "fuzz.h"

using jsonb::Value;
using spine::Status;

namespace {

// Numbers and texts favour what stands near a border between two forms.
class Values {
 public:
  explicit Values(Input input) : input_(input) {}

  Value value(int depth) {
    uint8_t choice = input_.take<uint8_t>();
    switch (choice % (depth > 0 ? 8 : 5)) {
      case 0:
        return jsonb::null();
      case 1:
        return jsonb::boolean(choice & 0x80);
      case 2:
      case 3:
        return jsonb::number(number(choice & 0x80));
      case 4:
        return jsonb::string(text(input_.take<uint8_t>() % 40));
      case 5: {
        std::vector<Value> items(count(choice));
        for (Value &item : items) item = value(depth - 1);
        return jsonb::array(std::move(items));
      }
      default: {
        std::map<std::string, Value> members;
        for (size_t i = count(choice); i > 0; i--) {
          std::string key = text(input_.take<uint8_t>() % 12);
          members[key] = value(depth - 1);
        }
        return jsonb::object({members.begin(), members.end()});
      }
    }
  }

 private:
  // Beyond 32 children an entry holds an offset where the others hold a length.
  size_t count(uint8_t choice) { return choice & 0x80 ? 30 + input_.take<uint8_t>() % 40 : choice / 8 % 4; }

  std::string number(bool negative) {
    int8_t point = input_.take<int8_t>();
    std::string digits;
    for (char c : input_.text(input_.take<uint8_t>() % 40)) digits += static_cast<char>('0' + static_cast<uint8_t>(c) % 10);
    size_t first = digits.find_first_not_of('0');
    digits = first == digits.npos ? "" : digits.substr(first, digits.find_last_not_of('0') + 1 - first);
    std::string out(digits.size() + spine::number_overhead, '\0');
    out.resize(static_cast<size_t>(spine::write_number(out.data(), negative, digits, point) - out.data()));
    return out;
  }

  std::string text(size_t length) {
    std::string out;
    while (length-- > 0) {
      uint8_t c = input_.take<uint8_t>();
      if (c < 0x80) {
        out += static_cast<char>(c == 0 ? '"' : c);
        continue;
      }
      // Two, three (also behind the surrogates) and four bytes.
      static constexpr const char *leads[] = {"\xc2", "\xdf", "\xe1\x80", "\xed\x9f", "\xee\x80", "\xef\xbf", "\xf0\x90\x80", "\xf4\x8f\xbf"};
      out += leads[c >> 4 & 7];
      out += static_cast<char>(0x80 | (c & 0x0f));
    }
    return out;
  }

  Input input_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  jsonb::NumericForm form = static_cast<jsonb::NumericForm>(input.take<uint8_t>() % 3);
  Value value = Values(input).value(4);
  std::string stored = jsonb::Encoder(form).encode(value);
  std::string expected = jsonb::reference(value);

  static spine::JsonCanonicalizer canonicalizer;
  auto canonical = [&](size_t max_size, std::string_view *text) {
    static spine::Buffer out;
    out.clear();
    Status status = canonicalizer.append({reinterpret_cast<const uint8_t *>(stored.data()), stored.size()},
                                         {max_size, SIZE_MAX, false}, out);
    *text = out.view();
    return status;
  };
  std::string_view text;
  REQUIRE(canonical(SIZE_MAX, &text) == Status::ok);
  REQUIRE(text == expected);
  REQUIRE(canonical(expected.size(), &text) == Status::ok);
  REQUIRE(text == expected);
  REQUIRE(canonical(expected.size() - 1, &text) == Status::too_large);
  return 0;
}
