//! Moments that are seen from outside: what JumpCloud carried out, what the control plane handed out or
//! received since the victim was started.

use ephemerald::sandbox::jumpcloud::Event;

use super::moment::Moment;
use crate::process::World;

/// What is waited for, and how it was at the start.
pub(crate) enum Watcher {
    CarriedOut(u64),
    Delivered(usize),
    Reported(usize),
}

/// The watcher of this moment, if it is one of these.
pub(crate) async fn of(moment: Moment, world: &World) -> Option<Watcher> {
    Some(match moment {
        Moment::CarriedOut => Watcher::CarriedOut(world.cloud.log_end()),
        Moment::Delivered => Watcher::Delivered(delivered(world).await),
        Moment::Reported => Watcher::Reported(reported(world).await),
        _ => return None,
    })
}

impl Watcher {
    /// Whether it has come.
    pub(crate) async fn has_come(&mut self, world: &World) -> bool {
        match self {
            Self::CarriedOut(seq) => {
                let new = world.cloud.log_since(*seq);
                new.iter().any(|entry| matches!(entry.event, Event::Changed(_)))
            }
            Self::Delivered(before) => delivered(world).await > *before,
            Self::Reported(before) => reported(world).await > *before,
        }
    }
}

async fn delivered(world: &World) -> usize {
    let requests = world.operator.requests().await.unwrap();
    requests
        .iter()
        .flat_map(|request| &request.history)
        .filter(|step| step.note.ends_with("delivered"))
        .count()
}

async fn reported(world: &World) -> usize {
    world.operator.results().await.unwrap().len()
}
