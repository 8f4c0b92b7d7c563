"""What the packages hold: the same in both, and every document that the tree has."""

import subprocess

from ground import TREE
from parts import expect

# Where a directory of the tree is found after an installation.
DOCUMENTS = {
    "docs": "docs",
    "config": "examples",
    "systemd/drop-ins": "examples/drop-ins",
    "deploy/observability": "examples/observability",
}


def same_in_both(deb_file, rpm_file):
    """Compares both; how many files they hold."""
    listed = subprocess.run(["dpkg-deb", "-c", deb_file], capture_output=True, text=True, check=True).stdout
    deb = {line.split()[5][1:] for line in listed.splitlines() if not line.startswith("d")}
    listed = subprocess.run(["rpm", "-qlp", rpm_file], capture_output=True, text=True, check=True).stdout
    rpm = set(listed.split())
    places = (("vendor-completions", "site-functions"), (".1.gz", ".1"))
    for there, here in places:
        deb = {path.replace(there, here) for path in deb}
    # Each format has the licence where its distributions want it.
    deb.discard("/usr/share/doc/ephemerald/copyright")
    rpm.discard("/usr/share/licenses/ephemerald/LICENSE")
    expect(deb == rpm, "the same files in .deb and .rpm", deb ^ rpm)
    missing = sorted(set(documents()) - rpm)
    expect(not missing, "every document and example in the packages", missing)
    scripts = subprocess.run(
        ["rpm", "-qp", "--scripts", rpm_file], capture_output=True, text=True, check=True
    ).stdout
    for name in ("after-install", "before-remove"):
        expect(f"/usr/lib/ephemerald/{name}" in scripts, f"{name} among the rpm's scripts", scripts)
    return f"{len(deb)} files"


def documents():
    """The paths after an installation; a program that makes a document is none."""
    for here, there in DOCUMENTS.items():
        for file in (TREE / here).rglob("*"):
            if file.is_file() and file.suffix != ".py":
                yield f"/usr/share/doc/ephemerald/{there}/{file.relative_to(TREE / here)}"
