//! The screen: its size whatever there is to say, its verdict, and the pictures in the documents.

use super::*;
use crate::admin::view::{ControlPlaneView, FrozenView, GrantCounts, LedgerView, PolicyView};

fn well() -> StatusView {
    let mut status = StatusView {
        version: "0.1.0".into(),
        agent_id: Some("agent-5c2f".into()),
        enrolled: true,
        control_plane: ControlPlaneView {
            url: Some("https://control.example.com".into()),
            last_contact_at: Some("2026-11-25T21:04:11.020Z".into()),
            connected: true,
            error: None,
        },
        grants: GrantCounts { live: 2, watched: 1, ..GrantCounts::default() },
        next_expiry: Some("2026-11-25T21:30:00.000Z".into()),
        ledger: LedgerView {
            ok: true,
            head_seq: 412,
            head_hash: "7d1f".repeat(16),
            doubts: Vec::new(),
            claims: 0,
        },
        policy: PolicyView { loaded: true, hash: Some("9e55aa01c3f7".repeat(5)), error: None },
        integrations: vec![IntegrationView {
            name: "main".into(),
            reachable: true,
            rate: 10,
            last_observed_at: Some("2026-11-25T21:03:58.404Z".into()),
            ..IntegrationView::default()
        }],
        ..StatusView::default()
    };
    (status.clock.trusted, status.clock.skew_ms) = (true, -12);
    status
}

fn unwell() -> StatusView {
    let mut status = well();
    status.grants = GrantCounts { live: 1, ending: 2, overdue: 1, watched: 0, abandoned: 0 };
    status.control_plane.connected = false;
    status.control_plane.error = Some("connection refused".into());
    status.frozen = Some(FrozenView {
        since: "2026-11-25T20:58:02.417Z".into(),
        by_uid: 1000,
        reason: Some("incident 4711".into()),
        draining: false,
    });
    status.raises_paused = vec!["an operator froze them".into()];
    status
}

#[test]
fn the_screen_fits_a_terminal_whatever_is_wrong() {
    let mut status = unwell();
    status.policy.error = Some("x".repeat(200));
    status.ledger.ok = false;
    status.clock.trusted = false;
    status.grants.abandoned = 7;
    status.raises_paused.push("a pause of another version\u{1b}[31m".into());
    status.integrations = vec![IntegrationView { name: "n".repeat(64), ..IntegrationView::default() }; 9];
    for status in [status, StatusView::default(), well(), unwell()] {
        let text = render(&status);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.lines().count() <= 23 && !text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn the_verdict_names_each_thing_that_is_not_well_and_nothing_else() {
    let said = |change: fn(&mut StatusView)| {
        let mut status = well();
        change(&mut status);
        render(&status)
    };
    assert!(said(|_| {}).starts_with("All is well.\n\n"));
    type Change = fn(&mut StatusView);
    let bad: [(Change, &str); 9] = [
        (|s| s.grants.overdue = 1, "past the end"),
        (|s| s.grants.abandoned = 2, "may remain"),
        (|s| s.ledger.ok = false, "journal"),
        (|s| s.clock.trusted = false, "NTP"),
        (|s| s.policy.loaded = false, "no policy"),
        (|s| s.enrolled = false, "not enrolled"),
        (|s| s.control_plane.connected = false, "does not answer"),
        (|s| s.integrations[0].reachable = false, "JumpCloud does not answer"),
        (|s| s.raises_paused = vec!["strange".into()], "nothing is granted: strange"),
    ];
    for (change, words) in bad {
        let text = said(change);
        assert!(text.starts_with("NOT WELL: one thing") && text.contains(words), "{words}: {text}");
    }
    let frozen = said(|s| s.frozen = unwell().frozen);
    assert!(frozen.starts_with("All is well, and nothing is granted:\n! frozen since"), "{frozen}");
}

#[test]
fn the_operations_page_shows_these_very_screens() {
    let page = include_str!("../../../docs/operations.md");
    for status in [well(), unwell()] {
        let screen = render(&status);
        assert!(page.contains(&screen), "docs/operations.md lacks:\n{screen}");
    }
}
