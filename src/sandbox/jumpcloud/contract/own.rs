//! The project's own description, an OpenAPI 3.1 document that is part of the program.
//!
//! Refuses a description that cannot be used by not starting: it was built in, and a test reads it.

use std::collections::BTreeMap;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::{
    document::Document,
    operation::{Answer, Body, Headers, Operation, Parameter},
};

const TEXT: &str = include_str!("../../../../docs/jumpcloud/openapi.json");
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// The description, ready to judge.
pub(super) fn document() -> Document {
    let root: Value = serde_json::from_str(TEXT).expect("docs/jumpcloud/openapi.json is JSON");
    let source = Source { root: &root };
    let mut document = Document::default();
    for (path, item) in root["paths"].as_object().expect("an OpenAPI document has paths") {
        let operations = METHODS.iter().filter_map(|method| {
            let operation = item.get(*method)?;
            Some(source.operation(&method.to_uppercase(), path, operation))
        });
        document.add(path, operations.collect());
    }
    document
}

struct Source<'a> {
    root: &'a Value,
}

impl Source<'_> {
    fn operation(&self, method: &str, path: &str, operation: &Value) -> Operation {
        let (mut query, mut organization) = (BTreeMap::new(), false);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = self.resolved(parameter);
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            match parameter["in"].as_str() {
                Some("query") => {
                    let kind = parameter["schema"]["type"].as_str().unwrap_or("string").to_owned();
                    query.insert(name, Parameter { kind, rule: self.rule(&parameter["schema"]) });
                }
                Some("header") => organization |= name == "x-org-id",
                _ => {}
            }
        }
        let security = operation.get("security").unwrap_or_else(|| &self.root["security"]);
        let schemes = security.as_array().into_iter().flatten().filter_map(Value::as_object);
        let credentials = schemes.flat_map(|scheme| scheme.keys().cloned()).collect();
        let content = operation["requestBody"]["content"].as_object();
        let content = content.and_then(|content| content.iter().next());
        let answers = operation["responses"].as_object().into_iter().flatten();
        Operation {
            method: method.to_owned(),
            name: format!("{method} {path}"),
            for_agent: operation["x-agent"] == true,
            query,
            headers: Some(Headers { organization, credentials }),
            body: content.map(|(content_type, media)| Body {
                content_type: Some(content_type.clone()),
                required: operation["requestBody"]["required"] == true,
                rule: self.rule(&media["schema"]),
            }),
            answers: answers
                .filter_map(|(status, answer)| Some((status.parse().ok()?, self.answer(status, answer))))
                .collect(),
        }
    }

    fn answer(&self, status: &str, answer: &Value) -> Answer {
        let content = &self.resolved(answer)["content"]["application/json"];
        match content.get("schema") {
            Some(schema) => Answer::Json(self.rule(schema)),
            None if status == "204" => Answer::Empty,
            None => Answer::Unknown,
        }
    }

    fn resolved<'b>(&'b self, value: &'b Value) -> &'b Value {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.map_or(value, |target| {
            self.root.pointer(target).expect("a reference of docs/jumpcloud/openapi.json leads somewhere")
        })
    }

    fn rule(&self, schema: &Value) -> Validator {
        let whole = json!({"allOf": [schema], "components": {"schemas": self.root["components"]["schemas"]}});
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        options.build(&whole).expect("a schema of docs/jumpcloud/openapi.json is one")
    }
}
