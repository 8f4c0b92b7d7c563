#!/usr/bin/env python3
"""That the canary suite finds what leaves: the program is built without one of its guards after the other, and the suite must fail
at that way out.

    tests/canary/unguarded.py [--only OUTLET]

Works on a copy in target/unguarded; the tree is not touched, and the program that is shipped has no switch for this. Exit 0: each
missing guard was noticed. Takes about ten minutes, most of them for the first build.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "unguarded" / "tree"
# The guard of this way out is gone: where something must be seen then. Not among them: the pages for probes, which hold no word
# of anybody else's (a unit test puts a secret there: src/admin/guarded.rs).
GUARDS = {
    "Request": r"at (inventory|reports|what the control plane keeps)",
    "Log": r"at standard output and error",
    "ControlSocket": r"at control socket",
    "Output": r"at `",
}
JUDGE = "pub fn judge(outlet: Outlet, bytes: &[u8], to: Option<&str>) -> Result<(), Hit> {\n"


def copy():
    shutil.rmtree(COPY, ignore_errors=True)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        (COPY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, COPY / name)


def play(outlet):
    """What the suite says of the program without the guard of this way out (`None`: with all)."""
    guard = COPY / "src/secrets/guard.rs"
    whole = (ROOT / "src/secrets/guard.rs").read_text()
    if JUDGE not in whole:
        sys.exit("unguarded: the guard's judge has another shape now: mend JUDGE here")
    gone = f"    if outlet == Outlet::{outlet} {{\n        return Ok(());\n    }}\n" if outlet else ""
    guard.write_text(whole.replace(JUDGE, JUDGE + gone))
    environment = dict(os.environ, CARGO_TARGET_DIR=str(COPY.parent / "target"), CARGO_PROFILE_DEV_DEBUG="0")
    command = ["cargo", "test", "--locked", "--test", "canary", "--no-fail-fast"]
    done = subprocess.run(command, cwd=COPY, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=GUARDS)
    only = parser.parse_args().only
    copy()
    code, said = play(None)
    if code != 0:
        sys.exit(f"unguarded: the suite fails with all guards in place:\n{said[-3000:]}")
    print("with all guards: nothing is seen", flush=True)
    missed = []
    for outlet, where in GUARDS.items():
        if only and outlet != only:
            continue
        code, said = play(outlet)
        seen = re.findall(r"SEEN: .*", said)
        noticed = code != 0 and any(re.search(where, line) for line in seen)
        print(f"without {outlet}: {'noticed: ' + seen[0][:200] if noticed else 'NOT NOTICED'}", flush=True)
        if not noticed:
            missed.append(outlet)
            print(said[-1500:])
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
