//! What the image is built from is in its build context, and what the files around it say of each other holds: the
//! Dockerfile, `.dockerignore`, `Cargo.toml`, the Compose files.
//!
//! Refuses to build an image, which `tests/container/first_stage.sh` does, and patterns of `.dockerignore` that it
//! does not know.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

#[allow(dead_code, reason = "the tidy rules use the rest of it")]
#[path = "tidy/source.rs"]
mod source;

use source::Source;

const EMBEDDING: [&str; 3] = ["include_str!", "include_bytes!", "include!"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rules of a `.dockerignore`, as far as ours needs them: `*`, and paths, each with or without `!`.
struct Context(Vec<Rule>);

struct Rule {
    admits: bool,
    /// Of everything, when there is none.
    path: Option<String>,
}

impl Context {
    fn of(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(Rule::of).collect::<Result<_, _>>().map(Self)
    }

    fn ours() -> Self {
        Self::of(&read(".dockerignore")).unwrap()
    }

    /// The last rule that speaks of the file or of a folder above it counts.
    fn admits(&self, file: &str) -> bool {
        self.0.iter().rfind(|rule| rule.speaks_of(file)).is_none_or(|rule| rule.admits)
    }

    /// The files that are wanted and left out, each with who wants it.
    fn left_out(&self, wanted: &[(String, String)]) -> Vec<String> {
        let missing = wanted.iter().filter(|(file, _)| !self.admits(file));
        missing.map(|(file, by)| format!("{file}, which {by} reads")).collect()
    }
}

impl Rule {
    fn of(line: &str) -> Result<Self, String> {
        let (admits, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        if pattern == "*" {
            return Ok(Self { admits, path: None });
        }
        let plain = !pattern.contains(|c: char| "*?[]\\!".contains(c) || c.is_whitespace());
        if !plain || pattern.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!(".dockerignore: '{line}': this test does not know such a pattern"));
        }
        Ok(Self { admits, path: Some(pattern.to_owned()) })
    }

    fn speaks_of(&self, file: &str) -> bool {
        self.path.as_ref().is_none_or(|path| Path::new(file).starts_with(path))
    }
}

/// Every Rust file below a folder, as a path below the root.
fn rust_files(folder: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// `a/../b` as `b`, without asking the disk.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out of the repository", path.display()),
            part => plain.push(part),
        }
    }
    plain.to_str().unwrap().to_owned()
}

/// The files that a source file has the compiler embed, outside of its tests.
fn embedded(path: &str, text: &str) -> Vec<(String, String)> {
    let source = Source::new(path, text);
    let mut found = Vec::new();
    for (number, code) in source.code_lines() {
        let count: usize = EMBEDDING.iter().map(|name| code.matches(name).count()).sum();
        let start: usize = text.split_inclusive('\n').take(number - 1).map(str::len).sum();
        let mut rest = &text[start..];
        for _ in 0..count {
            let at = EMBEDDING.iter().filter_map(|name| Some((rest.find(name)?, name.len()))).min();
            let (at, length) = at.expect("the line names it");
            rest = &rest[at + length..];
            let literal = rest.trim_start().strip_prefix('(').map(str::trim_start);
            let literal = literal.and_then(|inside| inside.strip_prefix('"')?.split_once('"'));
            let (file, _) = literal.unwrap_or_else(|| panic!("{path}:{number}: name the file by a literal"));
            found.push((plain(&Path::new(path).with_file_name(file)), format!("{path}:{number}")));
        }
    }
    found
}

/// The main file of each bench that `Cargo.toml` names: cargo looks for it, whatever is built.
fn benches() -> Vec<String> {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let Some(named) = manifest.get("bench") else { return Vec::new() };
    let file = |bench: &toml::Value| {
        let name = bench["name"].as_str().unwrap();
        let path = bench.get("path").map(|path| path.as_str().unwrap().to_owned());
        let usual = [format!("benches/{name}/main.rs"), format!("benches/{name}.rs")];
        let usual = usual.into_iter().find(|file| root().join(file).exists());
        path.or(usual).unwrap_or_else(|| panic!("the bench {name} has no file"))
    };
    named.as_array().unwrap().iter().map(file).collect()
}

/// What a build reads: the manifest, all of the source, benches, what they embed.
fn read_by_cargo() -> Vec<(String, String)> {
    let named = |files: Vec<String>, by: &str| {
        files.into_iter().map(|file| (file, by.to_owned())).collect::<Vec<_>>()
    };
    let mut code = named(rust_files("src"), "cargo");
    assert!(!code.is_empty(), "no file was read below src: this test checks nothing");
    code.extend(named(benches(), "Cargo.toml"));
    if root().join("build.rs").exists() {
        code.push(("build.rs".to_owned(), "cargo".to_owned()));
    }
    let embedded: Vec<_> = code.iter().flat_map(|(file, _)| embedded(file, &read(file))).collect();
    code.extend(embedded);
    code.extend(named(vec!["Cargo.toml".to_owned(), "Cargo.lock".to_owned()], "cargo"));
    code
}

