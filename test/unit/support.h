// What several unit tests need.
#pragma once

#include <cstring>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>

#include "core/bytes.h"
#include "core/uuid.h"

namespace spine {

inline std::ostream &operator<<(std::ostream &out, Status status) {
  static constexpr const char *names[] = {"ok",        "out_of_memory", "crypto_failed", "malformed",
                                          "not_an_object", "too_large", "too_deep",      "number_out_of_range"};
  return out << names[static_cast<int>(status)];
}

}  // namespace spine

// A copy on the heap that ends where the bytes end, so that a sanitizer sees a read past them. skew shifts its
// beginning off any alignment, as a packed column in a row may be.
class Copy {
 public:
  explicit Copy(const std::string &bytes, size_t skew = 0)
      : block_(new uint8_t[bytes.size() + skew]), data_(block_.get() + skew), size_(bytes.size()) {
    std::memcpy(data_, bytes.data(), bytes.size());
  }
  spine::Bytes bytes() const { return {data_, size_}; }

 private:
  std::unique_ptr<uint8_t[]> block_;
  uint8_t *data_;
  size_t size_;
};

inline std::string hex_of(const uint8_t *data, size_t size) {
  std::string out(2 * size, '\0');
  spine::write_hex(out.data(), {data, size});
  return out;
}
inline std::string hex_of(const spine::Hash &hash) { return hex_of(hash.data(), hash.size()); }

inline spine::Uuid uuid_of(const std::string &text) {
  spine::Uuid uuid{};
  if (!spine::parse_uuid(text, &uuid)) throw std::invalid_argument(text);
  return uuid;
}
