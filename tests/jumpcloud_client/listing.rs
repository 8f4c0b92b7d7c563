//! Listings: all pages, however they come, and which listing is complete.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    account, id, ok, page,
    server::{Given, JumpCloud, pass, setup},
};
use ephemerald::{engine::observed::FaultClass, jumpcloud::Setup};

#[tokio::test]
async fn a_listing_reads_all_pages_also_smaller_ones_than_asked_for() {
    let pages = [page(5, &["a1", "a2"]), page(5, &["a3", "a4"]), page(5, &["a5"])];
    let jc = JumpCloud::start(pages.map(|page| ok(&page))).await;
    let listing = jc.client().list().await.unwrap();
    assert!(listing.complete);
    assert_eq!(listing.accounts.len(), 5);
    assert_eq!(listing.org.unwrap().as_str(), "org1");
    let lines: Vec<_> = jc.heard().into_iter().map(|h| h.line).collect();
    let expected = [0, 2, 4].map(|skip| format!("GET /api/users?limit=100&skip={skip}&sort=_id"));
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn the_page_size_is_configurable() {
    let jc = JumpCloud::start([ok(&page(1, &["a1"])), ok(&page(1, &[]))]).await;
    jc.client_of("", &Setup { page_size: 7, ..setup() }).list().await.unwrap();
    assert_eq!(jc.heard()[0].line, "GET /api/users?limit=7&skip=0&sort=_id");
}

#[tokio::test]
async fn only_a_listing_that_adds_up_is_complete() {
    for (pages, why) in [
        (vec![page(3, &["a1", "a2"]), page(3, &["a2", "a3"])], "an id twice"),
        (vec![page(3, &["a1", "a2"]), page(3, &["a1", "a2"])], "the server ignores skip"),
        (vec![page(4, &["a1", "a2"]), page(4, &["a3"]), page(4, &[])], "one is missing"),
        (vec![page(4, &["a1", "a2"]), page(3, &["a4"])], "somebody was deleted between two pages"),
        (vec![page(1, &["a1", "a2"])], "more than stated"),
    ] {
        let count = pages.len();
        let jc = JumpCloud::start(pages.iter().map(|page| ok(page))).await;
        let listing = jc.client().list().await.unwrap();
        assert!(!listing.complete, "{why}");
        assert!(!listing.accounts.is_empty(), "{why}");
        assert_eq!(jc.heard().len(), count, "{why}");
    }
    let jc = JumpCloud::start([ok(&page(3, &["a1", "a2"])), (500, String::new())]).await;
    assert_eq!(jc.client().list().await.unwrap_err().class, FaultClass::Ambiguous, "half a listing is none");
}

#[tokio::test]
async fn the_organization_of_a_listing_counts_only_if_all_agree() {
    let other = account("a2", "Read Only").replace("org1", "org2");
    let silent = account("a2", "Read Only").replace("organization", "else");
    for second in [other, silent] {
        let body = format!(r#"{{"totalCount": 2, "results": [{}, {second}]}}"#, account("a1", "Read Only"));
        let jc = JumpCloud::start([ok(&body), ok(&page(2, &[]))]).await;
        let listing = jc.client().list().await.unwrap();
        assert_eq!((listing.complete, listing.org), (true, None));
    }
}

#[tokio::test]
async fn roles_are_read_from_all_pages_with_their_scopes() {
    let first = r#"{"totalCount": 3, "results": [{"name": "A", "scopes": ["b", "a", "b"]}, {"name": "B"}]}"#;
    let second = r#"{"totalCount": 3, "results": [{"name": "C", "scopes": ["a", {"odd": 1}]}]}"#;
    let jc = JumpCloud::start([ok(first), ok(second)]).await;
    let roles = jc.client().roles().await.unwrap();
    let scopes: Vec<_> = roles.into_iter().map(|r| (r.name.to_string(), r.scopes)).collect();
    let expected = [
        ("A".to_owned(), Some(vec!["a".to_owned(), "b".to_owned()])),
        ("B".to_owned(), None),
        ("C".to_owned(), None), // one scope that cannot be read: unknown, not smaller
    ];
    assert_eq!(scopes, expected);
    assert_eq!(jc.heard()[1].line, "GET /api/v2/roles?limit=100&skip=2");
    let jc = JumpCloud::start([ok(first), ok(first)]).await;
    assert_eq!(jc.client().roles().await.unwrap_err().class, FaultClass::Ambiguous, "half a list is none");
    let jc = JumpCloud::start([ok(r#"[{"name": "A"}]"#), ok("[]")]).await;
    assert_eq!(jc.client().roles().await.unwrap().len(), 1, "a bare array ends with an empty page");
}

fn bare(ids: &[&str]) -> String {
    let accounts: Vec<_> = ids.iter().map(|id| account(id, "Read Only")).collect();
    format!("[{}]", accounts.join(","))
}

#[tokio::test]
async fn without_any_total_two_passes_that_agree_and_reach_the_end_are_complete() {
    let passes = |pages: &[&[&str]]| pages.iter().map(|ids| ok(&bare(ids))).collect::<Vec<_>>();
    for (pages, complete, why) in [
        (passes(&[&["a1", "a2"], &["a3"], &[], &["a1", "a2"], &["a3"], &[]]), true, "agree"),
        (passes(&[&["a1", "a2"], &["a3"], &[], &["a1", "a3"], &[]]), false, "somebody was deleted meanwhile"),
        (passes(&[&["a1", "a2"], &["a1", "a2"]]), false, "skip is ignored: no end was shown"),
        (passes(&[&["a1", "a2"], &["a2", "a3"], &[]]), false, "an id twice"),
        (passes(&[&[]]), false, "nobody at all: whose key would this be?"),
    ] {
        let count = pages.len();
        let jc = JumpCloud::start(pages).await;
        let listing = jc.client().list().await.unwrap();
        assert_eq!((listing.complete, jc.heard().len()), (complete, count), "{why}");
        assert_eq!(listing.requests as usize, count, "{why}");
    }
}

#[tokio::test]
async fn a_total_that_comes_and_goes_is_no_total() {
    let jc = JumpCloud::start([ok(&page(3, &["a1", "a2"])), ok(&bare(&["a3"])), ok(&bare(&[]))]).await;
    let listing = jc.client().list().await.unwrap();
    assert_eq!((listing.complete, listing.accounts.len()), (false, 3));
}

#[tokio::test]
async fn a_total_that_is_only_the_length_of_a_cut_page_does_not_end_the_listing() {
    let ids: Vec<String> = (0..10).map(|n| format!("a{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let pass = |last: &str| [page(10, &ids), page(1, &[last]), page(0, &[])];
    let jc = JumpCloud::start(pass("b1").into_iter().chain(pass("c1")).map(|page| ok(&page))).await;
    assert!(!jc.client().list().await.unwrap().complete, "two passes that differ");
    // And one that really is all there is costs one more look.
    let jc = JumpCloud::start([ok(&page(10, &ids)), ok(&page(10, &[]))]).await;
    let listing = jc.client().list().await.unwrap();
    assert_eq!((listing.complete, listing.requests), (true, 2));
}

#[tokio::test]
async fn a_server_that_showed_an_honest_total_is_believed_for_an_hour_and_one_that_did_not_never_is() {
    let whole = || ok(&page(2, &["a1", "a2"]));
    let beyond = ok(&page(2, &[]));
    let jc = JumpCloud::start([whole(), beyond.clone(), whole(), whole(), beyond]).await;
    let client = jc.client();
    for (ahead, requests) in [(0, 2), (59 * 60_000, 1), (2 * 60_000, 2)] {
        pass(ahead);
        let listing = client.list().await.unwrap();
        assert_eq!((listing.complete, listing.requests), (true, requests), "{ahead}");
    }

    // Each total is its page's own: nothing shows how many there are.
    let passes = || [page(1, &["a1"]), page(1, &["a2"]), page(0, &[])].map(|page| ok(&page));
    let jc = JumpCloud::start((0..4).flat_map(|_| passes())).await;
    let client = jc.client();
    for _ in 0..2 {
        let listing = client.list().await.unwrap();
        assert_eq!((listing.complete, listing.requests, listing.accounts.len()), (true, 6, 2));
    }
}

#[tokio::test]
async fn a_next_link_is_followed_and_one_that_leads_elsewhere_is_not() {
    let first = Given::from(ok(&page(2, &["a1"]))).with("link", "</api/users?limit=7&skip=1>; rel=\"next\"");
    let jc = JumpCloud::start([first, ok(&page(2, &["a2"])).into()]).await;
    assert!(jc.client().list().await.unwrap().complete);
    assert_eq!(jc.heard()[1].line, "GET /api/users?limit=7&skip=1");

    let thief = JumpCloud::start([ok(&page(2, &["a2"]))]).await;
    let link = format!("<{}/api/users?skip=1>; rel=\"next\"", thief.origin);
    let first = Given::from(ok(&page(2, &["a1"]))).with("link", link);
    let jc = JumpCloud::start([first, ok(&page(2, &["a2"])).into()]).await;
    assert!(jc.client().list().await.unwrap().complete);
    assert_eq!(jc.heard()[1].line, "GET /api/users?limit=100&skip=1&sort=_id");
    assert!(thief.heard().is_empty());
}

#[tokio::test]
async fn links_that_end_are_an_end_where_nothing_states_a_total() {
    let pass = || {
        let first = Given::from(ok(&bare(&["a1"]))).with("link", "<?limit=7&skip=1>; rel=next");
        [first, Given::from(ok(&bare(&["a2"])))]
    };
    let jc = JumpCloud::start(pass().into_iter().chain(pass())).await;
    let listing = jc.client().list().await.unwrap();
    assert_eq!((listing.complete, listing.requests), (true, 4));
}

#[tokio::test]
async fn pages_keep_their_distance_and_reads_and_writes_of_one_account_do_not() {
    let throttle = Arc::new(AtomicBool::new(true));
    let throttled = Arc::clone(&throttle);
    let jc = JumpCloud::answering(move |heard| match heard.line.as_str() {
        _ if throttled.load(Ordering::Relaxed) => (429, "").into(),
        line if line.starts_with("GET /api/users?") => ok(&page(3, &["a1"])).into(),
        "GET /api/users/a1" => ok(&account("a1", "Read Only")).into(),
        _ => ok("{}").into(),
    })
    .await;
    // One request a second, and sixteen times slower after so many refusals: half a minute a page.
    let client = Arc::new(jc.client_of("", &Setup { rate_per_second: 1, ..setup() }));
    for _ in 0..4 {
        assert_eq!(client.list().await.unwrap_err().class, FaultClass::Throttled);
        pass(100_000);
    }
    throttle.store(false, Ordering::Relaxed);
    let before = jc.heard().len();
    let lister = Arc::clone(&client);
    let listing = tokio::spawn(async move { lister.list().await });
    while jc.heard().len() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..5 {
        client.get(&id("a1")).await.unwrap();
        client.delete(&id("a1")).await.unwrap();
    }
    let pages = jc.heard()[before..].iter().filter(|h| h.line.starts_with("GET /api/users?")).count();
    assert_eq!(pages, 1, "the second page waits, and nobody else");
    listing.abort();
}

#[tokio::test]
async fn a_page_that_is_throttled_is_asked_for_again_and_not_the_whole_listing() {
    for refusal in [(429, ""), (403, "")] {
        let refusal = Given::from(refusal).with("retry-after", "1");
        let jc = JumpCloud::start([
            Given::from(ok(&page(3, &["a1"]))),
            refusal,
            ok(&page(3, &["a2"])).into(),
            ok(&page(3, &["a3"])).into(),
        ])
        .await;
        let listing = jc.client().list().await.unwrap();
        assert_eq!((listing.complete, listing.throttled, listing.requests), (true, true, 4));
        assert_eq!(listing.accounts.len(), 3);
    }
}

#[tokio::test]
async fn a_listing_whose_first_page_is_throttled_is_left_to_whoever_wanted_it() {
    let jc = JumpCloud::start([(429, String::new())]).await;
    let fault = jc.client().list().await.unwrap_err();
    assert_eq!((fault.class, fault.retry_after_ms), (FaultClass::Throttled, Some(7_000)));
}

#[tokio::test]
async fn a_total_that_is_the_first_pages_own_does_not_end_a_listing() {
    // A server that states how many rows a page has would hide everybody behind the first one: two
    // listings that do not show somebody are a proof that he is gone.
    let pass = || [page(2, &["a1", "a2"]), page(1, &["a3"]), page(0, &[])];
    let jc = JumpCloud::start(pass().into_iter().chain(pass()).map(|page| ok(&page))).await;
    let listing = jc.client().list().await.unwrap();
    assert_eq!((listing.accounts.len(), listing.complete, listing.requests), (3, true, 6));
}
