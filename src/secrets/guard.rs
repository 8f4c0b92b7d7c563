//! What must not leave: every live secret, in the forms in which it might be written.
//!
//! Each [`Secret`](super::Secret) is known here from its making to its end; nobody has to remember to say so. What is
//! kept is no copy: a keyed hash of a form's first bytes, and the digest of the whole form.
//!
//! Refuses to tell which text it was: a hit names the secret by a truncated digest of it, as alarms do. Does not look for
//! what is shorter than [`SHORTEST`], nor for letters and spaces alone: that may be the name of a role or of a person, and no
//! password may stop an ending.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{LazyLock, Mutex, PoisonError, RwLock},
};

use aws_lc_rs::digest::{SHA256, digest};

use super::{
    forms::{self, ANCHOR},
    short,
};

/// The shortest secret that is looked for, in bytes.
pub const SHORTEST: usize = 12;
/// How many hits wait to be told; a flood of more says nothing that these do not.
const TOLD: usize = 64;

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);
static HITS: Mutex<VecDeque<Hit>> = Mutex::new(VecDeque::new());

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outlet {
    /// A request to a server.
    Request,
    /// A line of the log.
    Log,
    /// An answer at the control socket.
    ControlSocket,
    /// A page for probes and Prometheus.
    Probe,
    /// What a command prints.
    Output,
}

impl Outlet {
    /// Those of the daemon.
    pub const OF_THE_DAEMON: [Self; 4] = [Self::Request, Self::Log, Self::ControlSocket, Self::Probe];

    /// Its name in log, journal and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Log => "log",
            Self::ControlSocket => "control_socket",
            Self::Probe => "probe",
            Self::Output => "output",
        }
    }
}

/// Something that was about to leave and held a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where it was stopped.
    pub outlet: Outlet,
    /// Which secret, as [`Secret::digest`](super::Secret::digest) names it.
    pub secret: String,
}

/// Makes a secret known for as long as this lives.
pub(crate) struct Watch {
    digest: [u8; 32],
    origin: Option<String>,
}

impl Watch {
    /// A secret that goes nowhere.
    pub(crate) fn new(secret: &str) -> Self {
        Self::on(secret, None)
    }

    /// A key that is no text, and goes nowhere.
    pub(crate) fn of_key(key: &[u8]) -> Self {
        let watch = Self { digest: sha256(key), origin: None };
        write(|known| known.learn(&watch, || forms::of_bytes(key)));
        watch
    }

    /// A secret that is meant for this origin.
    pub(crate) fn for_origin(secret: &str, origin: &str) -> Self {
        Self::on(secret, Some(origin.to_owned()))
    }

    fn on(secret: &str, origin: Option<String>) -> Self {
        let secret = secret.trim();
        let watch = Self { digest: sha256(secret.as_bytes()), origin };
        if is_looked_for(secret) {
            write(|known| known.learn(&watch, || forms::of(secret)));
        }
        watch
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch(***)")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        write(|known| known.forget(self));
    }
}

/// Whether these bytes hold a live secret that may not go there. `to` is the origin of a request; nothing else may hold
/// any. A hit is kept for [`hits`].
///
/// # Errors
/// The [`Hit`]: the bytes must not leave.
pub fn judge(outlet: Outlet, bytes: &[u8], to: Option<&str>) -> Result<(), Hit> {
    let found = KNOWN.read().unwrap_or_else(PoisonError::into_inner).search(bytes, to);
    let Some(secret) = found else { return Ok(()) };
    let hit = Hit { outlet, secret };
    let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
    if hits.len() < TOLD {
        hits.push_back(hit.clone());
    }
    Err(hit)
}

/// From here on a secret is known to the end of the process: a command prints once it is done, when the connection that it
/// asked with is gone. Not for the daemon, which outlives its keys.
pub(crate) fn forget_nothing() {
    write(|known| known.for_ever = true);
}

/// What was stopped since the last time that somebody asked.
pub fn hits() -> Vec<Hit> {
    HITS.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
}

fn write(change: impl FnOnce(&mut Known)) {
    change(&mut KNOWN.write().unwrap_or_else(PoisonError::into_inner));
}

