//! The system calls that the daemon needs, in groups with the reason of each, and those that nothing started by it
//! may ever make.
//!
//! The list was found by tracing the dynamic program (glibc) in the stories of its start, keys, grants and orders, by playing
//! every other story under it, by playing the static program (musl) in its image, and by reading what the libraries fall back to.
//!
//! Refuses to name a call without a reason: a new one goes into the group that explains it, or makes one.

use seccompiler::{
    BackendError, SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword, SeccompCmpOp, SeccompCondition,
    SeccompRule,
};

/// A call's name and number.
pub type Call = (&'static str, i64);

/// Calls that are allowed for one reason.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Why.
    pub reason: &'static str,
    /// On every architecture.
    pub calls: &'static [Call],
    /// The older names that aarch64 never had.
    pub older: &'static [Call],
}

macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

#[cfg(target_arch = "x86_64")]
macro_rules! older {
    ($($name:ident)*) => { calls!($($name)*) };
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! older {
    ($($name:ident)*) => {
        &[]
    };
}

/// Everything that is allowed without a look at its arguments.
pub const GROUPS: &[Group] = &[
    Group {
        reason: "files: the ledger and its log, keys, the policy, certificates, names",
        calls: calls!(SYS_openat SYS_openat2 SYS_close SYS_read SYS_write SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_lseek
            SYS_fstat SYS_newfstatat SYS_statx SYS_fcntl SYS_getdents64 SYS_faccessat SYS_faccessat2 SYS_readlinkat
            SYS_getcwd SYS_statfs SYS_fstatfs SYS_fadvise64),
        older: older!(SYS_open SYS_stat SYS_lstat SYS_access SYS_readlink),
    },
    Group {
        reason: "changes of files: one after the other durable, in the order that a power cut must see",
        calls: calls!(SYS_fsync SYS_fdatasync SYS_ftruncate SYS_fallocate SYS_flock SYS_renameat SYS_renameat2
            SYS_linkat SYS_unlinkat SYS_mkdirat SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_umask),
        older: older!(SYS_rename SYS_unlink SYS_mkdir SYS_rmdir SYS_chmod SYS_chown SYS_lchown),
    },
    Group {
        reason: "connections: JumpCloud, the control plane, resolvers, the operator's socket, the service manager",
        calls: calls!(SYS_connect SYS_bind SYS_listen SYS_accept SYS_accept4 SYS_getsockname SYS_getpeername
            SYS_setsockopt SYS_getsockopt SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_sendmmsg SYS_recvmmsg
            SYS_shutdown),
        older: older!(),
    },
    Group {
        reason: "waiting: the loop, its timers, what threads tell each other",
        calls: calls!(SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_ppoll
            SYS_pselect6 SYS_pipe2 SYS_futex SYS_sched_yield SYS_clock_nanosleep SYS_nanosleep SYS_restart_syscall),
        older: older!(SYS_epoll_wait SYS_poll SYS_select),
    },
    Group {
        reason: "memory: the allocator, stacks of threads, the ledger's shared index",
        calls: calls!(SYS_munmap SYS_mremap SYS_madvise SYS_brk SYS_membarrier),
        older: older!(),
    },
    Group {
        reason: "threads: the ledger's, and those that resolve names; started and ended",
        calls: calls!(SYS_clone3 SYS_set_robust_list SYS_set_tid_address SYS_rseq SYS_sched_getaffinity SYS_gettid
            SYS_exit SYS_exit_group),
        older: older!(SYS_arch_prctl),
    },
    Group {
        reason: "signals: stop and reload are heard, stacks that run over are noticed",
        calls: calls!(SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack),
        older: older!(),
    },
    Group {
        reason: "clocks and chance: where the kernel's page does not answer",
        calls: calls!(SYS_clock_gettime SYS_clock_getres SYS_gettimeofday SYS_getrandom),
        older: older!(SYS_time),
    },
    Group {
        reason: "who we are: checks of owners, lines of the log",
        calls: calls!(SYS_getpid SYS_getppid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_uname SYS_sysinfo),
        older: older!(),
    },
];

/// What no program that the agent starts needs: looking into processes, changing the kernel, mounts, namespaces.
/// None of it is in a group above; a test holds the two apart.
pub const NEVER: &[Call] = calls!(SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp SYS_pidfd_getfd
    SYS_perf_event_open SYS_bpf SYS_userfaultfd SYS_init_module SYS_finit_module SYS_delete_module SYS_kexec_load
    SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsconfig
    SYS_fsmount SYS_fspick SYS_mount_setattr SYS_setns SYS_unshare SYS_keyctl SYS_add_key SYS_request_key
    SYS_swapon SYS_swapoff SYS_reboot SYS_acct SYS_quotactl SYS_settimeofday SYS_clock_settime SYS_adjtimex
    SYS_clock_adjtime SYS_sethostname SYS_setdomainname SYS_open_by_handle_at SYS_io_uring_setup
    SYS_io_uring_enter SYS_io_uring_register);

/// Everything in [`GROUPS`].
pub(super) fn allowed() -> Vec<Call> {
    GROUPS.iter().flat_map(|group| group.calls.iter().chain(group.older)).copied().collect()
}

/// The calls of [`NEVER`] in the manner of x32: their own numbers with this bit, or numbers that only x32 has (`ptrace`,
/// `kexec_load`, `process_vm_readv`, `process_vm_writev`; `arch/x86/entry/syscalls/syscall_64.tbl` of Linux).
pub(super) fn x32() -> impl Iterator<Item = i64> {
    const X32: i64 = 0x4000_0000;
    let only = [521, 528, 539, 540];
    let numbers = NEVER.iter().map(|(_, number)| *number).chain(only);
    numbers.filter(|_| cfg!(target_arch = "x86_64")).map(|number| X32 | number)
}

/// `clone` into a namespace of its own, which is what `unshare` does.
pub(super) fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ]
    .into_iter()
    .map(|flag| rule(vec![masked_long(0, u64::from(flag.unsigned_abs()))]))
    .collect()
}

