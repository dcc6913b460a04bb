/* A disk that forgets what was not synced, put under a program with LD_PRELOAD.
 *
 * The program's files below $POWER_CUT_DIR are real and behave as always. Beside them, in $POWER_CUT_DISK, lies what
 * a disk would hold if the power failed now: a write is kept in memory until the program syncs that file; then it
 * goes to the disk, and only then does the sync return. Killing the program loses what waits. A part of what waits
 * reaches the disk earlier, sector by sector and out of order, as the page cache of a machine writes back when it
 * likes: a cut leaves torn and reordered writes behind.
 *
 * $POWER_CUT_NO_SYNC makes every sync return at once without doing anything, as if the program never synced: the
 * proof that the test which uses this can fail. While a file of the name in $POWER_CUT_FAIL exists, every sync fails
 * with EIO, and what it should have written to the disk is dropped, as Linux drops it.
 *
 * Not modelled: names. Making, renaming and removing a file is on the disk at once, as on a file system with a journal
 * of its metadata. Writes through memory maps are not seen; SQLite makes them only to its -shm file, which is worth
 * nothing after a cut and is left out, as lock files are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 65536
#define SECTOR 512

struct change { /* `length` < 0: the file was cut to `at` bytes */
  struct change *next;
  off_t at;
  ssize_t length;
  char bytes[];
};

struct file {
  struct file *next;
  char name[PATH_MAX]; /* below the directory */
  int disk;            /* its copy on the disk */
  struct change *first, **last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct file *open_files[FDS_MAX];
static const char *dir, *disk;
static int no_sync;
static const char *refuse;
static unsigned long long dice = 88172645463325252ULL;

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);

static void fail(const char *what) {
  fprintf(stderr, "power_cut: %s: %s\n", what, strerror(errno));
  abort();
}

__attribute__((constructor)) static void begin(void) {
  real_open = dlsym(RTLD_NEXT, "open");
  real_openat = dlsym(RTLD_NEXT, "openat");
  real_close = dlsym(RTLD_NEXT, "close");
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_mkdir = dlsym(RTLD_NEXT, "mkdir");
  dir = getenv("POWER_CUT_DIR");
  disk = getenv("POWER_CUT_DISK");
  no_sync = getenv("POWER_CUT_NO_SYNC") != NULL;
  refuse = getenv("POWER_CUT_FAIL");
  if (getenv("POWER_CUT_SEED")) dice ^= strtoull(getenv("POWER_CUT_SEED"), NULL, 10) * 0x9e3779b97f4a7c15ULL;
}

static unsigned roll(unsigned sides) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (unsigned)(dice >> 33) % sides;
}

static int ends_with(const char *s, const char *end) {
  size_t a = strlen(s), b = strlen(end);
  return a >= b && strcmp(s + a - b, end) == 0;
}

/* The part of a path below the directory, or NULL. */
static const char *below(const char *path) {
  if (!dir || !disk || !path) return NULL;
  size_t n = strlen(dir);
  if (strncmp(path, dir, n) != 0 || path[n] != '/') return NULL;
  return path + n + 1;
}

static const char *watched(const char *path) {
  const char *name = below(path);
  if (!name || ends_with(name, "-shm") || ends_with(name, ".lock") || ends_with(name, "LOCK")) return NULL;
  return name;
}

static void disk_path(char *out, const char *name) {
  if (snprintf(out, PATH_MAX, "%s/%s", disk, name) >= PATH_MAX) fail("a long path");
}

static struct file *find(const char *name) {
  struct file *f = files;
  while (f && strcmp(f->name, name) != 0) f = f->next;
  return f;
}

static void forget(struct file *f) {
  while (f->first) {
    struct change *c = f->first;
    f->first = c->next;
    free(c);
  }
  f->last = &f->first;
}

static void put(int fd, const char *bytes, size_t n, off_t at) {
  while (n > 0) {
    ssize_t done = real_pwrite(fd, bytes, n, at);
    if (done < 0) fail("the disk");
    bytes += done, n -= (size_t)done, at += done;
  }
}

/* Everything that waits goes to the disk, in order. */
static void flush(struct file *f) {
  for (struct change *c = f->first; c; c = c->next) {
    if (c->length >= 0)
      put(f->disk, c->bytes, (size_t)c->length, c->at);
    else if (real_ftruncate(f->disk, c->at) != 0)
      fail("the disk");
  }
  forget(f);
}

static void note(struct file *f, off_t at, const void *bytes, ssize_t length) {
  struct change *c = malloc(sizeof *c + (length > 0 ? (size_t)length : 0));
  if (!c) fail("memory");
  c->next = NULL, c->at = at, c->length = length;
  if (length > 0) memcpy(c->bytes, bytes, (size_t)length);
  *f->last = c;
  f->last = &c->next;
  /* Some of it is written back early. */
  for (ssize_t from = 0; from < length; from += SECTOR)
    if (roll(4) == 0) put(f->disk, c->bytes + from, (size_t)(length - from < SECTOR ? length - from : SECTOR), at + from);
}

static void opened(int fd, const char *path, int flags) {
  const char *name = watched(path);
  struct stat kind;
  if (fd < 0 || fd >= FDS_MAX || !name || (flags & O_ACCMODE) == O_RDONLY) return;
  if (fstat(fd, &kind) != 0 || !S_ISREG(kind.st_mode)) return;
  pthread_mutex_lock(&lock);
  struct file *f = find(name);
  if (!f) {
    char copy[PATH_MAX];
    disk_path(copy, name);
    f = calloc(1, sizeof *f);
    if (!f || strlen(name) >= sizeof f->name) fail("memory");
    strcpy(f->name, name);
    f->last = &f->first;
    f->disk = real_open(copy, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->disk < 0) fail(copy);
    f->next = files;
    files = f;
  }
  if (flags & O_TRUNC) note(f, 0, NULL, -1);
  open_files[fd] = f;
  pthread_mutex_unlock(&lock);
}

