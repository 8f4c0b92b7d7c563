//! Asking a person, over any input and any screen.
//!
//! Refuses: to show a secret while it is typed or afterwards; to take an answer that its check
//! refuses (it says why and asks again); to guess when the input ends.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{columns::fold, secrets::Secret};

/// The longest secret that is typed or pasted, in bytes.
const SECRET_MAX: usize = 16 * 1024;

/// A conversation.
pub(super) struct Prompt<R, W> {
    input: R,
    screen: W,
    /// Whether the input is the terminal of standard input, whose echo must be switched off.
    terminal: bool,
}

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// No more input.
    #[error("the input ended: nothing was written")]
    Ended,
    /// The person does not want to go on.
    #[error("stopped: nothing was written")]
    Given,
    /// The terminal broke.
    #[error("the terminal: {0}; nothing was written")]
    Terminal(#[from] io::Error),
}

/// Switches echo and line editing off until it is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        // Without ISIG, so that Ctrl-C comes as a byte and the terminal is put right before we go.
        silent.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        // What was typed ahead has been echoed: it is thrown away.
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl<R: BufRead, W: Write> Prompt<R, W> {
    pub(super) fn new(input: R, screen: W, terminal: bool) -> Self {
        Self { input, screen, terminal }
    }

    /// Says something in lines that fit.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Stopped> {
        self.show(&fold(text))
    }

    /// Shows a text as it is, and an end of line.
    pub(super) fn show(&mut self, text: &str) -> Result<(), Stopped> {
        writeln!(self.screen, "{text}")?;
        Ok(self.screen.flush()?)
    }

    /// Asks until `check` takes the answer; Enter alone is the usual answer.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        usual: &str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Stopped> {
        loop {
            let shown = if usual.is_empty() { String::new() } else { format!(" [{usual}]") };
            write!(self.screen, "{}", fold(&format!("{question}{shown}: ")))?;
            self.screen.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Err(Stopped::Ended);
            }
            let typed = line.trim();
            match check(if typed.is_empty() { usual } else { typed }) {
                Ok(answer) => return Ok(answer),
                Err(problem) => self.say(&format!("  {problem}"))?,
            }
        }
    }

    /// Asks for yes or no.
    pub(super) fn yes(&mut self, question: &str, usual: bool) -> Result<bool, Stopped> {
        self.ask(question, if usual { "yes" } else { "no" }, |text| {
            match text.to_ascii_lowercase().as_str() {
                "y" | "yes" => Ok(true),
                "n" | "no" => Ok(false),
                _ => Err("yes or no?".to_owned()),
            }
        })
    }

    /// Asks for one of several things, by number; the first one is the usual one.
    pub(super) fn choose<T: Copy>(&mut self, question: &str, things: &[(T, &str)]) -> Result<T, Stopped> {
        for (number, (_, thing)) in things.iter().enumerate() {
            self.say(&format!("  {}) {thing}", number + 1))?;
        }
        self.ask(question, "1", |text| {
            let number = text.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let chosen = number.and_then(|n| things.get(n)).map(|(thing, _)| *thing);
            chosen.ok_or_else(|| format!("a number from 1 to {}", things.len()))
        })
    }

    /// Asks for a secret; `None` when it is left empty. Says how long it was, as the only sign.
    pub(super) fn secret(&mut self, question: &str) -> Result<Option<Secret>, Stopped> {
        loop {
            write!(self.screen, "{question} (not shown): ")?;
            self.screen.flush()?;
            let typed = {
                let _hidden = self.terminal.then(Hidden::begin).transpose()?;
                self.typed()
            };
            self.say("")?;
            let bytes = typed?;
            match std::str::from_utf8(&bytes).map(str::trim) {
                Ok("") => return Ok(None),
                Ok(_) if bytes.len() >= SECRET_MAX => self.say("  too long: expected less than 16 KiB")?,
                Ok(text) => {
                    self.say(&format!("  {} characters", text.chars().count()))?;
                    return Ok(Some(Secret::new(text.to_owned())));
                }
                Err(_) => self.say("  not readable as text: paste it again")?,
            }
        }
    }

    /// One line, byte by byte, with the few keys that a person needs. Never grows, so that no copy of
    /// the secret is left behind by moving it.
    fn typed(&mut self) -> Result<Zeroizing<Vec<u8>>, Stopped> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX));
        loop {
            let Some(&byte) = self.input.fill_buf()?.first() else { return Err(Stopped::Ended) };
            self.input.consume(1);
            match byte {
                b'\r' | b'\n' => return Ok(bytes),
                0x03 => return Err(Stopped::Given),
                0x04 => return Err(Stopped::Ended),
                0x08 | 0x7f => drop(bytes.pop()),
                0x15 => bytes.clear(),
                _ if byte.is_ascii_control() || bytes.len() == SECRET_MAX => {}
                _ => bytes.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(typed: &str) -> Prompt<io::Cursor<Vec<u8>>, Vec<u8>> {
        Prompt::new(io::Cursor::new(typed.as_bytes().to_vec()), Vec::new(), false)
    }

    fn shown(prompt: Prompt<io::Cursor<Vec<u8>>, Vec<u8>>) -> String {
        String::from_utf8(prompt.screen).unwrap()
    }

    #[test]
    fn a_refused_answer_is_explained_and_asked_again() {
        let mut prompt = conversation("maybe\nN\n");
        assert!(!prompt.yes("Sure?", true).unwrap());
        assert_eq!(shown(prompt), "Sure? [yes]:   yes or no?\nSure? [yes]: ");
    }

    #[test]
    fn a_secret_can_be_corrected_while_it_is_typed_and_is_not_on_the_screen() {
        let mut prompt = conversation("wrong\x15canarz\x7fy\x1b\r");
        assert_eq!(prompt.secret("Key").unwrap().unwrap().expose(), "canary");
        let shown = shown(prompt);
        assert!(shown.contains("6 characters") && !shown.contains("canar"), "{shown}");
    }

    #[test]
    fn the_end_of_the_input_and_ctrl_c_stop_the_conversation() {
        assert!(matches!(conversation("").yes("Sure?", true), Err(Stopped::Ended)));
        assert!(matches!(conversation("abc").secret("Key"), Err(Stopped::Ended)));
        assert!(matches!(conversation("abc\x03").secret("Key"), Err(Stopped::Given)));
        assert!(conversation("\n").secret("Key").unwrap().is_none());
    }
}
