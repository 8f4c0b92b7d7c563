#!/usr/bin/env python3
"""What the shipped program needs of memory, held to its limit: with a state key, seccomp and Landlock in force.

    tests/live/budget.py --agent PROGRAM --sandbox PROGRAM [--limit KIB]

--agent: the program as it is shipped (`--profile dist`). --sandbox: one with the sandbox (target/debug). The agent is enrolled,
has taken its first poll and has played a grant from request to end; then the memory that it holds is read. It is no measure of
time: a busy machine changes nothing. Exit 0: within the limit; 1: beyond it, or something else was seen than promised.
"""
import argparse
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # the tree stays as it was committed
from place import Beyond, Place, until


def play(place):
    place.start_agent()
    until("status says connected", place.is_connected)
    number = place.request("dmitri@example.com", "Manager", 2)
    until("the grant has ended", lambda: place.requests()[number]["state"] == "ended")
    return place.seen()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=Path, required=True)
    parser.add_argument("--sandbox", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=16 * 1024, help="KiB of resident memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Place(arguments.agent, arguments.sandbox, directory)
        try:
            status = play(place)
        finally:
            place.close()
    resident, filtered = int(status["VmRSS"]), status["Seccomp"]
    print(f"resident {resident} kB of {arguments.limit}, {status['Threads']} threads, seccomp {filtered}")
    if filtered != "2":
        raise Beyond("no seccomp filter is in force: this is not what is shipped")
    if resident > arguments.limit:
        raise Beyond(f"{resident} kB resident, the limit is {arguments.limit} kB")


if __name__ == "__main__":
    try:
        main()
    except Beyond as why:
        sys.exit(f"budget: {why}")
