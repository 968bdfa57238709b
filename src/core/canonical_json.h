// RFC 8785 (JSON Canonicalization Scheme) from the bytes in which PostgreSQL stores a jsonb value.
//
// The stored form is read here rather than through the server's iterator for two reasons: a verifier meets
// damaged rows, and every offset is checked before it is followed; and it costs no allocation per member.
#pragma once

#include <vector>

#include "core/buffer.h"
#include "core/bytes.h"

namespace spine {

struct JsonLimits {
  size_t max_size;         // bytes of the canonical form
  size_t max_depth;        // nested containers; the outermost is level 1
  bool double_range_only;  // refuse numbers whose first significant digit is outside 10^-324 … 10^308
};

// What an emitted payload may be. max_size is the setting's.
inline constexpr size_t max_payload_depth = 128;

// Compares member names by UTF-16 code units, as RFC 8785 3.2.3 sorts them. Both are UTF-8.
bool utf16_less(std::string_view a, std::string_view b) noexcept;

// Appends s as a JSON string, quotes included, escaped as RFC 8785 3.2.2.2 says. Throws std::bad_alloc.
void append_json_string(Buffer &out, std::string_view s);

class JsonCanonicalizer {
 public:
  // Appends the canonical form of a stored jsonb value to out. stored: the value without its varlena header.
  // Uses no recursion. ok, out_of_memory, malformed, too_large, too_deep or number_out_of_range; after a
  // failure out holds the beginning, which ends with the number that is out of range.
  Status append(Bytes stored, const JsonLimits &limits, Buffer &out) noexcept;

 private:
  // Small, for a payload may have tens of thousands. Key and value lie in their container's data.
  struct Member {
    uint64_t prefix;  // of the key; most comparisons end there
    uint32_t key_begin;
    uint32_t key_size;
    uint32_t begin;
    uint32_t entry;  // the value's type and size, as an entry has them
  };
  struct Container {
    const uint8_t *entries;  // the array's entries, for the walk
    const uint8_t *data;
    uint32_t data_size;
    uint32_t count;
    uint32_t next;
    uint32_t offset;       // array: where the next element begins
    size_t first_member;   // object: its members in members_, sorted
    bool is_object;
    bool is_scalar;        // the wrapper around a scalar that stands alone
  };

  Status open(Bytes stored, const JsonLimits &limits, Buffer &out);
  Status read_members(Container &object, const JsonLimits &limits, size_t used);
  Status append_value(uint32_t type, Bytes value, uint32_t begin, const JsonLimits &limits, Buffer &out);
  Status walk(Bytes stored, const JsonLimits &limits, Buffer &out);

  std::vector<Container> open_;
  std::vector<Member> members_;
};

}  // namespace spine
