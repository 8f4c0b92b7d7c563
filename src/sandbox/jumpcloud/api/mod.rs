//! The routes of JumpCloud that the simulation answers, as a function of state and request: a file
//! a resource.
//!
//! Refuses like JumpCloud: no key 401, a key whose owner may not 403, and bodies with `message` and
//! `error` in them. Knows nothing of faults, sockets or clocks; identifiers and tokens are made here.

mod elsewhere;
mod events;
mod list;
mod organizations;
mod own;
mod providers;
mod request;
mod roles;
mod scope;
mod services;
mod token;
mod users;

pub(super) use self::request::Request;
use super::{
    account::Account,
    caller::Caller,
    reply::Reply,
    state::State,
    switches::Switches,
    write::{self, Refusal},
};

/// Answers `request` and does what it asks for.
pub(super) fn answer(state: &mut State, switches: &Switches, request: &Request, now_ms: i64) -> Reply {
    let path = request.segments();
    if let ("POST", ["oauth2", "token"]) = (request.method.as_str(), path.as_slice()) {
        return token::issue(state, switches, request, now_ms);
    }
    let Some(caller) = Caller::of(state, switches, request, now_ms) else {
        return Reply::unauthorized();
    };
    if request.method == "GET" && path.starts_with(&["api", "users"]) {
        state.reads += 1;
    }
    let organizations = match scope::of(state, switches, request, &path, &caller) {
        Ok(organizations) => organizations,
        Err(refusal) => return refusal,
    };
    Call { state, switches, request, caller: &caller, organizations, now_ms }.answer(&path)
}

/// A request whose caller is known and may be here.
struct Call<'a> {
    state: &'a mut State,
    switches: &'a Switches,
    request: &'a Request,
    caller: &'a Caller,
    /// Where the request looks, the first one being where it creates.
    organizations: Vec<String>,
    now_ms: i64,
}

impl Call<'_> {
    fn answer(self, path: &[&str]) -> Reply {
        let Some((area, rest)) = area(path) else { return self.no_such_route() };
        match area {
            Area::Users => self.users(rest),
            Area::Organizations => self.organizations(rest),
            Area::Roles => self.roles(rest),
            Area::Providers => self.providers(rest),
            Area::Links => self.links(rest),
            Area::OrganizationLinks => self.organization_links(rest),
            Area::Services => self.services(rest),
            Area::Events => self.events(),
            Area::SystemUsers => self.system_users(),
            Area::GroupsAndDirectories => self.groups_and_directories(),
        }
    }

    fn method(&self) -> &str {
        self.request.method.as_str()
    }

    fn no_such_route(&self) -> Reply {
        Reply::status(self.switches.unknown_route_status)
    }

    fn no_such_id(&self) -> Reply {
        Reply::status(self.switches.missing_id_status)
    }

    /// Refuses what is no identifier.
    fn checked<'i>(&self, id: &'i str) -> Result<&'i str, Reply> {
        let malformed = || Reply::error(self.switches.malformed_id_status, "Bad Request: malformed id");
        if write::is_id(id) { Ok(id) } else { Err(malformed()) }
    }

    fn may(&self, scope: &str) -> Result<(), Reply> {
        if self.caller.may(self.state, scope) { Ok(()) } else { Err(forbidden()) }
    }

    fn may_write(&self) -> Result<(), Reply> {
        if self.caller.may_write_admins(self.state, self.switches) { Ok(()) } else { Err(forbidden()) }
    }

    /// Whether an account belongs to where the request looks.
    fn is_in_scope(&self, account: &Account) -> bool {
        if account.provider {
            let linked = account.links.iter().any(|id| self.organizations.contains(id));
            return linked && self.switches.linked_admins_listed;
        }
        self.organizations.iter().any(|id| id == self.state.home_of(account))
    }
}

/// A group of routes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Area {
    Users,
    Organizations,
    Roles,
    Providers,
    Links,
    OrganizationLinks,
    Services,
    Events,
    SystemUsers,
    GroupsAndDirectories,
}

/// The group of routes that a path belongs to, and the rest of the path.
fn area<'p>(path: &'p [&'p str]) -> Option<(Area, &'p [&'p str])> {
    Some(match path {
        ["api", "users", rest @ ..] => (Area::Users, rest),
        ["api", "organizations", rest @ ..] => (Area::Organizations, rest),
        ["api", "v2", "roles", rest @ ..] => (Area::Roles, rest),
        ["api", "v2", "providers", rest @ ..] => (Area::Providers, rest),
        ["api", "v2", "administrators", rest @ ..] => (Area::Links, rest),
        ["api", "v2", "organizations", rest @ ..] => (Area::OrganizationLinks, rest),
        ["api", "v2", "service-accounts", rest @ ..] => (Area::Services, rest),
        ["insights", "directory", "v1", "events"] => (Area::Events, &[]),
        ["api", "systemusers"] => (Area::SystemUsers, &[]),
        ["api", "v2", "usergroups" | "directories"] => (Area::GroupsAndDirectories, &[]),
        _ => return None,
    })
}

fn forbidden() -> Reply {
    Reply::error(403, "Forbidden: insufficient permissions")
}

/// Unwraps an answer whose refusals came early.
fn either(reply: Result<Reply, Reply>) -> Reply {
    reply.unwrap_or_else(|refusal| refusal)
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::error(refusal.status, &refusal.message)
    }
}
