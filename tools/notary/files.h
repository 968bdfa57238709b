// Files that must be whole or not there, whatever ends the process or the machine.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spine {

// An open file, closed with it.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor &&other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor &operator=(Descriptor &&other) noexcept;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

// Throws Failure (usage) with the path and the system's reason.
[[noreturn]] void throw_of_errno(const std::string &doing, const std::string &path);

// Null where there is no such file. limit: bytes at most.
std::optional<std::string> read_file(const std::string &path, size_t limit);

// Puts content under that name: into a new file beside it, which is flushed, renamed, and its directory flushed. So
// after it returned the file is there after a crash too, and before that the old one, if any, is whole.
void write_file(const std::string &directory, const std::string &name, std::string_view content);

// Makes a file that only its owner may read, and refuses one that is there.
void write_new_secret(const std::string &path, std::string_view content);

// The secret in a file; Failure where others than its owner may read or write it.
std::string read_secret(const std::string &path);

// The names in a directory that end in suffix, without it.
std::vector<std::string> names_in(const std::string &directory, std::string_view suffix);

// Holds a directory for one process; Failure where another has it. Makes the directory, not its parents, if asked.
Descriptor lock_directory(const std::string &directory, bool make);

}  // namespace spine
