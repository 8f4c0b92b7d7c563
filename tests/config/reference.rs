//! `docs/configuration.md` is made from the annotated files, which other tests hold against the code.
//! Refuses to be edited by hand: `EPHEMERALD_WRITE_REFERENCE=1 cargo test --test config reference` writes it.

use std::{fmt::Write as _, fs, path::Path};

const HEAD: &str = "# Configuration reference

Made from the annotated files `config/ephemerald.toml` and `config/policy.toml`, which are shipped as examples and which
tests hold against the code: `EPHEMERALD_WRITE_REFERENCE=1 cargo test --test config reference` writes this page.

Every key of `ephemerald.toml` outside of a list may be given as an environment variable, too: section and key in capitals
between double underscores (`EPHEMERALD__CONTROL_PLANE__POLL_MAX=30s`). Layers, later ones win: defaults,
`/etc/ephemerald/ephemerald.toml` (or `--config FILE`), `conf.d/*.toml` beside it in the order of their names, environment
variables, flags. `ephemerald config show` prints what is in force and where each value comes from. An unknown key is an
error that names it, its file and the key that was probably meant. [policy.md](policy.md) explains the order of the
policy's rules; the connection file has [a page of its own](connecting-jumpcloud.md).
";

/// One key: its name, its default or example, what it means.
struct Row {
    key: String,
    value: String,
    meaning: String,
}

/// A section and its keys.
struct Section {
    name: String,
    about: String,
    rows: Vec<Row>,
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut current = Section { name: String::new(), about: String::new(), rows: Vec::new() };
    let mut comment = String::new();
    for line in text.lines() {
        let bare = line.trim_start_matches('#').trim();
        let is_comment = line.starts_with("# ") || line == "#";
        if line.is_empty() {
            // A paragraph that no key follows is about the file, and stands there.
            comment.clear();
        } else if is_comment {
            comment = format!("{comment} {bare}").trim().to_owned();
        } else if bare.starts_with('[') {
            let about = std::mem::take(&mut comment);
            let next = Section { name: bare.to_owned(), about, rows: Vec::new() };
            sections.push(std::mem::replace(&mut current, next));
        } else if let Some((key, value)) = bare.split_once(" = ") {
            // The whole block of an integration is off: what stands there is a default or an example.
            let is_off = line.starts_with('#') && current.name != "[[integration]]";
            let example = if is_off { "unset; for example " } else { "" };
            let value = format!("{example}`{}`", value.replace('|', "\\|"));
            let meaning = std::mem::take(&mut comment).replace('|', "\\|");
            match current.rows.last_mut() {
                // A second way to write the same key has no words of its own.
                Some(last) if last.key == key => {
                    let _ = write!(last.value, ", {value}");
                }
                _ => current.rows.push(Row { key: key.to_owned(), value, meaning }),
            }
        }
    }
    sections.push(current);
    sections.retain(|section| !section.rows.is_empty());
    sections
}

fn rendered() -> String {
    let mut page = HEAD.to_owned();
    for (file, text) in [
        ("ephemerald.toml", include_str!("../../config/ephemerald.toml")),
        ("policy.toml", include_str!("../../config/policy.toml")),
    ] {
        let _ = write!(page, "\n## {file}\n");
        for Section { name, about, rows } in sections(text) {
            let title = if name.is_empty() { "At the top".to_owned() } else { format!("`{name}`") };
            let _ = write!(page, "\n### {title}\n\n");
            if !about.is_empty() {
                let _ = write!(page, "{about}\n\n");
            }
            let values = if name == "[[integration]]" { "default or example" } else { "default" };
            let _ = write!(page, "| key | {values} | meaning |\n|---|---|---|\n");
            for Row { key, value, meaning } in rows {
                let _ = writeln!(page, "| `{key}` | {value} | {meaning} |");
            }
        }
    }
    page
}

#[test]
fn the_reference_is_what_the_annotated_files_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let expected = rendered();
    assert!(expected.contains("| `poll_max` | `\"55s\"` |") && expected.contains("### `[[integration]]`"));
    if std::env::var_os("EPHEMERALD_WRITE_REFERENCE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "docs/configuration.md is not what the annotated files say: write it anew");
}
