//! Plays a script: waits for the moment of each step and does it through the console.
//!
//! Refuses to poll: it is woken by what happens in the log.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    super::{
        account::Account,
        console::{Console, Edit, Refused, found, id_of},
        log::Event,
        world::World,
    },
    Deed, Playing, Script, Step, When,
};

impl Console {
    /// Lets a human do what `script` says, by itself, and answers its number. Needs to be called
    /// where tasks can be spawned; a reset ends it.
    pub fn play(&self, script: Script) -> u64 {
        let mut world = self.0.lock();
        let number = world.scripts.begin(script.clone());
        let task = tokio::spawn(play(self.clone(), script, number));
        if let Some((_, handle)) = world.scripts.playing.get_mut(&number) {
            *handle = Some(task.abort_handle());
        }
        number
    }

    /// The scripts that were begun since the last reset, and how far each is.
    #[must_use]
    pub fn scripts(&self) -> Vec<Playing> {
        self.0.lock().scripts.shown()
    }

    /// Stops and forgets all scripts.
    pub fn stop_scripts(&self) {
        self.0.lock().scripts.stop();
    }
}

async fn play(console: Console, script: Script, number: u64) {
    let mut round = 0;
    while script.times == 0 || round < script.times {
        round += 1;
        for (at, step) in (1..).zip(&script.steps) {
            moment(&console, step).await;
            sleep(Duration::from_millis(step.after_ms)).await;
            let done = act(&console, &step.account, &step.deed);
            let mut world = console.0.lock();
            let Some((playing, _)) = world.scripts.playing.get_mut(&number) else { return };
            playing.done += 1;
            if let Err(refused) = done {
                playing.failed.push((at, refused.to_string()));
            }
        }
        // Steps that wait for nothing must not starve everybody else.
        tokio::task::yield_now().await;
    }
    if let Some((playing, _)) = console.0.lock().scripts.playing.get_mut(&number) {
        playing.over = true;
    }
}

/// Returns when what the step waits for is true.
async fn moment(console: &Console, step: &Step) {
    let Some(when) = &step.when else { return };
    let mut seen = console.log_end();
    loop {
        {
            let world = console.0.lock();
            if is_true(&world, when, &step.account, seen) {
                return;
            }
            seen = world.log.end();
        }
        console.0.anything_after(seen).await;
    }
}

/// Whether it is true now or, of what happens, has happened after entry `seen` of the log.
fn is_true(world: &World, when: &When, who: &str, seen: u64) -> bool {
    let account = account_of(world, who);
    let has = |role: &String| account.as_ref().is_some_and(|account| account.roles.contains(role));
    let happened = |is_it: fn(&Event, &str) -> bool| {
        let id = id_of(world, who);
        id.is_some_and(|id| world.log.after(seen).any(|entry| is_it(&entry.event, &id)))
    };
    match when {
        When::HasRole(role) => has(role),
        When::LacksRole(role) => !has(role),
        When::Exists => account.is_some(),
        When::IsGone => account.is_none(),
        When::Changes => happened(is_change),
        When::IsRead => happened(is_read),
        When::IsListed => world.log.after(seen).any(|entry| is_list(&entry.event)),
    }
}

fn is_change(event: &Event, id: &str) -> bool {
    matches!(event, Event::Changed(changed) if changed.account == id && changed.actor != "console")
}

fn is_read(event: &Event, id: &str) -> bool {
    read_path(event).and_then(|path| path.strip_prefix('/')).is_some_and(|rest| rest.starts_with(id))
}

fn is_list(event: &Event) -> bool {
    read_path(event).is_some_and(|path| path.is_empty() || path.starts_with('?'))
}

/// What follows `/api/users` in the path of a read that was answered.
fn read_path(event: &Event) -> Option<&str> {
    match event {
        Event::Request(request) if request.method == "GET" && request.executed => {
            request.path.strip_prefix("/api/users")
        }
        _ => None,
    }
}

fn act(console: &Console, who: &str, deed: &Deed) -> Result<Account, Refused> {
    let current = account_of(&console.0.lock(), who);
    let gone = || Refused::NoSuchAdmin(who.to_owned());
    let create = |email: String, roles: Vec<String>| {
        console.create(&Edit { email: Some(email), roles: Some(roles), ..Edit::default() })
    };
    match deed {
        Deed::Create(roles) => create(who.to_owned(), roles.clone()),
        Deed::Delete => console.delete(&current.ok_or_else(gone)?.id),
        Deed::Recreate => {
            let last = match current {
                Some(account) => console.delete(&account.id)?,
                None => last_of(&console.0.lock(), who).ok_or_else(gone)?,
            };
            create(last.email, last.roles)
        }
        deed => {
            let account = current.ok_or_else(gone)?;
            let edit = deed.edit(&account.roles).unwrap_or_default();
            console.change(&account.id, &edit)
        }
    }
}

/// The account with this id or address, or the one that had this address before.
fn account_of(world: &World, who: &str) -> Option<Account> {
    found(world, who).ok().or_else(|| found(world, &id_of(world, who)?).ok())
}

/// An account that is gone, as it was last.
fn last_of(world: &World, who: &str) -> Option<Account> {
    let same = |account: &&Account| account.id == who || account.has_email(who);
    world.state.gone.iter().rev().find(same).cloned()
}
