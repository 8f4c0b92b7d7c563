//! `/api/users`: administrators.
//!
//! Refuses what JumpCloud is known to refuse, with the statuses that the switches give.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    super::{
        account::Account,
        log::{Event, Mailed},
        reply::Reply,
        shown,
        state::State,
        switches::{CreateAnswer, IdKey, PutAnswer},
        write::{self, Fields, Refusal, Writer},
    },
    Call, either,
};

impl Call<'_> {
    pub(super) fn users(self, rest: &[&str]) -> Reply {
        match (self.method(), rest) {
            ("GET", ["getSelf"]) => self.get_self(),
            ("POST", ["generateApiKey"]) => self.generate_api_key(),
            ("GET", []) => either(self.list()),
            ("POST", []) => either(self.create()),
            ("GET", ["reactivate", id]) => either(self.reactivate(id)),
            ("POST", ["resettotp", id]) => either(self.reset_totp(id)),
            (_, ["getSelf" | "generateApiKey", ..]) => self.no_such_route(),
            ("GET", [id]) => either(self.get(id)),
            ("PUT", [id]) => either(self.update(id)),
            ("DELETE", [id]) => either(self.delete(id)),
            _ => self.no_such_route(),
        }
    }

    fn list(&self) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let seen = self.seen(self.switches.list_lag_ms);
        let wanted = |account: &&Account| self.is_in_scope(account) && self.is_asked_for(account);
        let mut accounts: Vec<&Account> = seen.iter().filter(wanted).collect();
        self.order(&mut accounts);
        Ok(self.page(&accounts, |account| self.shown(account)))
    }

    fn get(&self, id: &str) -> Result<Reply, Reply> {
        self.may("users.readonly")?;
        let id = self.checked(id)?;
        let seen = self.seen(self.switches.get_lag_ms);
        let found = seen.iter().find(|account| account.id == id && self.is_in_scope(account));
        let shown = self.shown(found.ok_or_else(|| self.no_such_id())?);
        Ok(Reply::json(200, self.projected(shown)))
    }

    fn create(self) -> Result<Reply, Reply> {
        self.may_write()?;
        let fields = Fields::parse(&self.request.body, self.switches)?;
        let home = self.organizations.first().filter(|home| **home != self.state.organization).cloned();
        let mut blank = self.state.blank("", self.now_ms);
        blank.organization = home;
        match write::created(self.state, self.switches, &self.writer(), blank, &fields) {
            Ok(account) => Ok(self.store_new(account)),
            Err(refusal) => self.refused_or_adopted(refusal, &fields),
        }
    }

    /// A status below 300 for an address that is taken stands for an upsert that changes nothing.
    fn refused_or_adopted(&self, refusal: Refusal, fields: &Fields) -> Result<Reply, Reply> {
        let holder = fields.email().and_then(|email| self.state.holder_of(email, ""));
        match holder.filter(|holder| refusal.status < 300 && self.is_in_scope(holder)) {
            Some(holder) => Ok(Reply::json(refusal.status, self.shown(holder))),
            None => Err(refusal.into()),
        }
    }

    fn store_new(self, account: Account) -> Reply {
        let shown = self.shown(&account);
        let body = match self.switches.create_answer {
            CreateAnswer::Account => Some(shown),
            CreateAnswer::V2Id => {
                let mut shown = shown;
                if let Some(fields) = shown.as_object_mut() {
                    fields.remove("_id");
                }
                shown::put_id(&mut shown, IdKey::V2, &account.id);
                Some(shown)
            }
            CreateAnswer::IdOnly => Some(json!({"_id": account.id})),
            CreateAnswer::EmptyObject => Some(json!({})),
            CreateAnswer::Nothing => None,
        };
        if self.switches.activation_mail && !account.registered {
            mail(self.state, "activation", &account);
        }
        self.state.put(account, &self.caller.author, self.now_ms);
        Reply { status: self.switches.create_status, body, headers: Vec::new() }
    }

    fn update(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let id = self.checked(id)?;
        let fields = Fields::parse(&self.request.body, self.switches)?;
        let before = self.found(id)?.clone();
        let account = match write::updated(self.state, self.switches, &self.writer(), before.clone(), &fields)
        {
            Err(refusal) if refusal.status < 300 => before.clone(),
            written => written?,
        };
        let body = match self.switches.put_answer {
            PutAnswer::Account => Some(self.shown(&account)),
            PutAnswer::OldAccount => Some(self.shown(&before)),
            PutAnswer::EmptyObject => Some(json!({})),
            PutAnswer::Nothing => None,
        };
        self.state.put(account, &self.caller.author, self.now_ms);
        Ok(Reply { status: 200, body, headers: Vec::new() })
    }

    fn delete(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let id = self.checked(id)?;
        let protected = |message| Err(Reply::error(self.switches.protected_status, message));
        if id == self.caller.author.id && !self.switches.own_account_may_go {
            return protected("Bad Request: you cannot delete your own account");
        }
        if self.state.is_last_billing_admin(id) && !self.switches.last_admin_may_be_deleted {
            return protected("Bad Request: an organization needs an Administrator With Billing");
        }
        if self.found(id).is_err()
            && let Some(gone) = self.state.gone.iter().find(|gone| gone.id == id)
        {
            let again = self.switches.deleted_again_status;
            return Ok(if again < 300 { self.deleted(gone) } else { Reply::status(again) });
        }
        self.found(id)?;
        let account = self.state.remove(id, &self.caller.author, self.now_ms);
        Ok(account.map_or_else(|| self.no_such_id(), |account| self.deleted(&account)))
    }

    fn deleted(&self, account: &Account) -> Reply {
        let shown = self.switches.delete_shows_account;
        let (status, body) = if shown { (200, Some(self.shown(account))) } else { (204, None) };
        Reply { status, body, headers: Vec::new() }
    }

    fn reactivate(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let account = self.found(self.checked(id)?)?.clone();
        mail(self.state, "reactivation", &account);
        Ok(Reply { status: 200, body: None, headers: Vec::new() })
    }

    /// What the precondition is, no document says; here it is a second factor to reset.
    fn reset_totp(self, id: &str) -> Result<Reply, Reply> {
        self.may_write()?;
        let mut account = self.found(self.checked(id)?)?.clone();
        if !account.totp_enrolled {
            return Err(Reply::error(412, "Precondition Failed: no second factor is enrolled"));
        }
        account.totp_enrolled = false;
        self.state.put(account, &self.caller.author, self.now_ms);
        Ok(Reply { status: 200, body: None, headers: Vec::new() })
    }

    fn found(&self, id: &str) -> Result<&Account, Reply> {
        let found = self.state.account(id).filter(|account| self.is_in_scope(account));
        found.ok_or_else(|| self.no_such_id())
    }

    pub(super) fn writer(&self) -> Writer<'_> {
        Writer { caller: self.caller }
    }

    pub(super) fn shown(&self, account: &Account) -> Value {
        shown::admin(account, self.state, self.switches)
    }

    /// The accounts as a read sees them that lags by `lag_ms` or by the lag of all reads.
    fn seen(&self, lag_ms: u64) -> Cow<'_, [Account]> {
        let (state, switches) = (&*self.state, self.switches);
        let is_fresh = switches.lag_alternates && state.reads.is_multiple_of(2);
        let lag_ms = if is_fresh { 0 } else { lag_ms.max(switches.read_lag_ms) };
        let late = state.past.seen_late(&state.accounts, self.now_ms, lag_ms);
        if matches!(late, Cow::Owned(_)) {
            return late;
        }
        let (after, lasts) = (switches.stale_after_ms, switches.stale_for_ms);
        state.past.seen_again(&state.accounts, self.now_ms, after, lasts)
    }
}

/// Notes the mail that would have gone out.
pub(super) fn mail(state: &mut State, mail: &str, account: &Account) {
    let (account, email) = (account.id.clone(), account.email.clone());
    state.events.push(Event::Mail(Mailed { mail: mail.to_owned(), account, email }));
}
