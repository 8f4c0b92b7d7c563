//! Text for eyes: at most 80 columns, so that it can be read on any terminal, and in a mail.
//!
//! Refuses to break a word: a path or an address that is longer than a line stays whole.

/// What every terminal has.
pub const WIDTH: usize = 80;
/// A gap further to the right stands inside of a sentence and not before a description.
const LAST_COLUMN: usize = 44;

/// Breaks lines that are too long at spaces. What follows stands below the first line's last column, or below its
/// beginning.
#[must_use]
pub fn fold(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(whole: &str) -> String {
    let text = whole.trim_end_matches('\n');
    if text.chars().count() <= WIDTH {
        return whole.to_owned();
    }
    let hang = hang(text);
    let at = text.char_indices().nth(hang).map_or(text.len(), |(at, _)| at);
    let (lead, text) = text.split_at(at);
    let pieces = wrapped(text, WIDTH - hang).join(&format!("\n{:hang$}", ""));
    format!("{lead}{pieces}{}", if whole.ends_with('\n') { "\n" } else { "" })
}

/// The column behind the last gap of two spaces, or of the first word; behind the mark that stands there.
fn hang(text: &str) -> usize {
    let chars: Vec<char> = text.chars().take(LAST_COLUMN).collect();
    let first = chars.iter().take_while(|c| **c == ' ').count();
    let begins = |at: &usize| matches!(chars[at - 2..=*at], [' ', ' ', c] if c != ' ');
    let column = (2..chars.len()).rev().find(begins).unwrap_or(first);
    let rest = chars[column..].iter().collect::<String>();
    let mark = ["-> ", "· ", "- ", "! ", "Usage: "].into_iter().find(|mark| rest.starts_with(mark));
    column + mark.map_or(0, |mark| mark.chars().count())
}

/// The text in pieces of at most `width` characters, cut at spaces.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut pieces: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = pieces.last().map_or(0, |piece| piece.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            if !piece.is_empty() {
                piece.push(' ');
            }
            piece.push_str(word);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_wrapped_at_spaces_and_loses_nothing() {
        let text = "one two three four five";
        let pieces = wrapped(text, 9);
        assert_eq!(pieces, ["one two", "three", "four five"]);
        assert_eq!(pieces.join(" "), text);
        assert_eq!(wrapped("unbreakable", 4), ["unbreakable"]);
    }

    #[test]
    fn a_line_that_is_too_long_goes_on_below_its_last_column() {
        let words = "word ".repeat(20);
        for (lead, hang) in [
            ("", 0),
            ("  ", 2),
            ("problem     ", 12),
            ("  ok    TLS              ", 25),
            ("                         -> ", 28),
            ("        · ", 10),
        ] {
            let text = fold(&format!("short\n{lead}{}\n", words.trim_end()));
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
            assert!(lines[1].starts_with(&format!("{lead}word")), "{text}");
            assert!(lines[2].starts_with(&format!("{}word", " ".repeat(hang))), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_broken_stays_whole_and_what_fits_stays_as_it_is() {
        let path = "/".to_owned() + &"x".repeat(100);
        assert_eq!(fold(&format!("identity    {path}\n")), format!("identity    {path}\n"));
        assert_eq!(fold(&format!("it lies in {path}")), format!("it lies in\n{path}"));
        let fits = "a  b\n\n".to_owned() + &"c".repeat(80);
        assert_eq!(fold(&fits), fits);
    }
}
