/* A disk that fails or is written down, between a process and libc. Compiled and preloaded by the tests
 * of tests/disk only; never a part of the program.
 *
 * It looks at files below a directory named "under-test" and takes its orders from what is written to a
 * file named "shim.control":
 *
 *   arm K ERRNO for-ever|once|short|sync   the K-th change (from 1) fails; all later ones too, unless
 *                                     "once"; "short" writes one half of it first, if it is a write;
 *                                     "sync" is "once" and counts syncs only
 *   off                               nothing fails any more
 *   record FILE                       every change is written down from now on; "record -" ends that
 *   mark TEXT                         goes into the recording, in its place
 *
 * After each order the file holds "SEEN FIRED": changes seen since "arm", failures made. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long seen, fired, at;
static int error, once, shorten, syncs, tape = -1;

static int below(const char *path) { return strstr(path, "/under-test") != NULL; }

static int named(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    return slash && strcmp(slash + 1, name) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, 4095);
    path[len < 0 ? 0 : len] = 0;
    return len > 0;
}

static ssize_t plain_write(int fd, const void *data, size_t len) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return real(fd, data, len);
}

/* Whether this change fails: 0 no, 1 yes, 2 after one half of it. */
static int verdict(int is_sync) {
    if (syncs && !is_sync) return 0;
    seen++;
    if (!at || seen < at || (once && seen > at)) return 0;
    fired++;
    return shorten && seen == at ? 2 : 1;
}

static void put(const char *head, const char *path, const void *data, size_t len) {
    if (tape < 0) return;
    char line[8300];
    int size = snprintf(line, sizeof line, "%s %zu %s\n", head, len, path);
    plain_write(tape, line, size);
    for (size_t done = 0; done < len;) {
        ssize_t one = plain_write(tape, (const char *)data + done, len - done);
        if (one <= 0) abort();
        done += one;
    }
}

static void order(int fd, const char *data, size_t len) {
    char text[4200] = {0}, how[16] = {0}, answer[64];
    memcpy(text, data, len < sizeof text - 1 ? len : sizeof text - 1);
    if (sscanf(text, "arm %ld %d %15s", &at, &error, how) == 3) {
        seen = fired = 0;
        syncs = !strcmp(how, "sync");
        once = syncs || !strcmp(how, "once");
        shorten = !strcmp(how, "short");
    } else if (!strncmp(text, "off", 3)) {
        at = 0;
    } else if (!strncmp(text, "record ", 7)) {
        if (tape >= 0) close(tape);
        tape = text[7] == '-' ? -1 : open(text + 7, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    } else if (!strncmp(text, "mark ", 5)) {
        put("mark 0", text + 5, "", 0);
    }
    int size = snprintf(answer, sizeof answer, "%ld %ld", seen, fired);
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (real(fd, answer, size, 0) != size) abort();
}

ssize_t write(int fd, const void *data, size_t len) {
    char path[4096];
    if (!path_of(fd, path)) return plain_write(fd, data, len);
    int control = named(path, "shim.control");
    if (!control && !below(path)) return plain_write(fd, data, len);
    pthread_mutex_lock(&lock);
    ssize_t done;
    if (control) {
        order(fd, data, len);
        done = len;
    } else {
        int fail = verdict(0);
        off_t from = lseek(fd, 0, SEEK_CUR);
        done = fail == 1 ? -1 : plain_write(fd, data, fail == 2 && len > 1 ? len / 2 : len);
        char head[64];
        snprintf(head, sizeof head, "write %lld", (long long)from);
        if (done > 0) put(head, path, data, done);
        if (fail == 1) errno = error;
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t from) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    char path[4096];
    if (!path_of(fd, path) || !below(path)) return real(fd, data, len, from);
    pthread_mutex_lock(&lock);
    int fail = verdict(0);
    ssize_t done = fail == 1 ? -1 : real(fd, data, fail == 2 && len > 1 ? len / 2 : len, from);
    char head[64];
    snprintf(head, sizeof head, "write %lld", (long long)from);
    if (done > 0) put(head, path, data, done);
    if (fail == 1) errno = error;
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t from) { return pwrite64(fd, data, len, from); }

/* Everything that is a file's or a name's own change: CALL does it. */
#define CHANGE(PATH, PATH2, HEAD, CALL)               \
    pthread_mutex_lock(&lock);                        \
    int fail = verdict(!strncmp(HEAD, "sync", 4)), done = fail ? -1 : (CALL);  \
    if (done == 0) put(HEAD, PATH, PATH2, strlen(PATH2)); \
    else if (!strncmp(HEAD, "sync", 4)) put("fail 0", PATH, "", 0); \
    if (fail) errno = error;                          \
    pthread_mutex_unlock(&lock);                      \
    return done

int fsync(int fd) {
    REAL(int, "fsync", int);
    char path[4096];
    if (!path_of(fd, path) || !below(path)) return real(fd);
    CHANGE(path, "", "sync 0", real(fd));
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    char path[4096];
    if (!path_of(fd, path) || !below(path)) return real(fd);
    CHANGE(path, "", "sync 0", real(fd));
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    char path[4096], head[64];
    if (!path_of(fd, path) || !below(path)) return real(fd, size);
    snprintf(head, sizeof head, "size %lld", (long long)size);
    CHANGE(path, "", head, real(fd, size));
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (!below(from)) return real(from, to);
    CHANGE(from, to, "rename 0", real(from, to));
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    if (!below(path)) return real(path);
    if (access(path, F_OK)) return real(path); /* nothing changes */
    CHANGE(path, "", "unlink 0", real(path));
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    if (!(flags & O_CREAT) || !below(path) || !access(path, F_OK)) return real(path, flags, mode);
    pthread_mutex_lock(&lock);
    int fail = verdict(0), fd = fail ? -1 : real(path, flags, mode);
    if (fd >= 0) put("create 0", path, "", 0);
    if (fail) errno = error;
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_in(va_list rest, int flags) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_in(rest, flags);
    va_end(rest);
    return opened(real, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    REAL(int, "open", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_in(rest, flags);
    va_end(rest);
    return opened(real, path, flags, mode);
}
