//! Which cells there are: one for each value of each switch alone, and the rows of a covering array
//! over all of them. The switches come from the simulator, so that a new one enters by itself.

use ephemerald::sandbox::jumpcloud::Switches;
use serde_json::{Map, Value, json};

use crate::pairs::{self, Choice};

/// One kind of tenant.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Its name in the table and in file names.
    pub(crate) name: String,
    /// `single` or `multiple`, as the agent is configured.
    pub(crate) role_mode: String,
    /// `key_and_org_id`, `service_account`, or empty for a key alone.
    pub(crate) credential: String,
    /// Whether the agent asks Directory Insights for hints.
    pub(crate) insights: bool,
    /// How long JumpCloud takes before it deals with a request.
    pub(crate) latency_ms: u64,
    pub(crate) switches: Switches,
    /// The values that are not the default, by name.
    pub(crate) differs: Vec<(&'static str, Value)>,
    /// Whether something in it is known to hinder every grant.
    pub(crate) hindered: bool,
}

/// A name and its values, the default first.
pub(crate) type Factor = (&'static str, Vec<Value>);

const ROLE_MODE: &str = "role_mode";
const CREDENTIAL: &str = "credential";
const INSIGHTS: &str = "insights";
const LATENCY: &str = "latency_ms";
const PAIRS: &str = "pairs";
const DEFAULTS: &str = "the defaults";

/// How the agent is configured, how long JumpCloud takes to answer (a fault of the simulator), and every
/// switch. The role mode is the first.
pub(crate) fn factors() -> Vec<Factor> {
    let agent = [
        (ROLE_MODE, vec![json!("single"), json!("multiple")]),
        (CREDENTIAL, vec![json!("key"), json!("key_and_org_id"), json!("service_account")]),
        (INSIGHTS, vec![json!(false), json!(true)]),
        (LATENCY, vec![json!(0), json!(1_100)]),
    ];
    agent.into_iter().chain(Switches::domain()).collect()
}

pub(crate) fn sizes(factors: &[Factor]) -> Vec<usize> {
    factors.iter().map(|(_, values)| values.len()).collect()
}

const SERVICE: (&str, &str) = (CREDENTIAL, "service_account");
const ORG_ID: (&str, &str) = (CREDENTIAL, "key_and_org_id");

/// What hinders every grant by itself, as the rows of the table show: such values meet all others in
/// rows of their own, so that they do not hide what these do.
const HINDERING: &[&[(&str, &str)]] = &[
    &[("total_count", "too_high")],
    &[("total_count", "too_low")],
    &[("put_omitted", "flags_reset")],
    &[("sort", "false"), ("unstable_order", "true")],
    &[("page_max", "3"), ("page_over_max_refused", "true")],
    &[("get_self", "false"), ("organizations_status", "403")],
    &[("get_self", "false"), ("organizations_status", "404")],
    &[("organization_shown", "false"), ("organizations_status", "403")],
    &[("organization_shown", "false"), ("organizations_status", "404")],
    &[SERVICE, ("services_write_admins", "false")],
    &[SERVICE, ("get_self_for_services", "not_found"), ("organizations_status", "404")],
    &[SERVICE, ("get_self_for_services", "forbidden"), ("organizations_status", "404")],
    &[ORG_ID, ("users_refuse_org_id", "true"), ("organizations_status", "403")],
    &[ORG_ID, ("users_refuse_org_id", "true"), ("organizations_status", "404")],
    &[ORG_ID, ("org_id_on_users_read", "refused"), ("organizations_status", "403")],
    &[ORG_ID, ("org_id_on_users_read", "refused"), ("organizations_status", "404")],
    &[("role_mode", "multiple"), ("plural_roles_shown", "false")],
    &[("role_mode", "multiple"), ("plural_roles", "empty")],
    &[("role_mode", "multiple"), ("plural_roles", "with_several")],
];

/// [`HINDERING`] as choices.
fn hindering(factors: &[Factor]) -> Vec<Vec<Choice>> {
    let choice = |(name, wanted): &(&str, &str)| {
        let at = factors.iter().position(|(factor, _)| factor == name).unwrap();
        let value = factors[at].1.iter().position(|value| plain(value) == *wanted).unwrap();
        (at, value)
    };
    HINDERING.iter().map(|values| values.iter().map(choice).collect()).collect()
}

/// The defaults and each other value of each switch with everything else as by default, in both role
/// modes; and what hinders only together.
pub(crate) fn alone() -> Vec<Cell> {
    let factors = factors();
    let single = |(at, (_, values)): (usize, &Factor)| {
        (1..values.len()).map(move |value| vec![(at, value)]).collect::<Vec<_>>()
    };
    let together = hindering(&factors).into_iter().filter(|choices| choices.len() > 1);
    let together = together.map(|choices| choices.into_iter().filter(|(at, _)| *at > 0).collect::<Vec<_>>());
    let mut all: Vec<Vec<Choice>> =
        factors.iter().enumerate().skip(1).flat_map(single).chain(together).collect();
    all.dedup();
    let mut cells = Vec::new();
    for choices in [Vec::new()].into_iter().chain(all.into_iter().filter(|choices| !choices.is_empty())) {
        for mode in 0..factors[0].1.len() {
            let mut row = vec![0; factors.len()];
            row[0] = mode;
            for (at, value) in &choices {
                row[*at] = *value;
            }
            let said: Vec<String> = chosen(&factors, &row).filter(|(at, ..)| *at > 0).map(said).collect();
            let name = if said.is_empty() { DEFAULTS.to_owned() } else { said.join(" ") };
            let cell = cell(&factors, &row, name);
            if !cells
                .iter()
                .any(|known: &Cell| (&known.name, &known.role_mode) == (&cell.name, &cell.role_mode))
            {
                cells.push(cell);
            }
        }
    }
    cells
}

/// Every two values of any two factors, together in some cell. The cells that are not hindered come
/// first.
pub(crate) fn pairwise() -> Vec<Cell> {
    let factors = factors();
    let hindering = hindering(&factors);
    let clear = |row: &[Choice]| !hindering.iter().any(|all| all.iter().all(|choice| row.contains(choice)));
    let (rows, first) = pairs::cover(&sizes(&factors), clear);
    let named = rows.iter().enumerate().map(|(at, row)| {
        let cell = cell(&factors, row, format!("{PAIRS} {:02}", at + 1));
        debug_assert_eq!(cell.hindered, at >= first);
        cell
    });
    named.collect()
}

fn cell(factors: &[Factor], row: &[usize], name: String) -> Cell {
    let differs: Vec<(&str, Value)> =
        chosen(factors, row).map(|(_, name, value)| (name, value.clone())).collect();
    let switches: Map<String, Value> = differs
        .iter()
        .filter(|(name, _)| ![ROLE_MODE, CREDENTIAL, INSIGHTS, LATENCY].contains(name))
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let role_mode = factors[0].1[row[0]].as_str().unwrap().to_owned();
    let switches = serde_json::from_value(Value::Object(switches)).unwrap();
    let value =
        |wanted: &str| differs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| plain(value));
    let credential = value(CREDENTIAL).unwrap_or_default();
    let insights = value(INSIGHTS).is_some();
    let latency_ms = value(LATENCY).map_or(0, |ms| ms.parse().unwrap());
    let has = |(wanted, value): &(&str, &str)| {
        differs.iter().any(|(name, own)| name == wanted && plain(own) == *value)
    };
    let hindered = HINDERING.iter().any(|values| values.iter().all(has));
    Cell { name, role_mode, credential, insights, latency_ms, switches, differs, hindered }
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
    format!("{name}={}", plain(value))
}