/// The instructions of the Dockerfile, continued lines joined, as words.
fn instructions() -> Vec<Vec<String>> {
    let text = read("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    joined.lines().map(words).filter(|words| !words.is_empty()).collect()
}

/// What the Dockerfile copies out of the context, and the files of ours that its commands name.
fn read_by_dockerfile() -> (Vec<String>, Vec<(String, String)>) {
    let (mut copied, mut named) = (Vec::new(), Vec::new());
    for words in instructions() {
        let arguments = words[1..].iter().filter(|word| !word.starts_with("--"));
        match words[0].as_str() {
            "COPY" | "ADD" if !words.iter().any(|word| word.starts_with("--from=")) => {
                let paths: Vec<_> = arguments.cloned().collect();
                copied.extend_from_slice(&paths[..paths.len() - 1]);
            }
            "RUN" => {
                let ours = arguments.filter(|word| root().join(word).is_file() && !word.starts_with('/'));
                named.extend(ours.map(|word| (word.clone(), "a RUN of the Dockerfile".to_owned())));
            }
            _ => {}
        }
    }
    (copied, named)
}

#[test]
fn the_build_context_holds_what_the_build_reads() {
    let context = Context::ours();
    let mut wanted = read_by_cargo();
    let contract = "docs/jumpcloud/openapi.json";
    assert!(wanted.iter().any(|(file, _)| file == contract), "{contract} is not seen: this test is blind");
    let (copied, named) = read_by_dockerfile();
    assert!(named.iter().any(|(file, _)| file == "LICENSE"), "LICENSE is not seen: this test is blind");
    wanted.extend(named);
    wanted.extend(copied.iter().filter(|path| *path != ".").map(|path| (path.clone(), "COPY".to_owned())));
    let left_out = context.left_out(&wanted);
    assert!(left_out.is_empty(), ".dockerignore keeps out of the image's build:\n{}", left_out.join("\n"));
    for path in copied {
        assert!(root().join(&path).exists(), "the Dockerfile copies {path}, which is not there");
    }
    for rule in context.0.iter().filter_map(|rule| rule.path.as_ref()) {
        assert!(root().join(rule).exists(), ".dockerignore names {rule}, which is not there");
    }
}

#[test]
fn a_file_that_is_left_out_is_found() {
    let wanted = embedded("src/a/b.rs", "const T: &str = include_str!(\n    \"../../docs/x/y.json\");");
    let left_out = |rules: &str| Context::of(rules).unwrap().left_out(&wanted);
    assert_eq!(left_out("*\n!src\n!docs/z"), ["docs/x/y.json, which src/a/b.rs:1 reads"]);
    assert_eq!(left_out("*\n!docs\ndocs/x"), ["docs/x/y.json, which src/a/b.rs:1 reads"]);
    for good in ["", "*\n!docs/x/y.json", "# a word\n*\n!docs/x", "*\n!docs"] {
        assert!(left_out(good).is_empty(), "{good}");
    }
    for unknown in ["*.md", "!docs/**", "/src", "src/", "!a/../b", "a b", "doc?"] {
        assert!(Context::of(unknown).is_err(), "{unknown}");
    }
    let test =
        "#[cfg(test)]\nmod tests {\n    const T: &str = include_str!(\"t.json\");\n}\n// include_str!(\"c\")";
    assert!(embedded("src/a.rs", test).is_empty());
}

#[test]
fn the_images_toolchain_is_one_that_the_manifest_takes_and_nothing_overrides_it() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let least = manifest["package"]["rust-version"].as_str().unwrap().to_owned();
    let from = instructions().into_iter().find(|words| words[0] == "ARG").unwrap();
    let tag = from[1].strip_prefix("TOOLCHAIN=docker.io/library/rust:").expect("the first ARG is TOOLCHAIN");
    let version = tag.split('-').next().unwrap();
    let numbers = |text: &str| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    assert_eq!(numbers(version).len(), 3, "{version}: a patch release is named, too");
    assert!(numbers(version) >= numbers(&least), "Rust {version} in the Dockerfile, {least} in Cargo.toml");
    for file in ["rust-toolchain.toml", "rust-toolchain"] {
        assert!(!Context::ours().admits(file), "{file} would take the place of the image's own toolchain");
    }
}

#[test]
fn the_compose_files_build_this_repository_and_mount_what_the_page_writes() {
    let folder = Path::new("deploy/compose");
    let value = |text: &str, key: &str| {
        let found = text.lines().find_map(|line| line.trim_start().strip_prefix(key));
        found.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
    };
    let agent = read("deploy/compose/agent.yaml");
    assert_eq!(plain(&folder.join(value(&agent, "build:"))), "");
    assert_eq!(plain(&folder.join(value(&read("deploy/compose/sandbox.yaml"), "context:"))), "");
    // Compose reads a path as one beside its own file, whatever the directory that it is called in.
    let mount =
        agent.lines().find_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(":/etc/ephemerald:ro"));
    assert_eq!(plain(&folder.join(mount.expect("the configuration is mounted"))), "etc");
    let page = read("docs/install/container.md");
    assert!(page.contains("--config-dir ./etc"), "the page has its files written somewhere else");
}
