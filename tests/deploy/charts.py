"""Everything about the chart that needs no cluster. Run by charts.sh, which brings the tools.

    charts.py [--write] HELM...      --write makes the files anew that are made from others
"""

import copy
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor

import kubernetes_validate
import yaml

import derived
import promises
import refusals
from spoilt import SPOILT

ROOT = pathlib.Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/ephemerald"
VALUES = sorted((ROOT / "tests/deploy/values").glob("*.yaml"))
# From the chart's kubeVersion to the newest that the validator knows.
KUBERNETES = ["1.27", "1.30", "1.33", "1.35", "1.37"]
# Kinds of the Prometheus operator: not part of Kubernetes, so nothing here has their schemas.
FOREIGN = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}


class Tally:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def say(self, name, problems):
        problems = list(problems)
        if problems:
            self.failed += 1
            print(f"FAIL {name}", *(f"     {problem}" for problem in problems), sep="\n")
        else:
            self.passed += 1
            print(f"ok   {name}")


def helm(program, *args, text=None):
    return subprocess.run([program, *map(str, args)], input=text, capture_output=True, text=True, check=False)


def template(program, *args, text=None):
    return helm(program, "template", "ephemerald", CHART, "--namespace", "ephemerald", *args, text=text)


def rendered(program, file):
    answer = template(program, "--values", file)
    if answer.returncode:
        sys.exit(f"{program}: {file.name}: {answer.stderr}")
    return [thing for thing in yaml.safe_load_all(answer.stdout) if thing]


