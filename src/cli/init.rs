//! `init`: from nothing to files that the agent can be started with.
//!
//! Asking, deciding and writing are apart: questions and given answers make a draft, a draft makes
//! answers, answers make a plan of files; only the last step touches the disk. Refuses: to replace a
//! file unless told to (and then keeps a backup), a secret as an argument, and to call a result done
//! that the agent's own loader does not take.

mod answers;
mod draft;
mod given;
mod interview;
mod next;
mod place;
mod plan;
mod prompt;
mod tenant;
#[cfg(test)]
mod tests;
mod texts;
mod verify;
mod write;

use std::{
    fmt::Write as _,
    io::{self, BufRead, IsTerminal as _, Write},
    path::PathBuf,
};

use serde_json::json;

use self::{
    draft::Draft,
    given::Given,
    next::Step,
    place::{Host, Place},
    plan::{Names, Plan},
    prompt::{Prompt, Stopped},
    tenant::{Findings, Trouble},
    write::{WriteError, Written},
};
use super::{Exit, Failure, Global, Output, output};
use crate::columns::fold;

/// What may be given instead of asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// TOML file of answers; flags are stronger
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Ask nothing: take what is given, and the usual for the rest
    #[arg(long)]
    non_interactive: bool,
    /// Do not ask JumpCloud
    #[arg(long)]
    offline: bool,
    /// Replace files that exist, keeping each as a backup
    #[arg(long)]
    force: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    show: bool,
    #[command(flatten)]
    given: Given,
}

/// Gathers the answers, shows what they come to, writes it.
pub(super) async fn run(args: Args, global: &Global) -> Result<Exit, Failure> {
    let Args { answers, non_interactive, offline, force, show, given } = args;
    let file = answers.map(|file| Given::of_file(&file)).transpose().map_err(config)?;
    let given = given.over(file.unwrap_or_default());
    let mut job = Job { global, host: Host::here(), offline, force, show };
    if non_interactive {
        return job.without_questions(given).await;
    }
    if global.output == Output::Json {
        return Err(Failure::new(
            Exit::Usage,
            "--output json is for --non-interactive: questions are for people",
        ));
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let problem = "standard input or error is no terminal, so nobody can be asked: give --non-interactive, and the answers by flags or --answers FILE";
        return Err(Failure::new(Exit::Usage, problem));
    }
    if given.names_standard_input() {
        let problem = "- is for --non-interactive: leave it out, and the secret is asked for";
        return Err(Failure::new(Exit::Usage, problem));
    }
    job.with_questions(given, &mut Prompt::new(io::stdin().lock(), io::stderr(), true)).await
}

/// One run of `init`.
struct Job<'a> {
    global: &'a Global,
    host: Host,
    offline: bool,
    force: bool,
    show: bool,
}

impl Job<'_> {
    async fn without_questions(&mut self, given: Given) -> Result<Exit, Failure> {
        let place = Place::of(&given, self.global, &self.host).map_err(config)?;
        let draft = Draft::read(given).map_err(config)?;
        let findings = match self.offline || !draft.has_credential() {
            true => None,
            false => Some(tenant::ask(&draft).await.map_err(unanswered)?),
        };
        let (plan, notes) = planned(draft, findings.as_ref(), &place)?;
        if !self.show {
            let written = self.write(&plan, &place)?;
            return self.done(&plan, &place, &written, &notes);
        }
        let shown = plan.preview() + &fold(&listed("Note", &notes));
        match self.global.output {
            Output::Json => output::json(&json!({"preview": plan.preview(), "notes": notes}))?,
            Output::Human => output::text(&shown)?,
        }
        Ok(Exit::Done)
    }

    async fn with_questions<R: BufRead, W: Write>(
        &mut self,
        mut given: Given,
        prompt: &mut Prompt<R, W>,
    ) -> Result<Exit, Failure> {
        prompt.say(
            "Enter takes what stands in [brackets]; Ctrl-C stops. Nothing is written before you agree.\n",
        )?;
        let place = interview::place(prompt, &mut given, self.global, &self.host)?;
        self.is_free(&[&place.config_file, &place.config_dir.join("policy.toml")])?;
        let mut draft = Draft::read(given).map_err(config)?;
        interview::connection(prompt, &mut draft)?;
        let integration = draft.given.integration.as_deref().unwrap_or(answers::USUAL_INTEGRATION);
        self.is_free(&[&Names::connection(&place, integration)])?;
        let findings = if self.offline { None } else { asked(prompt, &mut draft).await? };
        interview::policy(prompt, &mut draft, findings.as_ref())?;
        interview::agent_token(prompt, &mut draft)?;
        let (plan, notes) = planned(draft, findings.as_ref(), &place)?;
        prompt.show(&format!(
            "\nThis will be written:\n\n{}{}",
            plan.preview(),
            fold(&listed("Note", &notes))
        ))?;
        if self.show {
            return Ok(Exit::Done);
        }
        if !prompt.yes("Write it?", true)? {
            return Err(Stopped::Given.into());
        }
        let written = self.write(&plan, &place)?;
        // What was just shown and agreed to is not repeated.
        self.done(&plan, &place, &written, &[])
    }

    /// Tells a person early what would stop him at the end.
    fn is_free(&self, paths: &[&PathBuf]) -> Result<(), Failure> {
        let there: Vec<PathBuf> =
            paths.iter().filter(|path| path.exists()).map(|&path| path.clone()).collect();
        if self.force || there.is_empty() {
            return Ok(());
        }
        Err(write_failure(WriteError::Exists(there)))
    }

    fn write(&self, plan: &Plan, place: &Place) -> Result<Written, Failure> {
        write::carry_out(plan, self.force, || verify::loads(plan, place)).map_err(write_failure)
    }

    fn done(&self, plan: &Plan, place: &Place, written: &Written, notes: &[String]) -> Result<Exit, Failure> {
        let token = plan.files.iter().map(|file| &file.path).find(|path| path.ends_with(Names::AGENT_TOKEN));
        let enrolled = place.state_dir.join("identity.json").exists();
        let program = std::env::args().next().unwrap_or_else(|| "ephemerald".to_owned());
        let steps = next::steps(place, &program, token.map(PathBuf::as_path), enrolled);
        match self.global.output {
            Output::Json => output::json(&json!({
                "written": written.new, "unchanged": written.same, "backups": written.backups,
                "notes": notes, "next": steps,
            }))?,
            Output::Human => output::text(&said(written, notes, &steps))?,
        }
        Ok(Exit::Done)
    }
}

