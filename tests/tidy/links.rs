//! Relative links in the documents lead to files that exist. Refuses nothing about addresses elsewhere.

use std::path::Path;

use super::{read_tree, report, root, source::Source};

#[test]
fn every_relative_link_of_the_documents_leads_somewhere() {
    let mut documents = read_tree("docs", "md");
    for file in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(root().join(file)).expect("the document is in the repository");
        documents.push(Source::new(file, &text));
    }
    report(&documents.iter().flat_map(|document| dead(&document.path, &document.text)).collect::<Vec<_>>());
}

#[test]
fn a_link_to_nowhere_is_found_and_others_are_left_alone() {
    let text = "[a](docs/none.md#part) [b](LICENSE) [c](https://example.com/x) [d](#here)";
    assert_eq!(dead("README.md", text), ["README.md:1: docs/none.md is no file"]);
    assert_eq!(
        dead("docs/logs.md", "\n[a](../LICENSE) [b](LICENSE)"),
        ["docs/logs.md:2: LICENSE is no file"]
    );
}

fn dead(path: &str, text: &str) -> Vec<String> {
    let folder = root().join(path).parent().map(Path::to_path_buf).unwrap_or_default();
    (text.lines().enumerate())
        .flat_map(|(index, line)| targets(line).map(move |target| (index + 1, target)))
        .filter(|(_, target)| !target.is_empty() && !target.contains(':') && !folder.join(target).exists())
        .map(|(line, target)| format!("{path}:{line}: {target} is no file"))
        .collect()
}

/// What stands in `](…)`, without the part after `#`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
}
