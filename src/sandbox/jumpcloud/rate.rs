//! How many requests a credential may make in a second.
//!
//! Refuses to be fair: a request that is refused does not count, as nobody knows better.

use std::collections::{HashMap, VecDeque};

use super::{
    reply::Reply,
    switches::{RetryAfter, Switches},
};

/// The window in which requests are counted, in milliseconds.
const WINDOW_MS: i64 = 1000;

/// When each credential asked, in the last second.
#[derive(Default)]
pub(super) struct Rate(HashMap<String, VecDeque<i64>>);

/// What is left to a credential after a request.
pub(super) struct Left {
    limit: u32,
    remaining: usize,
    reset_ms: i64,
}

impl Rate {
    /// Counts a request by `who`.
    ///
    /// # Errors
    /// The refusal, if it is one too many.
    pub(super) fn count(&mut self, who: &str, switches: &Switches, now_ms: i64) -> Result<Left, Box<Reply>> {
        let limit = switches.rate_limit;
        let asked = self.0.entry(who.to_owned()).or_default();
        while asked.front().is_some_and(|at| at + WINDOW_MS <= now_ms) {
            asked.pop_front();
        }
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(asked.len());
        let reset_ms = asked.front().map_or(now_ms, |at| at + WINDOW_MS);
        if limit > 0 && room == 0 {
            let left = Left { limit, remaining: 0, reset_ms };
            return Err(Box::new(left.refusal(switches, now_ms)));
        }
        if limit > 0 {
            asked.push_back(now_ms);
        }
        Ok(Left { limit, remaining: room.saturating_sub(1), reset_ms })
    }
}

impl Left {
    /// Says in the headers of `reply` what is left, if the switch wants that.
    pub(super) fn tell(&self, reply: &mut Reply, switches: &Switches) {
        if switches.rate_headers && self.limit > 0 {
            reply.headers.push(("x-ratelimit-limit", self.limit.to_string()));
            reply.headers.push(("x-ratelimit-remaining", self.remaining.to_string()));
            reply.headers.push(("x-ratelimit-reset", (self.reset_ms / 1000).to_string()));
        }
    }

    fn refusal(&self, switches: &Switches, now_ms: i64) -> Reply {
        let message = match switches.rate_limit_status {
            403 => "Forbidden: your IP has been blocked due to suspected abuse",
            _ => "Too Many Requests",
        };
        let mut reply = Reply::error(switches.rate_limit_status, message);
        let until = jiff::Timestamp::from_millisecond(now_ms + WINDOW_MS).unwrap_or_default();
        let retry_after = match switches.retry_after {
            RetryAfter::Absent => None,
            RetryAfter::Seconds => Some("1".to_owned()),
            RetryAfter::Date => Some(until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            RetryAfter::Junk => Some("soon".to_owned()),
        };
        reply.headers.extend(retry_after.map(|value| ("retry-after", value)));
        self.tell(&mut reply, switches);
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_second_and_a_refused_request_does_not_count() {
        let switches = Switches { rate_limit: 2, ..Switches::default() };
        let mut rate = Rate::default();
        let mut at = |who, ms| rate.count(who, &switches, ms).map_err(|reply| reply.status).err();
        assert_eq!([at("a", 0), at("a", 10), at("a", 20), at("b", 20)], [None, None, Some(429), None]);
        assert_eq!(
            [at("a", 999), at("a", 1000), at("a", 1001), at("a", 1010)],
            [Some(429), None, Some(429), None]
        );
    }

    #[test]
    fn without_a_limit_nothing_is_refused() {
        let mut rate = Rate::default();
        assert!((0..100).all(|_| rate.count("a", &Switches::default(), 0).is_ok()));
    }
}
