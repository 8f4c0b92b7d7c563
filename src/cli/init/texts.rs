//! The text of the files, with the comments that a person needs who opens them later.
//!
//! Pure. Refuses to write what is the default anyway, so that the files say what was decided.

use std::{fmt::Write as _, path::Path};

use super::{
    answers::{Answers, PolicyAnswers},
    given::Mode,
    place::Place,
};

/// The main configuration.
pub(super) fn config(
    answers: &Answers,
    place: &Place,
    connection: &Path,
    control_ca: Option<&Path>,
) -> String {
    let (name, url_note) =
        (answers.name.as_deref(), "# Its address comes with the agent token, by `ephemerald enroll`.");
    let mut text = String::from(
        "# The agent's configuration, first written by `ephemerald init`; yours now.\n\
         # It is read at a start. `ephemerald config show` prints every key in force\n\
         # and its origin.\n\
         # No secret belongs into this file.\n\n[agent]\n\
         # The ledger and the agent's keys. Back it up: it says what must be revoked.\n",
    );
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&format!("state_dir = {}", path(&place.state_dir)));
    line("# Where `status`, `grants` and `health` ask the running agent.");
    line(&format!("control_socket = {}", path(&place.socket)));
    if let Some(name) = name {
        line("# Shown by the control plane.");
        line(&format!("name = {}", quoted(name)));
    }
    line("\n[control_plane]");
    line(url_note);
    if let Some(ca) = control_ca {
        line("# A private certificate authority that vouches for it.");
        line(&format!("ca_file = {}", path(ca)));
    }
    line("\n[policy]");
    line("# What may be raised at all; read again when it changes.");
    line(&format!("file = {}", path(&place.seen_as.join("policy.toml"))));
    line("\n[[integration]]");
    line("# The name that jobs use for this JumpCloud organization.");
    line(&format!("name = {}", quoted(answers.integration.as_str())));
    line("# Address and credential. Only the agent may read this file.");
    line(&format!("connection_file = {}", path(connection)));
    line("# single: one role each, a grant replaces it. multiple: a grant adds one.\n# Both undo it.");
    line(&format!("role_mode = {}", quoted(answers.role_mode.word())));
    text
}

/// The policy.
pub(super) fn policy(answers: &PolicyAnswers) -> String {
    let mut text = String::from(
        "# What this agent may raise, whatever a control plane signs.\n\
         # First written by `ephemerald init`; yours now.\n\
         # The agent takes a change by itself. Nothing in here ever stops an ending.\n\n",
    );
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(match answers.mode {
        Mode::DryRun => {
            "# A dry run: jobs are planned and reported, nothing is raised. When the\n# plans are what you want, write \"enforce\"."
        }
        Mode::Enforce => "# What is allowed is done. \"dry_run\" plans and reports only.",
    });
    line(&format!("mode = {}", quoted(answers.mode.word())));
    line(&format!("max_duration = {}", quoted(&answers.max_duration)));
    line("# Never raised: the owner, the break-glass account, whoever could undo\n# everybody else.");
    line(&list("protected_accounts", &answers.protected));
    line("\n# Each role that may be granted, as JumpCloud spells it, and for how long.");
    line("[roles]");
    for role in &answers.roles {
        line(&format!("{} = {}", quoted(&role.role), quoted(&role.longest)));
    }
    line("\n[accounts]");
    line("# Who may be raised: addresses, or \"*@example.com\". Empty: everybody who is\n# not protected.");
    line(&list("allow", &answers.allowed));
    line("\n# Administrator accounts that exist only as long as their grant, in these\n# domains.");
    line("[ephemeral]");
    line(&format!("allowed = {}", !answers.ephemeral_domains.is_empty()));
    line(&list("domains", &answers.ephemeral_domains));
    line("\n# What the access request behind a grant must carry.");
    line("[require]");
    line("request_number = true\njustification = true\napprovers = 1\nrequester_not_approver = true");
    text
}

fn list(key: &str, values: &[String]) -> String {
    let mut text = format!("{key} = [");
    let one_line = values.iter().map(|value| value.len() + 4).sum::<usize>() < 70;
    for (number, value) in values.iter().enumerate() {
        let before = match (one_line, number) {
            (false, _) => "\n  ",
            (true, 0) => "",
            (true, _) => " ",
        };
        let comma = if one_line && number + 1 == values.len() { "" } else { "," };
        let _ = write!(text, "{before}{}{comma}", quoted(value));
    }
    text.push_str(if one_line { "]" } else { "\n]" });
    text
}

/// A TOML string; JSON's escapes are a part of TOML's.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text serialises")
}

/// [`Place`] lets through only paths that are text.
fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}
