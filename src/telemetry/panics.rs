//! What is said of a panic: which thread, which place in the source, and no more than that.
//!
//! A panic's message is made of whatever the code had in hand: `expect` prints the error, `assert_eq!` both
//! values, and either may hold a key. So a message is shown only where the compiler put it into the program
//! as it stands (`&'static str`); one that was put together while the program ran is left out. Places are
//! file, line and column.
//!
//! Refuses to show a message with anything in it that came from outside, and a backtrace.

use std::{
    io::{self, Write as _},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing::Level;

/// What stands for a message that is not shown.
const KEPT_BACK: &str = "not shown: it was put together at run time and may hold data";

/// From now on, and for all threads, panics are told as this module says: as a record of the log, or as a line
/// on standard error where there is no log.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let (thread, place, message) = (thread.name().unwrap_or("unnamed"), place(info), message(info));
        if tracing::enabled!(Level::ERROR) {
            tracing::error!(
                thread,
                place,
                message = "panic: a fault in this program; please report this line",
                panic = message
            );
        } else {
            // A closed standard error is no reason to panic in here, which would end the process.
            let _ = writeln!(io::stderr(), "panic: thread {thread}, {place}: {message}");
        }
    }));
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload().downcast_ref::<&'static str>().copied().unwrap_or(KEPT_BACK)
}
