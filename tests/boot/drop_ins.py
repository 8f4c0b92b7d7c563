"""The shipped drop-ins, used as they are shipped."""

import json
import subprocess

from parts import CONTROL_PLANE, JUMPCLOUD, UNIT, expect, wait_for

EXAMPLES = "/usr/share/doc/ephemerald/examples/drop-ins"
BESIDE = "/etc/systemd/system/ephemerald.service.d"
FILE = "/etc/ephemerald/ephemerald.toml"


class DropIns:
    def operators(self):
        """The socket for a group of people, by the drop-in that is shipped."""
        machine = self.machine
        machine.shell(
            f"""set -e
            groupadd --system jit-operators
            useradd --system --groups jit-operators grace
            mkdir -p {BESIDE} /etc/ephemerald/conf.d
            cp {EXAMPLES}/operators.conf {BESIDE}/
            printf '[agent]\\ncontrol_group = "jit-operators"\\n' > /etc/ephemerald/conf.d/operators.toml
            chgrp -R ephemerald /etc/ephemerald/conf.d && chmod -R g+rX /etc/ephemerald/conf.d
            systemctl daemon-reload
            systemctl restart ephemerald"""
        )
        owner = machine.run("stat", "-c", "%G %a", "/run/ephemerald/control.sock").out.strip()
        expect(owner == "jit-operators 660", "a socket of that group", owner)
        socket = "--control-socket /run/ephemerald/control.sock"
        machine.shell(f"runuser -u grace -- ephemerald --config /dev/null {socket} status")
        wait_for("contact with the control plane", 30, self.connected)
        self.seen.row("a group for the socket", "the shipped drop-in; a member asks for the status")

    def authority(self):
        """A private authority for the control plane, by the drop-in; without it nobody is believed."""
        machine = self.machine
        machine.shell(
            f"""set -e
            install -m 0640 -g ephemerald /srv/cp-ca.pem /etc/ephemerald/ca.pem
            grep -q ^ca_file {FILE} && sed -i /^ca_file/d {FILE}
            systemctl restart ephemerald"""
        )
        wait_for("its certificate is not believed", 30, lambda: "certificate" in self.this_run())
        expect(not self.connected(), "no contact without the authority")
        self.with_drop_in("custom-ca")
        wait_for("contact with the control plane", 30, self.connected)
        late = self.a_grant("bruno@example.com")
        self.seen.row("a private authority", f"the shipped drop-in; a grant, role gone {late:.1f} s after the end")

    def proxied(self):
        """Everything through the proxy of the drop-in, whose name leads to a tinyproxy; nothing past it."""
        machine = self.machine
        proxy = self.parts.proxy()
        machine.shell("echo 127.0.0.1 proxy.example.com >> /etc/hosts")
        count = Connections(machine.run("id", "-u", "ephemerald").out.strip())
        machine.run("systemctl", "restart", UNIT)
        wait_for("contact with the control plane", 30, self.connected)
        wait_for("direct connections are seen as such", 30, lambda: count.direct() >= 2)
        machine.run("systemctl", "stop", UNIT)
        before = count.direct()
        expect(not proxy.asked(), "no use of a proxy that nobody named", proxy.asked())
        self.with_drop_in("proxy")
        wait_for("contact with the control plane", 30, self.connected)
        late = self.a_grant("chiara@example.com")
        expect(count.direct() == before, "no connection past the proxy", count.direct() - before)
        expect(proxy.asked() == {CONTROL_PLANE, JUMPCLOUD}, "both sides through the proxy", proxy.asked())
        # A proxy that is down is no reason to go direct.
        proxy.stop()
        machine.run("systemctl", "restart", UNIT)
        told = ("out of contact", "proxy")
        lines = lambda: self.this_run().splitlines()
        wait_for("it says so", 30, lambda: any(all(word in line for word in told) for line in lines()))
        expect(count.direct() == before, "no way past a proxy that is down", count.direct() - before)
        machine.shell(f"rm {BESIDE}/proxy.conf && systemctl daemon-reload && systemctl restart ephemerald")
        wait_for("contact with the control plane", 30, self.connected)
        expect(count.direct() > before, "direct connections are seen to the end", count.direct())
        told = f"the shipped drop-in; a grant, role gone {late:.1f} s after the end; nothing went direct"
        self.seen.row("a proxy", told)

    def with_drop_in(self, name):
        self.machine.shell(f"cp {EXAMPLES}/{name}.conf {BESIDE}/ && systemctl daemon-reload && systemctl restart ephemerald")

    def a_grant(self, account):
        """Gives and takes; seconds between the end and that."""
        return self.ended(account, self.granted(account, "15s"))

    def this_run(self):
        """What the process that runs now has logged."""
        return self.machine.journal(f"_SYSTEMD_INVOCATION_ID={self.machine.shows(UNIT, 'InvocationID')}")

    def sealed(self):
        """The connection as an encrypted credential, by the drop-in that is shipped."""
        machine = self.machine
        machine.shell(
            f"""set -e
            mkdir -p /etc/systemd/system/ephemerald-revoke@.service.d
            cp {EXAMPLES}/credential-encrypted.conf {BESIDE}/
            cp {EXAMPLES}/credential-encrypted.conf /etc/systemd/system/ephemerald-revoke@.service.d/
            systemd-creds encrypt --with-key=host --name=main.json \
                /etc/ephemerald/main.json /etc/ephemerald/credentials/main.json.cred
            rm /etc/ephemerald/main.json
            sed -i 's|^connection_file = .*|connection_credential = "main.json"|' {FILE}
            systemctl daemon-reload
            systemctl restart ephemerald"""
        )
        wait_for("JumpCloud answers to the sealed credential", 30, self.connected)
        self.seen.row("encrypted credential", "the shipped drop-in; no key in any file")


class Connections:
    """Counts what a user of the machine dials without a detour."""

    def __init__(self, user):
        ports = ", ".join(address.rsplit(":", 1)[1] for address in (CONTROL_PLANE, JUMPCLOUD))
        begins = f"meta skuid {user} tcp dport {{ {ports} }} tcp flags & (syn | ack) == syn counter"
        rules = f"table inet boot {{\nchain out {{\ntype filter hook output priority 0\n{begins}\n}}\n}}\n"
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def direct(self):
        listed = subprocess.run(
            ["nft", "-j", "list", "table", "inet", "boot"], capture_output=True, text=True, check=True
        ).stdout
        rule = next(found["rule"] for found in json.loads(listed)["nftables"] if "rule" in found)
        return next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
