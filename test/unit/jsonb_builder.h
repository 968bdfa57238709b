// Makes jsonb as PostgreSQL stores it (src/include/utils/jsonb.h, src/backend/utils/adt/numeric.c), without
// PostgreSQL: a second, independent statement of the format that the canonicalizer reads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace jsonb {

struct Value {
  enum class Kind { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  bool truth = false;
  std::string text;  // of a string, or a number in JSON's syntax
  std::vector<Value> items;
  std::vector<std::pair<std::string, Value>> members;
};

inline Value null() { return {}; }
inline Value boolean(bool truth) {
  Value v;
  v.kind = Value::Kind::boolean;
  v.truth = truth;
  return v;
}
inline Value number(std::string text) {
  Value v;
  v.kind = Value::Kind::number;
  v.text = std::move(text);
  return v;
}
inline Value string(std::string text) {
  Value v;
  v.kind = Value::Kind::string;
  v.text = std::move(text);
  return v;
}
inline Value array(std::vector<Value> items) {
  Value v;
  v.kind = Value::Kind::array;
  v.items = std::move(items);
  return v;
}
inline Value object(std::vector<std::pair<std::string, Value>> members) {
  Value v;
  v.kind = Value::Kind::object;
  v.members = std::move(members);
  return v;
}

// `level` arrays, one inside the other.
inline Value nested_arrays(int level) {
  Value v = array({});
  for (int i = 1; i < level; i++) v = array({std::move(v)});
  return v;
}

enum class NumericForm { automatic, long_form, one_byte_header };

class Encoder {
 public:
  explicit Encoder(NumericForm form = NumericForm::automatic) : form_(form) {}

  // The stored value without its varlena header.
  std::string encode(const Value &value) {
    out_.clear();
    bool is_container = value.kind == Value::Kind::array || value.kind == Value::Kind::object;
    if (is_container)
      write_container(value);
    else
      write_children({&value}, 1, 0x40000000 | 0x10000000);
    return out_;
  }

  // A numeric with its varlena header, padded by nobody.
  std::string encode_numeric(const std::string &text) const {
    size_t at = 0;
    bool negative = text[at] == '-';
    if (negative) at++;
    std::string digits;
    int point = 0, scale = 0;
    bool fraction = false;
    for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; at++) {
      if (text[at] == '.') {
        fraction = true;
        continue;
      }
      digits += text[at];
      if (fraction)
        scale++;
      else
        point++;
    }
    if (at < text.size()) {
      int exponent = std::stoi(text.substr(at + 1));
      point += exponent;
      scale = std::max(0, scale - exponent);
    }
    size_t zeros = std::min(digits.find_first_not_of('0'), digits.size());
    digits.erase(0, zeros);
    point -= static_cast<int>(zeros);
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    // The point falls between two groups of four digits.
    int weight = 0;
    std::vector<uint16_t> groups;
    if (!digits.empty()) {
      int lead = ((point % 4) + 4) % 4;
      if (lead != 0) digits.insert(0, static_cast<size_t>(4 - lead), '0');
      weight = (point + (lead == 0 ? 0 : 4 - lead)) / 4 - 1;
      while (digits.size() % 4 != 0) digits += '0';
      for (size_t i = 0; i < digits.size(); i += 4)
        groups.push_back(static_cast<uint16_t>(std::stoi(digits.substr(i, 4))));
    } else {
      negative = false;
    }
    std::string body;
    bool fits_short = scale <= 63 && weight >= -64 && weight <= 63;
    if (fits_short && form_ != NumericForm::long_form) {
      put16(&body, 0x8000 | (negative ? 0x2000 : 0) | (scale << 7) | (weight < 0 ? 0x40 : 0) | (weight & 0x3f));
    } else {
      put16(&body, (negative ? 0x4000 : 0) | (scale & 0x3fff));
      put16(&body, weight & 0xffff);
    }
    for (uint16_t group : groups) put16(&body, group);
    std::string numeric;
    if (form_ == NumericForm::one_byte_header)
      numeric += static_cast<char>((body.size() + 1) << 1 | 1);
    else
      put32(&numeric, static_cast<uint32_t>((body.size() + 4) << 2));
    return numeric + body;
  }

 private:
  static void put16(std::string *out, int v) {
    *out += static_cast<char>(v & 0xff);
    *out += static_cast<char>(v >> 8 & 0xff);
  }
  static void put32(std::string *out, uint32_t v) {
    for (int i = 0; i < 4; i++) *out += static_cast<char>(v >> (8 * i));
  }
  void set32(size_t at, uint32_t v) {
    for (size_t i = 0; i < 4; i++) out_[at + i] = static_cast<char>(v >> (8 * i));
  }
  void pad() {
    while (out_.size() % 4 != 0) out_ += '\0';
  }

  void write_container(const Value &value) {
    pad();
    std::vector<const Value *> children;
    if (value.kind == Value::Kind::array) {
      for (const Value &item : value.items) children.push_back(&item);
      write_children(children, children.size(), 0x40000000);
      return;
    }
    // PostgreSQL's order: shorter keys first, then by bytes; of equal keys only the last stays, which is up to the test.
    std::vector<const std::pair<std::string, Value> *> members;
    for (const auto &member : value.members) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](auto *a, auto *b) {
      return a->first.size() != b->first.size() ? a->first.size() < b->first.size() : a->first < b->first;
    });
    std::vector<Value> keys;
    for (auto *member : members) keys.push_back(string(member->first));
    for (const Value &key : keys) children.push_back(&key);
    for (auto *member : members) children.push_back(&member->second);
    write_children(children, members.size(), 0x20000000);
  }

  void write_children(const std::vector<const Value *> &children, size_t count, uint32_t flags) {
    put32(&out_, static_cast<uint32_t>(count) | flags);
    size_t entries = out_.size();
    out_.append(4 * children.size(), '\0');
    size_t data = out_.size();
    for (size_t i = 0; i < children.size(); i++) {
      size_t begin = out_.size();
      uint32_t type = write_child(*children[i]);
      // Every 32nd entry holds where its child ends, the others how long it is.
      uint32_t entry = static_cast<uint32_t>(out_.size() - begin);
      if (i % 32 == 0) entry = static_cast<uint32_t>(out_.size() - data) | 0x80000000;
      set32(entries + 4 * i, entry | type);
    }
  }

  uint32_t write_child(const Value &value) {
    switch (value.kind) {
      case Value::Kind::null:
        return 0x40000000;
      case Value::Kind::boolean:
        return value.truth ? 0x30000000 : 0x20000000;
      case Value::Kind::string:
        out_ += value.text;
        return 0;
      case Value::Kind::number:
        pad();
        out_ += encode_numeric(value.text);
        return 0x10000000;
      default:
        write_container(value);
        return 0x50000000;
    }
  }

  NumericForm form_;
  std::string out_;
};

}  // namespace jsonb
