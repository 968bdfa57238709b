// UUIDs as RFC 9562 has them: text, version 7 (time-ordered) and version 5 (from a name).
#pragma once

#include "core/bytes.h"

namespace spine {

inline constexpr Uuid nil_uuid{};
inline constexpr Uuid last_uuid = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// The uuids before and after, in the order of uuids; neither the first's nor the last's is asked for.
Uuid uuid_before(Uuid uuid) noexcept;
Uuid uuid_after(Uuid uuid) noexcept;

// Reads the forms that PostgreSQL's uuid takes: 32 hex digits of either case, a hyphen allowed after
// each group of four, braces allowed around them. False: text is none of them.
bool parse_uuid(std::string_view text, Uuid *uuid) noexcept;

// Writes the 36 characters of the canonical, lower-case form; returns the end.
char *write_uuid(char *out, const Uuid &uuid) noexcept;

// Version 7: 48 bits of milliseconds since 1970, 12 bits of the fraction of that millisecond (RFC 9562
// section 6.2, method 3), 62 random bits. Takes 8 random bytes.
Uuid make_uuid_v7(uint64_t unix_microseconds, const uint8_t random[8]) noexcept;

// Version 5 under namespace_: the first 16 bytes of SHA-1(namespace || name), marked.
Status make_uuid_v5(const Uuid &namespace_, std::string_view name, Uuid *uuid) noexcept;

}  // namespace spine
