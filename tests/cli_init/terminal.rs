//! A person at a terminal: what he sees, and what he does not.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use crate::bench::{Home, holding, wait_until};

/// The program at a pseudo-terminal.
struct Person {
    keyboard: File,
    /// Our own hold on the program's side, to look at its settings.
    device: File,
    screen: Arc<Mutex<String>>,
    seen: usize,
    program: Child,
}

impl Person {
    fn starts(home: &Home, args: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let device = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let side = || Stdio::from(device.try_clone().unwrap());
        let program = home.command(args).stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let keyboard = File::from(controller);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut eye, shown) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = eye.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Self { keyboard, device, screen, seen: 0, program }
    }

    /// Waits for a question that comes after everything that was answered.
    fn sees(&mut self, words: &str) -> &mut Self {
        let (screen, seen) = (Arc::clone(&self.screen), self.seen);
        self.seen = wait_until(&format!("{words:?} on the screen"), || {
            let shown = screen.lock().unwrap();
            let found = shown[seen..].find(words).map(|at| seen + at + words.len());
            found.ok_or_else(|| shown.clone())
        });
        self
    }

    fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits until the terminal shows, or does not show, what is typed.
    fn echo_is(&mut self, on: bool) -> &mut Self {
        wait_until("the terminal's echo", || {
            let now = tcgetattr(&self.device).unwrap().local_modes.contains(LocalModes::ECHO);
            if now == on { Ok(()) } else { Err(format!("is {now}")) }
        });
        self
    }

    /// The whole screen, once the program has ended with this code.
    fn ends(mut self, code: i32) -> String {
        let status = self.program.wait().unwrap();
        drop(self.device);
        let screen = self.screen.lock().unwrap().clone();
        assert_eq!(status.code(), Some(code), "{screen}");
        // Paths and commands stay whole.
        let prose = |line: &&str| !line.trim().contains(" --") && line.trim().contains(' ');
        let wide = screen.lines().filter(prose).find(|line| line.chars().count() > 80);
        assert_eq!(wide, None);
        screen
    }
}

#[test]
fn a_conversation_with_a_mistyped_key_ends_in_files_and_never_shows_the_key() {
    let home = Home::with_jumpcloud();
    let (url, key) = (home.url(), home.api_key());
    let mut person =
        Person::starts(&home, &["--state-dir", "state", "init", "--layout", "user", "--config-dir", "etc"]);
    person.sees("Is that right?").types("\n");
    person.sees("Its name in jobs").types("acme\n").sees("acme");
    person.sees("Where is it?").types("4\n").sees("Its address").types(&format!("{url}\n"));
    person.sees("certificate authority").types("ca.pem\n");
    person.sees("sign in with?").types("\n");
    person
        .sees("API key (not shown)")
        .echo_is(false)
        .types("jca_canary_typo\n")
        .sees("15 characters")
        .echo_is(true);
    person.sees("answered 401").sees("What now?").types("2\n").sees("sign in with?").types("\n");
    person.sees("API key (not shown)").echo_is(false).types(&format!("{key}\n"));
    person.sees("owner@example.com, Administrator With Billing");
    person.sees("hold roles?").types("\n");
    person.sees("[owner@example.com, breakglass@example.com]").types("\n");
    person.sees("May be raised").types("\n");
    person.sees("can change administrators").sees("Roles that may be granted").types("Help Desk\n");
    person.sees("for how long").types("1h\n").sees("for one grant").types("\n").sees("dry run").types("\n");
    person.sees("Agent token").echo_is(false).types("\n").sees("control plane's certificate").types("\n");
    person.sees("(not shown)").sees("Write it?").types("\n").sees("enroll");

    let screen = person.ends(0);
    assert!(screen.contains("acme\r\n"), "the terminal shows what is typed otherwise: {screen}");
    for secret in [&key, "jca_canary_typo"] {
        assert!(!screen.contains(secret), "{screen}");
    }
    let files = [home.files("etc"), home.files("state")].concat();
    assert_eq!(holding(&files, &key), [home.path("etc/acme.json")]);
    assert!(home.read("etc/policy.toml").contains("\"Help Desk\" = \"1h\""));
}

