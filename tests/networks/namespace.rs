//! A network of the test's own, in namespaces: a resolver that fails in each way, and a name whose IPv6
//! address leads nowhere.
//!
//! The test runs itself again inside (`unshare`), because a namespace is entered by a process.

use std::{fs, net::UdpSocket, process::Command, thread, time::Duration};

use crate::{
    authority::Authority,
    bench::{Server, not_sent, options, says, send},
};

const INSIDE: &str = "EPHEMERALD_NETWORKS_INSIDE";

/// A packet to `fd00:dead::2` leaves, and nobody answers.
const SCRIPT: &str = "ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v0 up && \
    ip link set v1 up && ip -6 addr add fd00:dead::1/64 dev v0 nodad && \
    ip -6 neigh add fd00:dead::2 lladdr 02:00:00:00:00:02 dev v0 && \
    mount --bind \"$DIR/resolv.conf\" /etc/resolv.conf && echo READY";

#[test]
fn a_dead_family_and_a_failing_resolver() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
        .unwrap();
    let program = std::env::current_exe().unwrap();
    let script = format!("{SCRIPT} && exec {program:?} --exact namespace::inside --ignored --nocapture");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", &script]);
    let output = command.env("DIR", dir.path()).env(INSIDE, "1").output();
    let said = match &output {
        Ok(output) => String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned(),
        Err(error) => error.to_string(),
    };
    if !said.contains("READY") {
        return crate::skipped("namespaces", &said);
    }
    assert!(output.is_ok_and(|output| output.status.success()) && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by a_dead_family_and_a_failing_resolver"]
async fn inside() {
    assert!(std::env::var_os(INSIDE).is_some(), "only in a namespace of its own");
    resolver();
    let authority = Authority::new("servers");
    let server = Server::start(authority.server(&["dual.test"])).await;
    let port = server.addr.port();
    let door = |host: &str| {
        let mut options = options(&format!("https://{host}:{port}"), &authority.pem);
        options.connect_timeout = Duration::from_secs(5);
        options
    };
    assert_eq!(send(door("dual.test")).await.unwrap(), 200, "the family that lives is enough");
    assert_eq!(server.connections(), 1);
    let text = not_sent(send(door("[fd00:dead::2]")).await);
    says(&text, &["timed out", "no connection within 5s"]);

    let text = not_sent(send(door("gone.test")).await);
    says(&text, &["DNS knows no address of gone.test"]);
    let text = not_sent(send(door("broken.test")).await);
    says(&text, &["DNS failed for broken.test", "SERVFAIL"]);
    let text = not_sent(send(door("silent.test")).await);
    says(&text, &["DNS did not answer for silent.test within 4s"]);
}

/// Answers by the first letter of the name: d(ual), g(one), b(roken), s(ilent).
fn resolver() {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let question = packet.get(12..length).unwrap_or_default();
            let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
            let (name, six) = (&question[..end], question[end - 3] == 28);
            let (code, address): (u8, Option<Vec<u8>>) = match name.get(1) {
                Some(b'd') if six => {
                    (0, Some("fd00:dead::2".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()))
                }
                Some(b'd') => (0, Some(vec![127, 0, 0, 1])),
                Some(b'g') => (3, None),
                Some(b'b') => (2, None),
                _ => continue,
            };
            let count = u8::from(address.is_some());
            // RFC 1035: an answer that repeats the question, recursion available.
            let mut answer = vec![packet[0], packet[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
            answer.extend_from_slice(name);
            if let Some(address) = address {
                let kind = if six { 28 } else { 1 };
                let length = u8::try_from(address.len()).unwrap();
                answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length]);
                answer.extend_from_slice(&address);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
}
