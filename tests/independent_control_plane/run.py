#!/usr/bin/python3
"""Drives a shipped agent with an independent control plane. See README.md."""
import argparse
import importlib
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from checks import framework  # noqa: E402
from control_plane.schemas import Schemas, find_protocol  # noqa: E402

MODULES = ["vectors", "refusals", "life", "network", "keychange", "clones", "cancel", "fake", "clock"]

# Everything at once starts more slowly than one after the other.
STARTING = threading.Semaphore(6)


def started(rig):
    with STARTING:
        rig.up()


def play_group(name, context, output, only):
    chosen = [(title, function) for title, function in framework.GROUPS[name]
              if not only or only in title or only == name or only == name.split(":")[0]]
    if not chosen:
        return
    make = context.rigs.get(name)
    rig = None
    try:
        if make:
            rig = make(context)
            output.play(f"{name}: everything starts", started, rig)
        for title, function in chosen:
            output.play(title, function, context, rig)
        if rig:
            output.play(f"{name}: every message fitted its schema", framework.equal, "violations",
                        rig.violations + rig.cp.violations, [])
    finally:
        if rig:
            rig.down()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", required=True, type=Path, help="the agent's binary")
    parser.add_argument("--only", help="only checks whose name contains this, or one group")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    parser.add_argument("--protocol", type=Path, help="the directory docs/protocol")
    options = parser.parse_args()
    protocol = options.protocol or find_protocol(Path(__file__).resolve().parent)
    base = tempfile.mkdtemp(prefix="icp-")
    context = SimpleNamespace(agent=str(options.agent.resolve()), protocol=protocol,
                              schemas=Schemas(protocol), base=base, rigs={}, output=None)
    output = context.output = framework.Output()
    for module in MODULES:
        found = importlib.import_module(f"checks.{module}")
        context.rigs.update(getattr(found, "RIGS", {}))
    began = time.monotonic()
    threads = [threading.Thread(target=play_group, args=(name, context, output, options.only))
               for name in framework.GROUPS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if output.table:
        from checks.refusals import print_table
        print_table(output.table)
    if options.keep:
        print(f"kept: {base}")
    else:
        shutil.rmtree(base, ignore_errors=True)
    for text in output.explained:
        print(f"failed: {text}")
    print(f"took {time.monotonic() - began:.0f} s")
    print(f"{output.passed} passed, {output.failed} failed")
    return 1 if output.failed else 0


if __name__ == "__main__":
    sys.exit(main())
