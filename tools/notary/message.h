// What the programs say: a line a message, for people or, with --json, one JSON object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spine {

class Message {
 public:
  // name: a word that programs can tell messages by. text: a sentence for people.
  Message(std::string_view name, std::string text) : name_(name), text_(std::move(text)) {}

  Message &add(std::string_view key, std::string_view value);
  Message &add(std::string_view key, uint64_t value);

  const std::string &name() const { return name_; }
  const std::string &text() const { return text_; }

  // Both without a newline; no control character of a value gets into either.
  std::string to_text() const;
  std::string to_json() const;

 private:
  std::string name_, text_;
  std::vector<std::pair<std::string, std::string>> fields_;  // the values as JSON
};

// Where messages go: standard output, a line at a time.
class Messages {
 public:
  explicit Messages(bool json) : json_(json) {}
  void say(const Message &message) const;

 private:
  bool json_;
};

}  // namespace spine
