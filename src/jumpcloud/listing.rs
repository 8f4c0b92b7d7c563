//! Reads that come in pages: all administrators, all roles.
//!
//! Skips what came, not what was asked for: a server may give smaller pages, its default is 10
//! whatever the maximum is. Follows `Link: rel="next"` where one leads to the same route of the same
//! origin, and ignores it where it leads elsewhere. Sorts by id, as JumpCloud advises for every paged
//! read; filters here, because it is not proven that the server filters these routes. Refuses to call
//! a listing complete that does not add up.

use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use reqwest::{Method, Url, header::LINK};

use super::{
    Client, outcome,
    pace::Pace,
    sending::{About, Call},
    wire,
};
use crate::{
    engine::{
        ids::AccountId,
        observed::{DiscoveredRole, Fault, FaultClass, Listing, ObservedAccount, ReadOutcome},
        time::{BootTime, Millis},
    },
    http::Answer,
};

const PATIENCE: Duration = Duration::from_secs(15);
/// The most pages of a listing: a hundred thousand administrators.
const MAX_PAGES: u32 = 1_000;
/// The longest listing; the engine takes it for lost a little later.
const LONGEST: Millis = Millis(9 * 60_000);
/// How often a listing is throttled before it fails.
const MAX_THROTTLED: u32 = 10;
/// The pause after a 429 that does not say how long it is to be.
const UNTOLD_PAUSE: Millis = Millis(1_000);
/// How long a server is believed to state totals of the whole after a page showed that it does.
const TOTALS_BELIEVED: Millis = Millis(60 * 60_000);

/// One pass over all pages.
#[derive(Default)]
struct Sweep {
    accounts: Vec<ObservedAccount>,
    ids: HashSet<AccountId>,
    totals: Vec<Option<u64>>,
    /// How many rows each page had.
    pages: Vec<u64>,
    /// How often a page was refused because there were too many requests.
    throttled: u32,
    /// The server said itself that this is the end: an empty page, or no next link after others.
    ended: bool,
}

/// Where a pass is.
struct Walk {
    route: &'static str,
    query: String,
    next: Option<String>,
    linked: bool,
}

impl Client {
    /// All administrators, every page, in one pass; two where no page states a total of the whole.
    ///
    /// # Errors
    /// The first fault: half a listing is none.
    pub async fn list(&self) -> ReadOutcome<Listing> {
        let began = (self.line.clock)().boot;
        let mut sweep = self.sweep(began).await?;
        let mut requests = sweep.totals.len();
        let mut throttled = sweep.throttled;
        let mut complete = sweep.adds_up();
        if sweep.could_be_all() {
            // Nothing states how many there are. A row that moved between two pages while somebody was
            // deleted would be missing once, and not twice in the same way.
            let again = self.sweep(began).await?;
            requests += again.totals.len();
            throttled += again.throttled;
            complete = again.could_be_all() && again.ids == sweep.ids;
            sweep = again;
        }
        if throttled == 0 {
            self.pace(Pace::went_well);
        }
        let org = sweep.accounts.first().and_then(|account| account.org.clone());
        let org = org.filter(|org| sweep.accounts.iter().all(|account| account.org.as_ref() == Some(org)));
        Ok(Listing {
            accounts: sweep.accounts,
            complete,
            org,
            tagged: Vec::new(),
            requests: u32::try_from(requests).unwrap_or(u32::MAX).saturating_add(throttled),
            throttled: throttled > 0,
        })
    }

    async fn sweep(&self, began: BootTime) -> ReadOutcome<Sweep> {
        let believed = self.states_whole_totals(began);
        let mut sweep = Sweep::default();
        let mut walk = Walk::new("/api/users", "&sort=_id");
        for _ in 0..MAX_PAGES {
            let path = walk.path(self.page_size, sweep.accounts.len());
            let answer = self.paced_page(&path, began, &mut sweep).await?;
            let (found, total) = wire::accounts(&answer.body).map_err(|_| outcome::garbled(answer.status))?;
            walk.turned(&answer, self.line.door.origin());
            if sweep.take(found, total, &walk, believed) {
                break;
            }
        }
        if sweep.shows_whole_totals() {
            self.whole_totals_at.store(began.0.max(1), Ordering::Relaxed);
        }
        Ok(sweep)
    }

