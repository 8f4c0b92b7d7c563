//! seccomp: the filter that is made of the list in [`calls`](super::calls).
//!
//! A call that is not on the list is answered with EPERM and the process goes on. Killing it would be
//! sharper, and wrong here: a library that tries a new call after an update would bring the daemon into a loop of
//! restarts in which no grant ends. An error it can live with: everything that matters is tried again.
//!
//! Where programs are started the list cannot be ours alone: then only what no such program needs is refused
//! ([`NEVER`](super::NEVER)).
//!
//! Refuses: calls in the manner of other architectures (i386, x32).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::{Standing, calls};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Filters the calls of all threads, or says why not.
pub(super) fn confine(commands: bool) -> Standing {
    let how = if commands {
        format!(
            "enforced: {} calls are refused, the rest is left to programs that are started",
            calls::NEVER.len()
        )
    } else {
        format!("enforced: {} calls are allowed", calls::allowed().len())
    };
    Standing::of(&how, install(commands))
}

fn install(commands: bool) -> Result<(), String> {
    for program in programs(commands)? {
        apply_filter_all_threads(&program).map_err(|error| said(&error))?;
    }
    Ok(())
}

/// The filters, in the order in which they are put in force. The strictest answer to a call counts.
fn programs(commands: bool) -> Result<Vec<BpfProgram>, String> {
    let refused = SeccompAction::Errno(errno(libc::EPERM));
    // Its flags lie in memory, where a filter cannot look. The C library then takes `clone`.
    let absent = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let absent = program(absent, SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS)))?;
    if commands {
        let mut never: Rules = calls::NEVER.iter().map(|(_, number)| (*number, Vec::new())).collect();
        never.extend(calls::x32().map(|number| (number, Vec::new())));
        never.insert(libc::SYS_clone, calls::namespaces().map_err(|error| error.to_string())?);
        return Ok(vec![absent, program(never, SeccompAction::Allow, refused)?]);
    }
    let mut rules = Rules::new();
    for (_, number) in calls::allowed() {
        rules.insert(number, Vec::new());
    }
    rules.extend(calls::guarded().map_err(|error| error.to_string())?);
    Ok(vec![absent, program(rules, refused, SeccompAction::Allow)?])
}

fn program(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| said(&error))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, arch).map_err(|error| said(&error))?;
    BpfProgram::try_from(filter).map_err(|error| said(&error))
}

fn said(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}; it needs a kernel with CONFIG_SECCOMP_FILTER, and a container that lets it")
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_make_filters_that_the_kernel_takes() {
        for (commands, count) in [(true, 2), (false, 2)] {
            let made = programs(commands).unwrap();
            assert_eq!(made.len(), count);
            assert!(
                made.iter().all(|program| !program.is_empty() && program.len() < 4096),
                "the kernel's limit"
            );
        }
    }
}
