//! Where the lines go: standard output or error, which somebody must read: a pipe to a container's engine, a socket
//! of the journal's, a terminal that was halted.
//!
//! Refuses to wait for a reader that has stopped, and to fail with one that is gone: an ending does not need a log.
//! What nobody takes is lost and counted; the first line after that says how many were.

use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tracing_subscriber::fmt::MakeWriter;

use super::line;

/// How long a line may keep everybody waiting. Longer than a reader needs who is only busy.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// None at all.
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// What a pipe or a socket that is ready takes without waiting (`PIPE_BUF`).
const PIECE: usize = 4096;

/// An open standard output or error.
pub(super) struct Outlet {
    file: OwnedFd,
    human: bool,
    lost: Mutex<Lost>,
}

/// Since the last line that was taken wholly.
#[derive(Default)]
struct Lost {
    lines: u64,
    /// The beginning of one of them is out.
    half: bool,
}

impl Outlet {
    pub(super) fn new(file: OwnedFd, human: bool) -> Self {
        Self { file, human, lost: Mutex::default() }
    }

    /// Writes a line, or counts it as lost.
    fn put(&self, text: &[u8]) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.lines == 0 {
            return self.wholly(text, PATIENCE, &mut lost);
        }
        // Whoever did not read before is not waited for again.
        let said = line::lost(self.human, lost.lines);
        let said = if lost.half { format!("\n{said}") } else { said };
        let mut again = Lost::default();
        self.wholly(said.as_bytes(), AT_ONCE, &mut again);
        if again.lines == 0 {
            *lost = again;
            return self.wholly(text, AT_ONCE, &mut lost);
        }
        lost.lines += 1;
        lost.half |= again.half;
    }

    /// Writes all of it, or notes that it could not.
    fn wholly(&self, text: &[u8], patience: Timespec, lost: &mut Lost) {
        let mut left = text;
        while !left.is_empty() {
            match self.piece(left, patience) {
                Ok(taken) => left = &left[taken..],
                Err(Errno::INTR) => {}
                Err(_) => {
                    lost.lines += 1;
                    lost.half = left.len() < text.len();
                    return;
                }
            }
        }
    }

    /// Writes what is taken at once, as soon as something is; how much that was.
    fn piece(&self, text: &[u8], patience: Timespec) -> Result<usize, Errno> {
        // Also one whose other end is closed is ready: the error comes from the writing.
        if poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&patience))? == 0 {
            return Err(Errno::AGAIN);
        }
        rustix::io::write(&self.file, &text[..text.len().min(PIECE)])
    }
}

impl<'a> MakeWriter<'a> for Outlet {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Outlet {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.put(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixStream};

    use super::*;

    const NOTICE: &str = "\"level\":\"warn\",\"msg\":\"log: nobody took these lines; the journal has what must not be lost\",\"lines\":";

    /// An outlet, and who reads there.
    fn open() -> (Outlet, UnixStream) {
        let (reader, writer) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        (Outlet::new(writer.into(), false), reader)
    }

    fn waiting(reader: &mut UnixStream) -> String {
        let mut text = Vec::new();
        assert_eq!(reader.read_to_end(&mut text).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn lines_that_nobody_takes_are_counted_and_told_once_somebody_reads() {
        let (outlet, mut reader) = open();
        let line = format!("{}\n", "x".repeat(99));
        let mut lines = 0;
        while outlet.lost.lock().unwrap().lines == 0 {
            outlet.put(line.as_bytes());
            lines += 1;
        }
        outlet.put(line.as_bytes());
        outlet.put(line.as_bytes());
        assert_eq!(waiting(&mut reader), line.repeat(lines - 1), "whole lines, and no half of another");

        outlet.put(b"after\n");
        let said = waiting(&mut reader);
        let (notice, after) = said.split_once('\n').unwrap();
        assert!(notice.ends_with(&format!("{NOTICE}3}}")), "{said}");
        assert_eq!(after, "after\n");
        outlet.put(b"and on\n");
        assert_eq!(waiting(&mut reader), "and on\n", "told once");
    }

    #[test]
    fn half_a_line_is_ended_before_the_next_one_begins() {
        let (outlet, mut reader) = open();
        let long = vec![b'x'; 8 << 20];
        outlet.put(&long);
        let half = waiting(&mut reader);
        assert!(half.len() < long.len() && half.chars().all(|c| c == 'x'), "{} bytes", half.len());
        outlet.put(b"after\n");
        let said = waiting(&mut reader);
        assert!(said.starts_with("\n{") && said.ends_with(&format!("{NOTICE}1}}\nafter\n")), "{said}");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let (outlet, reader) = open();
        drop(reader);
        for _ in 0..3 {
            (&outlet).write_all(b"a line\n").unwrap();
        }
        assert_eq!(outlet.lost.lock().unwrap().lines, 3);
    }
}