    /// A page, at the pace of pages. One that is refused because there are too many requests is asked for
    /// again, and not the whole listing: in a large organization no listing would come to its end.
    async fn paced_page(&self, path: &str, began: BootTime, sweep: &mut Sweep) -> ReadOutcome<Answer> {
        let first = sweep.pages.is_empty();
        loop {
            let wait = self.pace(|pace| pace.turn((self.line.clock)().boot));
            tokio::time::sleep(Duration::from_millis(wait.0)).await;
            if (self.line.clock)().boot.since(began) > LONGEST {
                self.pace(Pace::too_slow);
                return Err(Fault::of(FaultClass::Ambiguous));
            }
            let fault = match self.page(path.to_owned()).await {
                Err(fault) if is_for_now(&fault, first) => fault,
                answer => return answer,
            };
            self.pace(Pace::throttled);
            sweep.throttled += 1;
            let pause = fault.retry_after_ms.unwrap_or(UNTOLD_PAUSE.0);
            let in_time = ((self.line.clock)().boot + Millis(pause)).since(began) <= LONGEST;
            if sweep.throttled > MAX_THROTTLED || !in_time {
                return Err(fault);
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Whether a page has shown lately that totals are not just the page's own length.
    fn states_whole_totals(&self, now: BootTime) -> bool {
        let shown = self.whole_totals_at.load(Ordering::Relaxed);
        shown > 0 && now.since(BootTime(shown)) < TOTALS_BELIEVED
    }

    /// The tenant's roles (`/api/v2/roles`; undocumented, checked live by the vendor's own client).
    ///
    /// # Errors
    /// The first fault; half a list is garbled: it would make roles unknown that are not.
    pub async fn roles(&self) -> ReadOutcome<Vec<DiscoveredRole>> {
        let believed = self.states_whole_totals((self.line.clock)().boot);
        let mut roles: Vec<DiscoveredRole> = Vec::new();
        let mut seen = 0;
        let mut walk = Walk::new("/api/v2/roles", "");
        for _ in 0..MAX_PAGES {
            let answer = self.page(walk.path(self.page_size, seen)).await?;
            let (found, total) = wire::roles(&answer.body).map_err(|_| outcome::garbled(answer.status))?;
            walk.turned(&answer, self.line.door.origin());
            let (known, page) = (roles.len(), found.len());
            for role in found {
                if !roles.iter().any(|known| known.name == role.name) {
                    roles.push(role);
                }
            }
            let reached = |count: usize| total.is_none_or(|total| count as u64 >= total);
            if roles.len() == known {
                return if reached(seen) { Ok(roles) } else { Err(outcome::garbled(answer.status)) };
            }
            seen += page;
            // As for accounts: it may be the page's own length, and then there are more.
            let of_page = !believed && total == Some(page as u64);
            let told = walk.linked || (total.is_some() && !of_page);
            if walk.next.is_none() && reached(seen) && told {
                return Ok(roles);
            }
        }
        Err(outcome::garbled(200))
    }

    async fn page(&self, path: String) -> Result<Answer, Fault> {
        let about = About::Organization;
        let call = Call { method: Method::GET, path, body: None, about, patience: PATIENCE, not_after: None };
        self.line.send(&call).await
    }
}

impl Sweep {
    /// Takes a page; whether it was the last.
    fn take(&mut self, found: Vec<ObservedAccount>, total: Option<u64>, walk: &Walk, believed: bool) -> bool {
        let page = found.len();
        let news = found.iter().filter(|account| self.ids.insert(account.id.clone())).count();
        self.accounts.extend(found);
        self.totals.push(total);
        self.pages.push(page as u64);
        if news == 0 || (walk.next.is_none() && walk.linked) {
            self.ended = page == 0 || news > 0;
            return true;
        }
        // A total that is just this page's length may be the page's and not the organization's, and how long
        // pages are at most is the server's own: one more look. The end of somebody's access may hang on who
        // is not listed. The look beyond the end tells: it shows no row and, of an honest total, the total.
        let of_page = !believed && total == Some(page as u64);
        walk.next.is_none() && !of_page && total.is_some_and(|total| self.accounts.len() as u64 >= total)
    }

    /// A page stated a total that is not its own length.
    fn shows_whole_totals(&self) -> bool {
        self.totals.iter().zip(&self.pages).any(|(total, rows)| total.is_some_and(|total| total != *rows))
    }

    /// No id came twice, and every page stated the number that came: a total that moved means that
    /// rows moved between pages too.
    fn adds_up(&self) -> bool {
        let count = self.accounts.len();
        self.ids.len() == count && self.totals.iter().all(|total| *total == Some(count as u64))
    }

    /// No total of the whole anywhere, no id twice, and the server showed the end.
    fn could_be_all(&self) -> bool {
        let of_page = |(total, rows): (&Option<u64>, &u64)| total.is_none_or(|total| total == *rows);
        let silent = self.totals.iter().zip(&self.pages).all(of_page);
        silent && self.ended && !self.ids.is_empty() && self.ids.len() == self.accounts.len()
    }
}

impl Walk {
    fn new(route: &'static str, query: &str) -> Self {
        Self { route, query: query.to_owned(), next: None, linked: false }
    }

    fn path(&self, limit: u32, seen: usize) -> String {
        let counted = || format!("{}?limit={limit}&skip={seen}{}", self.route, self.query);
        self.next.clone().unwrap_or_else(counted)
    }

    fn turned(&mut self, answer: &Answer, origin: &str) {
        let links = answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let next = links.flat_map(next_targets).find_map(|target| self.follow(target, origin));
        self.linked |= next.is_some();
        self.next = next;
    }

    /// The link as a path of ours; `None` if it leads anywhere else.
    fn follow(&self, target: &str, origin: &str) -> Option<String> {
        let origin = Url::parse(origin).ok()?;
        let url = origin.join(self.route).ok()?.join(target).ok()?;
        let stays = url.origin() == origin.origin() && url.path() == self.route;
        let path = format!("{}?{}", url.path(), url.query()?);
        (stays && url.username().is_empty() && self.next.as_ref() != Some(&path)).then_some(path)
    }
}

/// Whether a page is refused for the moment only. Who was given one page may read the next: a 403 then is
/// how some gateways say that there were too many requests. Nothing is lost with a first page, and whoever
/// wanted the listing is told at once to slow down.
fn is_for_now(fault: &Fault, first: bool) -> bool {
    !first && matches!(fault.class, FaultClass::Throttled | FaultClass::Forbidden)
}

/// The targets of `rel="next"` in a Link header (RFC 8288, section 3).
fn next_targets(header: &str) -> impl Iterator<Item = &str> {
    header.split('<').skip(1).filter_map(|link| {
        let (target, params) = link.split_once('>')?;
        let is_next = |param: &str| {
            let (name, value) = param.split_once('=')?;
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            let rel = name.trim().eq_ignore_ascii_case("rel");
            rel.then(|| value.split_whitespace().any(|v| v.eq_ignore_ascii_case("next")))
        };
        params.split(';').find_map(is_next)?.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://console.jumpcloud.com";

    fn follow(header: &str) -> Option<String> {
        let walk = Walk::new("/api/users", "");
        next_targets(header).find_map(|target| walk.follow(target, ORIGIN))
    }

    #[test]
    fn a_next_link_is_followed_on_its_own_route_and_origin_only() {
        let path = Some("/api/users?skip=10&limit=10".to_owned());
        for header in [
            "</api/users?skip=10&limit=10>; rel=next",
            "<https://console.jumpcloud.com/api/users?skip=10&limit=10>; rel=\"next\"",
            "<?skip=10&limit=10>;title=\"a\"; REL=\"last Next\"",
            "</api/users?skip=0>; rel=\"first\", </api/users?skip=10&limit=10>; rel=\"next\", </api/users?skip=90>; rel=last",
        ] {
            assert_eq!(follow(header), path, "{header}");
        }
        for header in [
            "<https://evil.example/api/users?skip=10>; rel=next",
            "<//evil.example/api/users?skip=10>; rel=next",
            "<http://console.jumpcloud.com/api/users?skip=10>; rel=next",
            "<https://console.jumpcloud.com:444/api/users?skip=10>; rel=next",
            "<https://a@console.jumpcloud.com/api/users?skip=10>; rel=next",
            "</api/users/reactivate/1?skip=10>; rel=next",
            "</api/users>; rel=next",
            "</api/users?skip=0>; rel=prev",
            "<rel=next",
            "",
            "rel=next",
            "<>",
        ] {
            assert_eq!(follow(header), None, "{header}");
        }
    }
}
