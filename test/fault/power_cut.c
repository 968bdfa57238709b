/*
 * Preloaded into a server, keeps beside its data directory what a disk would hold after a power cut: each file as of
 * its last fsync, each name as of its directory's. What was not synced is not there.
 *
 * DISK_OF: the data directory. DISK: a folder with
 *   <inode and birth>          the synced bytes of a file, in place; a cut in the midst of a sync leaves some of them
 *   names                      what became of names, one record a line, later ones first in force:
 *       F key path             the file of that key was synced, and has this name alone
 *       D path                 a directory was synced: it has the names that follow, and no other
 *       N key name             one of them
 * Syncing a new file makes its name durable too, as the usual file systems do. test/tap/crash.pl puts what is there
 * in the place of the data directory. Nothing is really synced: that would only take time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { block = 65536 };

/* A test without its disk would prove nothing. */
static void die(const char *what) {
  fprintf(stderr, "PANIC: power_cut: %s: %s\n", what, strerror(errno));
  abort();
}

/* An inode's number is used again; with its birth it is not. */
static void key_of(int fd, const char *name, char *key, mode_t *mode) {
  struct statx s;
  if (statx(fd, name, *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &s) != 0) {
    *key = '\0';
    return;
  }
  *mode = s.stx_mode;
  sprintf(key, "%llu.%lld.%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec);
}

/* The path below the data directory, or null: none of its files. */
static const char *path_of(int fd, char *buffer) {
  char link[64];
  const char *root = getenv("DISK_OF");
  size_t length = root ? strlen(root) : 0;
  sprintf(link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, buffer, PATH_MAX - 1);
  if (n < 0 || length == 0) return NULL;
  buffer[n] = '\0';
  if (strncmp(buffer, root, length) != 0 || (buffer[length] != '/' && buffer[length] != '\0')) return NULL;
  return buffer[length] == '/' ? buffer + length + 1 : ".";
}

static int open_on_disk(const char *name, int flags) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", getenv("DISK"), name);
  int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) die(path);
  return fd;
}

static void record(const char *text, size_t size) {
  int fd = open_on_disk("names", O_WRONLY | O_APPEND);
  if (write(fd, text, size) != (ssize_t)size) die("names");
  close(fd);
}

static void sync_bytes(int fd, const char *key) {
  static char now[block], then[block];
  char again[64];
  sprintf(again, "/proc/self/fd/%d", fd);
  /* The server's descriptor may be for writing alone. */
  int file = open(again, O_RDONLY | O_CLOEXEC);
  if (file < 0) die(again);
  int disk = open_on_disk(key, O_RDWR);
  /* Of two who sync, the later one's bytes must not be overtaken by the earlier one's. */
  if (flock(disk, LOCK_EX) != 0) die("flock");
  off_t at = 0;
  for (ssize_t n; (n = pread(file, now, block, at)) != 0; at += n) {
    if (n < 0) die("pread");
    ssize_t m = pread(disk, then, (size_t)n, at);
    if ((m != n || memcmp(now, then, (size_t)n) != 0) && pwrite(disk, now, (size_t)n, at) != n) die("pwrite");
  }
  if (ftruncate(disk, at) != 0) die("ftruncate");
  close(disk);
  close(file);
}

static void sync_names(int fd, const char *path) {
  static char text[1 << 20];
  size_t size = (size_t)sprintf(text, "D %s\n", path);
  int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = again < 0 ? NULL : fdopendir(again);
  if (!dir) die(path);
  for (struct dirent *entry; (entry = readdir(dir));) {
    char key[64];
    mode_t mode = 0;
    key_of(fd, entry->d_name, key, &mode);
    if (!S_ISREG(mode) || !*key) continue;
    if (size > sizeof text - 512) die("a directory of too many names");
    size += (size_t)sprintf(text + size, "N %s %s\n", key, entry->d_name);
  }
  closedir(dir);
  record(text, size);
}

static int sync_to_disk(int fd) {
  char buffer[PATH_MAX], key[64];
  const char *path = path_of(fd, buffer);
  mode_t mode = 0;
  if (!path) return 0;
  int before = errno;
  key_of(fd, "", key, &mode);
  if (S_ISDIR(mode)) {
    sync_names(fd, path);
  } else if (S_ISREG(mode)) {
    char text[PATH_MAX + 64];
    sync_bytes(fd, key);
    /* A file that was unlinked meanwhile has no name to keep. */
    if (!strstr(path, " (deleted)")) record(text, (size_t)sprintf(text, "F %s %s\n", key, path));
  }
  errno = before;
  return 1;
}

int fsync(int fd) {
  static int (*real)(int);
  if (sync_to_disk(fd)) return 0;
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return real(fd);
}

int fdatasync(int fd) { return fsync(fd); }
