//! The project's description beside JumpCloud's documents: what we call documented is there, as we say
//! it is; what we call undocumented is really absent, so that somebody notices when it no longer is.

use serde_json::{Value, json};

use crate::{
    description,
    description::{DOCUMENTED, METHODS, UNDOCUMENTED, body_of, operations, properties, resolved},
    published,
};

/// Documents of JumpCloud that we name and do not have, and the parts that were cut out of those that we
/// have; nothing can be compared with them.
const NOT_AT_HAND: [&str; 2] = ["insights", "elsewhere"];

/// Where our description and the documents disagree.
pub(crate) fn disagreements(ours: &Value, published: &[(String, Value)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, method, operation) in operations(ours) {
        let name = format!("{} {path}", method.to_uppercase());
        let documented = operation["x-status"] == DOCUMENTED;
        let theirs: Vec<_> = published
            .iter()
            .filter_map(|(document, root)| Some((document.as_str(), root, item(root, path)?)))
            .collect();
        let Some(document) = operation["x-document"].as_str() else {
            if documented || !theirs.is_empty() {
                found.push(format!("{name}: no x-document, but it is documented somewhere"));
            }
            continue;
        };
        if NOT_AT_HAND.contains(&document) {
            continue;
        }
        let Some((_, root, item)) = theirs.iter().find(|(name, ..)| *name == document) else {
            found.push(format!("{name}: the published {document} has no such route"));
            continue;
        };
        match (documented, item.get(method)) {
            (true, None) => {
                found.push(format!("{name}: marked documented, and the {document} has no such method"))
            }
            (false, Some(_)) => {
                found.push(format!("{name}: marked undocumented, and the {document} has it now"))
            }
            (false, None) => {}
            (true, Some(theirs)) => {
                found.extend(
                    in_operation(ours, operation, root, item, theirs)
                        .into_iter()
                        .map(|p| format!("{name}: {p}")),
                );
            }
        }
    }
    for (name, schema) in ours["components"]["schemas"].as_object().unwrap() {
        found
            .extend(in_schema(ours, schema, published).into_iter().map(|problem| format!("{name}{problem}")));
    }
    found
}

fn in_operation(ours: &Value, operation: &Value, root: &Value, item: &Value, theirs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let parameters: Vec<&Value> = [&item["parameters"], &theirs["parameters"]]
        .into_iter()
        .flat_map(|list| list.as_array().into_iter().flatten())
        .map(|parameter| resolved(root, parameter))
        .collect();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolved(ours, parameter);
        // Their owner filtered the headers out.
        if parameter["in"] == "query"
            && !parameters.iter().any(|p| p["name"] == parameter["name"] && p["in"] == "query")
        {
            found.push(format!("the query parameter {} is not published", parameter["name"]));
        }
    }
    let body = parameters.iter().find(|parameter| parameter["in"] == "body").map(|body| &body["schema"]);
    match (operation["requestBody"]["content"]["application/json"].get("schema"), body) {
        (None, None) => {}
        (Some(own), Some(body)) => found.extend(same_definition(ours, own, body, "the request")),
        (own, _) => found.push(format!("we say that it has {} body", if own.is_some() { "a" } else { "no" })),
    }
    for (status, answer) in operation["responses"].as_object().unwrap() {
        if !status.starts_with('2') {
            continue;
        }
        let Some(published) = theirs["responses"].get(status) else {
            found.push(format!("the status {status} is not published"));
            continue;
        };
        let own = answer["content"]["application/json"].get("schema");
        match (own, published.get("schema")) {
            (None, None) => {}
            (Some(own), Some(schema)) => found.extend(same_definition(ours, own, schema, status)),
            (own, _) => {
                found.push(format!(
                    "{status}: we say that it has {} body",
                    if own.is_some() { "a" } else { "no" }
                ));
            }
        }
    }
    found
}

/// Our schema stands for the definition that their operation refers to, or for the items of both.
fn same_definition(ours: &Value, own: &Value, theirs: &Value, place: &str) -> Option<String> {
    if own["type"] == "array" && theirs["type"] == "array" {
        return same_definition(ours, &own["items"], &theirs["items"], place);
    }
    let Some(target) = theirs.get("$ref").and_then(Value::as_str) else {
        // Inline there: the schema itself says of which operation, and is compared for itself.
        return resolved(ours, own)["x-published"]["operation"]
            .is_null()
            .then(|| format!("{place}: inline there"));
    };
    let definition = target.trim_start_matches("#/definitions/");
    let said = &resolved(ours, own)["x-published"]["definition"];
    (said != definition).then(|| format!("{place}: it is {definition} there, and {said} here"))
}

