//! What the process takes from itself with three plain calls: no image of its memory may come to lie on a
//! disk, no other process of its user may look into it, no program that it starts may gain rights.
//!
//! Refuses nothing: what the kernel does not grant is said, and the process goes on.

use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
    thread::set_no_new_privs,
};

use super::Standing;

/// No core dumps, and nobody but root reads our memory: for every process of this program, since all may hold a
/// key.
pub fn keep_memory_private() -> Standing {
    Standing::of("core dumps are off and others cannot read its memory", private())
}

/// No rights beyond those that are there, also by what is started from here.
pub(super) fn no_new_privileges() -> Standing {
    Standing::of("on", set_no_new_privs(true).map_err(|error| error.to_string()))
}

fn private() -> Result<(), String> {
    // First what also counts when a dump is piped to a handler, which asks for no limit.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("PR_SET_DUMPABLE: {error}"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if getrlimit(Resource::Core) == none {
        return Ok(()); // the unit was there first, and may have taken the call away
    }
    setrlimit(Resource::Core, none).map_err(|error| format!("RLIMIT_CORE: {error}"))
}
