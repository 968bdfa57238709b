// A growing run of bytes for the writers: room is asked for once, then written without further checks.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace spine {

class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { std::free(data_); }

  size_t size() const { return size_; }
  char *data() { return data_; }
  std::string_view view() const { return {data_, size_}; }

  // Empties the buffer; a block that one large value made is given back rather than kept for ever.
  void clear() {
    size_ = 0;
    if (capacity_ > kept_capacity) {
      std::free(data_);
      data_ = nullptr;
      capacity_ = 0;
    }
  }

  // Makes room for n bytes and returns where they go; commit() says how far they were written.
  // Throws std::bad_alloc.
  char *reserve(size_t n) {
    if (n > capacity_ - size_) grow(n);
    return data_ + size_;
  }
  void commit(const char *end) { size_ = static_cast<size_t>(end - data_); }

  void append(char c) {
    *reserve(1) = c;
    size_++;
  }
  void append(std::string_view s) {
    if (s.empty()) return;  // memcpy takes no null address
    std::memcpy(reserve(s.size()), s.data(), s.size());
    size_ += s.size();
  }

 private:
  static constexpr size_t kept_capacity = 64 * 1024;

  // Out of line, for the writers inline the rest.
  [[gnu::noinline]] void grow(size_t n) {
    size_t wanted = size_ + n;
    if (wanted < size_) throw std::bad_alloc();
    size_t capacity = capacity_ + capacity_ / 2;
    if (capacity < wanted) capacity = wanted;
    if (capacity < 1024) capacity = 1024;
    void *data = std::realloc(data_, capacity);
    if (data == nullptr) throw std::bad_alloc();
    data_ = static_cast<char *>(data);
    capacity_ = capacity;
  }

  char *data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace spine
