//! Landlock: which paths the process may open, for what, and which port it may listen on.
//!
//! A rule is bound to what lies at a path when the rule is made. A file that is replaced by a rename, as
//! configuration management does it and every tool that writes `resolv.conf`, is another one afterwards. So rules
//! are for directories, and `/etc` is readable as a whole: a daemon that cannot resolve a name any more ends no
//! grant. What is secret there is guarded by its owner and mode, as it is without this.
//!
//! Connecting is not restricted: the ports of proxies, regions and resolvers are the operator's, a wrong guess
//! would keep an ending from happening, and whoever may use port 443 can send anything anywhere.
//!
//! Refuses kernels whose Landlock cannot allow a rename between directories (before 5.19): there a lost ledger could
//! not be set aside.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope,
};

use super::{Plan, Standing};

/// What is read of any system: names and resolvers, certificates, time zones, libraries that the C library opens
/// for names, what the kernel says of itself and of us.
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/nix/store",
    "/var/lib/ca-certificates",
    // Where `/etc/resolv.conf` may point to; systemd's is made anew under this directory.
    "/run/systemd",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
    "/proc",
    "/dev/random",
    "/dev/urandom",
];

/// Variables that name further places: certificates, time zones, systemd's credentials.
const VARIABLES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "TZDIR", "CREDENTIALS_DIRECTORY"];

/// What is restricted where the kernel can. Nothing newer: a right that a later kernel knows is not tried here.
const KNOWN: ABI = ABI::V6;

const ABSENT: &str = "the kernel does not offer it; it needs Linux 5.19 or later with `landlock` among its security modules (lsm=), and a container whose list of system calls has landlock_*";

/// Confines this thread and its children, or says why not.
pub(super) fn confine(plan: &Plan) -> Standing {
    match restrict(plan) {
        Ok(RulesetStatus::FullyEnforced) => Standing::InForce("enforced".to_owned()),
        Ok(RulesetStatus::PartiallyEnforced) => {
            let what =
                "enforced for files; this kernel cannot restrict ports, signals or devices (Linux 6.12 can)";
            Standing::InForce(what.to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => {
            Standing::Missing("the kernel took the rules and holds none".to_owned())
        }
        // The library's own word is which bits it could not have.
        Err(RulesetError::HandleAccesses(_)) => Standing::Missing(ABSENT.to_owned()),
        Err(error) => Standing::Missing(error.to_string()),
    }
}

fn restrict(plan: &Plan) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V2))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::Signal)?;
    if !plan.abstract_sockets {
        rules = rules.scope(Scope::AbstractUnixSocket)?;
    }
    if !plan.commands {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let mut rules = rules.create()?;
    for (path, rights) in wanted(plan) {
        rules = allow(rules, &path, rights)?;
    }
    if let (false, Some(port)) = (plan.commands, plan.listen) {
        rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// Every path with what may be done at it and below.
fn wanted(plan: &Plan) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let sockets = AccessFs::ReadDir | AccessFs::MakeSock | AccessFs::RemoveFile;
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let named = VARIABLES.iter().filter_map(std::env::var_os).filter(|value| !value.is_empty());
    let resolver = std::fs::canonicalize("/etc/resolv.conf").ok();
    let resolver = resolver.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let system = SYSTEM.iter().map(PathBuf::from).chain(named.map(PathBuf::from)).chain(resolver);
    let mut all: Vec<_> = system.map(|path| (path, read)).collect();
    all.extend(plan.read.iter().flat_map(|path| places(path)).map(|path| (path, read)));
    all.extend(plan.sockets.iter().map(|path| (path.clone(), sockets)));
    all.extend(plan.write.iter().map(|path| (path.clone(), write)));
    all.push(("/dev/null".into(), AccessFs::ReadFile | AccessFs::WriteFile));
    if plan.commands {
        // A program of the operator's reads and runs what it needs, and writes where anybody may.
        all.push(("/".into(), read | AccessFs::Execute));
        all.extend(["/tmp", "/var/tmp"].map(|path| (path.into(), write)));
    }
    all
}

/// Where a named file can be found, also after it was replaced: its directory, and that of what it points to. A
/// directory that is not there yet is looked for in the nearest one that is.
fn places(path: &Path) -> Vec<PathBuf> {
    let whole = |path: PathBuf| {
        let above = path.parent().filter(|above| above.as_os_str().as_bytes() != b"/");
        match above.filter(|_| !path.is_dir()) {
            Some(above) => above.ancestors().find(|there| there.is_dir()).map(Path::to_path_buf),
            // At the top stands only what was mounted there, and that is not replaced by a rename.
            None => Some(path),
        }
    };
    let target = std::fs::canonicalize(path).ok();
    [Some(path.to_path_buf()), target].into_iter().flatten().filter_map(whole).collect()
}

/// A path that is not there, or that we may not look at, needs no rule.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(place) = PathFd::new(path) else { return Ok(rules) };
    // Rights that only directories have are no rights of a file.
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(KNOWN) };
    rules.add_rule(PathBeneath::new(place, rights))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_file_is_found_again_after_it_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        for place in [&here, &there] {
            fs::create_dir(place).unwrap();
        }
        fs::write(there.join("policy.toml"), "").unwrap();
        symlink(there.join("policy.toml"), here.join("policy.toml")).unwrap();
        assert_eq!(places(&here.join("policy.toml")), [here.clone(), there]);
        assert_eq!(places(&here.join("later/policy.toml")), [here], "of a directory that is still to come");
        assert_eq!(places(Path::new("/policy.toml")), [Path::new("/policy.toml")], "never all there is");
        assert_eq!(places(dir.path()), [dir.path(), dir.path()], "a directory is itself");
    }
}
