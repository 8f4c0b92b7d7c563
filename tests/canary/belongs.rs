//! That what is looked for is the secret: it is found where it belongs, and everywhere else if somebody puts it there.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::process::{World, scan::Canary, secrets::files_in};

#[tokio::test]
async fn each_secret_of_a_world_is_found_where_it_belongs_and_wherever_it_is_put() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let (files, secrets) = (&world.files, world.secrets());
    for name in ["API key", "token of", "agent token", "agent token: its secret", "agent.key", "tag.key"] {
        assert!(secrets.iter().any(|secret| secret.name.starts_with(name)), "{name} is not known");
    }
    let belongs: Vec<_> = [files_in(&files.root), files_in(&files.state)].concat();
    for secret in &secrets {
        let at_home = belongs.iter().any(|path| secret.is_in(&fs::read(path).unwrap()));
        assert!(at_home, "{} is not found where it belongs", secret.name);
    }
    files.hold_nowhere(&secrets);
    for path in [files.log.clone(), files.state.join("ledger.db"), files.state.join("ledger.db-wal")] {
        let before = fs::read(&path).unwrap();
        for secret in &secrets {
            for (form, written) in &secret.forms {
                fs::write(&path, [&before[..], written].concat()).unwrap();
                assert!(is_noticed(&world, secret), "{form} of {} in {}", secret.name, path.display());
            }
        }
        fs::write(&path, before).unwrap();
    }
    files.hold_nowhere(&secrets);
}

/// Whether a world that ended now would say so.
fn is_noticed(world: &World, secret: &Canary) -> bool {
    let found = catch_unwind(AssertUnwindSafe(|| world.files.hold_nowhere(std::slice::from_ref(secret))));
    found.is_err_and(|said| said.downcast_ref::<String>().is_some_and(|said| said.starts_with("SEEN: ")))
}
