//! `x-org-id`: which organizations a request looks at.
//!
//! Refuses as JumpCloud documents it: 400 for a malformed identifier and for one that the path
//! contradicts, 401 if a multi-tenant key leaves it out, 403 where a route does not take it, 404 for
//! an unknown organization. Where its sources contradict each other, a switch decides.

use super::{
    super::{
        caller::Caller,
        reply::Reply,
        state::State,
        switches::{OrgIdRule, Switches},
        write,
    },
    Area, Request, area,
};

/// The organizations that the request looks at.
pub(super) fn of(
    state: &State,
    switches: &Switches,
    request: &Request,
    path: &[&str],
    caller: &Caller,
) -> Result<Vec<String>, Reply> {
    let Some((area, rest)) = area(path) else { return Ok(caller.sees.clone()) };
    let given = request.org_id.as_deref();
    match rule(switches, request, area, rest) {
        OrgIdRule::Refused if given.is_some() => {
            Err(Reply::error(403, "Forbidden: organization selection not allowed via header"))
        }
        OrgIdRule::Refused | OrgIdRule::Ignored => Ok(caller.sees.clone()),
        OrgIdRule::Accepted => match given {
            Some(id) => chosen(state, switches, caller, id, path),
            None if caller.is_multi_tenant() && switches.org_id_required && is_needed(area, rest) => {
                Err(Reply::error(401, "Unauthorized: no organization selected"))
            }
            None => Ok(caller.sees.clone()),
        },
    }
}

fn rule(switches: &Switches, request: &Request, area: Area, rest: &[&str]) -> OrgIdRule {
    match area {
        Area::Users if switches.users_refuse_org_id => OrgIdRule::Refused,
        Area::Users if rest == ["getSelf"] => switches.org_id_on_get_self,
        Area::Users if request.method == "GET" => switches.org_id_on_users_read,
        Area::Users => switches.org_id_on_users_write,
        Area::Roles => switches.org_id_on_roles,
        Area::Organizations | Area::Providers | Area::Links => OrgIdRule::Refused,
        Area::OrganizationLinks
        | Area::Services
        | Area::Events
        | Area::SystemUsers
        | Area::GroupsAndDirectories => OrgIdRule::Accepted,
    }
}

/// Where the path or the key says enough, the header may be left out.
fn is_needed(area: Area, rest: &[&str]) -> bool {
    area != Area::OrganizationLinks && !(area == Area::Users && rest == ["getSelf"])
}

fn chosen(
    state: &State,
    switches: &Switches,
    caller: &Caller,
    id: &str,
    path: &[&str],
) -> Result<Vec<String>, Reply> {
    if !write::is_id(id) {
        let status = switches.org_id_malformed_status;
        return Err(Reply::error(status, "Bad Request: malformed organization id"));
    }
    if let ["api", "v2", "organizations", in_path, ..] = path
        && *in_path != id
    {
        return Err(Reply::error(400, "Bad Request: x-org-id and organization in the path differ"));
    }
    if !state.has_organization(id) {
        return Err(Reply::error(switches.org_id_unknown_status, "Not Found: organization not found"));
    }
    if !caller.sees.iter().any(|seen| seen == id) {
        return Err(Reply::error(switches.org_id_foreign_status, "Not Found: organization not found"));
    }
    Ok(vec![id.to_owned()])
}
