//! The configuration file, through the same door as the daemon: a file. Each URL gets a user name and the
//! password of this run.
//!
//! Refuses a password in an error, in `Debug` or in what `config show` prints, values out of their range,
//! and a configuration that means something else once it is written down with all its defaults.

use std::{fmt::Write as _, fs};

use ephemerald::{
    config::{Config, ConfigError, Loaded, Sources},
    engine::time::Millis,
};
use serde_json::Value;

const PASSWORD: &str = "p4ssw0rd-77c1";

thread_local! {
    static PLACE: tempfile::TempDir = tempfile::tempdir().expect("a temporary directory");
}

/// Reads a configuration.
pub fn configuration(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let text = text.replace("://", &format!("://u:{PASSWORD}@"));
    match load(&text) {
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(PASSWORD), "the password is told: {told}");
            assert!(told.contains("ephemerald.toml"), "which file is not told: {told}");
        }
        Ok(loaded) => {
            let shown = serde_json::to_string(&loaded.entries).expect("entries serialise");
            assert!(!shown.contains(PASSWORD), "the password is shown");
            let proxies = loaded.config.integrations.iter().map(|integration| &integration.proxy);
            let told = format!("{:?} {:?}", loaded.config.control_plane, proxies.collect::<Vec<_>>());
            assert!(!told.contains(PASSWORD), "the password is shown by Debug");
            is_in_range(&loaded.config);
            written_down_it_means_the_same(&loaded);
        }
    }
}

fn load(text: &str) -> Result<Loaded, ConfigError> {
    PLACE.with(|place| {
        let file = place.path().join("ephemerald.toml");
        fs::write(&file, text).expect("the temporary directory takes a file");
        Config::load(&Sources { file: Some(file), ..Sources::default() })
    })
}

fn is_in_range(config: &Config) {
    let seconds = |n: u64| Millis::from_secs(n);
    let control_plane = &config.control_plane;
    assert!((seconds(1)..=seconds(55)).contains(&control_plane.poll_max));
    assert!((seconds(1)..=seconds(3600)).contains(&control_plane.report_interval));
    let mut names = std::collections::HashSet::new();
    for integration in &config.integrations {
        let settings = &integration.settings;
        assert!(names.insert(settings.id.clone()), "two integrations of one name");
        assert!((1..=1000).contains(&settings.rate_per_second));
        assert!((1..=100).contains(&integration.page_size));
        assert!((seconds(1)..=seconds(3600)).contains(&settings.observe_interval));
    }
    assert!(config.timing.watch.is_sorted(), "looks after an end that go back in time");
}

/// What a mask hides cannot be written down.
fn written_down_it_means_the_same(loaded: &Loaded) {
    let Some(text) = written(loaded) else { return };
    let again = load(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let values = |loaded: &Loaded| loaded.entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect();
    let (shown, shown_again): (Vec<_>, Vec<_>) = (values(loaded), values(&again));
    assert_eq!(shown, shown_again, "\n{text}");
    assert_eq!(meaning(&loaded.config), meaning(&again.config), "\n{text}");
}

/// Everything but where it was written.
fn meaning(config: &Config) -> String {
    let mut config = config.clone();
    config.integrations.iter_mut().for_each(|integration| integration.said.clear());
    format!("{config:?}")
}

fn written(loaded: &Loaded) -> Option<String> {
    let mut text = String::new();
    let mut section = "";
    for entry in &loaded.entries {
        let (of, key) = entry.key.rsplit_once('.').expect("a key has its section");
        if of != section {
            section = of;
            let header =
                if of.starts_with("integration.") { "[[integration]]".to_owned() } else { format!("[{of}]") };
            writeln!(text, "{header}").expect("a text takes everything");
        }
        if entry.value == Value::Null {
            continue;
        }
        let value = entry.value.to_string().replace('\u{7f}', "\\u007f");
        if value.contains("***") {
            return None;
        }
        writeln!(text, "{key} = {value}").expect("a text takes everything");
    }
    Some(text)
}