fn in_schema(ours: &Value, schema: &Value, published: &[(String, Value)]) -> Vec<String> {
    let said = &schema["x-published"];
    let Some((_, root)) = published.iter().find(|(document, _)| said["document"] == document.as_str()) else {
        let known = said.is_null() || NOT_AT_HAND.iter().any(|document| said["document"] == **document);
        return if known { Vec::new() } else { vec![format!(": there is no document {}", said["document"])] };
    };
    let theirs = match said["definition"].as_str() {
        Some(definition) => &root["definitions"][definition],
        None => inline(root, said["operation"].as_str().unwrap()),
    };
    if theirs.is_null() {
        return vec![format!(": {said} is not there")];
    }
    in_fields(ours, schema, root, theirs, "")
}

/// The schema in the answer of an operation, such as `GET /providers/{provider_id}/organizations`.
fn inline<'a>(root: &'a Value, operation: &str) -> &'a Value {
    let (method, path) = operation.split_once(' ').unwrap();
    &root["paths"][path][method.to_lowercase()]["responses"]["200"]["schema"]
}

fn in_fields(ours: &Value, own: &Value, root: &Value, theirs: &Value, place: &str) -> Vec<String> {
    let published = properties(resolved(root, theirs));
    let mut found = Vec::new();
    for (field, rule) in properties(own) {
        let place = format!("{place}.{field}");
        match (rule["x-status"] == DOCUMENTED, published.get(&field)) {
            (true, None) => found.push(format!("{place}: marked documented, and not published")),
            (false, Some(_)) => found.push(format!("{place}: marked {UNDOCUMENTED}, and published now")),
            (false, None) => {}
            (true, Some(theirs)) => {
                let (own, theirs) = (resolved(ours, &rule), resolved(root, theirs));
                if own["type"] != theirs["type"] {
                    found.push(format!("{place}: {} here, {} there", own["type"], theirs["type"]));
                }
                let (own_items, items) = (resolved(ours, &own["items"]), resolved(root, &theirs["items"]));
                if own["type"] == "array" && own_items["type"] != items["type"] {
                    found.push(format!("{place}: of {} here, of {} there", own_items["type"], items["type"]));
                }
                found.extend(in_fields(ours, own, root, theirs, &place));
                if rule["items"].get("properties").is_some() {
                    found.extend(in_fields(ours, own_items, root, items, &place));
                }
            }
        }
    }
    found
}

/// The path's entry, whatever its placeholders are called.
fn item<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let base = root["basePath"].as_str().unwrap().trim_end_matches('/');
    let wanted = without_names(path);
    let same = |(path, _): &(&String, &Value)| without_names(&format!("{base}{path}")) == wanted;
    root["paths"].as_object().unwrap().iter().find(same).map(|(_, item)| item)
}

