#include "core/canonical_reader.h"

#include "core/canonical_json.h"
#include "core/utf8.h"

namespace spine {

namespace {

constexpr const char *cut_off = "the line ends within a value";
constexpr const char *no_value = "a value is missing, or is not written as RFC 8785 has it";

constexpr uint64_t every_byte = 0x0101010101010101;
constexpr uint64_t high_bits = every_byte * 0x80;

// Marks bytes of a word that no string may hold as they are, or that are not ASCII. Of the marks the lowest one is
// right; those above it may be wrong.
uint64_t special_bytes(uint64_t word) {
  uint64_t control = word - every_byte * 0x20;
  uint64_t quote = (word ^ every_byte * '"') - every_byte;
  uint64_t backslash = (word ^ every_byte * '\\') - every_byte;
  return (((control | quote | backslash) & ~word) | word) & high_bits;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// What a two-character escape stands for; 0: there is no such escape.
char escaped(char letter) {
  switch (letter) {
    case 'b': return '\b';
    case 't': return '\t';
    case 'n': return '\n';
    case 'f': return '\f';
    case 'r': return '\r';
    case '"': return '"';
    case '\\': return '\\';
    default: return 0;
  }
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Takes an escape of RFC 8785 off the front of a string, at its backslash. Null: it is none.
const char *take_escape(const char *at, const char *end, char *meaning) {
  if (end - at < 2) return nullptr;
  *meaning = escaped(at[1]);
  if (*meaning != 0) return at + 2;
  if (end - at < 6 || at[1] != 'u' || at[2] != '0' || at[3] != '0') return nullptr;
  int high = hex_value(at[4]), low = hex_value(at[5]);
  if (high < 0 || high > 1 || low < 0) return nullptr;
  *meaning = static_cast<char>(high << 4 | low);
  bool has_letter = *meaning == '\b' || *meaning == '\t' || *meaning == '\n' || *meaning == '\f' || *meaning == '\r';
  return has_letter ? nullptr : at + 6;
}

// Takes a byte off the front of a string that was read.
char take_byte(std::string_view *raw) {
  char c = (*raw)[0];
  const char *next = raw->data() + 1;
  if (c == '\\') next = take_escape(raw->data(), raw->data() + raw->size(), &c);
  raw->remove_prefix(static_cast<size_t>(next - raw->data()));
  return c;
}

}  // namespace

bool canonical_name_less(std::string_view a, std::string_view b) noexcept {
  if (a.find('\\') == std::string_view::npos && b.find('\\') == std::string_view::npos) return utf16_less(a, b);
  while (!a.empty() && !b.empty()) {
    char of_a = take_byte(&a), of_b = take_byte(&b);
    if (of_a != of_b) return utf16_less({&of_a, 1}, {&of_b, 1});
  }
  return a.empty() && !b.empty();
}

// Reads a string at its quote; raw is what is between the quotes.
const char *CanonicalReader::string(std::string_view *raw) {
  const char *p = at_ + 1;
  for (;;) {
    uint64_t word;
    while (end_ - p >= 8) {
      std::memcpy(&word, p, 8);
      uint64_t special = special_bytes(word);
      if (special != 0) {
        p += __builtin_ctzll(special) / 8;
        break;
      }
      p += 8;
    }
    if (p == end_) return "the line ends within a string";
    uint8_t c = static_cast<uint8_t>(*p);
    if (c == '"') {
      *raw = {at_ + 1, static_cast<size_t>(p - at_ - 1)};
      at_ = p + 1;
      return nullptr;
    }
    if (c == '\\') {
      char meaning;
      p = take_escape(p, end_, &meaning);
      if (p == nullptr) return "a string holds an escape that RFC 8785 does not write";
    } else if (c < 0x20) {
      return "a string holds a control character";
    } else if (c < 0x80) {
      p++;
    } else {
      std::string_view rest(p, static_cast<size_t>(end_ - p));
      uint32_t point;
      if (!take_character(&rest, &point)) return "a string is not UTF-8";
      p = rest.data();
    }
  }
}

// Reads a number in the one form that RFC 8785 gives it: without an exponent from 1e-6 up to below 1e+21, else with one
// digit other than 0 before the point; no zeros in front, none behind the last digit of a fraction.
const char *CanonicalReader::number() {
  auto digits = [this] {
    const char *begin = at_;
    while (at_ < end_ && is_digit(*at_)) at_++;
    return at_ - begin;
  };
  bool negative = *at_ == '-';
  if (negative) at_++;
  const char *whole = at_;
  auto whole_digits = digits();
  if (whole_digits == 0) return no_value;
  bool zero = *whole == '0', small = false;
  if (zero && whole_digits > 1) return "a number has a zero in front";
  if (at_ < end_ && *at_ == '.') {
    const char *fraction = ++at_;
    if (digits() == 0 || at_[-1] == '0') return "a number has a fraction that RFC 8785 does not write";
    small = zero && at_ - fraction > 6 && std::string_view(fraction, 6) == "000000";
  } else if (zero && negative) {
    return "a number is -0";
  }
  constexpr const char *exponent = "a number has an exponent that RFC 8785 does not write";
  if (at_ == end_ || *at_ != 'e') return small || whole_digits > 21 ? "a number has no exponent, and RFC 8785 writes one" : nullptr;
  if (zero || whole_digits > 1 || ++at_ == end_ || (*at_ != '+' && *at_ != '-')) return exponent;
  char least_digit = *at_ == '-' ? '7' : '\0';  // 1e-7, 1e+21
  const char *first = ++at_;
  auto count = digits();
  if (count == 0 || *first == '0' || (count == 1 && (least_digit == '\0' || *first < least_digit))) return exponent;
  if (count == 2 && least_digit == '\0' && std::string_view(first, 2) < "21") return exponent;
  return nullptr;
}

// Reads the name of a member and its colon.
const char *CanonicalReader::begin_member(Level *level) {
  if (at_ == end_ || *at_ != '"') return at_ == end_ ? cut_off : "a member has no name";
  std::string_view name;
  const char *why = string(&name);
  if (why != nullptr) return why;
  if (level->has_name && !canonical_name_less(level->name, name))
    return level->name == name ? "an object has two members of one name" : "the members of an object are not sorted";
  level->name = name;
  level->has_name = true;
  if (at_ == end_ || *at_ != ':') return at_ == end_ ? cut_off : "no colon follows the name of a member";
  at_++;
  if (!level->is_given) return nullptr;
  size_t depth = static_cast<size_t>(level - levels_);
  if (counts_[depth] == max_members) return "an object has more than 64 members";
  members_[depth][counts_[depth]++] = {name, {at_, 0}};
  return nullptr;
}

// Notes where the value ends that was begun last within so many levels.
void CanonicalReader::end_value(unsigned depth) {
  if (depth == 0 || !levels_[depth - 1].is_given) return;
  JsonMember &member = members_[depth - 1][counts_[depth - 1] - 1];
  member.value = {member.value.data(), static_cast<size_t>(at_ - member.value.data())};
}

const char *CanonicalReader::read(std::string_view text, unsigned levels) noexcept {
  at_ = text.data();
  end_ = at_ + text.size();
  given_ = levels;
  counts_[0] = counts_[1] = 0;
  if (text.empty() || text[0] != '{') return "the line does not begin with {";
  auto word = [this](std::string_view expected) {
    if (static_cast<size_t>(end_ - at_) < expected.size() || std::memcmp(at_, expected.data(), expected.size()) != 0)
      return false;
    at_ += expected.size();
    return true;
  };
  unsigned depth = 0;
  for (;;) {
    // A value, behind its name where it is a member.
    if (depth > 0 && levels_[depth - 1].is_object) {
      const char *why = begin_member(&levels_[depth - 1]);
      if (why != nullptr) return why;
    }
    if (at_ == end_) return cut_off;
    const char *why = nullptr;
    std::string_view ignored;
    char c = *at_;
    if (c == '"') {
      why = string(&ignored);
    } else if (c == '{' || c == '[') {
      if (depth == max_depth) return "the line is nested more than 256 levels deep";
      at_++;
      // Objects within arrays are not given.
      bool given = depth < given_ && c == '{' && (depth == 0 || levels_[depth - 1].is_given);
      levels_[depth++] = {c == '{', given, false, {}};
      if (at_ == end_) return cut_off;
      if (*at_ != (c == '{' ? '}' : ']')) continue;
    } else if (c == '-' || is_digit(c)) {
      why = number();
    } else if (!word("true") && !word("false") && !word("null")) {
      why = no_value;
    }
    if (why != nullptr) return why;
    bool is_open = c == '{' || c == '[';  // and empty: its end is next
    if (!is_open) end_value(depth);
    // What ends behind it.
    while (depth > 0 && at_ < end_ && *at_ == (levels_[depth - 1].is_object ? '}' : ']')) {
      at_++;
      depth--;
      end_value(depth);
    }
    if (depth == 0) return at_ == end_ ? nullptr : "something follows the object";
    if (at_ == end_) return cut_off;
    if (*at_ != ',') return "neither a comma nor the end of the object or array follows a value";
    at_++;
  }
}

void append_unescaped(Buffer &out, std::string_view value) {
  std::string_view raw = value.substr(1, value.size() - 2);
  out.reserve(raw.size());
  while (!raw.empty()) {
    size_t plain = raw.find('\\');
    out.append(raw.substr(0, plain));
    if (plain == std::string_view::npos) return;
    raw.remove_prefix(plain);
    out.append(take_byte(&raw));
  }
}

std::string_view array_elements(std::string_view array) noexcept { return array.substr(1, array.size() - 2); }

bool take_element(std::string_view *elements, std::string_view *element) noexcept {
  if (elements->empty()) return false;
  size_t depth = 0, i = 0;
  bool in_string = false;
  for (; i < elements->size(); i++) {
    char c = (*elements)[i];
    if (in_string) {
      if (c == '\\') i++;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      depth--;
    } else if (c == ',' && depth == 0) {
      break;
    }
  }
  *element = elements->substr(0, i);
  elements->remove_prefix(i < elements->size() ? i + 1 : i);
  return true;
}

}  // namespace spine
