#!/usr/bin/env python3
"""Mutation testing of what decides: the engine, the classification of answers, the clock, the order of commits.

    tests/mutation/run.py [--sample N] [--seed S] [--only PATH-PART[,PATH-PART...]] [--mutant N] [--list] [--jobs N]

All mutants are built into one optimized copy of the crate, each behind a switch that an environment variable turns: one build, and
then each mutant costs the time of its tests. Kinds: a condition negated, `&&` made `||`, a boundary moved (`<` and `<=`), a
statement left out, a function's truth turned round. One mutant a line at most; a line that does not compile with its mutant
is dropped and told.

A mutant is killed when a suite fails, panics or does not end. Suites run in order until one kills. Survivors are printed with
their line, and with what they do otherwise than the crate without them in simulated seeds, if anything: that breaks no
invariant. docs/testing.md says what became of them. Refuses to touch the working tree: it works in target/mutation.
"""
import argparse
import os
import pathlib
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "mutation"
FILES = ["src/engine", "src/jumpcloud/outcome.rs", "src/clock.rs", "src/ledger/writer.rs", "src/ledger/committed.rs"]
# Shown to operators, told to tests, or taken away by tests: nothing that decides.
LEFT_OUT = {"tests.rs", "planted.rs", "views.rs"}
# Suites in the order in which they kill most for their time; environment for the sampled ones.
SUITES = [
    ("timelines", [], {}),
    ("lib", ["--skip", "planted"], {}),
    ("policy", [], {"EPHEMERALD_CASES": "200"}),
    ("operator", [], {}),
    ("odd_tenants", [], {}),
    ("reviewed", [], {}),
    ("hints", [], {}),
    ("elsewhere", [], {}),
    ("overlaps", [], {"EPHEMERALD_CASES": "1000"}),
    ("drift", [], {"EPHEMERALD_CASES": "1000"}),
    ("recovery", ["timelines"], {}),
    ("engine_properties", [], {}),
    ("jumpcloud_client", [], {}),
    ("ledger", [], {}),
    ("simulation", ["every_invariant"], {"EPHEMERALD_SEEDS": "600"}),
]
LIMIT = 60  # seconds for one suite: beyond it a mutant hangs
TRACES = 300  # seeds in which a survivor's deeds are compared with those of the crate without it

SWITCH = '''//! Written by tests/mutation/run.py.
#![allow(missing_docs)]
pub fn on(n: u32) -> bool {
    static WHICH: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *WHICH.get_or_init(|| std::env::var("EPHEMERALD_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0)) == n
}
pub fn turned(n: u32, is: bool) -> bool {
    is != on(n)
}
'''

OPERAND = r"[\w.:()&*]+"
COMPARED = re.compile(rf"(?<![\w.:)&*]) ?({OPERAND}) (>=|<=|>|<) ({OPERAND})(?=[\s;,)}}]|$)")
MOVED = {">=": ">", ">": ">=", "<=": "<", "<": "<="}


def balanced(text):
    depth = 0
    for c in text:
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(c, 0)
        if depth < 0:
            return False
    return depth == 0


def top_level(condition, operator):
    """Where the operator stands outside of any bracket."""
    depth = 0
    for i, c in enumerate(condition):
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(c, 0)
        if depth == 0 and condition.startswith(operator, i):
            return i
    return None


def of_condition(n, condition):
    """The ways to change one condition."""
    ways = [("negated", f"crate::mutant::turned({n}, {condition})")]
    at = top_level(condition, " && ")
    if at is not None and top_level(condition, " || ") is None:
        other = f"({condition[:at]}) || ({condition[at + 4:]})"
        ways.append(("&& made ||", f"(if crate::mutant::on({n}) {{ {other} }} else {{ {condition} }})"))
    found = COMPARED.search(condition)
    if found and balanced(found[1]) and balanced(found[3]):
        ways.append(("boundary moved", condition[: found.start(1)] + moved(n, found) + condition[found.end(3):]))
    return ways


def moved(n, found):
    a, operator, b = found.groups()
    return f"(if crate::mutant::on({n}) {{ {a} {MOVED[operator]} {b} }} else {{ {a} {operator} {b} }})"