/// Asks JumpCloud until it answers, or the person goes on without it.
async fn asked<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<Option<Findings>, Failure> {
    loop {
        prompt.say(&format!("\nAsking {} …", draft.url()))?;
        let trouble = match tenant::ask(draft).await {
            Ok(findings) => {
                prompt.say(&findings.summary())?;
                return Ok(Some(findings));
            }
            Err(trouble) => trouble,
        };
        if !trouble.organizations.is_empty() {
            interview::choose_organization(prompt, draft, &trouble.organizations)?;
            continue;
        }
        prompt.say(&format!("  {}\n  -> {}", trouble.found, trouble.advice))?;
        let what = [
            (Some(Mend::Nothing), "try again"),
            (Some(Mend::Credential), "give the credential again"),
            (Some(Mend::Address), "give another region or address"),
            (Some(Mend::Authority), "name a certificate authority"),
            (Some(Mend::Organization), "give the organization's id"),
            (None, "go on without asking JumpCloud"),
        ];
        match prompt.choose("What now?", &what)? {
            None => return Ok(None),
            Some(Mend::Nothing) => {}
            Some(Mend::Credential) => interview::credential(prompt, draft)?,
            Some(Mend::Address) => interview::address(prompt, draft)?,
            Some(Mend::Authority) => interview::certificate_authority(prompt, draft)?,
            Some(Mend::Organization) => interview::organization(prompt, draft)?,
        }
    }
}

#[derive(Clone, Copy)]
enum Mend {
    Nothing,
    Credential,
    Address,
    Authority,
    Organization,
}

/// The plan, and what a person should know about it.
fn planned(draft: Draft, findings: Option<&Findings>, place: &Place) -> Result<(Plan, Vec<String>), Failure> {
    let mut answers = answers::resolve(draft, findings)
        .map_err(|problems| config(format!("the answers cannot be used:\n  {}", problems.join("\n  "))))?;
    let mut notes = std::mem::take(&mut answers.notes);
    notes.extend(place.notes());
    let plan = Plan::of(answers, place);
    notes.extend(write::odd_dirs(&plan));
    Ok((plan, notes))
}

fn said(written: &Written, notes: &[String], steps: &[Step]) -> String {
    let paths = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let mut text = listed("Written", &paths(&written.new));
    text += &listed("As it was", &paths(&written.same));
    text += &listed("Backup", &paths(&written.backups));
    text += &listed("Note", notes);
    text += "\nThe agent's own loader takes these files. Next:\n";
    text = fold(&text);
    for (number, step) in steps.iter().enumerate() {
        // A command stays whole, to be copied.
        let what = fold(&format!("  {}. {}", number + 1, step.what));
        let _ = writeln!(text, "\n{what}\n     {}", step.command);
    }
    text
}

fn listed(what: &str, lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{what:<10} {line}");
        text
    })
}

fn config(problem: String) -> Failure {
    Failure::new(Exit::Config, problem)
}

fn unanswered(trouble: Trouble) -> Failure {
    let Trouble { exit, found, advice, .. } = trouble;
    Failure::new(
        exit,
        format!("JumpCloud: {found}\n  -> {advice}\nNothing was written; --offline does not ask JumpCloud"),
    )
}

fn write_failure(error: WriteError) -> Failure {
    let exit = match error {
        WriteError::Exists(_) => Exit::Refused,
        WriteError::Failed { .. } | WriteError::Unloadable(_) => Exit::Config,
    };
    Failure::new(exit, error)
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::new(Exit::Failed, stopped)
    }
}
