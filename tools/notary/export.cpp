#include "notary/export.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "notary/files.h"

namespace spine {

uint64_t export_to_file(Database &database, const Selection &selection, const std::string &path) {
  std::string beside = path + ".new";
  int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) throw_of_errno("making", beside);
  std::unique_ptr<FILE, int (*)(FILE *)> file(fdopen(fd, "w"), std::fclose);
  uint64_t lines = 0;
  try {
    database.export_evidence(selection, [&](std::string_view line) {
      std::fwrite(line.data(), 1, line.size(), file.get());
      std::fputc('\n', file.get());
      lines++;
    });
    if (std::fflush(file.get()) != 0 || std::ferror(file.get()) != 0 || fsync(fd) != 0)
      throw_of_errno("writing", beside);
    if (rename(beside.c_str(), path.c_str()) != 0) throw_of_errno("renaming", beside);
  } catch (...) {
    unlink(beside.c_str());
    throw;
  }
  return lines;
}

}  // namespace spine
