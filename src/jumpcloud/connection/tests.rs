//! What a connection may say, and how a wrong one is told.

use super::*;
use crate::engine::settings::RoleMode;

const US: &str = "https://console.jumpcloud.com";

fn parse(json: &str) -> Result<Connection, ConnectionError> {
    Connection::parse(&Secret::new(json.to_owned()), "jc.json")
}

fn at(url: &str, more: &str) -> Result<Connection, ConnectionError> {
    parse(&format!(r#"{{"url": "{url}", "token": "canary"{more}}}"#))
}

#[test]
fn the_guides_example_works_verbatim() {
    let c = parse(r#"{"url": "https://console.jumpcloud.com", "token": "YOUR_JUMP_CLOUD_API_KEY"}"#).unwrap();
    assert_eq!(c.place.url, US);
    assert!(matches!(&c.credential, Credential::ApiKey(key) if key.expose() == "YOUR_JUMP_CLOUD_API_KEY"));
    assert_eq!((c.org_id.as_ref(), &c.options), (None, &Options::default()));
    assert!(!format!("{c:?}").contains("YOUR_JUMP"));
}

#[test]
fn each_region_has_its_three_hosts_by_its_url_and_by_its_name() {
    for (code, infix) in [("us", ""), ("eu", "eu."), ("in", "in.")] {
        let url = format!("https://console.{infix}jumpcloud.com");
        let by_url = at(&format!("{url}/"), "").unwrap().place;
        let by_name = parse(&format!(r#"{{"region": "{code}", "token": "t"}}"#)).unwrap().place;
        assert_eq!(by_url, by_name);
        assert_eq!((by_url.url.as_str(), by_url.region.map(Region::code)), (url.as_str(), Some(code)));
        let token = format!("https://admin-oauth.id.{infix}jumpcloud.com/oauth2/token");
        assert_eq!(by_url.token_url.as_deref(), Some(token.as_str()));
        assert_eq!(by_url.insights, Some(format!("https://api.{infix}jumpcloud.com")));
        assert!(
            at(&url, &format!(r#", "region": "{code}", "token_url": "{token}""#)).is_ok(),
            "said twice, the same"
        );
    }
}

#[test]
fn any_other_host_is_one_origin_for_everything_unless_it_is_said_otherwise() {
    let place = at("https://127.0.0.1:8443", "").unwrap().place;
    assert_eq!(place.region, None);
    assert_eq!(place.token_url.as_deref(), Some("https://127.0.0.1:8443/oauth2/token"));
    assert_eq!(place.insights.as_deref(), Some("https://127.0.0.1:8443"));
    let more = r#", "token_url": "https://login.example.com/realms/jc/token", "insights_url": "https://di.example.com""#;
    let place = at("https://jc.example.com", more).unwrap().place;
    assert_eq!(place.token_url.as_deref(), Some("https://login.example.com/realms/jc/token"));
    assert_eq!(place.insights.as_deref(), Some("https://di.example.com"));
    let bare = r#", "token_url": "https://login.example.com""#;
    let token = at("https://jc.example.com", bare).unwrap().place.token_url.unwrap();
    assert_eq!(token, "https://login.example.com/oauth2/token");
}

#[test]
fn the_hosts_of_a_region_that_is_not_known_are_not_guessed() {
    let url = "https://console.au.jumpcloud.com";
    let place = at(url, "").unwrap().place;
    assert_eq!((place.token_url, place.insights, place.region), (None, None, None));
    let service = format!(r#"{{"url": "{url}", "client_id": "id", "client_secret": "canary"}}"#);
    assert!(parse(&service).unwrap_err().to_string().contains("`token_url`"));
}

#[test]
fn a_url_of_another_kind_is_explained_with_the_right_one() {
    for (url, words) in [
        ("https://api.jumpcloud.com", &[US, "Directory Insights"][..]),
        ("https://api.eu.jumpcloud.com", &["https://console.eu.jumpcloud.com", "Directory Insights"]),
        (
            "https://admin-oauth.id.in.jumpcloud.com/oauth2/token",
            &["https://console.in.jumpcloud.com", "tokens"],
        ),
        ("https://console.jumpcloud.com/api", &[US, "no path"]),
        ("https://console.eu.jumpcloud.com/#/home", &["https://console.eu.jumpcloud.com", "fragment"]),
        ("https://console.jumpcloud.com:8443", &[US, "no port"]),
        ("http://console.jumpcloud.com", &[US, "http is for loopback only"]),
        ("console.eu.jumpcloud.com", &["https://console.eu.jumpcloud.com", "with https://"]),
        ("https://jumpcloud.com/login", &[US, "does not serve"]),
        ("https://user:canary@jc.example.com", &["https://host[:port]", "user name"]),
        ("http://jc.example.com", &["https://"]),
        ("ldap://jc.example.com", &["`url`"]),
        ("canary", &["with https://"]),
    ] {
        let said = at(url, "").unwrap_err().to_string();
        assert!(words.iter().all(|word| said.contains(word)) && said.contains("jc.json"), "{url}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    for url in ["https://console.jumpcloud.com.evil.example", "https://evil-jumpcloud.com"] {
        assert_eq!(at(url, "").unwrap().place.region, None, "{url} is nobody's console");
    }
}

#[test]
fn exactly_one_way_of_authenticating_is_given() {
    let service = parse(r#"{"region": "eu", "client_id": "id-1", "client_secret": "canary"}"#).unwrap();
    assert!(matches!(&service.credential, Credential::ServiceAccount { client_id, client_secret }
        if client_id == "id-1" && client_secret.expose() == "canary"));
    assert!(!format!("{service:?}").contains("canary"));
    for (ways, words) in [
        (r#""token": "canary", "client_id": "x", "client_secret": "canary""#, "not both"),
        (r#""token": "canary", "client_id": "x""#, "not both"),
        (r#""client_id": "x""#, "`client_secret`"),
        (r#""client_secret": "canary""#, "`client_id`"),
        (r#""org_id": "canary""#, "or client_id and client_secret"),
        (r#""client_id": "a:b", "client_secret": "canary""#, "`client_id`"),
        (r#""client_id": "x", "client_secret": "canary canary""#, "`client_secret`"),
        (r#""client_id": "x", "client_secret": """#, "`client_secret`"),
    ] {
        let said = parse(&format!(r#"{{"region": "us", {ways}}}"#)).unwrap_err().to_string();
        assert!(
            said.contains(words) && said.contains("jc.json") && !said.contains("canary"),
            "{ways}: {said}"
        );
    }
}

#[test]
fn options_are_read_and_a_null_is_nothing() {
    let options = r#", "options": {"roles": ["Help Desk"], "exclude_accounts": ["a@example.com"],
        "role_mode": "multiple", "email_template": "{requester}+{tag}@{domain}", "rate_limit": 5,
        "page_size": 50, "insights": true}"#;
    let options = at(US, options).unwrap().options;
    assert_eq!(options.roles.unwrap()[0].as_str(), "Help Desk");
    assert_eq!(options.exclude_accounts.unwrap()[0].as_str(), "a@example.com");
    assert_eq!(options.role_mode, Some(RoleMode::Multiple));
    assert_eq!((options.rate_limit, options.page_size, options.insights), (Some(5), Some(50), Some(true)));
    let nothing = at(US, r#", "org_id": null, "options": {"rate_limit": null}"#).unwrap();
    assert_eq!((nothing.org_id, nothing.options), (None, Options::default()));
}

#[test]
fn a_bad_connection_names_the_file_and_the_key_and_never_a_value() {
    for (more, expected) in [
        (r#", "apiKey": "canary""#, "unknown key `apiKey`, did you mean `token`?"),
        (r#", "tokn": "canary""#, "did you mean `token`?"),
        (r#", "client-secret": "canary""#, "did you mean `client_secret`?"),
        (r#", "organization": "canary""#, "did you mean `org_id`?"),
        (r#", "rate_limit": 3"#, "did you mean `options`?"),
        (r#", "token": "b""#, "a key twice"),
        (r#", "org_id": 5"#, "`org_id`: expected a text"),
        (r#", "org_id": "can/ary""#, "`org_id`"),
        (r#", "region": "canary""#, "`region`: expected \"us\""),
        (r#", "region": "eu""#, "`region`: expected the region of url"),
        (
            r#", "token_url": "https://canary.example""#,
            "`token_url`: expected https://admin-oauth.id.jumpcloud.com",
        ),
        (r#", "insights_url": "http://canary.example""#, "`insights_url`"),
        (r#", "ssl_ca_cert": "/nonexistent/ca.pem""#, "/nonexistent/ca.pem"),
        (r#", "ssl_ca_cert": "/x", "ssl_ca_cert_content": "canary""#, "not both"),
        (r#", "ssl_ca_only": true"#, "`ssl_ca_only`: expected ssl_ca_cert"),
        (r#", "ssl_ca_only": "canary""#, "`ssl_ca_only`: expected true or false"),
        (r#", "options": "canary""#, "`options`: expected an object"),
        (r#", "options": {"page_sise": 3}"#, "unknown key `options.page_sise`, did you mean `page_size`?"),
        (r#", "options": {"page_size": 101}"#, "`options.page_size`"),
        (r#", "options": {"rate_limit": "canary"}"#, "`options.rate_limit`"),
        (r#", "options": {"roles": ["ok", "canary\n"]}"#, "`options.roles`"),
        (r#", "options": {"exclude_accounts": "canary@example.com"}"#, "`options.exclude_accounts`"),
        (r#", "options": {"role_mode": "canary"}"#, "`options.role_mode`: expected \"single\""),
        (r#", "options": {"insights": "canary"}"#, "`options.insights`"),
        (r#" "canary""#, "not a JSON object"),
    ] {
        let said = at(US, more).unwrap_err().to_string();
        assert!(said.contains(expected) && said.contains("jc.json"), "{more}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let said = parse(r#"{"url": ["canary"], "token": "canary"}"#).unwrap_err().to_string();
    assert!(said.contains("`url`: expected a text") && !said.contains("canary"), "{said}");
}

#[test]
fn the_end_of_a_secret_may_be_said_and_a_key_is_named_by_its_digest() {
    let at_noon = at(US, r#", "expires_at": "2027-01-31T12:00:00+02:00""#).unwrap();
    assert_eq!(at_noon.expires_at.unwrap().0, 1_801_389_600_000);
    let day = at(US, r#", "expires_at": "2027-01-31""#).unwrap();
    assert_eq!(day.expires_at.unwrap().0, 1_801_353_600_000, "its first instant");
    let said = at(US, r#", "expires_at": "canary""#).unwrap_err().to_string();
    assert!(said.contains("`expires_at`: expected a date") && !said.contains("canary"), "{said}");
    let service = parse(r#"{"region": "eu", "client_id": "id-1", "client_secret": "canary"}"#).unwrap();
    assert_eq!(day.credential.digest(), service.credential.digest());
    assert_ne!(day.print.as_ref(), at_noon.print.as_ref(), "another text is another reading");
}