def ways(n, line, before, after):
    """Every way to change one line: (kind, new line)."""
    code = line.rstrip("\n")
    indent = code[: len(code) - len(code.lstrip())]
    bare = code.strip()
    if not bare or bare.startswith(("//", "#", "use ", "pub use", "assert", "debug_assert")):
        return []
    found = re.match(r"^(\} else if|if|while) (.+) \{$", bare)
    if found:
        if "let " in found[2]:
            return []
        return [(kind, f"{indent}{found[1]} {new} {{") for kind, new in of_condition(n, found[2])]
    found = re.match(r"^(.+) if (.+?) => (.*)$", bare)
    if found and "let " not in found[2] and balanced(found[2]) and '"' not in bare:
        return [
            (kind, f"{indent}{found[1]} if {new} => {found[3]}") for kind, new in of_condition(n, found[2])
        ]
    if re.match(r"^(self|desk|tenant|account|grant|state)(\.\w+)*(\.\w+\(.*\)| (=|\+=|\|=) .+);$", bare) and balanced(bare):
        return [("left out", f"{indent}if !crate::mutant::on({n}) {{ {bare} }}")]
    is_body = before.rstrip().endswith("-> bool {") and after.strip() == "}"
    if is_body and not bare.endswith((";", "{", ",")) and balanced(bare):
        return [("turned", f"{indent}crate::mutant::turned({n}, {bare})")]
    found = COMPARED.search(code)
    if found and balanced(found[1]) and balanced(found[3]) and '"' not in code and "fn " not in code and "->" not in code:
        return [("boundary moved", code[: found.start(1)] + moved(n, found) + code[found.end(3):])]
    return []


def mutants(files, chance):
    """[(number, path, line number, kind, old, new)], numbered from 1."""
    found = []
    for path in files:
        lines = (ROOT / path).read_text().splitlines()
        in_const = False
        for i, line in enumerate(lines):
            if line.strip() == "#[cfg(test)]":
                break
            if re.search(r"\bfn \w+", line):
                in_const = "const fn" in line
            if in_const:
                continue
            around = (lines[i - 1] if i else "", lines[i + 1] if i + 1 < len(lines) else "")
            options = ways(len(found) + 1, line, *around)
            if options:
                kind, new = chance.choice(options)
                found.append((len(found) + 1, path, i, kind, line, new))
    return found


def files_of(only):
    listed = []
    for path in FILES:
        place = ROOT / path
        listed += sorted(place.rglob("*.rs")) if place.is_dir() else [place]
    listed = [p.relative_to(ROOT).as_posix() for p in listed if p.name not in LEFT_OUT]
    return [p for p in listed if any(part in p for part in only.split(","))]


