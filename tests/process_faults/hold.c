/* Holds one thread of a process, and leaves the others alone: hold TID. Started by tests, never a part of what
 * ships. Says "held" when that thread stands still; lets go of it when its standard input ends. Exit code 77:
 * this machine does not let it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int status;
    char unread;
    pid_t tid = argc == 2 ? atoi(argv[1]) : 0;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
        fprintf(stderr, "hold: cannot take thread %d: %s\n", tid, strerror(errno));
        return errno == EPERM || errno == ENOSYS ? 77 : 1;
    }
    if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) || waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) {
        fprintf(stderr, "hold: thread %d does not stop: %s\n", tid, strerror(errno));
        return 1;
    }
    puts("held");
    fflush(stdout);
    while (read(0, &unread, 1) > 0) {}
    return 0; /* whoever traces lets go with its own end */
}
