//! Which cells there are: one for each value of each switch alone, and the rows of a covering array
//! over all of them. The switches come from the simulator, so that a new one enters by itself.

use ephemerald::sandbox::jumpcloud::Switches;
use serde_json::{Map, Value, json};

use crate::pairs;

/// One kind of tenant.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Its name in the table and in file names.
    pub(crate) name: String,
    /// `single` or `multiple`, as the agent is configured.
    pub(crate) role_mode: String,
    pub(crate) switches: Switches,
    /// The values that are not the default, by name.
    pub(crate) differs: Vec<(&'static str, Value)>,
}

/// A name and its values, the default first.
pub(crate) type Factor = (&'static str, Vec<Value>);

const ROLE_MODE: &str = "role_mode";
const PAIRS: &str = "pairs";

/// The agent's role mode and every switch.
pub(crate) fn factors() -> Vec<Factor> {
    let mode = (ROLE_MODE, vec![json!("single"), json!("multiple")]);
    [mode].into_iter().chain(Switches::domain()).collect()
}

pub(crate) fn sizes(factors: &[Factor]) -> Vec<usize> {
    factors.iter().map(|(_, values)| values.len()).collect()
}

/// The defaults and each other value of each switch with everything else as by default, in both role
/// modes.
pub(crate) fn alone() -> Vec<Cell> {
    let factors = factors();
    let mut rows = vec![vec![0; factors.len()]];
    for (at, (_, values)) in factors.iter().enumerate().skip(1) {
        rows.extend((1..values.len()).map(|value| {
            let mut row = vec![0; factors.len()];
            row[at] = value;
            row
        }));
    }
    let mut cells = Vec::new();
    for row in rows {
        for mode in 0..factors[0].1.len() {
            let mut row = row.clone();
            row[0] = mode;
            let said: Vec<String> = chosen(&factors, &row).filter(|(at, ..)| *at > 0).map(said).collect();
            let name = if said.is_empty() { "the defaults".to_owned() } else { said.join(" ") };
            cells.push(cell(&factors, &row, name));
        }
    }
    cells
}

/// Every two values of any two factors, together in some cell.
pub(crate) fn pairwise() -> Vec<Cell> {
    let factors = factors();
    let rows = pairs::cover(&sizes(&factors));
    let named =
        rows.iter().enumerate().map(|(at, row)| cell(&factors, row, format!("{PAIRS} {:02}", at + 1)));
    named.collect()
}

fn cell(factors: &[Factor], row: &[usize], name: String) -> Cell {
    let differs: Vec<(&str, Value)> =
        chosen(factors, row).map(|(_, name, value)| (name, value.clone())).collect();
    let switches: Map<String, Value> = differs
        .iter()
        .filter(|(name, _)| *name != ROLE_MODE)
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let role_mode = factors[0].1[row[0]].as_str().unwrap().to_owned();
    Cell { name, role_mode, switches: serde_json::from_value(Value::Object(switches)).unwrap(), differs }
}

/// The choices of a row that are not the default.
fn chosen<'a>(
    factors: &'a [Factor],
    row: &'a [usize],
) -> impl Iterator<Item = (usize, &'static str, &'a Value)> {
    let all = factors.iter().zip(row).enumerate();
    all.filter(|(_, (_, value))| **value > 0)
        .map(|(at, ((name, values), &value))| (at, *name, &values[value]))
}

fn said((_, name, value): (usize, &str, &Value)) -> String {
    shown(name, value)
}

/// `role_name=adds`.
pub(crate) fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    }
}

impl Cell {
    /// Whether it is a row of the covering array.
    pub(crate) fn is_pairwise(&self) -> bool {
        self.name.starts_with(PAIRS)
    }

    /// Whether a switch has this value, which is not its default.
    pub(crate) fn has(&self, switch: &str, value: &str) -> bool {
        self.differs.iter().any(|(name, own)| *name == switch && own == value)
    }

    /// The cell's name, fit for a file.
    pub(crate) fn file(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '=' || c == '.' { c } else { '-' };
        format!("{} {}", self.name, self.role_mode).chars().map(plain).collect()
    }
}
