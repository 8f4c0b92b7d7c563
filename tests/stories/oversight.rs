//! The operator of the reference control plane looks and acts by commands, as its documents say.

use crate::process::World;

#[tokio::test]
async fn keys_agents_alarms_and_inventories_are_looked_at_and_changed_by_commands() {
    let world = World::ready().await;
    let data = world.files.root.join("control-plane");
    let data = data.to_str().unwrap();
    let run = async |args: &[&str]| {
        let said = world.agent.command(&[&["sandbox"], args, &["--data-dir", data]].concat()).await;
        assert!(said.text.lines().all(|line| line.chars().count() <= 80), "{}", said.text);
        said
    };
    for (args, code, text) in [
        (&["keys"][..], 0, "version 1"),
        (&["keys", "drop-old"], 4, "the signing key only"),
        (&["keys", "rotate"], 0, "version 2"),
        (&["keys", "drop-old"], 0, "version 3"),
        (&["agents"], 0, "version 1: grant, revoke, extend, sync, test"),
        (&["alarms"], 0, "no alarms"),
        (&["inventory"], 0, "no inventory has come"),
        (&["new-key", "nobody"], 4, "no agent nobody"),
    ] {
        let said = run(args).await;
        assert!(
            said.code == Some(code) && said.text.contains(text),
            "{args:?}: {:?} {}",
            said.code,
            said.text
        );
    }
    let before = world.operator.agents().await.unwrap().pop().unwrap();
    let said = run(&["new-key", before.id.as_str()]).await;
    assert!(said.code == Some(0) && said.text.contains("asked to change it"), "{}", said.text);
    world.logs("agent key: the old key is erased").await;
    assert_ne!(world.operator.agents().await.unwrap()[0].key, before.key);
}