def write(all_mutants):
    """The copy, with every mutant in its place."""
    wanted = {}
    for part in ["src", "tests", "config", "docs", "benches", "deploy", "systemd", "fuzz"]:
        for path in (ROOT / part).rglob("*"):
            if path.is_file() and "target" not in path.parts[len(ROOT.parts):]:
                wanted[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for part in ["Cargo.toml", "Cargo.lock", "clippy.toml", "README.md"]:
        wanted[part] = (ROOT / part).read_bytes()
    lib = wanted["src/lib.rs"].decode()
    wanted["src/lib.rs"] = lib.replace("\npub mod ", "\n#[doc(hidden)]\npub mod mutant;\npub mod ", 1).encode()
    wanted["src/mutant.rs"] = SWITCH.encode()
    for path in {mutant[1] for mutant in all_mutants}:
        lines = wanted[path].decode().splitlines()
        for _, _, i, _, _, new in (m for m in all_mutants if m[1] == path):
            lines[i] = new
        wanted[path] = ("\n".join(lines) + "\n").encode()
    for path, content in wanted.items():
        place = COPY / path
        # What is as it should be keeps its time, lest everything be built anew.
        if not place.exists() or place.read_bytes() != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    for path in (COPY / "src").rglob("*.rs"):
        if path.relative_to(COPY).as_posix() not in wanted:
            path.unlink()


def cargo(*args):
    env = dict(os.environ, CARGO_TARGET_DIR=str(COPY / "target"))
    return subprocess.run(["cargo", *args], cwd=COPY, env=env, capture_output=True, text=True)


def compiling(all_mutants):
    """The mutants with which the crate compiles; the others are told."""
    for _ in range(12):
        write(all_mutants)
        done = cargo("check", "--lib", "--locked")
        if done.returncode == 0:
            return all_mutants
        spans = {(m[1], int(m[2])) for m in re.finditer(r"--> (src/[\w/]+\.rs):(\d+):", done.stderr)}
        bad = [m for m in all_mutants if (m[1], m[2] + 1) in spans]
        if not bad:
            sys.exit(f"the copy does not compile for another reason:\n{done.stderr[-3000:]}")
        for _, path, i, kind, *_ in bad:
            print(f"does not compile, dropped: {path}:{i + 1} {kind}", flush=True)
        all_mutants = [m for m in all_mutants if m not in bad]
    sys.exit("too many rounds")


def built():
    """The test programs, by suite."""
    names = [name for name, _, _ in SUITES if name != "lib"]
    args = ["test", "--release", "--locked", "--no-run", "--lib"] + [a for name in names for a in ("--test", name)]
    done = cargo(*args)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    programs = {}
    for line in done.stderr.splitlines():
        found = re.search(r"Executable (?:unittests )?(\S+) \((.+)\)", line)
        if found:
            source = pathlib.Path(found[1])
            name = "lib" if source.name == "lib.rs" else source.parent.name if source.name == "main.rs" else source.stem
            programs[name] = COPY / found[2]
    return programs


def killer(programs, n):
    """The suite that notices mutant `n`, or None."""
    for name, args, extra in SUITES:
        env = dict(os.environ, EPHEMERALD_MUTANT=str(n), CARGO_MANIFEST_DIR=str(COPY), **extra)
        run = [str(programs[name]), "-q", *args]
        try:
            done = subprocess.run(run, cwd=COPY, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return f"{name} (does not end)"
        if done.returncode:
            return name
    return None


def simulated(programs, n, **named):
    env = dict(os.environ, EPHEMERALD_MUTANT=str(n), CARGO_MANIFEST_DIR=str(COPY), **named)
    run = [str(programs["simulation"]), "--exact", "traces", "--nocapture"]
    return subprocess.run(run, cwd=COPY, env=env, capture_output=True, text=True, timeout=10 * LIMIT).stdout.splitlines()


def traced(programs, n):
    """What was done in each seed, by seed."""
    lines = simulated(programs, n, EPHEMERALD_TRACES=str(TRACES))
    found = (re.search(r"seed (\d+) (\S.*)", line) for line in lines)
    return {int(seed[1]): seed[2] for seed in found if seed}


def departure(programs, n, usual):
    """Where a survivor does something else than the crate without it, in the simulation; the first line that differs."""
    seeds = traced(programs, n)
    departs = [seed for seed in usual if seeds.get(seed) != usual[seed]]
    if not departs:
        return f"does the same in {TRACES} seeds"
    stories = [simulated(programs, which, EPHEMERALD_TRACE=str(departs[0])) for which in (n, 0)]
    changed = [(a, b) for a, b in zip_longest(*stories, fillvalue="nothing") if a != b]
    a, b = changed[0] if changed else ("the same story", "the same story")
    return f"departs in {len(departs)} of {TRACES} seeds, in {departs[0]}:\n       {a[:300]}\n       instead of {b[:300]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sample", type=int, default=0, help="how many, chosen by the seed; all if absent")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", type=int, default=0, help="so many of them have been judged before")
    parser.add_argument("--only", default="", help="files whose path holds this, or one of several with commas between")
    parser.add_argument("--mutant", type=int, default=0, help="this one alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants judged side by side")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    every = mutants(files_of(args.only), chance)
    print(f"{len(every)} mutants in {len({m[1] for m in every})} files", flush=True)
    if args.list:
        for n, path, i, kind, old, _ in every:
            print(f"{n:4} {path}:{i + 1} {kind}: {old.strip()}")
        return
    COPY.mkdir(parents=True, exist_ok=True)
    every = compiling(every)
    programs = built()
    unmutated = killer(programs, 0)
    if unmutated:
        sys.exit(f"without any mutant {unmutated} fails: nothing can be concluded")
    chosen = [m for m in every if m[0] == args.mutant] if args.mutant else list(every)
    if args.sample and args.sample < len(chosen):
        # In the order in which they were drawn: whoever stops early has a smaller sample, not another one.
        chosen = chance.sample(chosen, args.sample)
    chosen = chosen[args.skip:]
    usual, again = traced(programs, 0), traced(programs, 0)
    unsteady = [seed for seed in usual if usual[seed] != again[seed]]
    if unsteady:
        print(f"the same seed is not the same run, left out: {unsteady}")
        usual = {seed: done for seed, done in usual.items() if seed not in unsteady}
    survivors, by = [], {}
    begun = time.time()
    side_by_side = ThreadPoolExecutor(args.jobs)


    def judged(mutant):
        noticed = killer(programs, mutant[0])
        return noticed, None if noticed else departure(programs, mutant[0], usual)

    for (n, path, i, kind, old, _), (noticed, departs) in zip(chosen, side_by_side.map(judged, chosen)):
        by[noticed] = by.get(noticed, 0) + 1
        if noticed is None:
            survivors.append(n)
        print(f"{n:4} {noticed or 'SURVIVED'}: {path}:{i + 1} {kind}: {old.strip()}", flush=True)
        if departs:
            print(f"       {departs}", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed in {time.time() - begun:.0f} s; by {by}")


if __name__ == "__main__":
    main()
