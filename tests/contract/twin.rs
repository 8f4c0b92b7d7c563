//! Documents in JumpCloud's form (Swagger 2.0), made from what our description says is documented.
//!
//! They stand in where JumpCloud's own are not at hand, so that the comparing itself is tested
//! everywhere. They prove nothing about JumpCloud.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::description::{DOCUMENTED, operations, properties, resolved};

/// The first and the second version.
pub(crate) fn documents(ours: &Value) -> Vec<(String, Value)> {
    [("v1", "/api/"), ("v2", "/api/v2/")]
        .into_iter()
        .map(|(name, base)| (name.to_owned(), document(ours, name, base)))
        .collect()
}

fn document(ours: &Value, name: &str, base: &str) -> Value {
    let mut paths: BTreeMap<String, Value> = BTreeMap::new();
    for (path, method, operation) in operations(ours) {
        if operation["x-document"] != name {
            continue;
        }
        let path = path.strip_prefix(base.trim_end_matches('/')).unwrap().to_owned();
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if operation["x-status"] == DOCUMENTED {
            item[method] = described(ours, operation);
        }
    }
    let mut definitions = Map::new();
    for schema in ours["components"]["schemas"].as_object().unwrap().values() {
        let published = &schema["x-published"];
        if let Some(definition) = published["definition"].as_str().filter(|_| published["document"] == name) {
            definitions.insert(definition.to_owned(), fields(ours, schema));
        }
    }
    json!({"swagger": "2.0", "info": {"title": "a twin"}, "basePath": base, "paths": paths, "definitions": definitions})
}

fn described(ours: &Value, operation: &Value) -> Value {
    let own = operation["parameters"].as_array().into_iter().flatten();
    let own = own.map(|parameter| resolved(ours, parameter)).filter(|parameter| parameter["in"] == "query");
    let mut parameters: Vec<Value> =
        own.map(|p| json!({"in": "query", "name": p["name"], "type": p["schema"]["type"]})).collect();
    if let Some(schema) = operation["requestBody"]["content"]["application/json"].get("schema") {
        parameters.push(json!({"in": "body", "name": "body", "schema": theirs(ours, schema)}));
    }
    let mut responses = Map::new();
    for (status, answer) in operation["responses"].as_object().unwrap() {
        if !status.starts_with('2') {
            continue;
        }
        let schema = answer["content"]["application/json"].get("schema");
        let answer = schema.map_or_else(|| json!({}), |schema| json!({"schema": theirs(ours, schema)}));
        responses.insert(status.clone(), answer);
    }
    json!({"parameters": parameters, "responses": responses})
}

/// A reference to the definition that a schema of ours stands for, or the schema itself.
fn theirs(ours: &Value, schema: &Value) -> Value {
    if schema["type"] == "array" {
        return json!({"type": "array", "items": theirs(ours, &schema["items"])});
    }
    let schema = resolved(ours, schema);
    match schema["x-published"]["definition"].as_str() {
        Some(definition) => json!({"$ref": format!("#/definitions/{definition}")}),
        None => fields(ours, schema),
    }
}

/// The documented fields of a schema.
fn fields(ours: &Value, schema: &Value) -> Value {
    let mut shown = Map::new();
    for (field, rule) in properties(schema) {
        if rule["x-status"] != DOCUMENTED {
            continue;
        }
        let mut own = json!({"type": rule["type"]});
        if rule.get("properties").is_some() {
            own = fields(ours, &rule);
        }
        if let Some(items) = rule.get("items") {
            own["items"] = match items.get("properties") {
                Some(_) => fields(ours, items),
                None if items.get("$ref").is_some() => theirs(ours, items),
                None => json!({"type": items["type"]}),
            };
        }
        shown.insert(field, own);
    }
    json!({"type": "object", "properties": shown})
}
