//! `POST /insights/directory/v1/events`: what Directory Insights tells.
//!
//! Refuses a body without `service` or `start_time`, and more than 10 000 rows at once. As the real
//! one: `search_term` matches lower-case values only and never `changes`, and a bad `sort` means
//! ascending.

use serde_json::{Map, Value, json};

use super::{
    super::{insights::Insight, reply::Reply, roles::READ_INSIGHTS},
    Call, either,
};

/// Rows of a page, and the most that may be asked for.
const LIMIT_DEFAULT: u64 = 1000;
const LIMIT_MAX: u64 = 10_000;

/// What is asked for.
struct Query {
    from_ms: i64,
    to_ms: i64,
    limit: usize,
    descending: bool,
    after: Option<(i64, String)>,
    term: Value,
    fields: Option<Vec<String>>,
}

impl Call<'_> {
    pub(super) fn events(self) -> Reply {
        if self.method() != "POST" {
            return self.no_such_route();
        }
        match self.switches.insights_status {
            200 => either(self.list_events()),
            401 => Reply::unauthorized(),
            status => Reply::status(status),
        }
    }

    fn list_events(&self) -> Result<Reply, Reply> {
        self.may(READ_INSIGHTS)?;
        let query = Query::parse(&self.request.body)
            .map_err(|what| Reply::error(400, &format!("Bad Request: {what}")))?;
        let fits = |insight: &&Insight| {
            (query.from_ms..query.to_ms).contains(&insight.at_ms)
                && self.organizations.contains(&insight.organization)
        };
        let mut found: Vec<&Insight> =
            self.state.insights.visible(self.switches, self.now_ms).filter(fits).collect();
        if query.descending {
            found.reverse();
        }
        let place = |insight: &Insight| (insight.at_ms, insight.id.clone());
        let after = |insight: &&&Insight| match &query.after {
            Some(last) if query.descending => place(insight) < *last,
            Some(last) => place(insight) > *last,
            None => true,
        };
        let rows: Vec<(&Insight, Value)> = (found.iter().filter(after))
            .map(|insight| (*insight, insight.shown(self.state, self.switches)))
            .filter(|(_, shown)| matches(&query.term, shown))
            .take(query.limit)
            .collect();
        let mut headers =
            vec![("x-result-count", rows.len().to_string()), ("x-limit", query.limit.to_string())];
        if let Some((last, _)) = rows.last() {
            headers.push(("x-search_after", json!([last.at_ms, last.id]).to_string()));
        }
        let body = rows.into_iter().map(|(_, shown)| query.projected(shown)).collect();
        Ok(Reply { status: 200, body: Some(Value::Array(body)), headers })
    }
}

impl Query {
    fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let body: Value = serde_json::from_slice(body).map_err(|_| "the body must be JSON")?;
        let service = match &body["service"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return Err("service is required"),
        };
        let named =
            service.iter().any(|name| name.split(',').any(|name| matches!(name, "directory" | "all")));
        let from_ms = moment(&body["start_time"]).ok_or("start_time is required, as RFC 3339")?;
        let to_ms = match &body["end_time"] {
            Value::Null => i64::MAX,
            given => moment(given).ok_or("end_time must be RFC 3339")?,
        };
        let limit = match &body["limit"] {
            Value::Null => LIMIT_DEFAULT,
            given => given.as_u64().filter(|n| (1..=LIMIT_MAX).contains(n)).ok_or("limit: 1 to 10000")?,
        };
        let after = match &body["search_after"] {
            Value::Null => None,
            given => Some(given[0].as_i64().zip(given[1].as_str()).ok_or("search_after is not ours")?),
        };
        let texts =
            |list: &Vec<Value>| list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        Ok(Self {
            from_ms,
            // Other services have no events here.
            to_ms: if named { to_ms } else { from_ms },
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            descending: body["sort"].as_str() == Some("DESC"),
            after: after.map(|(at, id)| (at, id.to_owned())),
            term: body["search_term"].clone(),
            fields: body["fields"].as_array().map(texts),
        })
    }

    fn projected(&self, shown: Value) -> Value {
        match (&self.fields, shown) {
            (Some(fields), Value::Object(shown)) => {
                let wanted = shown.into_iter().filter(|(key, _)| fields.contains(key));
                Value::Object(wanted.collect::<Map<_, _>>())
            }
            (_, shown) => shown,
        }
    }
}

fn moment(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// `{"and": [{field: value}, …], "or": […], "not": […]}`
fn matches(term: &Value, shown: &Value) -> bool {
    let list = |name: &str| term[name].as_array().cloned().unwrap_or_default();
    let holds = |wanted: &Value| {
        wanted.as_object().is_some_and(|pairs| pairs.iter().all(|(field, value)| has(shown, field, value)))
    };
    let (and, or, not) = (list("and"), list("or"), list("not"));
    and.iter().all(holds) && (or.is_empty() || or.iter().any(holds)) && !not.iter().any(holds)
}

fn has(shown: &Value, field: &str, wanted: &Value) -> bool {
    let found = field.split('.').fold(shown, |value, key| &value[key]);
    let is = |wanted: &Value| match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => found.to_lowercase() == *wanted,
        (found, wanted) => found == wanted && !found.is_null(),
    };
    match wanted {
        _ if field.starts_with("changes") => false,
        Value::Array(several) => several.iter().any(is),
        one => is(one),
    }
}
