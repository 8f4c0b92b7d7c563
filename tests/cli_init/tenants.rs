//! Organizations that are not the plain case: a service account signs in, a credential sees several.

use serde_json::json;

use crate::bench::{Home, INIT, holding};

#[test]
fn a_service_accounts_secret_is_in_the_connection_file_only_and_check_takes_it() {
    let home = Home::with_jumpcloud_of(&["--service-account"]);
    let connection = home.connection();
    let (id, secret) =
        (connection["client_id"].as_str().unwrap(), connection["client_secret"].as_str().unwrap());
    home.private("secret", secret);
    let url = home.url();
    let given = ["--url", &url, "--ca-file", "ca.pem", "--client-id", id, "--client-secret-file", "secret"];
    let said = home
        .run(&[&INIT[..], &given, &["--role", "Help Desk=4h", "--protect", "owner@example.com"]].concat())
        .fine();
    assert!(!said.out.contains(secret) && !said.err.contains(secret), "{}", said.out);
    assert_eq!(
        holding(&[home.files("etc"), home.files("state")].concat(), secret),
        [home.path("etc/main.json")]
    );
    let check = home.run(&["--config", "etc/ephemerald.toml", "check"]).fine();
    assert!(check.out.contains("service account"), "{}", check.out);
}

#[test]
fn a_service_account_with_a_wrong_secret_is_refused_by_its_token_endpoint() {
    let home = Home::with_jumpcloud_of(&["--service-account"]);
    let id = home.connection()["client_id"].as_str().unwrap().to_owned();
    home.private("secret", "canary-wrong");
    let url = home.url();
    let given = ["--url", &url, "--ca-file", "ca.pem", "--client-id", &id, "--client-secret-file", "secret"];
    let said = home.run(&[&INIT[..], &given].concat());
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(
        said.err.contains("client_secret is not accepted") && !said.err.contains("canary"),
        "{}",
        said.err
    );
    assert!(!home.path("etc").exists());
}

#[test]
fn a_credential_that_sees_several_organizations_needs_to_be_told_which_one() {
    let home = Home::with_jumpcloud_of(&["--multi-tenant"]);
    home.private("api-key", &home.api_key());
    let org = home.connection()["org_id"].as_str().unwrap().to_owned();
    let said = home.init(&["--role", "Help Desk=4h"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("2 organizations") && said.err.contains(&org), "{}", said.err);
    assert!(said.err.contains("org_id") && !home.path("etc").exists(), "{}", said.err);

    home.init(&["--role", "Help Desk=4h", "--org-id", &org]).fine();
    assert!(home.read("etc/main.json").contains(&org));

    let strange = home.init(&["--role", "Help Desk=4h", "--force", "--org-id", "5f00c0de00000000000000ff"]);
    assert_eq!(strange.code, Some(4), "{}", strange.err);
}

#[test]
fn a_key_that_ends_soon_is_told_with_what_its_end_means() {
    let mut home = Home::new();
    let soon = jiff::Timestamp::now().as_millisecond() + 3 * 24 * 60 * 60 * 1000;
    let owner = json!({"email": "boss@example.org", "roles": ["Administrator With Billing"], "api_key": "jca_soon",
        "api_key_allowed": true, "api_key_expires_ms": soon});
    std::fs::write(home.path("seed.json"), json!({"accounts": [owner]}).to_string()).unwrap();
    home.start_jumpcloud(&["--seed-file", "seed.json"]);
    home.private("api-key", "jca_soon");
    let said = home.init(&["--role", "Help Desk=4h"]).fine();
    assert!(said.out.contains("the API key ends at") && said.out.contains("make a new one"), "{}", said.out);
}