def valid(objects):
    for version in KUBERNETES:
        for thing in objects:
            if thing["kind"] in FOREIGN:
                continue
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{version}: {thing['kind']}/{thing['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}"


def each_value_set(tally, programs):
    sets = {}
    for file in VALUES:
        values = yaml.safe_load(file.read_text())
        renderings = []
        for program in programs:
            answer = helm(program, "lint", "--strict", CHART, "--values", file)
            tally.say(f"lint --strict {file.name}, {version(program)}", [answer.stdout + answer.stderr] if answer.returncode else [])
            renderings.append(rendered(program, file))
        by_name = [sorted(r, key=lambda o: (o["kind"], o["metadata"]["name"])) for r in renderings]
        tally.say(f"{file.name}: every Helm renders the same", [] if all(r == by_name[0] for r in by_name) else ["they differ"])
        objects = renderings[0]
        tally.say(f"{file.name}: valid for Kubernetes {', '.join(KUBERNETES)}", valid(objects))
        tally.say(f"{file.name}: keeps what the chart promises", promises.broken(objects, values))
        sets[file.stem] = objects
    return sets


def each_promise(tally, objects, values):
    """The counterpart: each way to break the rendering is found, and by the words that are meant."""
    unknown = copy.deepcopy(objects)
    promises.of_kind(unknown, "StatefulSet")[0]["spec"]["template"]["spec"]["hostNetworks"] = True
    tally.say("spoilt: an unknown field is found by the validator", [] if list(valid(unknown)) else ["it was not"])
    for name, (spoil, words) in SPOILT.items():
        broken = copy.deepcopy(objects)
        spoil(broken)
        found = promises.broken(broken, values)
        if not any(re.search(words, problem) for problem in found):
            tally.say(f"spoilt: {name}", [f"nobody said {words!r}: {found}"])
        else:
            tally.say(f"spoilt: {name}", [])


def configuration(tally, sets):
    """What is said in `config` is what the daemon reads."""
    said = yaml.safe_load((ROOT / "tests/deploy/values/full.yaml").read_text())["config"]
    files = {o["metadata"]["name"]: o["data"] for o in promises.of_kind(sets["full"], "ConfigMap")}
    read = tomllib.loads(files["jit-config"]["ephemerald.toml"])
    for one in said["integration"]:
        one["connection_credential"] = f"{one['name']}.json"
    tally.say("full.yaml: config is rendered as it was said", [] if read == said else [f"{read} is not {said}"])
    policy = yaml.safe_load((ROOT / "tests/deploy/values/full.yaml").read_text())["policy"]
    same = files["jit-policy"]["policy.toml"].rstrip() == policy.rstrip()
    tally.say("full.yaml: the policy is word for word", [] if same else [files["jit-policy"]["policy.toml"]])


def restarts(tally, program):
    """A new configuration starts the agent anew, a new policy does not."""
    minimal = ROOT / "tests/deploy/values/minimal.yaml"

    def pod(*args):
        answer = template(program, "--values", minimal, *args)
        objects = [o for o in yaml.safe_load_all(answer.stdout) if o]
        return promises.of_kind(objects, "StatefulSet")[0]["spec"]["template"]

    before = pod()
    for name, args, changes in [
        ("a changed log level", ["--set", "config.log.level=debug"], True),
        ("metrics", ["--set", "metrics.enabled=true"], True),
        ("a changed policy", ["--set-string", "policy=mode = \"enforce\""], False),
        ("a new disruption budget", ["--set", "podDisruptionBudget.maxUnavailable=0"], False),
    ]:
        changed = pod(*args) != before
        tally.say(f"{name} {'starts' if changes else 'does not start'} the agent anew", [] if changed == changes else ["the other way round"])


def refused(tally, program):
    base = yaml.safe_load((ROOT / "tests/deploy/values/minimal.yaml").read_text())
    pool = ThreadPoolExecutor(4)

    def ask(case):
        values = copy.deepcopy(base)
        for path, value in case.change.items():
            at = values
            *way, last = path.split(".")
            for step in way:
                at = at.setdefault(step, {})
            at[last] = value
        return template(program, "--values", "-", text=yaml.safe_dump(values))

    for case, answer in zip(refusals.CASES, pool.map(ask, refusals.CASES)):
        if case.words is None:
            tally.say(f"accepted: {case.name}", [] if answer.returncode == 0 else [answer.stderr])
        else:
            problems = []
            if answer.returncode == 0:
                problems.append("it was accepted")
            elif not all(word in answer.stderr for word in case.words):
                problems.append(f"{case.words} is missing in: {answer.stderr}")
            tally.say(f"refused: {case.name}", problems)


def nulls(tally, program):
    """A value that is missing, as after an upgrade with --reuse-values, is named: never a nil pointer."""
    base = ["--values", ROOT / "tests/deploy/values/minimal.yaml"]
    keys = derived.keys(CHART)

    def ask(key):
        return key, template(program, *base, "--set", f"{key}=null")

    problems = []
    with ThreadPoolExecutor(4) as pool:
        for key, answer in pool.map(ask, keys):
            last = key.rsplit(".", 1)[-1]
            if answer.returncode and ("nil pointer" in answer.stderr or last not in answer.stderr):
                problems.append(f"{key}: {answer.stderr.strip()}")
    tally.say(f"each of {len(keys)} values may be missing, or is named", problems)


def documents(tally, program):
    """The values that the documents show are taken, beside the least that must be said."""
    base = (ROOT / "tests/deploy/values/minimal.yaml").read_text()
    for page in ("deploy/helm/ephemerald/README.md", "docs/install/kubernetes.md", "docs/air-gapped.md"):
        blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
        problems = [] if blocks else ["it shows no values"]
        for block in blocks:
            said = yaml.safe_load(base) | yaml.safe_load(block.replace("sha256:…", "sha256:" + 64 * "0"))
            answer = template(program, "--values", "-", text=yaml.safe_dump(said))
            problems += [f"{block}{answer.stderr}"] if answer.returncode else []
        tally.say(f"{page}: {len(blocks)} examples of values are taken", problems)


def packaged(tally, program):
    """The archive that is carried to where there is no network, and what an installation says at its end."""
    minimal = ["--namespace", "ephemerald", "--values", ROOT / "tests/deploy/values/minimal.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        helm(program, "package", CHART, "--destination", folder)
        archive = next(pathlib.Path(folder).glob("ephemerald-*.tgz"), "no archive")
        packed = helm(program, "template", "ephemerald", archive, *minimal)
        same = packed.returncode == 0 and packed.stdout == template(program, *minimal).stdout
        tally.say("the packaged chart renders the same", [] if same else [packed.stderr or "it differs"])
        notes = helm(program, "install", "ephemerald", archive, *minimal, "--dry-run=client").stdout.partition("NOTES:")[2]
    commands = re.findall(r"^ +kubectl .*", notes, re.MULTILINE)
    right = len(commands) == 4 and "is in dry run" in notes and "delete secret ephemerald-agent-token" in commands[-1]
    tally.say("its notes name the next commands", [] if right else [notes])


def version(program):
    return helm(program, "version", "--short").stdout.strip().split("+")[0]


def main():
    write = "--write" in sys.argv
    programs = [word for word in sys.argv[1:] if word != "--write"]
    tally = Tally()
    for name, problems in derived.check(ROOT, CHART, lambda *args: template(programs[0], *args), write):
        tally.say(name, problems)
    sets = each_value_set(tally, programs)
    minimal = yaml.safe_load((ROOT / "tests/deploy/values/minimal.yaml").read_text())
    each_promise(tally, sets["minimal"], minimal)
    configuration(tally, sets)
    restarts(tally, programs[0])
    documents(tally, programs[-1])
    packaged(tally, programs[-1])
    for program in programs:
        refused(tally, program)
        nulls(tally, program)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


main()
