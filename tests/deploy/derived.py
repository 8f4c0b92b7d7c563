"""Files that are made from others, and whether they still are: the README's table, the plain manifests, the rules."""

import json
import re

import yaml

BEGIN, END = "<!-- values: made by tests/deploy/charts.sh --write -->", "<!-- end of values -->"
# Labels that say who applied it, and where a template lies: not so for plain manifests.
HELMS_OWN = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n|^# Source: .*\n", re.MULTILINE)
HEADER = """\
# The agent in Kubernetes, without Helm: docs/install/kubernetes.md says what to do before you apply it.
# Made from the chart (deploy/helm/ephemerald) by tests/deploy/charts.sh --write. Yours to change: the image,
# ephemerald-config, ephemerald-policy.
"""


def rows(chart):
    """(value, default, meaning) of each line of values.yaml that has a description."""
    defaults, path, meaning, found = yaml.safe_load((chart / "values.yaml").read_text()), [], None, []
    for line in (chart / "values.yaml").read_text().splitlines():
        if match := re.match(r" *# -- (.*)", line):
            meaning = match[1]
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if meaning is not None:
                at = defaults
                for step in path:
                    at = at[step]
                found.append((".".join(path), at, meaning))
                meaning = None
    return found


def leaves(value, path=()):
    """The values that have a meaning of their own: everything but maps that hold others."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield ".".join(path)


def keys(chart):
    """Every value and every map of values."""
    found = set()
    for leaf in leaves(yaml.safe_load((chart / "values.yaml").read_text())):
        steps = leaf.split(".")
        found |= {".".join(steps[: n + 1]) for n in range(len(steps))}
    return sorted(found)


def table(chart):
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for name, default, meaning in rows(chart):
        shown = "" if default == "" else f"`{json.dumps(default)}`"
        lines.append(f"| `{name}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def described(chart):
    names = [name for name, _, _ in rows(chart)]
    for leaf in leaves(yaml.safe_load((chart / "values.yaml").read_text())):
        if not any(leaf == name or leaf.startswith(f"{name}.") for name in names):
            yield f"{leaf}: values.yaml says nothing about it"


def closed(node, where, definitions):
    """A schema without open maps, but for what is Kubernetes' own or somebody's labels."""
    if "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    if "properties" in node and node.get("additionalProperties") is not False and "not" not in node and "anyOf" not in node:
        yield f"{where}: takes any key"
    for key, item in (node.get("properties") or {}).items():
        yield from closed(item, f"{where}.{key}".strip("."), definitions)


def schema_agrees(chart):
    schema = json.loads((chart / "values.schema.json").read_text())
    yield from closed(schema, "", schema["definitions"])
    values = yaml.safe_load((chart / "values.yaml").read_text())

    def compare(node, value, where):
        known = node.get("properties")
        if known is None or not isinstance(value, dict):
            return
        for key in sorted(set(known) ^ set(value)):
            # `global` is Helm's; config's sections are the daemon's; the rest of resources is Kubernetes'.
            if where not in {"config"} and key != "global":
                yield f"{where}.{key}: only in the {'schema' if key in known else 'values'}".lstrip(".")
        for key in set(known) & set(value):
            yield from compare(known[key], value[key], f"{where}.{key}".strip("."))

    yield from compare(schema, values, "")


def plain(template, root):
    answer = template("--values", root / "tests/deploy/values/minimal.yaml", "--no-hooks")
    if answer.returncode:
        raise SystemExit(answer.stderr)
    text = HELMS_OWN.sub("", answer.stdout)
    # A comment above a document belongs below the line that begins it.
    return HEADER + re.sub(r"\n\n+", "\n", text)


def check(root, chart, template, write):
    """(name, problems) of each; with `write` the files are made first."""
    readme, manifest = chart / "README.md", root / "deploy/kubernetes/agent.yaml"
    rules, copied = root / "deploy/observability/alerts.yaml", chart / "files/alerts.yaml"
    text = readme.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    expected = f"{text[:begin]}\n{table(chart)}\n{text[end:]}"
    if write:
        readme.write_text(expected)
        copied.write_bytes(rules.read_bytes())
        manifest.write_text(plain(template, root))
        text = expected
    stale = "is not what it is made from: tests/deploy/charts.sh --write"
    yield "README.md: the table of values", [] if text == expected else [f"{readme} {stale}"]
    yield "every value is described", described(chart)
    yield "the schema knows the values, no others, and is closed", schema_agrees(chart)
    yield "the chart's alert rules", [] if copied.read_bytes() == rules.read_bytes() else [f"{copied} {stale}"]
    yield "the plain manifests", [] if manifest.read_text() == plain(template, root) else [f"{manifest} {stale}"]
    version = re.search(r'^version = "(.*)"', (root / "Cargo.toml").read_text(), re.MULTILINE)[1]
    app = yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
    yield "appVersion is the program's version", [] if app == version else [f"{app} is not {version}"]
