//! Covering arrays: few rows in which every two values of every two factors come together.
//!
//! Greedy and without chance, so that the rows are the same on every machine. Refuses to be optimal:
//! a few rows more cost seconds.

use std::collections::BTreeSet;

/// A value of a factor: the factor's place and the value's place in it.
pub(crate) type Choice = (usize, usize);

/// Every pair of values of two different factors, the earlier factor first.
pub(crate) fn all(sizes: &[usize]) -> BTreeSet<(Choice, Choice)> {
    let mut pairs = BTreeSet::new();
    for (first, &values) in sizes.iter().enumerate() {
        for (second, &others) in sizes.iter().enumerate().skip(first + 1) {
            pairs.extend((0..values).flat_map(|a| (0..others).map(move |b| ((first, a), (second, b)))));
        }
    }
    pairs
}

/// The pairs that one row holds.
pub(crate) fn held(row: &[usize]) -> impl Iterator<Item = (Choice, Choice)> {
    let choice = |at: usize| (at, row[at]);
    (0..row.len()).flat_map(move |a| (a + 1..row.len()).map(move |b| (choice(a), choice(b))))
}

/// Rows that together hold all pairs of `sizes`; `sizes[f]` is the number of values of factor `f`.
///
/// The first rows, and the number of them, hold what can be held by rows of which `clear` is true; it
/// is asked for a few choices at a time, and must not turn true again when more choices come.
pub(crate) fn cover(sizes: &[usize], clear: impl Fn(&[Choice]) -> bool) -> (Vec<Vec<usize>>, usize) {
    let mut open = Open::new(sizes);
    let mut rows = Vec::new();
    let possible = all(sizes).into_iter().filter(|(a, b)| clear(&[*a, *b]));
    fill(sizes, &mut open, possible, &clear, &mut rows);
    let first = rows.len();
    fill(sizes, &mut open, all(sizes), &|_: &[Choice]| true, &mut rows);
    (rows, first)
}

fn fill(
    sizes: &[usize],
    open: &mut Open,
    pairs: impl IntoIterator<Item = (Choice, Choice)>,
    clear: &impl Fn(&[Choice]) -> bool,
    rows: &mut Vec<Vec<usize>>,
) {
    for pair in pairs {
        if open.has(pair.0, pair.1)
            && let Some(row) = grown(sizes, open, pair, clear)
        {
            open.close(&row);
            rows.push(row);
        }
    }
}

/// The pairs that no row holds yet.
struct Open {
    /// Where the values of a factor begin in the numbering of all values.
    starts: Vec<usize>,
    /// For each two values, by their numbers.
    pairs: Vec<Vec<bool>>,
    /// How many open pairs each value is in.
    left: Vec<usize>,
}

impl Open {
    fn new(sizes: &[usize]) -> Self {
        let starts: Vec<usize> = (0..sizes.len()).map(|at| sizes[..at].iter().sum()).collect();
        let count = sizes.iter().sum();
        let mut open = Self { starts, pairs: vec![vec![false; count]; count], left: vec![0; count] };
        for (a, b) in all(sizes) {
            open.set(a, b, true);
        }
        open
    }

    fn number(&self, (factor, value): Choice) -> usize {
        self.starts[factor] + value
    }

    fn has(&self, a: Choice, b: Choice) -> bool {
        self.pairs[self.number(a)][self.number(b)]
    }

    fn set(&mut self, a: Choice, b: Choice, open: bool) {
        let (a, b) = (self.number(a), self.number(b));
        for (one, other) in [(a, b), (b, a)] {
            self.pairs[one][other] = open;
            if open { self.left[one] += 1 } else { self.left[one] -= 1 }
        }
    }

    fn close(&mut self, row: &[usize]) {
        for (a, b) in held(row) {
            if self.has(a, b) {
                self.set(a, b, false);
            }
        }
    }
}

/// A row that holds `pair` and, factor by factor, the value that brings the most open pairs; `None` if
/// there is no clear one.
fn grown(
    sizes: &[usize],
    open: &Open,
    pair: (Choice, Choice),
    clear: &impl Fn(&[Choice]) -> bool,
) -> Option<Vec<usize>> {
    let mut chosen: Vec<Choice> = vec![pair.0, pair.1];
    // Factors with many values first: they have the fewest rows to spare.
    let mut order: Vec<usize> = (0..sizes.len()).filter(|&f| f != pair.0.0 && f != pair.1.0).collect();
    order.sort_by_key(|&factor| std::cmp::Reverse(sizes[factor]));
    for factor in order {
        // Where nothing decides, the value with the most left to do.
        let gain = |value: usize| {
            let now = chosen.iter().filter(|other| open.has((factor, value), **other)).count();
            (now, open.left[open.number((factor, value))])
        };
        let is_clear = |value: &usize| {
            let mut with = chosen.clone();
            with.push((factor, *value));
            clear(&with)
        };
        // Backwards, as the last of the best wins: a tie goes to the default.
        let best = (0..sizes[factor]).rev().filter(is_clear).max_by_key(|&value| gain(value));
        chosen.push((factor, best?));
    }
    chosen.sort_unstable();
    Some(chosen.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(sizes: &[usize], rows: &[Vec<usize>]) -> usize {
        let covered: BTreeSet<_> = rows.iter().flat_map(|row| held(row)).collect();
        all(sizes).difference(&covered).count()
    }

    #[test]
    fn every_pair_of_values_comes_together_in_some_row() {
        for sizes in
            [vec![2, 2], vec![2, 3, 4, 5], vec![3; 13], vec![1, 2, 1, 3], [vec![2; 30], vec![6, 4]].concat()]
        {
            let (rows, _) = cover(&sizes, |_| true);
            assert!(rows.iter().all(|row| row.iter().zip(&sizes).all(|(value, size)| value < size)));
            assert_eq!(missing(&sizes, &rows), 0, "{sizes:?}");
            println!("{} factors, {} pairs: {} rows", sizes.len(), all(&sizes).len(), rows.len());
        }
    }

    #[test]
    fn a_row_that_is_left_out_leaves_pairs_uncovered() {
        let sizes = [4, 4, 3, 2];
        let (rows, _) = cover(&sizes, |_| true);
        assert_eq!(missing(&sizes, &rows[1..]).min(1), 1, "the count of missing pairs can fail");
    }

    #[test]
    fn there_are_few_rows_and_always_the_same() {
        let sizes = [6, 5, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2];
        let rows = cover(&sizes, |_| true).0;
        assert_eq!(rows, cover(&sizes, |_| true).0);
        let all: usize = sizes.iter().product();
        assert!(rows.len() <= 45, "{} rows of {all}", rows.len());
    }

    #[test]
    fn what_hinders_everything_else_is_left_to_the_last_rows() {
        let sizes = [3, 3, 2, 2, 2];
        let hinders =
            |row: &[Choice]| row.contains(&(0, 2)) || (row.contains(&(1, 1)) && row.contains(&(2, 1)));
        let (rows, first) = cover(&sizes, |row| !hinders(row));
        assert_eq!(missing(&sizes, &rows), 0);
        let hindered = |row: &Vec<usize>| hinders(&row.iter().copied().enumerate().collect::<Vec<_>>());
        assert!(first > 0 && !rows[..first].iter().any(hindered), "{rows:?}");
        assert!(rows[first..].iter().all(hindered), "{rows:?}");
    }
}
