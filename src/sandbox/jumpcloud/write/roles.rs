//! What a body makes of an account's roles: everything about it that nobody has published is a switch.
//!
//! Refuses roles that do not exist, and those that the switches forbid to give.

use serde_json::Value;

use super::{
    super::{
        roles::Role,
        state::State,
        switches::{BlankRole, BothWritten, FieldWritten, RoleNameWrite, RoleNamesWrite, Switches},
    },
    Fields, Refusal, Writer, bad, refusal,
};

/// The roles after a write, in the order in which they were given.
///
/// # Errors
/// The refusal to answer.
pub(super) fn after(
    state: &State,
    switches: &Switches,
    writer: &Writer<'_>,
    held: &[String],
    fields: &Fields,
) -> Result<Vec<String>, Refusal> {
    let reader = Reader { state, switches };
    let mut one = reader.lone(fields)?;
    match switches.role_field {
        FieldWritten::Refused if fields.has("role") => return Err(bad("role is not allowed")),
        FieldWritten::Obeyed if matches!(one, Lone::NotWritten) => one = reader.role_field(fields)?,
        _ => {}
    }
    let several = reader.several(fields)?;
    let roles = match (one, several) {
        (Lone::NotWritten, None) => held.to_vec(),
        (Lone::Nothing, _) => Vec::new(),
        (Lone::Role(one), Some(_)) if switches.both == BothWritten::RoleNameWins => vec![one],
        (_, Some(several)) if switches.role_names == RoleNamesWrite::Adds => with(held, several),
        (_, Some(several)) => with(&[], several),
        (Lone::Role(one), None) => with_lone_role(switches.role_name, held, one),
    };
    match roles.iter().filter(|role| !held.contains(role)).find(|role| !reader.may_give(writer, role)) {
        Some(role) => {
            let message = format!("Forbidden: you cannot give the role {role:?}");
            Err(refusal(switches.forbidden_role_status, &message))
        }
        None => Ok(roles),
    }
}

/// What `roleName` says.
enum Lone {
    NotWritten,
    Nothing,
    Role(String),
}

struct Reader<'a> {
    state: &'a State,
    switches: &'a Switches,
}

impl Reader<'_> {
    fn lone(&self, fields: &Fields) -> Result<Lone, Refusal> {
        let blank = match fields.value("roleName") {
            None => return Ok(Lone::NotWritten),
            Some(Value::Null) => true,
            Some(Value::String(name)) => name.trim().is_empty(),
            Some(_) => false,
        };
        match self.switches.blank_role {
            BlankRole::Ignored if blank => Ok(Lone::NotWritten),
            BlankRole::Removes if blank => Ok(Lone::Nothing),
            _ => self.named(fields.text("roleName")?.unwrap_or_default()),
        }
    }

    fn named(&self, name: &str) -> Result<Lone, Refusal> {
        Ok(self.known(name)?.map_or(Lone::NotWritten, Lone::Role))
    }

    /// `role` takes names and identifiers alike.
    fn role_field(&self, fields: &Fields) -> Result<Lone, Refusal> {
        let Some(text) = fields.text("role")? else { return Ok(Lone::NotWritten) };
        match self.state.roles.iter().find(|role| role.id == text) {
            Some(role) => Ok(Lone::Role(role.name.clone())),
            None => self.named(text),
        }
    }

    fn several(&self, fields: &Fields) -> Result<Option<Vec<String>>, Refusal> {
        let names = match self.switches.role_names {
            RoleNamesWrite::Ignored => return Ok(None),
            RoleNamesWrite::Refused if fields.has("roleNames") => {
                return Err(bad("roleNames is not allowed"));
            }
            _ => fields.texts("roleNames")?,
        };
        let Some(names) = names else { return Ok(None) };
        if names.is_empty() && !self.switches.empty_roles_accepted {
            return Err(bad("roleNames must not be empty"));
        }
        let mut roles = Vec::new();
        for name in &names {
            roles.extend(self.known(name)?);
        }
        // If every name is ignored, so is the field.
        Ok((names.is_empty() || !roles.is_empty()).then_some(roles))
    }

    /// The exact name of a role; none if it does not exist and such names are ignored.
    fn known(&self, name: &str) -> Result<Option<String>, Refusal> {
        let switches = self.switches;
        let name = if switches.role_trimmed { name.trim() } else { name };
        let same = |role: &&Role| {
            let is_named =
                role.name == name || (switches.role_case_ignored && role.name.eq_ignore_ascii_case(name));
            (is_named && (switches.custom_role_names || !role.is_custom()))
                || (switches.role_ids_accepted && role.id == name)
        };
        match self.state.roles.iter().find(same) {
            Some(role) => Ok(Some(role.name.clone())),
            None if switches.unknown_role_status < 300 => Ok(None),
            None => {
                let message = format!("Bad Request: role {name:?} not found");
                Err(refusal(switches.unknown_role_status, &message))
            }
        }
    }

    fn may_give(&self, writer: &Writer<'_>, role: &str) -> bool {
        let above = self.state.role(role).is_some_and(|role| writer.caller.is_below(role, self.state));
        !self.switches.ungrantable_roles.iter().any(|no| no == role)
            && (self.switches.roles_above_own || !above)
    }
}

fn with_lone_role(meaning: RoleNameWrite, held: &[String], role: String) -> Vec<String> {
    match meaning {
        RoleNameWrite::IgnoredWithSeveral if held.len() > 1 => held.to_vec(),
        RoleNameWrite::ReplacesAll | RoleNameWrite::IgnoredWithSeveral => vec![role],
        RoleNameWrite::ReplacesFirst => with(&[role], held.get(1..).unwrap_or_default().to_vec()),
        RoleNameWrite::Adds => with(held, vec![role]),
    }
}

fn with(held: &[String], more: Vec<String>) -> Vec<String> {
    let mut roles = held.to_vec();
    for role in more {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}
