//! The states and steps of the model.
//!
//! A step is what the process does between two points at which it may die: a commit, a request, a read with
//! the commit that follows from it.

use stateright::{Model, Property};

/// A rule of the order that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The ledger has the grant before anything is sent.
    IntentBeforeEffect,
    /// After a raise whose fate is unknown, JumpCloud is asked before anything else is sent.
    LookBeforeRepeating,
    /// What is not there may be under way: nothing is raised again.
    FenceByWaiting,
    /// What was read as gone is read again once nothing can be under way any more.
    SettleBeforeClosing,
    /// A lower that fails is made again.
    NeverGiveUp,
    /// The report becomes durable together with what it says.
    ReportInTheSameTransaction,
}

/// The model: all rules, or all but one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) without: Option<Rule>,
}

/// What the ledger says of the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Row {
    None,
    Accepted,
    /// A raise is or was under way.
    Attempted,
    Active,
    Revoking,
    Settling,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Raise,
    Lower,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    // On disk.
    row: Row,
    outbox: bool,
    // In the process.
    up: bool,
    /// Recorded, to be sent next.
    to_send: bool,
    calling: Option<Call>,
    remembered_report: bool,
    failures: u8,
    // At JumpCloud.
    role: bool,
    raises_under_way: u8,
    effects: u8,
    // At the control plane.
    job_at_hand: bool,
    told: bool,
    // The world.
    expired: bool,
    faults: u8,
    crashes: u8,
    redeliveries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Deliver,
    Accept,
    RaiseWithoutRow,
    RecordAttempt,
    SendRaise,
    RaiseDone,
    RaiseAnswerLost,
    RaiseLost,
    RaiseLands,
    Look,
    RaiseAgain,
    End,
    SendLower,
    LowerDone,
    LowerLost,
    GiveUp,
    LookAgain,
    Report,
    ReportLost,
    Expire,
    Crash,
    Restart,
}

