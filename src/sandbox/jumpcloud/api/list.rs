//! Lists: which page, in which order, with which fields; what of that is understood is a switch.
//!
//! Refuses nothing but a page that is too large, and that only by a switch.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::{
    super::{account::Account, reply::Reply, switches::TotalCount},
    Call,
};

impl Call<'_> {
    /// The page of `items` that is asked for, each as `show` shows it.
    pub(super) fn page<T>(&self, items: &[T], show: impl Fn(&T) -> Value) -> Reply {
        let limit = self.number("limit").unwrap_or(self.switches.page_default);
        if limit > self.switches.page_max && self.switches.page_over_max_refused {
            return Reply::error(400, "Bad Request: limit is too large");
        }
        let page: Vec<Value> = self.slice(items).iter().map(|item| self.projected(show(item))).collect();
        if self.switches.bare_lists {
            return Reply::json(200, json!(page));
        }
        let total = match self.switches.total_count {
            TotalCount::Exact => Some(items.len()),
            TotalCount::Absent => None,
            TotalCount::OfPage => Some(page.len()),
            TotalCount::TooHigh => Some(items.len() + 1),
            TotalCount::TooLow => Some(items.len().saturating_sub(1)),
        };
        let mut list = json!({"results": page});
        if let Some(total) = total {
            list["totalCount"] = json!(total);
        }
        Reply::json(200, list)
    }

    /// The part of `items` that is asked for.
    pub(super) fn slice<'i, T>(&self, items: &'i [T]) -> &'i [T] {
        let limit = self.number("limit").unwrap_or(self.switches.page_default);
        let limit = limit.clamp(1, self.switches.page_max.max(1));
        let from = self.number("skip").unwrap_or(0).min(items.len());
        &items[from..from.saturating_add(limit).min(items.len())]
    }

    /// `shown` with the `fields` that are asked for, and its identifier.
    pub(super) fn projected(&self, shown: Value) -> Value {
        match (self.request.query("fields").filter(|fields| !fields.is_empty()), shown) {
            (Some(fields), Value::Object(shown)) if self.switches.fields => {
                let wanted: Vec<&str> = fields.split([' ', ',']).collect();
                let keeps =
                    |key: &String| matches!(key.as_str(), "_id" | "id") || wanted.contains(&key.as_str());
                Value::Object(shown.into_iter().filter(|(key, _)| keeps(key)).collect::<Map<_, _>>())
            }
            (_, shown) => shown,
        }
    }

    /// Orders administrators as asked for.
    pub(super) fn order(&self, accounts: &mut [&Account]) {
        let asked = self.request.query("sort").filter(|sort| !sort.is_empty() && self.switches.sort);
        let Some(sort) = asked else {
            if self.switches.unstable_order && self.state.reads.is_multiple_of(2) {
                accounts.reverse();
            }
            return;
        };
        accounts.sort_by(|a, b| {
            let by = |key: &str| match key.strip_prefix('-') {
                Some(key) => compare(b, a, key),
                None => compare(a, b, key),
            };
            sort.split(' ').map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
    }

    /// Whether `filter` and `search`, as far as they are understood, let the account through.
    pub(super) fn is_asked_for(&self, account: &Account) -> bool {
        let passes = |filter: &str| passes(account, filter).unwrap_or(true);
        (!self.switches.filter || self.request.queries("filter").all(passes))
            && (!self.switches.search || self.is_found(account).unwrap_or(true))
    }

    fn is_found(&self, account: &Account) -> Option<bool> {
        let search: Value = serde_json::from_str(self.request.query("search")?).ok()?;
        let term = search["searchTerm"].as_str()?.to_lowercase();
        let fields = search["fields"].as_array()?;
        let has = |field: &Value| {
            let value = field.as_str().and_then(|field| text_of(account, field));
            value.is_some_and(|value| value.to_lowercase().contains(&term))
        };
        Some(fields.iter().any(has))
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.request.query(name)?.parse().ok()
    }
}

/// `field:$eq:value` or `field:$ne:value`, with or without the dollar; anything else is not understood.
fn passes(account: &Account, filter: &str) -> Option<bool> {
    let (field, rest) = filter.split_once(':')?;
    let (operator, value) = rest.split_once(':')?;
    let same = match field {
        "email" => account.has_email(value),
        "enableMultiFactor" => account.enable_multi_factor.to_string() == value,
        _ => text_of(account, field)? == value,
    };
    match operator.trim_start_matches('$') {
        "eq" => Some(same),
        "ne" => Some(!same),
        _ => None,
    }
}

fn text_of<'a>(account: &'a Account, field: &str) -> Option<&'a str> {
    Some(match field {
        "_id" | "id" => &account.id,
        "email" => &account.email,
        "firstname" => &account.firstname,
        "lastname" => &account.lastname,
        "roleName" => account.roles.first().map_or("", String::as_str),
        _ => return None,
    })
}

fn compare(a: &Account, b: &Account, key: &str) -> Ordering {
    match key {
        "created" => a.created_ms.cmp(&b.created_ms),
        _ => text_of(a, key).cmp(&text_of(b, key)),
    }
}
