/* What a program that the daemon starts might try to get around the list of refused calls: another way to the same, or
 * the same call in the manner of x32. Each prints a line: its name and errno. Harmless where it is not refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define X32 0x40000000L

static void told(const char *name, long answer) {
    printf("%s %d\n", name, answer < 0 ? errno : 0);
    fflush(stdout);
}

int main(void) {
    struct { unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } how;
    memset(&how, 0, sizeof how);
    how.flags = CLONE_NEWUSER;
    how.exit_signal = SIGCHLD;
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (child == 0) _exit(0);
    told("clone3", child);
    child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    told("clone", child);
    child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    told("fork", child);
#ifdef __x86_64__
    told("x32-unshare", syscall(X32 | SYS_unshare, CLONE_NEWUSER));
    told("x32-ptrace", syscall(X32 | 521, 0, 0, 0, 0));
#endif
    return 0;
}
