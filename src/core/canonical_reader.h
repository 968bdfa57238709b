// Reads JSON in the canonical form of RFC 8785 from bytes that somebody else made, and cuts members out of it as
// they stand: there is one way to read such a text, and its bytes can be hashed.
#pragma once

#include "core/buffer.h"
#include "core/bytes.h"

namespace spine {

// A member of an object. Both are views into the text.
struct JsonMember {
  std::string_view name;   // between its quotes, as it stands
  std::string_view value;  // as it stands, a string with its quotes

  const char *begin() const { return name.data() - 1; }
  const char *end() const { return value.data() + value.size(); }
};

// Uses no recursion and no memory but its own.
class CanonicalReader {
 public:
  static constexpr size_t max_depth = 256;   // objects and arrays within each other
  static constexpr size_t max_members = 64;  // of the objects that are given

  // Reads a text that is one object. Null, or what is wrong with it: not JSON, not canonical, not UTF-8, too deep.
  // levels: the members of how many levels are given below, 1 or 2; their objects have at most max_members.
  const char *read(std::string_view text, unsigned levels) noexcept;

  // The members of the object that was read, or of all the objects that are values of its members.
  const JsonMember *members(unsigned level) const { return members_[level - 1]; }
  size_t count(unsigned level) const { return counts_[level - 1]; }

 private:
  struct Level {
    bool is_object;
    bool is_given;
    bool has_name;
    std::string_view name;
  };

  const char *string(std::string_view *raw);
  const char *number();
  const char *begin_member(Level *level);
  void end_value(unsigned depth);

  const char *at_ = nullptr, *end_ = nullptr;
  unsigned given_ = 0;
  Level levels_[max_depth];
  JsonMember members_[2][max_members];
  size_t counts_[2] = {0, 0};
};

// Whether a string's name sorts before another one's by UTF-16 code units; both are as they stand between quotes.
bool canonical_name_less(std::string_view a, std::string_view b) noexcept;

// The content of a string of a text that was read, without quotes and escapes. Throws std::bad_alloc.
void append_unescaped(Buffer &out, std::string_view value);

// Takes the next element off the elements of an array of a text that was read; false: there is none left. Begin
// with array_elements(value), of a value that begins with '['.
std::string_view array_elements(std::string_view array) noexcept;
bool take_element(std::string_view *elements, std::string_view *element) noexcept;

}  // namespace spine
