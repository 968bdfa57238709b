#include "core/event_name.h"

namespace spine {

bool is_name_part(std::string_view part) noexcept {
  if (part.empty() || part.size() > 63 || part[0] < 'a' || part[0] > 'z') return false;
  for (char c : part) {
    bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!allowed) return false;
  }
  return true;
}

bool parse_event_name(std::string_view name, EventName *parts) noexcept {
  size_t first = name.find('.');
  if (first == std::string_view::npos) return false;
  size_t second = name.find('.', first + 1);
  if (second == std::string_view::npos) return false;
  parts->domain = name.substr(0, first);
  parts->entity_type = name.substr(first + 1, second - first - 1);
  parts->action = name.substr(second + 1);
  return is_name_part(parts->domain) && is_name_part(parts->entity_type) && is_name_part(parts->action);
}

bool parts_join_to(const EventName &parts, std::string_view name) noexcept {
  size_t a = parts.domain.size(), b = parts.entity_type.size(), c = parts.action.size();
  return name.size() == a + b + c + 2 && name.substr(0, a) == parts.domain && name[a] == '.' &&
         name.substr(a + 1, b) == parts.entity_type && name[a + 1 + b] == '.' &&
         name.substr(a + b + 2) == parts.action;
}

}  // namespace spine