fn without_names(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn our_description_and_what_jumpcloud_publishes_agree() {
    let found = disagreements(&description(), &published());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A change, and words of what must be said about it.
type Change = (&'static str, fn(&mut Value, &mut Value, &mut Value), &'static str);

/// Each of these is a way in which the documents, or our description, may move on.
const CHANGES: &[Change] = &[
    (
        "a documented route goes",
        |_, v1, _| drop(v1["paths"].as_object_mut().unwrap().remove("/users/{id}")),
        "PUT /api/users/{id}: the published v1 has no such route",
    ),
    (
        "a documented method goes",
        |_, v1, _| drop(v1["paths"]["/users/{id}"].as_object_mut().unwrap().remove("put")),
        "PUT /api/users/{id}: marked documented, and the v1 has no such method",
    ),
    (
        "a route becomes documented",
        |_, v1, _| v1["paths"]["/users"]["post"] = json!({"responses": {}}),
        "POST /api/users: marked undocumented, and the v1 has it now",
    ),
    (
        "roles become documented",
        |_, _, v2| v2["paths"]["/roles"]["get"] = json!({"responses": {}}),
        "GET /api/v2/roles: marked undocumented, and the v2 has it now",
    ),
    (
        "a bare route goes",
        |_, v1, _| drop(v1["paths"].as_object_mut().unwrap().remove("/users")),
        "GET /api/users: the published v1 has no such route",
    ),
    (
        "a field that we write goes",
        |_, v1, _| {
            drop(v1["definitions"]["userput"]["properties"].as_object_mut().unwrap().remove("roleNames"))
        },
        "AdministratorUpdate.roleNames: marked documented, and not published",
    ),
    (
        "a field changes its type",
        |_, v1, _| v1["definitions"]["userput"]["properties"]["roleName"]["type"] = json!("integer"),
        "AdministratorUpdate.roleName: \"string\" here, \"integer\" there",
    ),
    (
        "the items of a list change",
        |_, v1, _| {
            v1["definitions"]["userreturn"]["properties"]["roleNames"]["items"]["type"] = json!("object")
        },
        "Administrator.roleNames: of \"string\" here, of \"object\" there",
    ),
    (
        "a field inside a field goes",
        |_, v1, _| {
            drop(
                v1["definitions"]["userreturn"]["properties"]["apiKeyHash"]["properties"]
                    .as_object_mut()
                    .unwrap()
                    .remove("expireAt"),
            )
        },
        "Administrator.apiKeyHash.expireAt: marked documented, and not published",
    ),
    (
        "an undocumented field appears",
        |_, v1, _| v1["definitions"]["Error"]["properties"]["error"] = json!({"type": "string"}),
        "Error.error: marked undocumented-but-used, and published now",
    ),
    (
        "a query parameter goes",
        |_, _, v2| v2["paths"]["/providers/{provider_id}/administrators"]["get"]["parameters"] = json!([]),
        "GET /api/v2/providers/{provider_id}/administrators: the query parameter \"limit\" is not published",
    ),
    (
        "a status goes",
        |_, v1, _| {
            drop(v1["paths"]["/users/{id}"]["put"]["responses"].as_object_mut().unwrap().remove("200"))
        },
        "PUT /api/users/{id}: the status 200 is not published",
    ),
    (
        "another definition is answered",
        |_, v1, _| {
            v1["paths"]["/users/{id}"]["put"]["responses"]["200"]["schema"] =
                json!({"$ref": "#/definitions/organization"})
        },
        "PUT /api/users/{id}: 200: it is organization there, and \"userreturn\" here",
    ),
    (
        "we claim a field",
        |own, _, _| {
            own["components"]["schemas"]["AdministratorUpdate"]["properties"]["suspended"] =
                json!({"type": "boolean", "x-status": "documented"})
        },
        "AdministratorUpdate.suspended: marked documented, and not published",
    ),
    (
        "we claim a route",
        |own, _, _| own["paths"]["/api/users"]["get"]["x-status"] = json!("documented"),
        "GET /api/users: marked documented, and the v1 has no such method",
    ),
    (
        "we deny a route",
        |own, _, _| own["paths"]["/api/users/{id}"]["put"]["x-status"] = json!("undocumented-but-used"),
        "PUT /api/users/{id}: marked undocumented, and the v1 has it now",
    ),
    (
        "we forget whose route it is",
        |own, _, _| drop(own["paths"]["/api/users"]["get"].as_object_mut().unwrap().remove("x-document")),
        "GET /api/users: no x-document, but it is documented somewhere",
    ),
];

#[test]
fn each_way_of_drifting_apart_is_noticed() {
    for (what, change, words) in CHANGES {
        let (mut own, mut published) = (description(), published());
        let [(_, v1), (_, v2)] = &mut published[..] else { panic!("two documents") };
        change(&mut own, v1, v2);
        let found = disagreements(&own, &published);
        assert!(
            found.iter().any(|problem| problem.contains(words)),
            "{what}: {words:?} is not in {found:#?}"
        );
    }
}

#[test]
fn every_operation_of_the_published_documents_is_in_our_description() {
    let (own, published) = (description(), published());
    let mut unused = Vec::new();
    for (_, root) in &published {
        let base = root["basePath"].as_str().unwrap().trim_end_matches('/');
        for (path, item) in root["paths"].as_object().unwrap() {
            let described = METHODS.iter().filter(|method| item.get(**method).is_some());
            let path = format!("{base}{path}");
            let ours = |method: &&&str| {
                operations(&own)
                    .iter()
                    .any(|(p, m, _)| without_names(p) == without_names(&path) && m == *method)
            };
            unused.extend(described.filter(|method| !ours(method)).map(|method| format!("{method} {path}")));
        }
    }
    assert!(unused.is_empty(), "published, and not in our description: {unused:?}");
}

#[test]
fn a_body_is_described_for_every_write_that_has_one() {
    let own = description();
    let with_body =
        operations(&own).into_iter().filter(|(_, _, operation)| body_of(&own, operation).is_some());
    let names: Vec<String> = with_body.map(|(path, method, _)| format!("{method} {path}")).collect();
    assert!(
        names.contains(&"put /api/users/{id}".to_owned()) && names.contains(&"post /api/users".to_owned()),
        "{names:?}"
    );
}
