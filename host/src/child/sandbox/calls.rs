//! The system calls that a child may not make.
//!
//! A list of what is forbidden, not of what is allowed: what allocators, threads and C libraries use
//! differs between systems and grows. Forbidden is what reaches out of the process: files are not written,
//! nothing is sent, started, traced or signalled, and its limits stay. A forbidden call fails with EPERM,
//! so that a plugin gets an error and not a signal.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// Forbidden whatever their arguments.
const NEVER: &[c_long] = &[
    // Talking to others.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    // Calls that are not seen here.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_ioprio_set,
    libc::SYS_setrlimit,
    // The system.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_fanotify_init,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Files: what Landlock refuses as well, for kernels without it.
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// Older names of the same calls.
#[cfg(target_arch = "x86_64")]
const NEVER_OF_OLD: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_creat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
];
#[cfg(target_arch = "aarch64")]
const NEVER_OF_OLD: &[c_long] = &[];

/// Their flags are behind a pointer, where no filter sees them: they do not exist, so that libraries go
/// back to `clone` and `openat`.
const UNKNOWN: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// Forbids them to all threads of this process and to those they start.
pub(super) fn forbid() -> Result<(), seccompiler::Error> {
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    let programs = [compile(unknown, libc::ENOSYS)?, compile(rules()?, libc::EPERM)?];
    programs.iter().try_for_each(|program| seccompiler::apply_filter_all_threads(program))
}

/// What is forbidden, by call; no rules = always, else where one of them holds.
fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        NEVER.iter().chain(NEVER_OF_OLD).map(|call| (*call, Vec::new())).collect();
    let mut forbid_where = |call: c_long, argument, length, operation, value: u64| {
        let condition = SeccompCondition::new(argument, length, operation, value)?;
        rules.entry(call).or_default().push(SeccompRule::new(vec![condition])?);
        Ok::<_, seccompiler::BackendError>(())
    };
    let own = u64::from(std::process::id());
    for call in [libc::SYS_tgkill, libc::SYS_rt_tgsigqueueinfo] {
        forbid_where(call, 0, Dword, Ne, own)?;
    }
    // Threads yes, processes no.
    forbid_where(libc::SYS_clone, 0, Qword, MaskedEq(bits(libc::CLONE_THREAD)), 0)?;
    // Limits may be read.
    forbid_where(libc::SYS_prlimit64, 2, Qword, Ne, 0)?;
    forbid_where(libc::SYS_prctl, 0, Dword, Eq, bits(libc::PR_SET_PDEATHSIG))?;
    forbid_where(libc::SYS_ioctl, 1, Dword, Eq, libc::TIOCSTI)?;
    let mut forbid_writing = |call, flags| {
        for mode in [libc::O_WRONLY, libc::O_RDWR, libc::O_ACCMODE] {
            forbid_where(call, flags, Dword, MaskedEq(bits(libc::O_ACCMODE)), bits(mode))?;
        }
        for bit in [libc::O_CREAT, libc::O_TRUNC].map(bits) {
            forbid_where(call, flags, Dword, MaskedEq(bit), bit)?;
        }
        Ok::<_, seccompiler::BackendError>(())
    };
    forbid_writing(libc::SYS_openat, 2)?;
    #[cfg(target_arch = "x86_64")]
    forbid_writing(libc::SYS_open, 1)?;
    Ok(rules)
}

/// A flag of C as the kernel gets it.
fn bits(flag: i32) -> u64 {
    u64::from(flag.cast_unsigned())
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: i32,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let refused = SeccompAction::Errno(errno.cast_unsigned());
    let filter: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, refused, ARCH)?.try_into()?;
    Ok([&other_numbers()[..], &filter].concat())
}

/// Refuses the second set of numbers that x86-64 has for the same calls (x32), which a list of
/// the first would let pass.
#[cfg(target_arch = "x86_64")]
fn other_numbers() -> [sock_filter; 3] {
    // The number of the call; has it the bit of x32, else two on; EPERM.
    let load = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let test = sock_filter { code: 0x45, jt: 0, jf: 1, k: 0x4000_0000 };
    let refuse =
        sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::EPERM.cast_unsigned() };
    [load, test, refuse]
}

#[cfg(target_arch = "aarch64")]
fn other_numbers() -> [sock_filter; 0] {
    []
}