impl Order {
    fn keeps(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn of_the_agent(self, s: &State, steps: &mut Vec<Step>) {
        use Step::{
            Accept, End, GiveUp, Look, LookAgain, RaiseAgain, RaiseWithoutRow, RecordAttempt, Report,
            SendLower, SendRaise,
        };
        if s.outbox || s.remembered_report {
            steps.push(Report);
            steps.extend((s.faults > 0).then_some(Step::ReportLost));
        }
        if s.calling.is_some() {
            return;
        }
        match s.row {
            Row::None if !s.job_at_hand => {}
            Row::None if self.keeps(Rule::IntentBeforeEffect) => steps.push(Accept),
            Row::None if s.role => steps.push(Look), // the answer came: the row is written
            Row::None => steps.extend((s.effects == 0 && !s.expired).then_some(RaiseWithoutRow)),
            Row::Accepted if s.to_send => steps.push(SendRaise),
            Row::Accepted => steps.push(if s.expired { End } else { RecordAttempt }),
            Row::Attempted if s.to_send => steps.push(SendRaise),
            Row::Attempted if s.expired => steps.push(End),
            Row::Attempted if !self.keeps(Rule::LookBeforeRepeating) && s.failures == 0 => {
                steps.extend([Look, RaiseAgain]);
            }
            Row::Attempted => steps.push(Look),
            Row::Active => steps.extend(s.expired.then_some(End)),
            Row::Revoking if !s.role => steps.push(Look),
            Row::Revoking if !self.keeps(Rule::NeverGiveUp) && s.failures > 0 => steps.push(GiveUp),
            Row::Revoking => steps.push(SendLower),
            // The settling time is longer than anything can be under way.
            Row::Settling => steps.extend((s.raises_under_way == 0).then_some(LookAgain)),
            Row::Closed => {}
        }
    }

    fn of_the_world(s: &State, steps: &mut Vec<Step>) {
        if s.raises_under_way > 0 {
            match s.calling {
                Some(Call::Raise) => {
                    steps.push(Step::RaiseDone);
                    steps.extend((s.faults > 0).then_some(Step::RaiseAnswerLost));
                }
                _ => steps.push(Step::RaiseLands),
            }
            steps.extend((s.faults > 0).then_some(Step::RaiseLost));
        }
        if s.calling == Some(Call::Lower) {
            steps.push(Step::LowerDone);
            steps.extend((s.faults > 0).then_some(Step::LowerLost));
        }
        steps.extend((!s.expired).then_some(Step::Expire));
        steps.extend((s.up && s.crashes > 0).then_some(Step::Crash));
        steps.extend((!s.up).then_some(Step::Restart));
        let again = !s.told && !s.job_at_hand && s.redeliveries > 0;
        steps.extend(again.then_some(Step::Deliver));
    }

    /// The row and what is to be said of it.
    fn commit(self, s: &mut State, row: Row) {
        s.row = row;
        if matches!(row, Row::Active | Row::Settling) || (row == Row::Closed && !s.told) {
            if self.keeps(Rule::ReportInTheSameTransaction) {
                s.outbox = true;
            } else {
                s.remembered_report = true;
            }
        }
    }

    /// A read, and what follows from it.
    fn look(self, s: &mut State) {
        match s.row {
            Row::None | Row::Attempted if s.role => self.commit(s, Row::Active),
            Row::Attempted if !self.keeps(Rule::FenceByWaiting) && s.failures == 0 => {
                s.failures += 1;
                s.to_send = true;
            }
            Row::Attempted => s.row = Row::Revoking, // it was not confirmed in time
            Row::Revoking if !s.role && self.keeps(Rule::SettleBeforeClosing) => {
                self.commit(s, Row::Settling)
            }
            Row::Revoking if !s.role => self.commit(s, Row::Closed),
            _ => {}
        }
    }

    fn is_at_rest(self, s: &State) -> bool {
        let mut steps = Vec::new();
        self.actions(s, &mut steps);
        steps.is_empty()
    }
}

impl Model for Order {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            row: Row::None,
            outbox: false,
            up: true,
            to_send: false,
            calling: None,
            remembered_report: false,
            failures: 0,
            role: false,
            raises_under_way: 0,
            effects: 0,
            job_at_hand: false,
            told: false,
            expired: false,
            faults: 3,
            crashes: 2,
            redeliveries: 2,
        }]
    }

    fn actions(&self, s: &State, steps: &mut Vec<Step>) {
        if s.up {
            self.of_the_agent(s, steps);
        }
        Self::of_the_world(s, steps);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut s = last.clone();
        match step {
            Step::Deliver => (s.job_at_hand, s.redeliveries) = (true, s.redeliveries - 1),
            Step::Accept => s.row = Row::Accepted,
            Step::RecordAttempt => (s.row, s.to_send) = (Row::Attempted, true),
            Step::RaiseWithoutRow | Step::SendRaise => {
                (s.to_send, s.calling) = (false, Some(Call::Raise));
                s.raises_under_way += 1;
            }
            Step::RaiseAgain => {
                s.failures += 1;
                s.calling = Some(Call::Raise);
                s.raises_under_way += 1;
            }
            Step::RaiseDone | Step::RaiseLands => {
                (s.role, s.raises_under_way, s.effects) = (true, s.raises_under_way - 1, s.effects + 1);
                s.calling = s.calling.filter(|call| *call != Call::Raise);
            }
            Step::RaiseAnswerLost => (s.calling, s.faults) = (None, s.faults - 1),
            Step::RaiseLost => {
                (s.raises_under_way, s.faults) = (s.raises_under_way - 1, s.faults - 1);
                s.calling = s.calling.filter(|call| *call != Call::Raise);
            }
            Step::Look => self.look(&mut s),
            Step::End => s.row = Row::Revoking,
            Step::SendLower => s.calling = Some(Call::Lower),
            Step::LowerDone => (s.role, s.calling) = (false, None),
            Step::LowerLost => {
                (s.calling, s.faults, s.failures) = (None, s.faults - 1, s.failures.saturating_add(1).min(2));
            }
            Step::GiveUp => self.commit(&mut s, Row::Closed),
            Step::LookAgain if s.role => s.row = Row::Revoking,
            Step::LookAgain => s.row = Row::Closed,
            Step::Report => {
                (s.told, s.outbox, s.remembered_report, s.job_at_hand) = (true, false, false, false)
            }
            Step::ReportLost => s.faults -= 1,
            Step::Expire => s.expired = true,
            Step::Crash => {
                (s.up, s.crashes, s.job_at_hand) = (false, s.crashes - 1, false);
                (s.to_send, s.calling, s.remembered_report, s.failures) = (false, None, false, 0);
            }
            Step::Restart => s.up = true,
        }
        Some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no_untracked_access", |_, s: &State| {
                !(s.role || s.raises_under_way > 0) || !matches!(s.row, Row::None | Row::Closed)
            }),
            Property::always("no_second_effect", |_, s: &State| s.effects <= 1),
            Property::always("gone_in_the_end", |order: &Self, s: &State| !order.is_at_rest(s) || !s.role),
            Property::always("reported_in_the_end", |order: &Self, s: &State| {
                !order.is_at_rest(s) || s.told || s.row == Row::None && s.effects == 0
            }),
        ]
    }
}