/// From the roles on, with the usual answers, to the end.
fn agrees_to_the_rest(person: &mut Person) {
    person.sees("hold roles?").types("\n").sees("Never raise").types("\n").sees("May be raised").types("\n");
    person.sees("Roles that may be granted").types("Help Desk\n").sees("for how long").types("\n");
    person.sees("for one grant").types("\n").sees("dry run").types("\n").sees("Agent token").types("\n");
    person.sees("control plane's certificate").types("\n").sees("Write it?").types("\n").sees("enroll");
}

#[test]
fn a_person_chooses_among_the_organizations_of_the_credential() {
    let home = Home::with_jumpcloud_of(&["--multi-tenant"]);
    home.private("api-key", &home.api_key());
    let org = home.connection()["org_id"].as_str().unwrap().to_owned();
    let url = home.url();
    let place =
        ["--state-dir", "state", "init", "--layout", "user", "--config-dir", "etc", "--integration", "acme"];
    let given = ["--url", &url, "--ca-file", "ca.pem", "--api-key-file", "api-key"];
    let mut person = Person::starts(&home, &[&place[..], &given].concat());
    person.sees("Is that right?").types("\n");
    person.sees("several organizations").sees(&format!("1) {org}")).sees("Which one?").types("1\n");
    person.sees("organization    ").sees(&org);
    agrees_to_the_rest(&mut person);
    person.ends(0);
    assert!(home.read("etc/acme.json").contains(&org));
}

#[test]
fn a_person_gives_a_service_account_and_its_secret_is_not_shown() {
    let home = Home::with_jumpcloud_of(&["--service-account"]);
    let connection = home.connection();
    let (id, secret) =
        (connection["client_id"].as_str().unwrap(), connection["client_secret"].as_str().unwrap());
    let url = home.url();
    let place =
        ["--state-dir", "state", "init", "--layout", "user", "--config-dir", "etc", "--integration", "acme"];
    let mut person = Person::starts(&home, &[&place[..], &["--url", &url, "--ca-file", "ca.pem"]].concat());
    person.sees("Is that right?").types("\n").sees("sign in with?").types("2\n");
    person.sees("Client id").types(&format!("{id}\n"));
    person.sees("Client secret (not shown)").echo_is(false).types("canary-typo\n");
    person.sees("client_secret is not accepted").sees("What now?").types("2\n");
    person.sees("sign in with?").types("\n").sees(&format!("Client id [{id}]")).types("\n");
    person.sees("Client secret (not shown)").echo_is(false).types(&format!("{secret}\n"));
    person.sees("signed in as");
    agrees_to_the_rest(&mut person);
    let screen = person.ends(0);
    assert!(!screen.contains(secret) && !screen.contains("canary"), "{screen}");
    assert_eq!(
        holding(&[home.files("etc"), home.files("state")].concat(), secret),
        [home.path("etc/acme.json")]
    );
}

#[test]
fn at_a_terminal_a_secret_is_not_read_from_it_as_a_file() {
    let home = Home::new();
    let mut person = Person::starts(&home, &["init", "--api-key-file", "-"]);
    person.sees("--non-interactive");
    person.ends(2);
}

#[test]
fn ctrl_c_at_a_hidden_question_stops_at_once_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let args = ["init", "--layout", "user", "--offline", "--region", "us", "--integration", "main"];
    let mut person = Person::starts(&home, &args);
    person.sees("Is that right?").types("\n").sees("sign in with?").types("\n");
    person.sees("API key (not shown)").echo_is(false).types("jca_canary\x03");
    person.sees("nothing was written").echo_is(true);
    let screen = person.ends(1);
    assert!(!screen.contains("canary"), "{screen}");
    assert!(home.files("").is_empty(), "{:?}", home.files(""));
}
