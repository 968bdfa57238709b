#include "notary/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "notary/failure.h"

namespace spine {

namespace {

void write_all(int fd, std::string_view content, const std::string &path) {
  while (!content.empty()) {
    ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_of_errno("writing", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
}

std::string read_all(int fd, size_t limit, const std::string &path) {
  std::string content;
  char block[64 * 1024];
  for (;;) {
    ssize_t got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_of_errno("reading", path);
    if (got == 0) return content;
    content.append(block, static_cast<size_t>(got));
    if (content.size() > limit)
      throw Failure(Exit::usage, path + " is larger than " + std::to_string(limit) + " bytes");
  }
}

void flush_directory(const std::string &directory) {
  Descriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || fsync(opened.get()) != 0) throw_of_errno("flushing", directory);
}

std::string directory_of(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Descriptor &Descriptor::operator=(Descriptor &&other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

void throw_of_errno(const std::string &doing, const std::string &path) {
  throw Failure(Exit::usage, doing + " " + path + ": " + std::strerror(errno));
}

std::optional<std::string> read_file(const std::string &path, size_t limit) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  if (file.get() < 0) throw_of_errno("opening", path);
  return read_all(file.get(), limit, path);
}

void write_file(const std::string &directory, const std::string &name, std::string_view content) {
  // One process alone writes here, so one name for what is not whole yet is enough.
  std::string path = directory + "/" + name, beside = directory + "/.new";
  {
    Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) throw_of_errno("making", beside);
    write_all(file.get(), content, beside);
    if (fsync(file.get()) != 0) throw_of_errno("flushing", beside);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) throw_of_errno("renaming", beside);
  flush_directory(directory);
}

void write_new_secret(const std::string &path, std::string_view content) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) throw_of_errno("making", path);
  write_all(file.get(), content, path);
  if (fsync(file.get()) != 0) throw_of_errno("flushing", path);
  flush_directory(directory_of(path));
}

std::string read_secret(const std::string &path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_of_errno("opening", path);
  struct stat about;
  if (fstat(file.get(), &about) != 0) throw_of_errno("looking at", path);
  if ((about.st_mode & 077) != 0)
    throw Failure(Exit::usage, path + " can be read or written by others than its owner",
                  "chmod 600 " + path + "; if others could read it, make a new key");
  return read_all(file.get(), 4096, path);
}

std::vector<std::string> names_in(const std::string &directory, std::string_view suffix) {
  std::unique_ptr<DIR, int (*)(DIR *)> opened(opendir(directory.c_str()), closedir);
  if (opened == nullptr) throw_of_errno("reading", directory);
  std::vector<std::string> names;
  while (dirent *entry = readdir(opened.get())) {
    std::string_view name = entry->d_name;
    if (name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix)
      names.emplace_back(name.substr(0, name.size() - suffix.size()));
  }
  return names;
}

Descriptor lock_directory(const std::string &directory, bool make) {
  if (make && mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) throw_of_errno("making", directory);
  std::string path = directory + "/lock";
  Descriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) throw_of_errno("opening", path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    throw Failure(Exit::usage, directory + " is in use by another process",
                  "two may not work on one state; stop the other one");
  throw_of_errno("locking", path);
}

}  // namespace spine
