// What the fuzz targets share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/canonical_json.h"

// Unlike assert, there in every build.
#define REQUIRE(condition)                                                     \
  do {                                                                         \
    if (!(condition)) {                                                        \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
      std::abort();                                                            \
    }                                                                          \
  } while (false)

// Takes values off the front of the fuzzer's bytes; zeros and nothing where they have run out.
class Input {
 public:
  Input(const uint8_t *data, size_t size) : data_(data), size_(size) {}
  template <class T>
  T take() {
    T value{};
    size_t n = size_ < sizeof value ? size_ : sizeof value;
    if (n > 0) std::memcpy(&value, data_, n);
    skip(n);
    return value;
  }
  std::string_view text(size_t most) {
    size_t n = size_ < most ? size_ : most;
    std::string_view view(reinterpret_cast<const char *>(data_), n);
    skip(n);
    return view;
  }
  std::string_view rest() { return text(size_); }

 private:
  void skip(size_t n) {
    data_ += n;
    size_ -= n;
  }
  const uint8_t *data_;
  size_t size_;
};

// Reads canonical JSON: no white space, only the escapes that RFC 8785 writes, members in strictly rising order of
// keys. Bytes above U+007F are taken as they are, for damaged rows may hold any. Uses no recursion.
class CanonicalReader {
 public:
  static bool accepts(std::string_view text) { return CanonicalReader(text).read(); }

 private:
  struct Level {
    bool is_object;
    bool has_key;
    std::string key;
  };
  explicit CanonicalReader(std::string_view text) : text_(text) {}

  bool read() {
    std::vector<Level> levels;
    for (;;) {
      // A value, behind its key where it is a member.
      if (!levels.empty() && levels.back().is_object && !key(&levels.back())) return false;
      char c = peek();
      if (c == '{' || c == '[') {
        at_++;
        levels.push_back({c == '{', false, {}});
        if (peek() != (c == '{' ? '}' : ']')) continue;
      } else if (c == '"') {
        std::string ignored;
        if (!string(&ignored)) return false;
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        if (!number()) return false;
      } else if (!word("true") && !word("false") && !word("null")) {
        return false;
      }
      // What closes behind it.
      while (!levels.empty() && peek() == (levels.back().is_object ? '}' : ']')) {
        at_++;
        levels.pop_back();
      }
      if (levels.empty()) return at_ == text_.size();
      if (peek() != ',') return false;
      at_++;
    }
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }
  bool key(Level *level) {
    std::string next;
    if (!string(&next) || !word(":")) return false;
    if (level->has_key && !spine::utf16_less(level->key, next)) return false;
    level->has_key = true;
    level->key = std::move(next);
    return true;
  }
  bool string(std::string *out) {
    if (!word("\"")) return false;
    while (at_ < text_.size()) {
      char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<uint8_t>(c) < 0x20) return false;
      if (c != '\\') {
        *out += c;
        continue;
      }
      static constexpr std::string_view letters = "btnfr\"\\", meanings = "\b\t\n\f\r\"\\";
      c = peek();
      at_++;
      size_t i = letters.find(c);
      if (i != letters.npos) {
        *out += meanings[i];
        continue;
      }
      if (c != 'u' || text_.substr(at_, 2) != "00") return false;
      static constexpr std::string_view digits = "0123456789abcdef";
      size_t high = text_.size() > at_ + 3 ? digits.find(text_[at_ + 2]) : digits.npos;
      size_t low = text_.size() > at_ + 3 ? digits.find(text_[at_ + 3]) : digits.npos;
      if (high > 1 || low == digits.npos) return false;
      char meaning = static_cast<char>(16 * high + low);
      if (meanings.find(meaning) != meanings.npos) return false;  // has a letter
      *out += meaning;
      at_ += 4;
    }
    return false;
  }
  bool number() {
    bool negative = word("-");
    if (word("0")) {
      if (peek() != '.') return !negative;  // -0 is 0
      size_t fraction_at = at_ + 1;
      return fraction() && text_.compare(fraction_at, 6, "000000") != 0;
    }
    if (peek() < '1' || peek() > '9') return false;
    size_t begin = at_;
    while (digit()) at_++;
    size_t whole = at_ - begin;
    if (peek() == '.' && !fraction()) return false;
    if (peek() != 'e') return whole <= 21;
    at_++;
    bool is_small = peek() == '-';
    if (!is_small && peek() != '+') return false;
    at_++;
    if (peek() < '1' || peek() > '9') return false;
    unsigned long power = 0;
    for (; digit(); at_++) power = std::min(power * 10 + static_cast<unsigned long>(peek() - '0'), 1000000ul);
    return whole == 1 && power >= (is_small ? 7 : 21);
  }
  bool digit() const { return peek() >= '0' && peek() <= '9'; }
  bool fraction() {
    at_++;
    if (!digit()) return false;
    while (digit()) at_++;
    return text_[at_ - 1] != '0';
  }

  std::string_view text_;
  size_t at_ = 0;
};
