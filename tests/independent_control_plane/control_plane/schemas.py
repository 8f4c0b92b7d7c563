"""The published JSON schemas, as validators."""
import json
import re
from pathlib import Path

import jsonschema

RFC3339 = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)")
FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def _date_time(value):
    return not isinstance(value, str) or bool(RFC3339.fullmatch(value))


def find_protocol(start: Path) -> Path:
    """`docs/protocol` beside this package or in a directory above it."""
    for directory in [start, *start.parents]:
        if (directory / "docs/protocol/schemas").is_dir():
            return directory / "docs/protocol"
    raise SystemExit("docs/protocol is not found: say where it is with --protocol")


class Schemas:
    def __init__(self, protocol: Path):
        documents = {p.name: json.loads(p.read_text()) for p in (protocol / "schemas").glob("*.json")}
        self.validators = {}
        for name, schema in documents.items():
            jsonschema.Draft202012Validator.check_schema(schema)
            resolver = jsonschema.RefResolver(name, schema, store=documents)
            self.validators[name.removesuffix(".json")] = jsonschema.Draft202012Validator(
                schema, resolver=resolver, format_checker=FORMATS)
        self.documents = documents

    def problems(self, name: str, value) -> list:
        found = self.validators[name].iter_errors(value)
        return [f"{name}: {'/'.join(map(str, e.absolute_path))}: {e.message}"[:400] for e in found]

    def words(self, kind: str) -> list:
        return self.documents["codes.json"]["$defs"][kind]["enum"]
