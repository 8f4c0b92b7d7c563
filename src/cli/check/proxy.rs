//! Which way an origin is reached by, and who said so.
//!
//! Refuses to show more of a proxy than its address.

use super::report::Verdict;
use crate::{
    config::{Config, Integration, Proxy},
    http::Door,
};

/// The way of the control plane, or of an integration.
pub(super) fn way(config: &Config, integration: Option<&Integration>, door: &Door) -> Verdict {
    let plane = &config.control_plane;
    let said = match integration.map(|integration| &integration.proxy) {
        None | Some(Proxy::Unsaid) => &plane.proxy,
        Some(own) => own,
    };
    let Some(proxy) = door.proxy() else { return direct(said, config.ignored_variables()) };
    let found = format!("{}, by {}", proxy.shown(), proxy.said_by());
    if matches!(said, Proxy::Own(url) if url.holds_password()) {
        let advice = "the password stands in the configuration, where others may read it: move it into a file of mode 0600 that proxy_auth_file names";
        return Verdict::warn(found, advice);
    }
    Verdict::ok(found)
}

fn direct(said: &Proxy, ignored: &[&str]) -> Verdict {
    match said {
        Proxy::Unsaid if !ignored.is_empty() => {
            let found = format!("none; {} of the environment is ignored", ignored.join(", "));
            let advice = "set control_plane.proxy to \"environment\" to use it, to a URL, or to \"direct\"";
            Verdict::warn(found, advice)
        }
        Proxy::Unsaid => Verdict::ok("none"),
        Proxy::Direct => Verdict::ok("none, as \"direct\" says"),
        Proxy::Environment => Verdict::ok("none: by the environment, or by no_proxy"),
        Proxy::Own(_) => Verdict::ok("none: the host is in control_plane.no_proxy"),
    }
}
