// Base64 as RFC 4648 section 4 has it, strictly: padded, no line breaks, unused bits zero. So bytes have one text.
#pragma once

#include "core/buffer.h"
#include "core/bytes.h"

namespace spine {

constexpr size_t base64_size(size_t bytes) { return (bytes + 2) / 3 * 4; }

// Writes base64_size(bytes.size) characters, returns the end.
char *write_base64(char *out, Bytes bytes) noexcept;

// Throws std::bad_alloc.
inline void append_base64(Buffer &out, Bytes bytes) {
  out.commit(write_base64(out.reserve(base64_size(bytes.size)), bytes));
}

bool is_base64(std::string_view text) noexcept;

// How many bytes text stands for, if it is base64.
size_t base64_bytes(std::string_view text) noexcept;

// Writes base64_bytes(text) bytes. False: text is not base64, and what was written is nothing.
bool read_base64(std::string_view text, uint8_t *out) noexcept;

// The same for a text that must stand for 32 bytes; writes nothing where it does not.
bool read_base64(std::string_view text, Hash *hash) noexcept;

}  // namespace spine
