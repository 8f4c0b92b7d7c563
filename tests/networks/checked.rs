//! What `check` says of the network: certificates, whom this machine trusts, and whom it is told to trust.

use std::fs;

use tokio::process::Command;

use crate::{authority::Authority, process::World};

/// `check` with another platform store.
async fn check(world: &World, store: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.arg("--config").arg(&world.files.config).arg("check");
    command.env("SSL_CERT_FILE", store).env_remove("SSL_CERT_DIR");
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    (output.status.code(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn the_platform_s_store_is_one_file_away_and_can_be_replaced() {
    let world = World::enrolled().await;
    let root = &world.files.root;
    let (ours, other) = (root.join("ours.pem"), root.join("other.pem"));
    let config = fs::read_to_string(&world.files.config).unwrap();
    let line = config.lines().find(|line| line.starts_with("ca_file")).unwrap().to_owned();
    let sandbox_ca = line.split('"').nth(1).unwrap();
    let connection: serde_json::Value =
        serde_json::from_slice(&fs::read(&world.files.connection).unwrap()).unwrap();
    let cloud_ca = connection["ssl_ca_cert"].as_str().unwrap().to_owned();
    fs::write(&ours, [fs::read(sandbox_ca).unwrap(), fs::read(&cloud_ca).unwrap()].concat()).unwrap();
    fs::write(&other, Authority::new("Corp TLS Inspection").pem).unwrap();
    let (ours, other) = (ours.to_str().unwrap(), other.to_str().unwrap());

    // Nothing configured: the platform's store decides.
    world.rewrite_config(|text| text.replace(&line, ""));
    world.rewrite_connection(|connection| {
        connection.as_object_mut().unwrap().remove("ssl_ca_cert");
    });
    let (_, said) = check(&world, ours).await;
    assert_eq!(said.matches("certificate trusted, issued by").count(), 2, "{said}");
    let (code, said) = check(&world, other).await;
    assert_eq!(said.matches("issued by CN=").count(), 2, "{said}");
    assert!(code == Some(3) && said.contains("not signed by a trusted authority"), "{said}");

    // Adding: the platform's and the configured one.
    world.rewrite_config(|text| {
        text.replace("[control_plane]\n", &format!("[control_plane]\nca_file = {other:?}\n"))
    });
    world.rewrite_connection(|connection| connection["ssl_ca_cert"] = other.into());
    let (_, said) = check(&world, ours).await;
    assert_eq!(said.matches("certificate trusted, issued by").count(), 2, "{said}");

    // Replacing: the configured one alone.
    world.rewrite_config(|text| text.replace("[control_plane]\n", "[control_plane]\nca_only = true\n"));
    world.rewrite_connection(|connection| connection["ssl_ca_only"] = true.into());
    let (code, said) = check(&world, ours).await;
    assert_eq!(said.matches("certificate trusted").count(), 0, "{said}");
    assert_eq!(said.matches("not signed by a trusted authority").count(), 2, "{said}");
    assert_eq!(code, Some(3), "{said}");
}

#[tokio::test]
async fn a_password_in_the_configuration_is_a_warning_that_does_not_show_it() {
    let world = World::enrolled().await;
    world.rewrite_config(|text| {
        text.replace(
            "[control_plane]\n",
            "[control_plane]\nproxy = \"http://u:hunter2@proxy.invalid:3128\"\n",
        )
    });
    let said = world.agent.command(&["check"]).await;
    assert!(said.prose().contains("the password stands in the configuration"), "{}", said.text);
    assert!(said.prose().contains("http://proxy.invalid:3128, by control_plane: proxy"), "{}", said.text);
    assert!(!said.text.contains("hunter2"), "{}", said.text);
}
