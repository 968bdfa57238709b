#include "core/canonical_json.h"

#include <algorithm>
#include <cstring>

#include "core/canonical_number.h"

// The lengths inside a stored jsonb and numeric are in the machine's order, and only this one was tested.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the stored form of jsonb is read for little-endian machines");

namespace spine {

namespace {

// src/include/utils/jsonb.h in PostgreSQL: a container is a header, an entry for each child (an object's keys
// first, then its values), then the children's bytes. The format is on disk, so it outlives server versions.
constexpr uint32_t count_mask = 0x0fffffff;
constexpr uint32_t flag_scalar = 0x10000000;
constexpr uint32_t flag_object = 0x20000000;
constexpr uint32_t flag_array = 0x40000000;
constexpr uint32_t entry_length_mask = 0x0fffffff;
constexpr uint32_t entry_type_mask = 0x70000000;
constexpr uint32_t entry_has_offset = 0x80000000;
constexpr uint32_t type_string = 0x00000000;
constexpr uint32_t type_numeric = 0x10000000;
constexpr uint32_t type_false = 0x20000000;
constexpr uint32_t type_true = 0x30000000;
constexpr uint32_t type_null = 0x40000000;
constexpr uint32_t type_container = 0x50000000;

uint32_t load32(const uint8_t *p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

uint16_t load16(const uint8_t *p) {
  uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// Numbers and containers begin at the next multiple of four; their entry's length counts the padding.
bool skip_padding(uint32_t begin, Bytes *value) {
  uint32_t padding = (4 - begin % 4) % 4;
  if (value->size < padding) return false;
  value->data += padding;
  value->size -= padding;
  return true;
}

// 0: as it is; 'u': \u00xx; else the letter after the backslash.
struct EscapeTable {
  char letter[256] = {};
  constexpr EscapeTable() {
    for (int c = 0; c < 32; c++) letter[c] = 'u';
    letter[int{'\b'}] = 'b';
    letter[int{'\t'}] = 't';
    letter[int{'\n'}] = 'n';
    letter[int{'\f'}] = 'f';
    letter[int{'\r'}] = 'r';
    letter[int{'"'}] = '"';
    letter[int{'\\'}] = '\\';
  }
};
constexpr EscapeTable escapes;

constexpr uint64_t every_byte = 0x0101010101010101;  // times a byte: eight of it
constexpr uint64_t high_bits = every_byte * 0x80;

// The first eight bytes of s, or all of them and then zeros, as little-endian machines load them. Nothing behind
// s is read: a short one is put together from parts that overlap.
inline uint64_t load_word(std::string_view s) {
  const char *p = s.data();
  size_t n = s.size();
  uint64_t word = 0;
  if (n >= 8) {
    std::memcpy(&word, p, 8);
  } else if (n >= 4) {
    uint32_t first, last;
    std::memcpy(&first, p, 4);
    std::memcpy(&last, p + n - 4, 4);
    word = first | uint64_t{last} << (8 * (n - 4));
  } else if (n > 0) {
    auto byte = [&](size_t i) { return uint64_t{static_cast<uint8_t>(p[i])} << (8 * i); };
    word = byte(0) | byte(n / 2) | byte(n - 1);
  }
  return word;
}

// Not 0 where one of the eight bytes must be escaped.
uint64_t escape_bits(uint64_t word) {
  uint64_t control_or_quote = (word ^ every_byte * 2) - every_byte * 0x21;  // the xor takes '"' to 0x20
  uint64_t backslash = (word ^ every_byte * '\\') - every_byte;
  return (control_or_quote | backslash) & ~word & high_bits;
}

// Copies s as far as it needs no escape; false: it does need one. Almost no string does, and most are short, so
// the rest that fills no word is looked at through one that overlaps what came before. Writes 8 bytes at least.
bool copy_clean(std::string_view s, char *to) {
  const char *p = s.data();
  size_t n = s.size();
  uint64_t word, found = 0;
  if (n < 8) {
    word = load_word(s);
    std::memcpy(to, &word, 8);
    return escape_bits(word | every_byte * ' ' << (8 * n)) == 0;
  }
  for (size_t i = 0; i < n - 8; i += 8) {
    std::memcpy(&word, p + i, 8);
    std::memcpy(to + i, &word, 8);
    found |= escape_bits(word);
  }
  std::memcpy(&word, p + n - 8, 8);
  std::memcpy(to + n - 8, &word, 8);
  return (found | escape_bits(word)) == 0;
}

// Out of line, or each string pays for the registers that it uses.
[[gnu::noinline]] void append_escaped(Buffer &out, std::string_view s) {
  out.append('"');
  const char *p = s.data(), *end = p + s.size();
  while (p < end) {
    const char *clean = p;
    while (p < end && escapes.letter[static_cast<uint8_t>(*p)] == 0) p++;
    out.append(std::string_view(clean, static_cast<size_t>(p - clean)));
    if (p == end) break;
    uint8_t c = static_cast<uint8_t>(*p++);
    char *to = out.reserve(6);
    *to++ = '\\';
    *to++ = escapes.letter[c];
    if (escapes.letter[c] == 'u') {
      *to++ = '0';
      *to++ = '0';
      to = write_hex(to, {&c, 1});
    }
    out.commit(to);
  }
  out.append('"');
}

// The order in which the server stores an object's keys: by length, then by bytes, each once.
bool stored_before(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size();
  return std::memcmp(a.data(), b.data(), a.size()) < 0;
}

// A numeric is base-10000 digits with a weight (src/backend/utils/adt/numeric.c, "on-disk format").
Status append_numeric(Bytes value, const JsonLimits &limits, Buffer &out) {
  if (value.size < 1) return Status::malformed;
  size_t header = 4, size;
  if (value.data[0] & 1) {  // one-byte varlena header
    header = 1;
    size = value.data[0] >> 1;
  } else {
    if (value.size < 4 || (value.data[0] & 3) != 0) return Status::malformed;
    size = load32(value.data) >> 2;
  }
  if (size != value.size || size < header + 2) return Status::malformed;
  const uint8_t *p = value.data + header;
  const uint8_t *end = value.data + size;
  uint16_t flags = load16(p);
  p += 2;
  bool negative;
  int32_t weight;
  if ((flags & 0xc000) == 0xc000) {
    return Status::malformed;  // NaN and infinities are no JSON
  } else if (flags & 0x8000) {
    negative = flags & 0x2000;
    weight = flags & 0x003f;
    if (flags & 0x0040) weight -= 64;
  } else {
    if (end - p < 2) return Status::malformed;
    negative = flags & 0x4000;
    weight = static_cast<int16_t>(load16(p));
    p += 2;
  }
  size_t groups = static_cast<size_t>(end - p) / 2;
  if (groups * 2 != static_cast<size_t>(end - p)) return Status::malformed;

  char *to = out.reserve(8 * groups + number_overhead);
  char *digits = to + 4 * groups + number_overhead;
  char *d = digits;
  for (size_t i = 0; i < groups; i++, p += 2) {
    uint32_t group = load16(p);
    if (group > 9999) return Status::malformed;
    d = write_pair(write_pair(d, group / 100), group % 100);
  }
  int32_t point = (weight + 1) * 4;
  while (digits < d && *digits == '0') {
    digits++;
    point--;
  }
  while (digits < d && d[-1] == '0') d--;
  std::string_view significant(digits, static_cast<size_t>(d - digits));
  out.commit(write_number(to, negative, significant, point));
  bool in_range = significant.empty() || (point - 1 >= -324 && point - 1 <= 308);
  return in_range || !limits.double_range_only ? Status::ok : Status::number_out_of_range;
}

// UTF-8 sorts by code point. UTF-16 differs only in that the surrogates of U+10000 and above (lead bytes F0 to F4)
// come before U+E000 to U+FFFF (lead bytes EE and EF), so lift the latter over the former.
uint8_t utf16_rank(uint8_t byte) {
  int rank = byte >= 0xf0 ? byte - 2 : byte >= 0xee ? byte + 0x10 : byte;
  return static_cast<uint8_t>(rank);  // one to one, damaged bytes too, or sorting would not be defined
}

// Where two keys have different ones, utf16_less says of the keys what < says of these.
uint64_t utf16_prefix(std::string_view key) {
  uint64_t word = load_word(key);
  if (word & high_bits) {
    uint8_t bytes[8];
    std::memcpy(bytes, &word, 8);
    for (uint8_t &byte : bytes) byte = utf16_rank(byte);
    std::memcpy(&word, bytes, 8);
  }
  return __builtin_bswap64(word);
}

}  // namespace

bool utf16_less(std::string_view a, std::string_view b) noexcept {
  size_t common = std::min(a.size(), b.size());
  size_t i = 0;
  while (i < common && a[i] == b[i]) i++;
  if (i == common) return a.size() < b.size();
  return utf16_rank(static_cast<uint8_t>(a[i])) < utf16_rank(static_cast<uint8_t>(b[i]));
}

void append_json_string(Buffer &out, std::string_view s) {
  char *to = out.reserve(s.size() + 10);
  *to = '"';
  if (copy_clean(s, to + 1)) {
    to[s.size() + 1] = '"';
    out.commit(to + s.size() + 2);
  } else {
    append_escaped(out, s);
  }
}

Status JsonCanonicalizer::append(Bytes stored, const JsonLimits &limits, Buffer &out) noexcept {
  try {
    Status status = walk(stored, limits, out);
    // One huge object must not keep its memory for the life of the backend.
    if (members_.capacity() > 4096) std::vector<Member>().swap(members_);
    if (open_.capacity() > 4096) std::vector<Container>().swap(open_);
    return status;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status JsonCanonicalizer::open(Bytes stored, const JsonLimits &limits, Buffer &out) {
  if (stored.size < 4) return Status::malformed;
  uint32_t header = load32(stored.data);
  Container c{};
  c.is_object = header & flag_object;
  c.is_scalar = header & flag_scalar;
  c.count = header & count_mask;
  bool is_array = header & flag_array;
  if (c.is_object == is_array || (c.is_scalar && (!is_array || c.count != 1 || !open_.empty())))
    return Status::malformed;
  if (!c.is_scalar && open_.size() >= limits.max_depth) return Status::too_deep;
  uint64_t entries_size = uint64_t{c.count} * (c.is_object ? 8 : 4);
  if (entries_size > stored.size - 4) return Status::malformed;
  c.entries = stored.data + 4;
  c.data = c.entries + entries_size;
  c.data_size = static_cast<uint32_t>(stored.size - 4 - entries_size);
  if (c.is_object) {
    Status status = read_members(c, limits, out.size());
    if (status != Status::ok) return status;
  }
  if (!c.is_scalar) out.append(c.is_object ? '{' : '[');
  open_.push_back(c);
  return Status::ok;
}

Status JsonCanonicalizer::read_members(Container &object, const JsonLimits &limits, size_t used) {
  object.first_member = members_.size();
  uint32_t offset = 0;
  auto next = [&](uint32_t index, uint32_t *begin, uint32_t *entry) {
    uint32_t stored = load32(object.entries + size_t{index} * 4);
    uint32_t length = stored & entry_length_mask;
    uint32_t end = stored & entry_has_offset ? length : offset + length;
    if (end < offset || end > object.data_size) return false;
    *begin = offset;
    *entry = (stored & entry_type_mask) | (end - offset);
    offset = end;
    return true;
  };
  auto key = [&](const Member &member) {
    return std::string_view(reinterpret_cast<const char *>(object.data) + member.key_begin, member.key_size);
  };
  // Refuse what cannot fit before its keys are sorted: "":x, is the least that a member can be.
  if (used + uint64_t{object.count} * 5 > limits.max_size) return Status::too_large;
  members_.resize(object.first_member + object.count);
  Member *members = members_.data() + object.first_member;
  for (uint32_t i = 0; i < object.count; i++) {
    uint32_t entry;
    if (!next(i, &members[i].key_begin, &entry) || (entry & entry_type_mask) != type_string) return Status::malformed;
    members[i].key_size = entry & entry_length_mask;
    members[i].prefix = utf16_prefix(key(members[i]));
    // The server looks members up by their stored order. Out of it, a member is there and cannot be found.
    if (i > 0 && !stored_before(key(members[i - 1]), key(members[i]))) return Status::malformed;
  }
  if (used + offset > limits.max_size) return Status::too_large;
  for (uint32_t i = 0; i < object.count; i++)
    if (!next(object.count + i, &members[i].begin, &members[i].entry)) return Status::malformed;
  std::sort(members, members + object.count, [&](const Member &a, const Member &b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : utf16_less(key(a), key(b));
  });
  return Status::ok;
}

Status JsonCanonicalizer::append_value(uint32_t type, Bytes value, uint32_t begin, const JsonLimits &limits,
                                       Buffer &out) {
  switch (type) {
    case type_string:
      if (value.size > limits.max_size) return Status::too_large;
      append_json_string(out, {reinterpret_cast<const char *>(value.data), value.size});
      return Status::ok;
    case type_numeric:
      if (!skip_padding(begin, &value)) return Status::malformed;
      return append_numeric(value, limits, out);
    case type_false:
      out.append("false");
      return Status::ok;
    case type_true:
      out.append("true");
      return Status::ok;
    case type_null:
      out.append("null");
      return Status::ok;
    case type_container:
      if (!skip_padding(begin, &value)) return Status::malformed;
      return open(value, limits, out);
    default:
      return Status::malformed;
  }
}

Status JsonCanonicalizer::walk(Bytes stored, const JsonLimits &limits, Buffer &out) {
  open_.clear();
  members_.clear();
  size_t start = out.size();
  JsonLimits absolute = limits;
  absolute.max_size = limits.max_size > SIZE_MAX - start ? SIZE_MAX : start + limits.max_size;
  Status status = open(stored, absolute, out);
  while (status == Status::ok && !open_.empty()) {
    Container &top = open_.back();
    if (top.next == top.count) {
      if (!top.is_scalar) out.append(top.is_object ? '}' : ']');
      if (top.is_object) members_.resize(top.first_member);
      open_.pop_back();
    } else if (top.is_object) {
      const Member &member = members_[top.first_member + top.next];
      if (top.next++ > 0) out.append(',');
      append_json_string(out, {reinterpret_cast<const char *>(top.data) + member.key_begin, member.key_size});
      out.append(':');
      status = append_value(member.entry & entry_type_mask, {top.data + member.begin, member.entry & entry_length_mask},
                            member.begin, absolute, out);
    } else {
      uint32_t entry = load32(top.entries + size_t{top.next} * 4);
      uint32_t length = entry & entry_length_mask;
      uint32_t begin = top.offset;
      uint32_t end = entry & entry_has_offset ? length : begin + length;
      if (end < begin || end > top.data_size) return Status::malformed;
      if (top.next++ > 0) out.append(',');
      top.offset = end;
      status = append_value(entry & entry_type_mask, {top.data + begin, end - begin}, begin, absolute, out);
    }
    if (out.size() > absolute.max_size) return Status::too_large;
  }
  return status;
}

}  // namespace spine
