//! Makes inputs from kept ones: changes of bits, bytes and numbers, cuts, repetitions, pieces of two inputs,
//! words. One seed, one sequence of inputs.
//!
//! Refuses to know what an input means.

/// The longest input that is made.
const LONGEST: usize = 16 * 1024;
/// What numbers are most often wrong at.
const NUMBERS: [&str; 8] =
    ["0", "-1", "1", "255", "4294967296", "9223372036854775807", "18446744073709551615", "1e18"];

/// A sequence of inputs.
pub(crate) struct Mutator<'a> {
    /// splitmix64.
    dice: u64,
    kept: &'a [Vec<u8>],
    words: Vec<Vec<u8>>,
}

impl<'a> Mutator<'a> {
    /// `words` is a dictionary in libFuzzer's form: `"word"` or `name="word"`, a line each.
    pub(crate) fn new(seed: u64, kept: &'a [Vec<u8>], words: &str) -> Self {
        Self { dice: seed, kept, words: words.lines().filter_map(word).collect() }
    }

    /// The next one.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.kept[self.below(self.kept.len())].clone();
        for _ in 0..1 + self.below(4) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let until = (at + self.below(24)).min(input.len());
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap_or(0),
            2 => input.truncate(at),
            3 => drop(input.drain(at..until)),
            4 => {
                let piece = input[at..until].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, piece));
            }
            5 => {
                let other = &self.kept[self.below(self.kept.len())];
                let from = self.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            6 => self.another_number(input, at),
            _ => self.another_word(input, at, until),
        }
    }

    /// In the place of a number, if one follows.
    fn another_number(&mut self, input: &mut Vec<u8>, at: usize) {
        let number = NUMBERS[self.below(NUMBERS.len())];
        let Some(begin) = input[at..].iter().position(u8::is_ascii_digit).map(|begin| at + begin) else {
            return;
        };
        let digits = input[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        input.splice(begin..begin + digits, number.bytes());
    }

    /// Between other bytes, in their place, or in the place of a quoted text.
    fn another_word(&mut self, input: &mut Vec<u8>, at: usize, until: usize) {
        if self.words.is_empty() {
            return;
        }
        let which = self.below(self.words.len());
        let word = self.words[which].clone();
        let quote =
            |from: usize| input[from..].iter().position(|byte| *byte == b'"').map(|found| from + found);
        let quoted = quote(at).and_then(|begin| Some((begin + 1, quote(begin + 1)?)));
        let (from, to) = match (self.below(3), quoted) {
            (0, _) => (at, at),
            (1, Some(quoted)) => quoted,
            _ => (at, until),
        };
        input.splice(from..to, word);
    }

    fn below(&mut self, end: usize) -> usize {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap_or(0) % end.max(1)
    }
}

/// The word of a line, without `\\`, `\"` and `\xNN`.
fn word(line: &str) -> Option<Vec<u8>> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (begin, end) = (line.find('"')?, line.rfind('"')?);
    let mut rest = line.get(begin + 1..end)?.bytes();
    let mut word = Vec::new();
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        word.push(match escaped {
            Some(b'x') => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            Some(other) => other,
            None => byte,
        });
    }
    Some(word)
}
