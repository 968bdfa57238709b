#include "core/directory.h"

#include <new>

#include "core/base64.h"
#include "core/merkle.h"
#include "core/text_lines.h"
#include "core/uuid.h"

namespace spine {

namespace {

constexpr std::string_view title = "people_os_spine directory v1";

// The form that write_uuid gives, and no other.
bool parse_written_uuid(std::string_view text, Uuid *uuid) {
  char again[36];
  if (text.size() != sizeof again || !parse_uuid(text, uuid)) return false;
  (void)write_uuid(again, *uuid);
  return text == std::string_view(again, sizeof again);
}

// System identifiers have 64 bits.
bool parse_unsigned(std::string_view text, uint64_t *number) {
  if (text.empty() || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text.size() > 1)) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

int days_in_month(int year, int month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool is_timestamp(std::string_view text) {
  constexpr std::string_view shape = "0000-00-00T00:00:00.000000Z";
  if (text.size() != shape.size()) return false;
  for (size_t i = 0; i < shape.size(); i++)
    if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i]) return false;
  auto number = [text](size_t at, size_t digits) {
    int value = 0;
    for (size_t i = at; i < at + digits; i++) value = 10 * value + (text[i] - '0');
    return value;
  };
  int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month) && number(11, 2) < 24 &&
         number(14, 2) < 60 && number(17, 2) < 60;
}

void append_hash_line(Buffer &out, const Hash &hash) {
  append_base64(out, {hash.data(), hash.size()});
  out.append('\n');
}

void append_uuid_line(Buffer &out, const Uuid &uuid) {
  out.commit(write_uuid(out.reserve(36), uuid));
  out.append('\n');
}

}  // namespace

const char *parse_chain_leaf(std::string_view text, ChainLeaf *leaf) noexcept {
  ChainLeaf read;
  std::string_view organization, size, root, head;
  if (!take_line(&text, &organization) || !take_line(&text, &size) || !take_line(&text, &root) || !take_line(&text, &head) ||
      !text.empty())
    return "the leaf of a chain has not four lines";
  if (!parse_written_uuid(organization, &read.organization)) return "the leaf's organization is no uuid in lower case";
  if (!parse_decimal(size, &read.size) || read.size == 0)
    return "the leaf's size is not a number from 1 to 9223372036854775807";
  if (!read_base64(root, &read.root)) return "the leaf's root is not 32 bytes in base64";
  if (!read_base64(head, &read.head_hash)) return "the leaf's head hash is not 32 bytes in base64";
  *leaf = read;
  return nullptr;
}

Status append_chain_leaf(const ChainLeaf &leaf, Buffer *out) noexcept {
  if (leaf.size == 0 || leaf.size > max_tree_size) return Status::malformed;
  try {
    append_uuid_line(*out, leaf.organization);
    append_decimal(*out, leaf.size);
    out->append('\n');
    append_hash_line(*out, leaf.root);
    append_hash_line(*out, leaf.head_hash);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

const char *parse_directory_entry(std::string_view text, DirectoryEntry *entry) noexcept {
  DirectoryEntry read;
  std::string_view line, number, chains, root, database;
  if (!take_line(&text, &line) || line != title) return "the entry's first line is not \"people_os_spine directory v1\"";
  if (!take_line(&text, &number) || !take_line(&text, &chains) || !take_line(&text, &root) || !take_line(&text, &read.taken_at) ||
      !take_line(&text, &database) || !text.empty())
    return "the entry has not six lines";
  if (!parse_decimal(number, &read.number) || read.number == 0)
    return "the entry's number is not a number from 1 to 9223372036854775807";
  if (!parse_decimal(chains, &read.chains)) return "the entry's chains are not a number from 0 to 9223372036854775807";
  if (!read_base64(root, &read.chains_root)) return "the entry's root is not 32 bytes in base64";
  if (read.chains == 0 && read.chains_root != empty_tree_root)
    return "the entry has no chains, and yet another root than a tree without leaves";
  if (!is_timestamp(read.taken_at)) return "the entry's time is not one such as 2026-01-19T09:30:00.000000Z";
  size_t first = database.find(' ');
  size_t second = first == std::string_view::npos ? first : database.find(' ', first + 1);
  uint64_t timeline;
  if (second == std::string_view::npos || !parse_unsigned(database.substr(0, first), &read.system_identifier) ||
      !parse_unsigned(database.substr(first + 1, second - first - 1), &timeline) || timeline > UINT32_MAX ||
      !parse_written_uuid(database.substr(second + 1), &read.incarnation))
    return "the entry's last line is not a system identifier, a timeline and a uuid";
  read.timeline = static_cast<uint32_t>(timeline);
  *entry = read;
  return nullptr;
}

Status append_directory_entry(const DirectoryEntry &entry, Buffer *out) noexcept {
  size_t before = out->size();
  try {
    out->append(title);
    out->append('\n');
    append_decimal(*out, entry.number);
    out->append('\n');
    append_decimal(*out, entry.chains);
    out->append('\n');
    append_hash_line(*out, entry.chains_root);
    out->append(entry.taken_at);
    out->append('\n');
    append_decimal(*out, entry.system_identifier);
    out->append(' ');
    append_decimal(*out, entry.timeline);
    out->append(' ');
    append_uuid_line(*out, entry.incarnation);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  // Whatever would read as something else is none: a time that is none, a number too large.
  DirectoryEntry again;
  return parse_directory_entry(out->view().substr(before), &again) == nullptr ? Status::ok : Status::malformed;
}

}  // namespace spine
