//! The newcomer's path of `docs/getting-started.md`: from an empty directory to a first grant that ends,
//! every step a command of the shipped program.

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Home, Said, wait_until};

/// A home where the simulated parts run and `init` has written the files.
struct Newcomer {
    home: Home,
}

impl Newcomer {
    fn after_init() -> Self {
        let mut home = Home::with_jumpcloud();
        home.start_part(&[
            "sandbox",
            "control-plane",
            "--data-dir",
            "cp",
            "--write-ca",
            "cp-ca.pem",
            "--write-token",
            "token",
        ]);
        let control = ["--control-ca-file", "cp-ca.pem", "--agent-token-file", "token"];
        let said =
            home.init(&[&control[..], &["--role", "Manager=1h", "--integration", "acme"]].concat()).fine();
        assert!(said.out.contains("enroll --token-file"), "{}", said.out);
        Self { home }
    }

    fn ephemerald(&self, args: &[&str]) -> Said {
        self.home.run(&[&["--config", "etc/ephemerald.toml"], args].concat())
    }

    /// Asks for an access and has it approved; its number.
    fn approved(&self, account: &str) -> String {
        let ask = ["sandbox", "request", "--output", "json", "--data-dir", "cp", "--integration", "acme"];
        let what = ["--account", account, "--role", "Manager", "--duration", "2s"];
        let request = self.home.run(&[&ask[..], &what].concat()).fine().json();
        let number = request["number"].as_str().unwrap().to_owned();
        self.home
            .run(&["sandbox", "approve", "--data-dir", "cp", &number, "--by", "boss@example.com"])
            .fine();
        number
    }

    /// Waits until the request has come to this state; its history.
    fn comes_to(&self, number: &str, state: &str) -> String {
        wait_until(&format!("{number} {state}"), || {
            let all =
                self.home.run(&["sandbox", "requests", "--output", "json", "--data-dir", "cp"]).fine().json();
            let found =
                all.as_array().unwrap().iter().find(|request| request["number"] == number).unwrap().clone();
            if found["state"] == state {
                Ok(found.to_string())
            } else {
                Err(format!("{found}\n{}", self.home.read("agent.log")))
            }
        })
    }

    /// Each role that the account was given, from the simulation's own history.
    fn roles_over_time(&self, account: &str) -> Vec<String> {
        let (url, ca) = (self.home.url(), self.home.path("ca.pem"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let history = runtime.block_on(async {
            let door = ephemerald::http::Door::new(ephemerald::http::DoorOptions {
                origin: url,
                extra_ca_pem: Some(std::fs::read(ca).unwrap()),
                only_extra_ca: true,
                proxy: None,
                connect_timeout: crate::bench::PATIENCE,
                read_timeout: crate::bench::PATIENCE,
                total_timeout: crate::bench::PATIENCE,
                max_body: 1 << 20,
                user_agent: "test".to_owned(),
            });
            let request = ephemerald::http::Request {
                method: reqwest::Method::GET,
                path: format!("/_sandbox/history/{account}"),
                headers: Vec::new(),
                body: None,
                total_timeout: None,
            };
            door.unwrap().send(request).await.unwrap().body
        });
        let history: serde_json::Value = serde_json::from_slice(&history).unwrap();
        let changes = history["changes"].as_array().unwrap().iter();
        changes.map(|change| change["roles"][0].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn the_files_of_init_lead_through_a_dry_run_to_a_first_grant_that_ends() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut newcomer = Newcomer::after_init();
    newcomer.ephemerald(&["enroll", "--token-file", "etc/agent-token"]).fine();
    let check = newcomer.ephemerald(&["check"]).fine();
    assert!(
        check.out.contains("0 failures") && check.out.contains("dry run: nothing is changed"),
        "{}",
        check.out
    );
    let agent = newcomer.home.start_agent(&["--config", "etc/ephemerald.toml", "run"]);

    let planned = newcomer.approved("dmitri@example.com");
    newcomer.comes_to(&planned, "dry_run");
    assert!(newcomer.roles_over_time("dmitri@example.com").is_empty(), "a dry run changes nothing");

    let policy = newcomer.home.read("etc/policy.toml").replace("\"dry_run\"", "\"enforce\"");
    std::fs::write(newcomer.home.path("etc/policy.toml"), policy).unwrap();
    kill_process(Pid::from_raw(agent).unwrap(), Signal::HUP).unwrap();
    wait_until("the new policy", || {
        let status = newcomer.ephemerald(&["status"]).fine().out;
        if status.contains("dry run") { Err(status) } else { Ok(()) }
    });
    let real = newcomer.approved("dmitri@example.com");
    newcomer.comes_to(&real, "ended");
    assert_eq!(newcomer.roles_over_time("dmitri@example.com"), ["Manager", "Help Desk"]);

    let protected = newcomer.approved("breakglass@example.com");
    let refused = newcomer.comes_to(&protected, "refused");
    assert!(refused.contains("protected_account"), "{refused}");
}
