//! The documents that JumpCloud publishes (Swagger 2.0), read from a directory and made stricter where
//! a client writes: a field that is not in the document may not be sent.
//!
//! They carry no answers beyond 2xx and no `x-org-id`: their owner filtered both out. Refuses a
//! directory without one of the files, and a file that is no such document.

use std::{collections::BTreeMap, fs, path::Path};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::{
    ContractError,
    document::Document,
    operation::{Answer, Body, Operation, Parameter},
};

/// The files, one for each version of the API.
const FILES: [&str; 2] = ["jumpcloud-v1-admin.swagger.json", "jumpcloud-v2-admin.swagger.json"];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The documents in `dir`.
///
/// # Errors
/// [`ContractError`] names the file.
pub(super) fn documents(dir: &Path) -> Result<Vec<Document>, ContractError> {
    FILES.iter().map(|file| document(&dir.join(file))).collect()
}

fn document(path: &Path) -> Result<Document, ContractError> {
    let text = fs::read(path).map_err(|error| ContractError::File(path.to_owned(), error))?;
    let wrong = |what: String| ContractError::Content(path.to_owned(), what);
    let root: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if root["swagger"] != "2.0" {
        return Err(wrong("`swagger` is not \"2.0\"".to_owned()));
    }
    let base = root["basePath"].as_str().unwrap_or_default().trim_end_matches('/');
    let source = Source { root: &root, strict: closed(&root["definitions"]) };
    let mut document = Document::default();
    let paths = root["paths"].as_object().ok_or_else(|| wrong("there are no `paths`".to_owned()))?;
    for (path, item) in paths {
        let path = format!("{base}{path}");
        let described = METHODS.iter().filter(|method| item.get(**method).is_some());
        let operations = described.map(|method| source.operation(method, &path, item));
        document.add(&path, operations.collect::<Result<_, _>>().map_err(wrong)?);
    }
    Ok(document)
}

struct Source<'a> {
    root: &'a Value,
    /// The definitions, closed against fields that they do not name.
    strict: Value,
}

impl Source<'_> {
    fn operation(&self, method: &str, path: &str, item: &Value) -> Result<Operation, String> {
        let name = format!("{} {path}", method.to_uppercase());
        let (mut query, mut body) = (BTreeMap::new(), None);
        let own = item[method]["parameters"].as_array().into_iter().flatten();
        for parameter in item["parameters"].as_array().into_iter().flatten().chain(own) {
            let parameter = self.resolved(parameter)?;
            match parameter["in"].as_str() {
                Some("query") => {
                    let kind = parameter["type"].as_str().unwrap_or("string").to_owned();
                    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                    query.insert(name, Parameter { rule: self.type_rule(parameter)?, kind });
                }
                Some("body") => {
                    let rule = self.rule(&closed(&parameter["schema"]), &self.strict)?;
                    // None of the documents says that it must be there.
                    body = Some(Body { content_type: None, required: false, rule });
                }
                _ => {}
            }
        }
        let mut answers = BTreeMap::new();
        for (status, answer) in item[method]["responses"].as_object().into_iter().flatten() {
            let Ok(status) = status.parse() else { continue };
            let answer = match self.resolved(answer)?.get("schema") {
                Some(schema) => Answer::Json(self.rule(schema, &self.root["definitions"])?),
                None => Answer::Unknown,
            };
            answers.insert(status, answer);
        }
        Ok(Operation {
            method: method.to_uppercase(),
            name,
            for_agent: true,
            query,
            headers: None,
            body,
            answers,
        })
    }

    fn resolved<'b>(&'b self, value: &'b Value) -> Result<&'b Value, String> {
        let Some(target) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
        let found = target.strip_prefix('#').and_then(|target| self.root.pointer(target));
        found.ok_or_else(|| format!("the reference {target} leads nowhere"))
    }

    /// Of a parameter, which has its type beside its name.
    fn type_rule(&self, parameter: &Value) -> Result<Validator, String> {
        let kept = ["type", "items", "minimum", "maximum", "enum"];
        let kept = kept.iter().filter_map(|key| Some(((*key).to_owned(), parameter.get(*key)?.clone())));
        self.rule(&kept.collect(), &json!({}))
    }

    fn rule(&self, schema: &Value, definitions: &Value) -> Result<Validator, String> {
        let whole = json!({"allOf": [schema], "definitions": definitions});
        let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
        options.build(&whole).map_err(|error| format!("a schema of {}: {error}", self.root["info"]["title"]))
    }
}

/// The same schemas, with every object that names fields closed against others.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut closed_fields: serde_json::Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), closed(value))).collect();
            if fields.get("properties").is_some_and(Value::is_object) && !fields.contains_key("allOf") {
                closed_fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            Value::Object(closed_fields)
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}
