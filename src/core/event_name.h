// Event names: <domain>.<entity>.<action>, and nothing else.
#pragma once

#include <string_view>

namespace spine {

// The three parts are views into the name they were read from.
struct EventName {
  std::string_view domain;
  std::string_view entity_type;
  std::string_view action;
};

// True where part matches [a-z][a-z0-9_]{0,62}.
bool is_name_part(std::string_view part) noexcept;

// False where name is not three such parts joined by dots.
bool parse_event_name(std::string_view name, EventName *parts) noexcept;

// True where the three parts joined by dots are name; says nothing of the parts themselves.
bool parts_join_to(const EventName &parts, std::string_view name) noexcept;

}  // namespace spine
