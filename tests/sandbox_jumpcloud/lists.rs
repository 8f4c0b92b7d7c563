//! Pages, their sizes and totals, order, filters.

use serde_json::{Value, json};

use crate::bench::Bench;

fn emails(list: &Value) -> Vec<String> {
    let rows = list["results"].as_array().or(list.as_array()).unwrap();
    rows.iter().map(|admin| admin["email"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_size_of_a_page_and_what_is_said_of_the_rest_are_switches() {
    let bench = Bench::plain().await;
    for (switches, limit, rows) in [
        (json!({}), "", 10),
        (json!({"page_default": 3}), "", 3),
        (json!({"page_max": 3}), "?limit=100", 3),
        (json!({"page_max": 3}), "", 3),
        (json!({"page_over_max_refused": true}), "?limit=100", 10),
    ] {
        bench.switch(switches);
        let list = bench.get(&format!("/api/users{limit}")).await.1;
        assert_eq!(emails(&list).len(), rows, "{list}");
    }
    assert_eq!(bench.get("/api/users?limit=101").await.0, 400);
    for (total, expected) in [
        ("exact", json!(10)),
        ("absent", Value::Null),
        ("of_page", json!(4)),
        ("too_high", json!(11)),
        ("too_low", json!(9)),
    ] {
        bench.switch(json!({"total_count": total}));
        assert_eq!(bench.get("/api/users?limit=4").await.1["totalCount"], expected, "{total}");
    }
    bench.switch(json!({"bare_lists": true}));
    let list = bench.get("/api/users?limit=4&skip=8").await.1;
    assert_eq!((list.is_array(), emails(&list).len()), (true, 2));
    assert_eq!(bench.get("/api/users?skip=99").await.1, json!([]));
}

#[tokio::test]
async fn an_order_holds_over_pages_only_if_it_is_asked_for_and_understood() {
    let bench = Bench::plain().await;
    let pages = async |sort: &str| {
        let mut all = Vec::new();
        for skip in [0, 5] {
            all.extend(emails(&bench.get(&format!("/api/users?limit=5&skip={skip}{sort}")).await.1));
        }
        let whole = all.len();
        all.sort();
        all.dedup();
        (whole, all.len())
    };
    bench.switch(json!({"unstable_order": true}));
    assert_eq!(pages("").await, (10, 5), "the second page is the first one turned around");
    assert_eq!(pages("&sort=_id").await, (10, 10));
    bench.switch(json!({"unstable_order": true, "sort": false}));
    assert_eq!(pages("&sort=_id").await, (10, 5));

    bench.switch(json!({}));
    let first =
        async |sort: &str| emails(&bench.get(&format!("/api/users?limit=1&sort={sort}")).await.1).remove(0);
    assert_eq!(first("email").await, "amara@example.com");
    assert_eq!(first("-email").await, "owner@example.com");
    assert_eq!(first("roleName%20-email").await, "owner@example.com");
    assert_eq!(first("-roleName%20-email").await, "chiara@example.com");
}

#[tokio::test]
async fn filter_search_and_fields_are_ignored_or_understood() {
    let bench = Bench::plain().await;
    let search = "search=%7B%22searchTerm%22:%22ELIF%22,%22fields%22:%5B%22email%22%5D%7D";
    for (query, switch, count) in [
        ("filter=email:$eq:elif@example.com", "filter", 1),
        ("filter=email:eq:elif@example.com", "filter", 1),
        ("filter=roleName:$eq:Help%20Desk&filter=email:$ne:elif@example.com", "filter", 2),
        ("filter=roleName:$gt:Help%20Desk", "filter", 10),
        ("filter=nonsense", "filter", 10),
        (search, "search", 1),
    ] {
        bench.switch(json!({}));
        let path = format!("/api/users?{query}");
        assert_eq!(emails(&bench.get(&path).await.1).len(), 10, "ignored: {query}");
        bench.switch(json!({switch: true}));
        let list = bench.get(&path).await.1;
        assert_eq!((emails(&list).len(), &list["totalCount"]), (count, &json!(count)), "{query}");
    }
    let path = "/api/users?limit=1&sort=_id&fields=email%20roleName";
    bench.switch(json!({}));
    assert!(bench.get(path).await.1["results"][0].get("firstname").is_some());
    bench.switch(json!({"fields": true}));
    let shown = bench.get(path).await.1["results"][0].clone();
    assert_eq!(shown.as_object().unwrap().keys().collect::<Vec<_>>(), ["_id", "email", "roleName"]);
}
