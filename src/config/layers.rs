//! Collects the layers of a configuration and merges them; every value remembers its origin.
//!
//! Refuses: files that cannot be read, text that is not TOML, keys that [`Raw`] does not have.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use ::config::{
    Config as Merger, ConfigError as MergeError, File, FileFormat, Map, Source, Value, ValueKind,
};

use super::{
    error::{ConfigError, nearest},
    raw::{Integration, Raw},
    show,
};

/// The main file when `--config` names no other.
pub const DEFAULT_FILE: &str = "/etc/ephemerald/ephemerald.toml";

const PREFIX: &str = "EPHEMERALD__";

/// Where a configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The main file; `None` is [`DEFAULT_FILE`], which may be absent.
    pub file: Option<PathBuf>,
    /// Environment variables; those without the prefix `EPHEMERALD__` are ignored.
    pub environment: Vec<(String, String)>,
    /// Values of flags.
    pub overrides: Vec<Override>,
}

/// A configuration value that was given by a flag.
#[derive(Clone, Debug)]
pub struct Override {
    /// The key, with its section: `log.level`.
    pub key: &'static str,
    /// The value as text.
    pub value: String,
    /// The flag's name, for messages: `--log-level`.
    pub flag: &'static str,
}

impl Sources {
    /// The sources of this process: a file (if named), its environment and its flags.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, overrides: Vec<Override>) -> Self {
        let environment = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, environment, overrides }
    }
}

/// All layers merged: what was written, and the tree that knows who wrote it.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) raw: Raw,
    tree: Value,
}

impl Merged {
    /// Who wrote `key` (dotted, list elements by number); `None` for a default.
    pub(super) fn origin(&self, key: &str) -> Option<String> {
        find(&self.tree, key)?.origin().map(str::to_owned)
    }

    /// Who wrote `key`, or the nearest thing around it.
    pub(super) fn near(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some(origin) = self.origin(key) {
                return origin;
            }
            let Some((around, _)) = key.rsplit_once('.') else { return show::DEFAULT.to_owned() };
            key = around;
        }
    }
}

/// The value of a dotted key.
fn find<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    let (mut at, mut rest) = (tree, Some(key));
    while let Some(key) = rest {
        (at, rest) = match &at.kind {
            ValueKind::Table(table) => {
                let fits = table.iter().filter_map(|(name, value)| Some((value, below(key, name)?)));
                fits.min_by_key(|(_, rest)| rest.map(str::len))?
            }
            ValueKind::Array(items) => {
                let (number, rest) = key.split_once('.').map_or((key, None), |(n, rest)| (n, Some(rest)));
                (items.get(number.parse::<usize>().ok()?)?, rest)
            }
            _ => return None,
        };
    }
    Some(at)
}

/// What is left of a dotted `key` below `name`, which may hold dots itself; `Some(None)` at its end.
fn below<'a>(key: &'a str, name: &str) -> Option<Option<&'a str>> {
    let rest = key.strip_prefix(name)?;
    if rest.is_empty() { Some(None) } else { rest.strip_prefix('.').map(Some) }
}

/// Reads and merges all layers.
pub(super) fn merge(sources: &Sources) -> Result<Merged, ConfigError> {
    let mut layers = Vec::new();
    for file in files(sources.file.as_deref())? {
        layers.push(Layer::of_file(&file)?);
    }
    for (name, value) in &sources.environment {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let key = key.to_ascii_lowercase().replace("__", ".");
            layers.push(Layer::of_text(&key, value, &format!("environment variable {name}"))?);
        }
    }
    for flag in &sources.overrides {
        layers.push(Layer::of_text(flag.key, &flag.value, &format!("flag {}", flag.flag))?);
    }
    let builder = layers.iter().cloned().fold(Merger::builder(), |builder, layer| builder.add_source(layer));
    let merger = builder.build().map_err(|e| translate(e, &layers))?;
    let tree = merger.cache.clone();
    let mut unknown = Vec::new();
    let raw = serde_ignored::deserialize(merger, |path| unknown.push(path.to_string()))
        .map_err(|e| translate(e, &layers))?;
    let merged = Merged { raw, tree };
    unknown.sort();
    match unknown.into_iter().next() {
        None => Ok(merged),
        Some(key) => {
            let known = known_keys();
            let nearest = nearest(&key, known.iter().map(String::as_str));
            // Merged, a section has no author.
            let origin = author(&layers, &key).unwrap_or_else(|| merged.near(&key));
            Err(ConfigError::UnknownKey { origin, key: show::quotable(&key), nearest })
        }
    }
}

