#include "notary/message.h"

#include <cstdio>

#include "core/bytes.h"

namespace spine {

namespace {

// A JSON string. Bytes that are not UTF-8 are passed on as they are: messages quote what others sent.
std::string quoted(std::string_view value) {
  std::string out = "\"";
  for (char c : value) {
    uint8_t byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < ' ' || byte == 0x7f) {
      out += "\\u00";
      out += hex_digits[byte >> 4];
      out += hex_digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char &c : out)
    if (static_cast<uint8_t>(c) < ' ' || c == 0x7f) c = ' ';
  return out;
}

}  // namespace

Message &Message::add(std::string_view key, std::string_view value) {
  fields_.emplace_back(key, quoted(value));
  return *this;
}

Message &Message::add(std::string_view key, uint64_t value) {
  fields_.emplace_back(key, std::to_string(value));
  return *this;
}

std::string Message::to_text() const { return name_ + ": " + printable(text_); }

std::string Message::to_json() const {
  std::string out = "{\"message\":" + quoted(name_);
  for (const auto &[key, value] : fields_) out += ',' + quoted(key) + ':' + value;
  return out + ",\"text\":" + quoted(text_) + '}';
}

void Messages::say(const Message &message) const {
  std::string line = json_ ? message.to_json() : message.to_text();
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

}  // namespace spine
