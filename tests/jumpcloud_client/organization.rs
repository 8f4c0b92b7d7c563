//! `x-org-id`: where it goes, what happens where it is refused, and that a wrong one is never "gone".

use ephemerald::engine::{action::RoleField, observed::FaultClass};

use super::{
    account, id, new_account, ok, page, role,
    server::{Given, JumpCloud},
};

const ORG: &str = r#", "org_id": "org1""#;
const SELF: &str = "GET /api/users/getSelf";
const ORGS: &str = "GET /api/organizations?limit=2";

fn me(org: &str) -> String {
    format!(r#"{{"_id": "me1", "email": "me@example.com", "roleName": "Administrator With Billing"{org}}}"#)
}

fn orgs(ids: &[&str]) -> String {
    let list: Vec<_> = ids.iter().map(|id| format!(r#"{{"id": "{id}"}}"#)).collect();
    format!(r#"{{"totalCount": {}, "results": [{}]}}"#, ids.len(), list.join(","))
}

/// A JumpCloud that refuses the header on these methods, and answers everything else.
async fn refusing(methods: &'static [&'static str], organizations: &'static [&'static str]) -> JumpCloud {
    JumpCloud::answering(move |heard| {
        let method = heard.line.split(' ').next().unwrap();
        if heard.line.starts_with("GET /api/organizations") {
            return ok(&orgs(organizations)).into();
        }
        if heard.header("x-org-id").is_some() && methods.contains(&method) {
            return (403, r#"{"message": "Forbidden: organization selection not allowed via header"}"#)
                .into();
        }
        match heard.line.as_str() {
            line if line.starts_with("GET /api/users?") && line.contains("skip=1") => {
                ok(&page(1, &[])).into()
            }
            line if line.starts_with("GET /api/users?") => ok(&page(1, &["a1"])).into(),
            line if line.starts_with("GET /api/v2/roles") => {
                ok(r#"{"totalCount": 1, "results": [{"name": "A"}]}"#).into()
            }
            "GET /api/users/a1" => ok(&account("a1", "Read Only")).into(),
            _ => ok("{}").into(),
        }
    })
    .await
}

fn line(text: &str, with_org: bool) -> (String, bool) {
    (text.to_owned(), with_org)
}

#[tokio::test]
async fn what_names_an_administrator_is_repeated_without_a_refused_header_and_then_sent_without_it() {
    let jc = refusing(&["PUT", "DELETE"], &[]).await;
    let client = jc.client_with(ORG);
    client.get(&id("a1")).await.unwrap();
    client.set_roles(&id("a1"), &[role("Manager")], RoleField::One, None).await.unwrap();
    client.delete(&id("a1")).await.unwrap();
    client.get(&id("a1")).await.unwrap();
    let expected = [
        line("GET /api/users/a1", true),
        line("PUT /api/users/a1", true),
        line("PUT /api/users/a1", false),
        line("DELETE /api/users/a1", false),
        line("GET /api/users/a1", true), // reads took it, and go on with it
    ];
    assert_eq!(jc.lines(), expected);
}

#[tokio::test]
async fn what_names_nobody_is_repeated_without_the_header_only_in_the_only_organization() {
    for (organizations, reaches) in
        [(&["org1"][..], true), (&["org2"], false), (&["org1", "org2"], false), (&[], false)]
    {
        let jc = refusing(&["GET", "POST"], organizations).await;
        let client = jc.client_with(ORG);
        let made = client.create(&new_account(), None).await;
        let listed = client.list().await;
        let roles = client.roles().await;
        let bare = |text: &str| jc.lines().iter().filter(|(l, with)| l.starts_with(text) && !with).count();
        if reaches {
            assert!(made.is_ok() && listed.unwrap().complete && roles.is_ok());
            assert_eq!(bare("GET /api/organizations"), 1, "asked once a minute");
        } else {
            let classes = [made.unwrap_err().class, listed.unwrap_err().class, roles.unwrap_err().class];
            assert_eq!(classes, [FaultClass::Forbidden; 3], "{organizations:?}");
            assert_eq!(
                bare("POST") + bare("GET /api/users?") + bare("GET /api/v2/roles"),
                0,
                "{organizations:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_organization_stays_a_fault_and_is_never_asked_for_without_the_header() {
    for (status, class) in
        [(400, FaultClass::Refused), (401, FaultClass::Credential), (404, FaultClass::NotFound)]
    {
        let jc = JumpCloud::answering(move |heard| {
            if heard.header("x-org-id").is_some() { (status, "").into() } else { ok(&page(0, &[])).into() }
        })
        .await;
        let client = jc.client_with(ORG);
        assert_eq!(client.list().await.unwrap_err().class, class, "a fault, and no empty listing");
        assert_eq!(client.get(&id("a1")).await.unwrap_err().class, class);
        assert_eq!(client.delete(&id("a1")).await.unwrap_err().class, class);
        assert_eq!(client.create(&new_account(), None).await.unwrap_err().class, class);
        assert!(jc.lines().iter().all(|(_, with)| *with), "{:?}", jc.lines());
    }
}

#[tokio::test]
async fn when_the_repeat_is_refused_too_the_first_answer_stands_and_an_uncertain_one_is_told() {
    for (second, class) in [
        (401, FaultClass::Forbidden),
        (404, FaultClass::Forbidden),
        (403, FaultClass::Forbidden),
        (500, FaultClass::Ambiguous),
        (429, FaultClass::Throttled),
    ] {
        let jc = JumpCloud::start([(403, String::new()), (second, String::new())]).await;
        let fault = jc.client_with(ORG).delete(&id("a1")).await.unwrap_err();
        assert_eq!(fault.class, class, "{second}");
    }
}

#[tokio::test]
async fn what_was_learnt_is_unlearnt_when_it_no_longer_works() {
    let jc = JumpCloud::start([(403, ""), (200, "{}"), (404, ""), (200, "{}"), (200, "{}")]).await;
    let client = jc.client_with(ORG);
    for _ in 0..3 {
        client.delete(&id("a1")).await.unwrap();
    }
    let with: Vec<bool> = jc.lines().into_iter().map(|(_, with)| with).collect();
    assert_eq!(with, [true, false, false, true, true]);
}

#[tokio::test]
async fn who_am_i_is_asked_without_the_header_first_and_with_it_where_that_is_refused() {
    let jc = JumpCloud::start([(200, me(r#", "organization": "org1""#))]).await;
    let who = jc.client_with(ORG).who_am_i().await.unwrap();
    assert_eq!((who.account, who.org.unwrap().as_str()), (Some(id("me1")), "org1"));
    assert_eq!(jc.lines(), [line(SELF, false)]);
    let jc = JumpCloud::start([(401, String::new()), (200, me(r#", "organization": "org1""#))]).await;
    assert_eq!(jc.client_with(ORG).who_am_i().await.unwrap().account, Some(id("me1")));
    assert_eq!(jc.lines(), [line(SELF, false), line(SELF, true)]);
    // A key that nobody knows is known neither way.
    let jc = JumpCloud::start([(401, ""), (401, "")]).await;
    assert_eq!(jc.client_with(ORG).who_am_i().await.unwrap_err().class, FaultClass::Credential);
}

#[tokio::test]
async fn a_configured_organization_counts_only_if_jumpcloud_says_that_the_credential_has_it() {
    let elsewhere = me(r#", "organization": "home""#);
    let many: Vec<String> = (0..100).map(|n| format!("o{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let full = orgs(&many).replace(r#""totalCount": 100"#, r#""totalCount": 101"#);
    let rest = orgs(&["org1"]).replace(r#""totalCount": 1"#, r#""totalCount": 101"#);
    let silent = r#"{"results": []}"#.to_owned();
    for (answers, expected) in [
        (vec![ok(&elsewhere), ok(&orgs(&["home", "org1"]))], Ok(Some("org1"))),
        (vec![ok(&elsewhere), ok(&full), ok(&rest)], Ok(Some("org1"))),
        (vec![ok(&elsewhere), ok(&orgs(&["home"]))], Err(FaultClass::WrongOrganization)),
        (vec![ok(&me("")), ok(&orgs(&["home", "other"]))], Err(FaultClass::WrongOrganization)),
        (vec![ok(&elsewhere), (403, String::new())], Ok(None)),
        (vec![ok(&elsewhere), ok(&silent)], Ok(None)),
        (vec![ok(&elsewhere), (500, String::new())], Err(FaultClass::Ambiguous)),
    ] {
        let jc = JumpCloud::start(answers).await;
        let found = jc.client_with(ORG).who_am_i().await.map(|who| who.org.map(|org| org.to_string()));
        let expected = expected.map(|org: Option<&str>| org.map(str::to_owned));
        assert_eq!(found.map_err(|fault| fault.class), expected, "{:?}", jc.lines());
        assert!(jc.lines().iter().all(|(_, with)| !with), "neither route takes the header");
    }
}

#[tokio::test]
async fn without_a_configured_organization_the_only_one_counts() {
    let jc = JumpCloud::start([ok(&me("")), ok(&orgs(&["org1"]))]).await;
    assert_eq!(jc.client().who_am_i().await.unwrap().org.unwrap().as_str(), "org1");
    assert_eq!(jc.lines(), [line(SELF, false), line(ORGS, false)]);
    let jc = JumpCloud::start([(404, String::new()), ok(&orgs(&["o1", "o2"]))]).await;
    assert_eq!(jc.client().who_am_i().await.unwrap_err().class, FaultClass::NotFound);
}

#[tokio::test]
async fn who_am_i_falls_back_only_where_get_self_is_not_offered() {
    for status in [403, 404] {
        let jc = JumpCloud::start([(status, String::new()), ok(r#"[{"_id": "org1"}]"#)]).await;
        let who = jc.client().who_am_i().await.unwrap();
        assert_eq!((who.account, who.org.unwrap().as_str()), (None, "org1"), "{status}");
    }
    // An outage must not pass for a credential that owns no account.
    for (status, class) in
        [(401, FaultClass::Credential), (500, FaultClass::Ambiguous), (429, FaultClass::Throttled)]
    {
        let jc = JumpCloud::start([(status, String::new()), ok(r#"[{"_id": "org1"}]"#)]).await;
        assert_eq!(jc.client().who_am_i().await.unwrap_err().class, class);
        assert_eq!(jc.heard().len(), 1);
    }
    let jc = JumpCloud::start([(404, String::new()), (401, String::new())]).await;
    assert_eq!(jc.client().who_am_i().await.unwrap_err().class, FaultClass::Credential);
    let jc = JumpCloud::start([ok("{}"), (403, String::new())]).await;
    assert_eq!(jc.client().who_am_i().await.unwrap_err().class, FaultClass::Ambiguous, "tells nothing");
}

#[tokio::test]
async fn the_end_of_the_key_is_read_in_whatever_form_it_comes() {
    let end = 1_798_761_600_000_i64;
    for (form, expected) in [
        (r#""2027-01-01T00:00:00Z""#, Some(end)),
        (r#""2027-01-01T00:00:00.000Z""#, Some(end)),
        ("1798761600000", Some(end)),
        ("1798761600", Some(end)),
        (r#""1798761600""#, Some(end)),
        ("null", None),
        ("0", None),
        (r#""never""#, None),
    ] {
        let own = format!(r#", "organization": "org1", "apiKeyHash": {{"prefix": "x", "expireAt": {form}}}"#);
        let jc = JumpCloud::start([Given::from((200, me(&own)))]).await;
        let ends = jc.client().me().await.unwrap().key_ends.map(|at| at.0);
        assert_eq!(ends, expected, "{form}");
    }
}
