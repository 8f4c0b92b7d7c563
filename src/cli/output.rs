//! Printing: the one place that writes to standard output.
//!
//! Refuses: panicking when the reader of a pipe has gone; printing a secret.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use super::{Exit, Failure, exit};
use crate::{
    columns::fold,
    secrets::guard::{self, Outlet},
};

/// Prints text as it is.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    looked_over(text)?;
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Failed, error)),
        _ => Ok(()),
    }
}

/// Prints text for eyes, in lines of at most 80 columns. Looked over before it is folded, too: a secret that holds a space
/// is not found where a line ends in it.
pub(super) fn folded(lines: &str) -> Result<(), Failure> {
    looked_over(lines)?;
    text(&fold(lines))
}

fn looked_over(text: &str) -> Result<(), Failure> {
    guard::judge(Outlet::Output, text.as_bytes(), None)
        .map_err(|hit| Failure::new(Exit::Failed, exit::withheld(&hit)))
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let rendered = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Failed, error))?;
    text(&(rendered + "\n"))
}

/// Prints a value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let rendered = serde_json::to_string(value).map_err(|error| Failure::new(Exit::Failed, error))?;
    text(&(rendered + "\n"))
}

/// Cuts `value` to `width` characters, marking the cut; control characters become `?`.
pub(super) fn cell(value: &str, width: usize) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    if value.chars().count() <= width {
        return value.chars().map(clean).collect();
    }
    value.chars().take(width - 1).map(clean).chain(['…']).collect()
}

/// Seconds in at most seven characters: `42s`, `14m 3s`, `7h 12m`, `3d 4h`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A line that the next one overwrites, for the person at a terminal; nothing elsewhere.
pub(super) fn progress(text: &str) {
    let mut stderr = io::stderr().lock();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    }
}

/// Such lines while the chain of a long journal is followed; none is left.
pub(super) fn told_of_rows<T>(walk: impl FnOnce(&mut dyn FnMut(u64)) -> T) -> T {
    let walked = walk(&mut |rows| progress(&format!("{rows} records fit")));
    progress_over();
    walked
}

/// Takes the last such line away.
pub(super) fn progress_over() {
    progress("");
}

/// Whether standard output is a terminal, and how many lines it has.
pub(super) fn terminal_lines() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout);
    Some(size.map_or(24, |size| usize::from(size.ws_row)).max(5))
}

/// A line for the person at the terminal, on standard error; not output.
pub(super) fn hint(text: &str) {
    complain(text);
}

/// Lines on standard error: folded at a terminal, and as they are in a log or for another program, where one line is one
/// error.
pub fn complain(text: &str) {
    let mut stderr = io::stderr().lock();
    let text = if stderr.is_terminal() { fold(text) } else { text.to_owned() };
    // Nobody to read it is no reason to fail.
    let _ = writeln!(stderr, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;

    #[test]
    fn neither_what_is_printed_nor_what_went_wrong_holds_a_live_secret() {
        let canary = "jca_output-canary/03bb";
        let secret = Secret::new(canary.to_owned());
        let wrong = || Failure::new(Exit::Config, format!("{canary} is wrong"));
        for said in [text(canary).unwrap_err(), json(&[canary]).unwrap_err(), wrong()] {
            let said = said.to_string();
            assert!(!said.contains("canary") && said.contains(&secret.digest()), "{said}");
        }
        drop(secret);
        assert!(wrong().to_string().contains(canary));
    }

    #[test]
    fn a_secret_that_a_line_would_end_in_is_found_before_it_is_folded() {
        let phrase = "an output canary of 5 words";
        let _secret = Secret::new(phrase.to_owned());
        let line = format!("{} {phrase}", "x".repeat(70));
        assert!(!fold(&line).contains(phrase), "it would be in two pieces");
        assert!(folded(&line).is_err());
    }
}
