//! A human in the console who acts by script, at the worst moment.

use std::time::Duration;

use ephemerald::sandbox::jumpcloud::{Options, Playing, Script};
use serde_json::{Value, json};

use crate::bench::{Bench, OWNER, answer, options};

const AMARA: &str = "amara@example.com";

fn script(steps: Value) -> Script {
    serde_json::from_value(json!({"steps": steps})).unwrap()
}

impl Bench {
    /// Waits until a script has nothing more to do.
    async fn played(&self, number: u64) -> Playing {
        let over = async {
            loop {
                let all = self.running.console.scripts();
                if let Some(playing) = all.into_iter().find(|one| one.number == number && one.over) {
                    return playing;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), over).await.expect("the script does not end")
    }
}

#[tokio::test]
async fn a_human_takes_back_what_a_client_gave_and_acts_between_its_read_and_its_write() {
    let bench = Bench::plain().await;
    let number = bench.running.console.play(script(json!([
        {"account": AMARA, "when": {"has_role": "Manager"}, "do": "demote"},
        {"account": AMARA, "when": "is_read", "do": {"add_role": "Billing Only"}},
        {"account": AMARA, "when": "is_listed", "do": {"add_role": "Help Desk"}},
    ])));
    let path = bench.path(AMARA);
    let end = bench.running.console.log_end();
    bench.put(&path, json!({"roleName": "Manager"})).await;
    bench.changed_after(end + 2).await;
    assert_eq!(bench.roles(AMARA), ["Read Only"]);

    // The second step counts reads from when it is reached; one of these comes after that.
    let read = async {
        while bench.running.console.scripts()[0].done < 2 {
            assert_eq!(bench.get(&path).await.0, 200);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    assert_eq!(bench.roles(AMARA), ["Read Only", "Billing Only"]);
    let list = async {
        while bench.running.console.scripts()[0].done < 3 {
            assert_eq!(bench.get("/api/users?limit=1").await.0, 200);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), list).await.unwrap();
    assert_eq!(bench.roles(AMARA).len(), 3);
    assert_eq!(bench.played(number).await.failed, []);
}

#[tokio::test]
async fn every_deed_does_what_its_name_says_and_a_failure_does_not_stop_the_script() {
    let bench = Bench::plain().await;
    let first = bench.id(AMARA);
    let number = bench.running.console.play(script(json!([
        {"account": AMARA, "do": {"set_roles": ["Manager", "Help Desk"]}},
        {"account": AMARA, "do": {"add_role": "Read Only"}},
        {"account": AMARA, "do": {"remove_role": "Manager"}},
        {"account": AMARA, "do": "suspend"},
        {"account": AMARA, "do": "unsuspend"},
        {"account": AMARA, "do": {"set_email": "amara2@example.com"}},
        {"account": AMARA, "do": "promote"},
        {"account": AMARA, "do": {"set_roles": ["Emperor"]}},
        {"account": AMARA, "do": "recreate"},
        {"account": "amara2@example.com", "do": "delete"},
        {"account": "amara2@example.com", "when": "is_gone", "do": "recreate"},
        {"account": "amara2@example.com", "when": "exists", "do": {"edit": {"firstname": "Again"}}},
        {"account": "nobody@example.com", "do": "delete"},
        {"account": "somebody@example.com", "do": {"create": ["Read Only"]}},
    ])));
    let played = bench.played(number).await;
    let failed: Vec<usize> = played.failed.iter().map(|(step, _)| *step).collect();
    assert_eq!((played.done, failed), (14, vec![8, 13]), "{:?}", played.failed);
    let history = bench.running.console.roles_over_time(&first);
    let roles: Vec<usize> = history.iter().map(|(_, roles)| roles.len()).collect();
    assert_eq!(roles, [2, 3, 2, 2, 2, 2, 1, 0], "until it is deleted");
    let state = bench.running.console.state();
    let again = state.accounts.iter().find(|one| one.email == "amara2@example.com").unwrap();
    assert_eq!((again.roles[0].as_str(), again.firstname.as_str()), ("Administrator With Billing", "Again"));
    assert_ne!(again.id, first);
    assert_eq!(bench.roles("somebody@example.com"), ["Read Only"]);
}

#[tokio::test]
async fn a_script_repeats_and_a_reset_or_an_order_ends_it() {
    let bench = Bench::plain().await;
    let console = &bench.running.console;
    let twice = json!({"times": 2, "steps": [{"account": AMARA, "do": "demote"}]});
    let number = console.play(serde_json::from_value(twice).unwrap());
    assert_eq!(bench.played(number).await.done, 2);

    let waiting = json!([{"account": AMARA, "when": {"has_role": "Manager"}, "do": "delete"}]);
    console.play(script(waiting.clone()));
    console.reset();
    console.play(script(waiting));
    console.stop_scripts();
    assert!(console.scripts().is_empty());
    let end = console.log_end();
    bench.put(&bench.path(AMARA), json!({"roleName": "Manager"})).await;
    let other =
        console.play(script(json!([{"account": AMARA, "when": {"has_role": "Manager"}, "do": "suspend"}])));
    bench.played(other).await;
    let made: Vec<Value> = serde_json::to_value(console.log_since(end)).unwrap().as_array().unwrap().clone();
    assert!(made.iter().all(|entry| entry["change"] != "deleted"), "{made:?}");
}

#[tokio::test]
async fn a_script_is_given_at_the_start_or_over_http_and_a_word_it_does_not_know_is_refused() {
    let steps = script(json!([{"account": AMARA, "do": "demote"}, {"account": AMARA, "do": "promote"}]));
    let options = Options { script: Some(steps), api_key: Some(OWNER.to_owned()), ..options(None) };
    let bench = Bench::with(options).await;
    assert_eq!(bench.played(1).await.done, 2);
    let url = format!("{}/_sandbox/script", bench.running.url);
    let post = |body: Value| answer(bench.client.post(&url).json(&body));
    let (_, begun) = post(json!({"steps": [{"account": AMARA, "after_ms": 1, "do": "suspend"}]})).await;
    assert_eq!(begun, json!({"number": 2}));
    bench.played(2).await;
    let (_, shown) = answer(bench.client.get(&url)).await;
    assert_eq!(shown["scripts"][1]["script"]["steps"][0]["do"], "suspend");
    assert_eq!(answer(bench.client.delete(&url)).await.0, 204);
    for wrong in ["explode", "set_role"] {
        let (status, _) = post(json!({"steps": [{"account": AMARA, "do": wrong}]})).await;
        assert_eq!(status, 422);
    }
}
