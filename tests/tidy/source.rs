//! A source file as the tidy rules see it: code without comments, literals and test items, and the
//! paths that it names. Refuses to be a parser: it knows just enough Rust to not be fooled by the
//! words in a string or a comment.

use std::iter::Peekable;

/// One file: its path below the repository's root, its text, its code.
pub(crate) struct Source {
    pub path: String,
    pub text: String,
    code: String,
}

/// A path as written, groups expanded: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub line: usize,
    pub text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_test = path.rsplit('/').next() == Some("tests.rs") || path.contains("/tests/");
        let code = if !path.ends_with(".rs") || is_test { String::new() } else { without_tests(&bare(text)) };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The top module that the file belongs to: `engine` for `src/engine/plan.rs`; none for `lib.rs`.
    pub(crate) fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let module = below.split('/').next()?.trim_end_matches(".rs");
        (module != "lib").then_some(module)
    }

    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, text)| (index + 1, text))
    }

    pub(crate) fn paths(&self) -> Vec<PathUse> {
        let mut tokens = tokens(&self.code).into_iter().peekable();
        let mut found = Vec::new();
        let mut before = Token::Other(' ');
        while let Some((line, token)) = tokens.next() {
            if let Token::Word(word) = &token
                && !matches!(before, Token::Other('.') | Token::Joint)
            {
                follow(word.clone(), line, &mut tokens, &mut found);
            }
            before = token;
        }
        found
    }

    /// The top module of ours that a path leads to, if it leads to one.
    pub(crate) fn target_module<'a>(&self, path: &'a PathUse) -> Option<&'a str> {
        let mut segments = path.text.split("::");
        match segments.next()? {
            "crate" | "ephemerald" => segments.next(),
            "super" => {
                let ups = 1 + path.text.split("::").skip(1).take_while(|segment| *segment == "super").count();
                (ups >= self.depth()).then(|| path.text.split("::").nth(ups)).flatten()
            }
            _ => None,
        }
    }

    /// How many modules deep the file is below the crate: 1 for `src/http.rs`, `src/engine/mod.rs`.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }
}

#[derive(Debug)]
enum Token {
    Word(String),
    /// `::`
    Joint,
    Other(char),
}

/// Reads what follows the word `start` of a path, which may be a group, and records each path.
fn follow(
    start: String,
    line: usize,
    tokens: &mut Peekable<impl Iterator<Item = (usize, Token)>>,
    found: &mut Vec<PathUse>,
) {
    let mut path = start;
    while tokens.next_if(|(_, token)| matches!(token, Token::Joint)).is_some() {
        match tokens.peek() {
            Some((_, Token::Word(_) | Token::Other('*'))) => match tokens.next() {
                Some((_, Token::Word(word))) => path = format!("{path}::{word}"),
                _ => path.push_str("::*"),
            },
            Some((_, Token::Other('{'))) => {
                tokens.next();
                return group(&path, tokens, found);
            }
            _ => break,
        }
    }
    found.push(PathUse { line, text: path });
}

fn group(
    prefix: &str,
    tokens: &mut Peekable<impl Iterator<Item = (usize, Token)>>,
    found: &mut Vec<PathUse>,
) {
    while let Some((line, token)) = tokens.next() {
        match token {
            Token::Word(word) if word == "self" => found.push(PathUse { line, text: prefix.to_owned() }),
            Token::Word(word) if word == "as" => drop(tokens.next()),
            Token::Word(word) => follow(format!("{prefix}::{word}"), line, tokens, found),
            Token::Other('}') => return,
            Token::Joint | Token::Other(_) => {}
        }
    }
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut chars = code.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '\n' => line += 1,
            ':' if chars.next_if_eq(&':').is_some() => found.push((line, Token::Joint)),
            _ if next.is_alphanumeric() || next == '_' => {
                let mut word = String::from(next);
                while let Some(more) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(more);
                }
                found.push((line, Token::Word(word)));
            }
            _ if next.is_whitespace() => {}
            _ => found.push((line, Token::Other(next))),
        }
    }
    found
}

/// The text with comments and literals blanked; line breaks stay where they are.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = comment(rest).or_else(|| literal(rest, out.chars().last()));
        let (length, keep) = skip.map_or_else(|| (first.len_utf8(), true), |length| (length, false));
        let (head, tail) = rest.split_at(length);
        if keep {
            out.push_str(head);
        } else {
            out.push(' ');
            out.extend(head.chars().filter(|c| *c == '\n'));
        }
        rest = tail;
    }
    out
}

/// The length of the comment that `text` starts with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then(|| text.find("*/").map_or(text.len(), |end| end + 2))
}

/// The length of the string or character literal that `text` starts with.
pub(crate) fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let inside_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !inside_word && text.starts_with('r') {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        if text[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return Some(text[body..].find(&close).map_or(text.len(), |end| body + end + close.len()));
        }
    }
    if text.starts_with('"') {
        return Some(closing(text, '"'));
    }
    let mut chars = text.chars();
    let is_char = chars.next() == Some('\'')
        && match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        };
    is_char.then(|| closing(text, '\''))
}

fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if next == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The code with every item behind `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (head, tail) = rest.split_at(at);
        let (item, after) = tail.split_at(item_length(tail));
        out.push_str(head);
        out.extend(item.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Up to the `;` before any brace, or to the brace that closes the first one.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, next) in code.char_indices() {
        match next {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}