/// Every key that exists, dotted, without list numbers: `integration.name`.
pub(super) fn known_keys() -> BTreeSet<String> {
    let raw = Raw { integration: vec![Integration::default()], ..Raw::default() };
    let mut keys = BTreeSet::new();
    let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(raw) else { return keys };
    for (section, content) in sections {
        let content = if let serde_json::Value::Array(items) = &content { &items[0] } else { &content };
        let names = content.as_object().into_iter().flat_map(|table| table.keys());
        keys.extend(names.map(|name| format!("{section}.{name}")));
    }
    keys
}

/// The main file, then `conf.d/*.toml` beside it by name.
fn files(main: Option<&Path>) -> Result<Vec<PathBuf>, ConfigError> {
    let path = main.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let mut files = Vec::new();
    if main.is_some() || path.exists() {
        files.push(path.to_path_buf());
    }
    let dir = path.parent().unwrap_or_else(|| Path::new("")).join("conf.d");
    let unreadable = |error| ConfigError::Read(dir.clone(), error);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(unreadable(error)),
    };
    let mut more = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            more.push(path);
        }
    }
    more.sort();
    files.append(&mut more);
    Ok(files)
}

/// One file, variable or flag.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Layer {
    fn of_file(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.to_path_buf(), error))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// A bare value; one that starts with `[` is a TOML array.
    fn of_text(key: &str, value: &str, origin: &str) -> Result<Self, ConfigError> {
        let value = if value.trim_start().starts_with('[') {
            let Self(mut table) = Self::parse(&format!("value = {value}"), origin)?;
            table.remove("value").unwrap_or_default()
        } else {
            Value::new(Some(&origin.to_owned()), value.to_owned())
        };
        Ok(Self(Map::from_iter([(key.to_owned(), value)])))
    }

    /// Who wrote `key`, if it is in this layer.
    fn origin(&self, key: &str) -> Option<String> {
        let tree = Value::new(None, ValueKind::Table(self.0.clone()));
        // A quoted key with dots is a path to whoever merges: `"log.level" = …` writes a section too.
        let within = || self.0.iter().find(|(name, _)| below(name, key).is_some()).map(|(_, value)| value);
        find(&tree, key).or_else(within)?.origin().map(str::to_owned)
    }

    fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        // TOML's own words quote the line.
        let syntax = |problem: String| ConfigError::Syntax {
            origin: origin.to_owned(),
            problem: show::quotable(&problem),
        };
        let table = File::from_str(text, FileFormat::Toml).collect().map_err(|e| syntax(cause(&e)))?;
        Ok(Self(table.into_iter().map(|(key, value)| (key, stamp(value, &origin.to_owned()))).collect()))
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, MergeError> {
        Ok(self.0.clone())
    }
}

fn stamp(value: Value, origin: &String) -> Value {
    let kind = match value.kind {
        ValueKind::Table(table) => {
            ValueKind::Table(table.into_iter().map(|(key, value)| (key, stamp(value, origin))).collect())
        }
        ValueKind::Array(items) => {
            ValueKind::Array(items.into_iter().map(|value| stamp(value, origin)).collect())
        }
        kind => kind,
    };
    Value::new(Some(origin), kind)
}

fn cause(error: &MergeError) -> String {
    match error {
        MergeError::FileParse { cause, .. } => cause.to_string().trim_end().to_owned(),
        other => other.to_string(),
    }
}

/// Who wrote `key` last.
fn author(layers: &[Layer], key: &str) -> Option<String> {
    layers.iter().rev().find_map(|layer| layer.origin(key))
}

fn translate(error: MergeError, layers: &[Layer]) -> ConfigError {
    let somewhere = || "the configuration".to_owned();
    let by = |origin: Option<String>, key: &Option<String>| {
        origin.or_else(|| author(layers, key.as_deref()?)).unwrap_or_else(somewhere)
    };
    match error {
        MergeError::Type { origin, unexpected, expected, key } => ConfigError::Value {
            origin: by(origin, &key),
            key: show::quotable(&key.unwrap_or_default()),
            expected: expected.to_owned(),
            found: show::quotable(&unexpected.to_string()),
        },
        MergeError::At { error, origin, key } => ConfigError::Syntax {
            origin: by(origin, &key),
            problem: show::quotable(&format!("`{}`: {error}", key.unwrap_or_default())),
        },
        other => ConfigError::Syntax { origin: somewhere(), problem: show::quotable(&other.to_string()) },
    }
}