/// Calls that are allowed with some arguments only.
pub(super) fn guarded() -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    let mut sockets = Vec::new();
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        for stream_or_datagram in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            sockets.push(vec![is(0, family), masked(1, SOCK_KIND, stream_or_datagram)]);
        }
    }
    let ours = i32::try_from(std::process::id()).unwrap_or(0);
    let (write, run) =
        (u64::from(libc::PROT_WRITE.unsigned_abs()), u64::from(libc::PROT_EXEC.unsigned_abs()));
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    [
        // No raw sockets, no netlink, no families that nobody here has heard of.
        (libc::SYS_socket, sockets),
        (libc::SYS_socketpair, vec![vec![is(0, libc::AF_UNIX)]]),
        // Is this a terminal, and how wide; never to write into one.
        (libc::SYS_ioctl, IOCTLS.iter().map(|order| vec![is(1, *order)]).collect()),
        // No memory that can be written and run, and none that comes to be run later.
        (libc::SYS_mmap, vec![vec![masked(2, run, 0)], vec![masked(2, write, 0)]]),
        (libc::SYS_mprotect, vec![vec![masked(2, run, 0)]]),
        // Threads, never processes.
        (libc::SYS_clone, vec![vec![masked_long(0, thread)]]),
        // A name for a thread, a name for memory, a look at the processor; nothing that widens what the process may do.
        (libc::SYS_prctl, PRCTLS.iter().map(|what| vec![is(0, *what)]).collect()),
        // To die by its own hand (`abort`), and nobody else.
        (libc::SYS_tgkill, vec![vec![is(0, ours)]]),
        (libc::SYS_kill, vec![vec![is(0, ours)]]),
        // To read a limit; none is set.
        (libc::SYS_prlimit64, vec![vec![nothing(2)]]),
    ]
    .into_iter()
    .map(|(call, any_of)| Ok((call, any_of.into_iter().map(rule).collect::<Result<_, _>>()?)))
    .collect()
}

/// `TCGETS`, `TIOCGWINSZ`, `FIONBIO`, `FIONREAD`, `FIOCLEX`: their type differs between C libraries.
const IOCTLS: [i32; 5] = [0x5401, 0x5413, 0x5421, 0x541b, 0x5451];
/// The bits of a socket's type that are not flags.
const SOCK_KIND: u64 = 0xf;
/// What is asked of `prctl`; the last two are `PR_SET_VMA` (the C library names its memory) and `PR_GET_AUXV` (what
/// the processor can do).
const PRCTLS: [i32; 4] = [libc::PR_SET_NAME, libc::PR_GET_NAME, 0x5356_4d41, 0x4155_5856];

type Condition = Result<SeccompCondition, BackendError>;

fn rule(all_of: Vec<Condition>) -> Result<SeccompRule, BackendError> {
    all_of.into_iter().collect::<Result<Vec<_>, _>>().and_then(SeccompRule::new)
}

fn is(argument: u8, value: i32) -> Condition {
    SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, u64::from(value.unsigned_abs()))
}

fn nothing(argument: u8) -> Condition {
    SeccompCondition::new(argument, Qword, SeccompCmpOp::Eq, 0)
}

fn masked(argument: u8, mask: u64, value: i32) -> Condition {
    SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask), u64::from(value.unsigned_abs()))
}

fn masked_long(argument: u8, bits: u64) -> Condition {
    SeccompCondition::new(argument, Qword, SeccompCmpOp::MaskedEq(bits), bits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_call_stands_in_one_place_and_none_that_is_never_allowed_is() {
        let mut seen = BTreeSet::new();
        for (name, number) in allowed() {
            assert!(seen.insert(number), "{name} stands twice");
        }
        for (number, _) in guarded().unwrap() {
            assert!(seen.insert(number), "{number} is allowed with and without a look");
        }
        for (name, number) in NEVER {
            assert!(!seen.contains(number), "{name} is allowed and never allowed");
        }
        for number in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_seccomp, libc::SYS_setuid] {
            assert!(!seen.contains(&number), "{number} is allowed");
        }
        assert!(GROUPS.iter().all(|group| !group.reason.is_empty() && !group.calls.is_empty()));
    }
}
