//! The project's description is whole by itself: every mark is there, every reference leads somewhere.

use serde_json::{Map, Value};

use crate::description;

pub(crate) const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];
pub(crate) const DOCUMENTED: &str = "documented";
pub(crate) const UNDOCUMENTED: &str = "undocumented-but-used";

/// Every operation: path, lower-case method, and what is said of it.
pub(crate) fn operations(root: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = root["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| Some((path.as_str(), *method, item.get(*method)?)))
        })
        .collect()
}

/// The schema, or the one that it refers to.
pub(crate) fn resolved<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str);
    target.map_or(value, |target| root.pointer(target.trim_start_matches('#')).unwrap())
}

/// The schema of a request's body.
pub(crate) fn body_of<'a>(root: &'a Value, operation: &'a Value) -> Option<&'a Value> {
    let content = operation["requestBody"]["content"].as_object()?;
    Some(resolved(root, &content.values().next()?["schema"]))
}

pub(crate) fn properties(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

fn sources_of(root: &Value, marked: &Value) -> Vec<String> {
    let sources = marked["x-source"].as_array().cloned().unwrap_or_default();
    let keys = sources.iter().map(|source| source.as_str().unwrap().split(' ').next().unwrap().to_owned());
    let known = |key: &String| root["x-sources"].get(key).is_some();
    let keys: Vec<String> = keys.collect();
    assert!(keys.iter().all(known), "{keys:?} are not all in x-sources");
    keys
}

#[test]
fn every_operation_says_whether_it_is_documented_who_says_so_and_whether_the_agent_sends_it() {
    let root = description();
    let operations = operations(&root);
    assert!(operations.len() >= 20, "only {} operations", operations.len());
    for (path, method, operation) in operations {
        let name = format!("{method} {path}");
        assert!([DOCUMENTED, UNDOCUMENTED].iter().any(|mark| operation["x-status"] == **mark), "{name}");
        assert!(!sources_of(&root, operation).is_empty(), "{name} has no source");
        assert!(operation["x-agent"].is_boolean(), "{name} does not say whether the agent sends it");
        for text in ["operationId", "summary", "description"] {
            assert!(operation[text].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
        }
        let placeholders = path.matches('{').count();
        let described = root["paths"][path]["parameters"].as_array().map_or(0, Vec::len);
        assert_eq!(placeholders, described, "{name}: parameters of the path");
    }
}

#[test]
fn every_field_that_a_client_writes_is_marked_and_sourced_and_no_other_field_may_be_written() {
    let root = description();
    let mut fields = 0;
    for (path, method, operation) in operations(&root) {
        let Some(schema) = body_of(&root, operation) else { continue };
        assert_eq!(schema["additionalProperties"], false, "{method} {path} is open to unknown fields");
        for (field, rule) in properties(schema) {
            let name = format!("{method} {path}: {field}");
            assert!(!sources_of(&root, &rule).is_empty(), "{name} has no source");
            assert!([DOCUMENTED, UNDOCUMENTED].iter().any(|mark| rule["x-status"] == **mark), "{name}");
            let documented = rule["x-status"] == DOCUMENTED;
            assert!(!documented || operation["x-status"] == DOCUMENTED, "{name}: nothing documents it");
            fields += 1;
        }
    }
    assert!(fields >= 20, "only {fields} fields");
}

#[test]
fn every_schema_names_its_published_counterpart_or_is_marked_as_having_none() {
    let root = description();
    for (name, schema) in root["components"]["schemas"].as_object().unwrap() {
        let published = &schema["x-published"];
        let has_one = published["definition"].is_string() || published["operation"].is_string();
        let has_none = schema["x-status"] == UNDOCUMENTED && !sources_of(&root, schema).is_empty();
        assert!(has_one != has_none, "{name}: x-published, or x-status and x-source");
        for (field, rule) in properties(schema) {
            assert!(rule["x-status"].is_string(), "{name}.{field} has no x-status");
            assert!(has_one || rule["x-status"] == UNDOCUMENTED, "{name}.{field}: nothing documents it");
        }
    }
}

#[test]
fn every_reference_of_the_description_leads_somewhere_and_everything_there_is_used() {
    let root = description();
    let mut targets = Vec::new();
    references(&root, &mut targets);
    assert!(targets.len() > 50, "only {} references", targets.len());
    for target in &targets {
        assert!(root.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
    }
    for kind in ["schemas", "parameters", "responses"] {
        for name in root["components"][kind].as_object().unwrap().keys() {
            let target = format!("#/components/{kind}/{name}");
            assert!(targets.contains(&target), "{target} is used by nothing");
        }
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                found.push(target.to_owned());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