static struct file *of(int fd) { return fd >= 0 && fd < FDS_MAX ? open_files[fd] : NULL; }

#define MODE(flags)                                \
  mode_t mode = 0;                                 \
  if ((flags) & (O_CREAT | O_TMPFILE)) {           \
    va_list rest;                                  \
    va_start(rest, flags);                         \
    mode = (mode_t)va_arg(rest, int);              \
    va_end(rest);                                  \
  }

int open(const char *path, int flags, ...) {
  MODE(flags)
  int fd = real_open(path, flags, mode);
  opened(fd, path, flags);
  return fd;
}
int open64(const char *path, int flags, ...) {
  MODE(flags)
  int fd = real_open(path, flags | O_LARGEFILE, mode);
  opened(fd, path, flags);
  return fd;
}
int openat(int at, const char *path, int flags, ...) {
  MODE(flags)
  int fd = real_openat(at, path, flags, mode);
  opened(fd, path, flags);
  return fd;
}
int openat64(int at, const char *path, int flags, ...) {
  MODE(flags)
  int fd = real_openat(at, path, flags | O_LARGEFILE, mode);
  opened(fd, path, flags);
  return fd;
}

int close(int fd) {
  if (fd >= 0 && fd < FDS_MAX) open_files[fd] = NULL;
  return real_close(fd);
}

static off_t place(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return lseek(fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t n) {
  struct file *f = of(fd);
  if (!f) return real_write(fd, bytes, n);
  pthread_mutex_lock(&lock);
  off_t at = place(fd);
  ssize_t done = real_write(fd, bytes, n);
  if (done > 0) note(f, at, bytes, done);
  pthread_mutex_unlock(&lock);
  return done;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct file *f = of(fd);
  if (!f) return real_writev(fd, parts, count);
  pthread_mutex_lock(&lock);
  off_t at = place(fd);
  ssize_t done = real_writev(fd, parts, count), left = done;
  for (int i = 0; i < count && left > 0; i++) {
    ssize_t n = (ssize_t)parts[i].iov_len < left ? (ssize_t)parts[i].iov_len : left;
    note(f, at, parts[i].iov_base, n);
    at += n, left -= n;
  }
  pthread_mutex_unlock(&lock);
  return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
  struct file *f = of(fd);
  if (!f) return real_pwrite(fd, bytes, n, at);
  pthread_mutex_lock(&lock);
  ssize_t done = real_pwrite(fd, bytes, n, at);
  if (done > 0) note(f, at, bytes, done);
  pthread_mutex_unlock(&lock);
  return done;
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at) { return pwrite(fd, bytes, n, at); }

int ftruncate(int fd, off_t length) {
  struct file *f = of(fd);
  pthread_mutex_lock(&lock);
  int result = real_ftruncate(fd, length);
  if (f && result == 0) note(f, length, NULL, -1);
  pthread_mutex_unlock(&lock);
  return result;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

static int synced(int fd) {
  struct file *f = of(fd);
  if (f && refuse && access(refuse, F_OK) == 0) {
    pthread_mutex_lock(&lock);
    while (f->first) {
      struct change *next = f->first->next;
      free(f->first);
      f->first = next;
    }
    f->last = &f->first;
    pthread_mutex_unlock(&lock);
    errno = EIO;
    return -1;
  }
  if (f && !no_sync) {
    pthread_mutex_lock(&lock);
    flush(f);
    pthread_mutex_unlock(&lock);
  }
  return 0;
}
int fsync(int fd) { return of(fd) ? synced(fd) : real_fsync(fd); }
int fdatasync(int fd) { return of(fd) ? synced(fd) : real_fdatasync(fd); }

static void removed(const char *name) {
  char copy[PATH_MAX];
  disk_path(copy, name);
  real_unlink(copy);
  struct file **f = &files;
  while (*f && strcmp((*f)->name, name) != 0) f = &(*f)->next;
  if (*f) {
    /* It may be open still; what is written to it then is written to nobody. */
    forget(*f);
    (*f)->name[0] = 0;
  }
}

int unlink(const char *path) {
  const char *name = watched(path);
  int result = real_unlink(path);
  if (name && result == 0) {
    pthread_mutex_lock(&lock);
    removed(name);
    pthread_mutex_unlock(&lock);
  }
  return result;
}

int rename(const char *from, const char *to) {
  const char *old = watched(from), *new = watched(to);
  int result = real_rename(from, to);
  if (old && new && result == 0) {
    char a[PATH_MAX], b[PATH_MAX];
    pthread_mutex_lock(&lock);
    removed(new);
    disk_path(a, old), disk_path(b, new);
    if (real_rename(a, b) != 0) fail(a);
    struct file *f = find(old);
    if (f) strcpy(f->name, new);
    pthread_mutex_unlock(&lock);
  }
  return result;
}

int mkdir(const char *path, mode_t mode) {
  const char *name = below(path);
  int result = real_mkdir(path, mode);
  if (name && result == 0) {
    char copy[PATH_MAX];
    disk_path(copy, name);
    real_mkdir(copy, mode);
  }
  return result;
}