/// A value without the quotes of a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Cell {
    /// Whether what comes of it depends on how fast things are.
    pub(crate) fn depends_on_time(&self) -> bool {
        let timed = |name: &str| {
            name == LATENCY || name.contains("lag") || name.contains("stale") || name.contains("rate_limit")
        };
        self.differs.iter().any(|(name, _)| timed(name)) || self.is_unsteady()
    }

    /// Whether grants are hindered now and then.
    pub(crate) fn is_unsteady(&self) -> bool {
        self.has("sort", "false") && self.has("unstable_order", "true")
    }

    /// Whether it is a row of the covering array.
    pub(crate) fn is_pairwise(&self) -> bool {
        self.name.starts_with(PAIRS)
    }

    /// Whether every switch is as by default.
    pub(crate) fn is_the_default(&self) -> bool {
        self.name == DEFAULTS
    }

    /// Whether a switch has this value, which is not its default.
    pub(crate) fn has(&self, switch: &str, value: &str) -> bool {
        self.differs.iter().any(|(name, own)| *name == switch && plain(own) == value)
    }

    /// The cell's name, fit for a file.
    pub(crate) fn file(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '=' || c == '.' { c } else { '-' };
        format!("{} {}", self.name, self.role_mode).chars().map(plain).collect()
    }
}
