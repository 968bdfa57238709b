// RFC 8785 written for clarity: what the canonicalizer is compared with.
#pragma once

#include <cstdio>
#include <map>

#include "jsonb_builder.h"

namespace jsonb {

inline std::u16string utf16(const std::string &utf8) {
  std::u16string out;
  for (size_t i = 0; i < utf8.size();) {
    unsigned lead = static_cast<uint8_t>(utf8[i]);
    int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
    for (int k = 1; k <= more; k++) point = point << 6 | (static_cast<uint8_t>(utf8[i + static_cast<size_t>(k)]) & 0x3f);
    i += static_cast<size_t>(more) + 1;
    if (point < 0x10000) {
      out += static_cast<char16_t>(point);
    } else {
      out += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
      out += static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  }
  return out;
}

inline std::string json_string(const std::string &s) {
  std::string out = "\"";
  for (char c : s) {
    static const std::map<char, const char *> letters = {{'\b', "\\b"}, {'\t', "\\t"}, {'\n', "\\n"}, {'\f', "\\f"},
                                                         {'\r', "\\r"}, {'"', "\\\""}, {'\\', "\\\\"}};
    auto letter = letters.find(c);
    char code[8];
    if (letter != letters.end()) {
      out += letter->second;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// Numbers are taken as they are: whoever makes the value writes canonical ones.
inline std::string reference(const Value &value) {
  std::string out;
  switch (value.kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return value.truth ? "true" : "false";
    case Value::Kind::number:
      return value.text;
    case Value::Kind::string:
      return json_string(value.text);
    case Value::Kind::array:
      for (const Value &item : value.items) out += (out.empty() ? "" : ",") + reference(item);
      return "[" + out + "]";
    case Value::Kind::object: {
      std::map<std::u16string, std::string> sorted;
      for (const auto &[key, item] : value.members) sorted[utf16(key)] = json_string(key) + ":" + reference(item);
      for (const auto &[key, text] : sorted) out += (out.empty() ? "" : ",") + text;
      return "{" + out + "}";
    }
  }
  return out;
}

}  // namespace jsonb
