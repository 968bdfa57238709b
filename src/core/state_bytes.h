// States of numeric detectors as bytes: little-endian, the same on every machine, each headed by its kind and version.
#pragma once

#include <cmath>
#include <type_traits>

#include "core/bytes.h"

namespace spine {

// Numbers beyond this are refused by every detector, so that no sum or square of them overflows.
inline constexpr double largest_value = 1e100;

inline bool is_usable(double value) { return std::fabs(value) <= largest_value; }  // false for NaN, too

// Writes into room that the caller made: a state's size is a constant, or known from its setting.
class StateWriter {
 public:
  explicit StateWriter(uint8_t *out) : at_(out) {}

  template <class T>
  void put(T value) {
    static_assert(std::is_arithmetic<T>::value && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "plain numbers");
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  const uint8_t *end() const { return at_; }

 private:
  uint8_t *at_;
};

// Reads what came from outside: past the end it gives zeros, and complete() says whether all was there and no more.
class StateReader {
 public:
  explicit StateReader(Bytes bytes) : at_(bytes.data), left_(bytes.size) {}

  template <class T>
  T take() {
    T value{};
    if (left_ < sizeof value) {
      left_ = 0;
      short_ = true;
      return value;
    }
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    left_ -= sizeof value;
    return value;
  }
  bool complete() const { return left_ == 0 && !short_; }

 private:
  const uint8_t *at_;
  size_t left_;
  bool short_ = false;
};

}  // namespace spine