fn is_looked_for(secret: &str) -> bool {
    secret.len() >= SHORTEST && !secret.chars().all(|c| c.is_alphabetic() || c == ' ')
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

/// A form of a secret, without the form.
struct Form {
    of: [u8; 32],
    length: usize,
    sum: [u8; 32],
}

#[derive(Default)]
struct Secrets {
    /// How many watches there are.
    watches: usize,
    /// Where it may go, each as often as somebody said so.
    origins: Vec<String>,
}

#[derive(Default)]
struct Known {
    key: RandomState,
    secrets: HashMap<[u8; 32], Secrets>,
    forms: HashMap<u64, Vec<Form>>,
    /// Secrets are known although nobody holds them any more.
    for_ever: bool,
}

impl Known {
    fn learn(&mut self, watch: &Watch, forms: impl FnOnce() -> Vec<String>) {
        let entry = self.secrets.entry(watch.digest).or_default();
        entry.watches += 1;
        entry.origins.extend(watch.origin.clone());
        if entry.watches > 1 {
            return;
        }
        for form in forms().into_iter().collect::<BTreeSet<_>>() {
            let Some(first) = form.as_bytes().first_chunk::<ANCHOR>() else { continue };
            let anchor = self.key.hash_one(first);
            let form = Form { of: watch.digest, length: form.len(), sum: sha256(form.as_bytes()) };
            self.forms.entry(anchor).or_default().push(form);
        }
    }

    fn forget(&mut self, watch: &Watch) {
        let Some(entry) = self.secrets.get_mut(&watch.digest) else { return };
        if !self.for_ever {
            entry.watches -= 1;
        }
        if let Some(at) =
            watch.origin.as_ref().and_then(|origin| entry.origins.iter().position(|o| o == origin))
        {
            entry.origins.swap_remove(at);
        }
        if entry.watches == 0 {
            self.secrets.remove(&watch.digest);
            self.forms.retain(|_, forms| {
                forms.retain(|form| form.of != watch.digest);
                !forms.is_empty()
            });
        }
    }

    fn search(&self, bytes: &[u8], to: Option<&str>) -> Option<String> {
        if self.forms.is_empty() {
            return None;
        }
        bytes.windows(ANCHOR).enumerate().find_map(|(at, window)| {
            let first: &[u8; ANCHOR] = window.try_into().ok()?;
            let here =
                |form: &&Form| bytes.get(at..at + form.length).is_some_and(|text| sha256(text) == form.sum);
            // Several may begin here, and one that is at home vouches for none of the others.
            let mut forms = self.forms.get(&self.key.hash_one(first))?.iter().filter(here);
            forms.find(|form| !self.is_at_home(form, to)).map(|form| short(&form.of))
        })
    }

    fn is_at_home(&self, form: &Form, to: Option<&str>) -> bool {
        let origins = self.secrets.get(&form.of).map_or(&[][..], |secret| &secret.origins);
        to.is_some_and(|to| origins.iter().any(|origin| origin == to))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose};

    use super::*;
    use crate::secrets::Secret;

    fn held(text: &str) -> bool {
        judge(Outlet::Log, text.as_bytes(), None).is_err()
    }

    #[test]
    fn a_live_secret_is_found_in_every_form_and_a_dead_one_is_not() {
        let text = "guard/\"canary-5c1e+b7 %";
        let forms = [
            text.to_owned(),
            serde_json::to_string(text).unwrap(),
            serde_json::to_string(&serde_json::to_string(text).unwrap()).unwrap(),
            general_purpose::STANDARD.encode(text),
            general_purpose::URL_SAFE_NO_PAD.encode(format!("me:{text}")),
            general_purpose::STANDARD.encode(format!("you:{text} and more")),
            text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
            text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02X}")),
            "guard%2F%22canary-5c1e%2Bb7+%25".to_owned(),
            "guard%2F%22canary-5c1e%2Bb7%20%25".to_owned(),
            "guard%2f%22canary-5c1e%2bb7%20%25".to_owned(),
        ];
        let secret = Secret::new(text.to_owned());
        for form in &forms {
            assert!(held(&format!("before {form} after")), "{form}");
        }
        assert!(!held("guard/\"canary-5c1e+b8 %"), "another text");
        let second = secret.duplicate();
        drop(secret);
        assert!(held(text), "a copy of it lives");
        drop(second);
        assert!(forms.iter().all(|form| !held(form)));
    }

    #[test]
    fn a_command_knows_a_secret_to_its_end_and_a_daemon_as_long_as_it_is_held() {
        let text = "guard-canary-of-a-command";
        let watch = Watch::for_origin(text, "https://home.example");
        for for_ever in [false, true] {
            let mut known = Known { for_ever, ..Known::default() };
            for _ in 0..2 {
                known.learn(&watch, || forms::of(text));
                known.forget(&watch);
            }
            assert_eq!(known.search(text.as_bytes(), None).is_some(), for_ever);
            assert_eq!(known.search(text.as_bytes(), Some("https://home.example")).is_some(), for_ever);
        }
    }

    #[test]
    fn a_secret_may_go_where_it_belongs_and_nowhere_else() {
        let text = "guard-canary-at-home-71";
        let _secret = Secret::new(text.to_owned());
        let to = |origin| judge(Outlet::Request, text.as_bytes(), Some(origin)).is_ok();
        assert!(!to("https://home.example"));
        let home = Watch::for_origin(text, "https://home.example");
        assert!(to("https://home.example") && !to("https://elsewhere.example") && held(text));
        let longer = Secret::new(format!("{text}-and-more"));
        let both = judge(Outlet::Request, longer.expose().as_bytes(), Some("https://home.example"));
        assert_eq!(both.unwrap_err().secret, longer.digest(), "one that begins with it is another one");
        drop(home);
        assert!(!to("https://home.example"));
    }

    #[test]
    fn a_short_one_is_not_looked_for_and_a_hit_does_not_show_it() {
        let _short = Secret::new("pass-word-1".to_owned());
        assert!(!held("the pass-word-1 is short"));
        let _name = Secret::new("Administrator With Billing".to_owned());
        assert!(!held("{\"roleName\":\"Administrator With Billing\"}"), "an ending may have to write it");
        let text = "guard-canary-long-enough";
        let long = Secret::new(text.to_owned());
        let hit = judge(Outlet::Probe, text.as_bytes(), None).unwrap_err();
        assert_eq!((hit.outlet, hit.secret.as_str()), (Outlet::Probe, long.digest().as_str()));
        assert!(hits().contains(&hit));
    }
}
