"""What was found: a line for each check, and the JSON file, which is also where an acceptance that was cut resumes."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from checks import FAILED, NOT_RUN, OK, Check

SCHEMA = "anchorage-acceptance/1"
OUT_OF_TIME = "time"


class BadFile(Exception):
    """The JSON file cannot be resumed."""


@dataclass
class Report:
    path: Path
    about: dict  # what results belong to: program, device, options
    machine: dict
    order: list[str]  # names of all checks: the file's rows stand in their order, whichever call ran them
    checks: dict[str, dict] = field(default_factory=dict)
    seconds: float = 0.0  # of all that was run, in earlier calls too

    def resume(self) -> None:
        """Takes over what an earlier call has finished. Where that was of another program, device or machine, it is
        refused: one table has results of one thing."""
        if not self.path.exists():
            return
        try:
            earlier = json.loads(self.path.read_text(encoding="utf-8"))
            schema, about = earlier["schema"], earlier["about"]
            checks = {row["name"]: row for row in earlier["checks"]}
            seconds = float(earlier["seconds"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            raise BadFile(f"expected a file of an earlier acceptance, found another ({what})") from None
        if schema != SCHEMA:
            raise BadFile(f"expected the schema {SCHEMA}, found {schema}")
        for key in self.about:
            if about.get(key) != self.about[key]:
                wanted, found = json.dumps(self.about[key]), json.dumps(about.get(key))
                raise BadFile(f"expected results of {key} {wanted}, found {found}")
        self.checks = {name: row for name, row in checks.items() if row["result"] != NOT_RUN}
        self.seconds = seconds

    def add(self, check: Check, result: str, found: str, seconds: float, figures: dict | None = None) -> None:
        self.checks[check.name] = {
            "name": check.name,
            "result": result,
            "compares": check.compares,
            "expected": check.expected,
            "reason": check.reason,
            "found": found,
            "figures": figures or {},
            "seconds": round(seconds, 2),
        }
        self.seconds += seconds
        self.write()

    def write(self) -> None:
        document = {
            "schema": SCHEMA, "about": self.about, "machine": self.machine, "seconds": round(self.seconds, 2),
            "checks": [self.checks[name] for name in self.order if name in self.checks],
        }
        partial = self.path.with_name(self.path.name + ".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    def line(self, name: str) -> str:
        row = self.checks[name]
        expected = "" if row["result"] == NOT_RUN else f"  [{row['expected']}]"
        return f"  {name:<24} {row['result']:<8} {row['seconds']:>6.1f} s  {row['found']}{expected}"

    def count(self, result: str) -> int:
        return sum(row["result"] == result for row in self.checks.values())

    def is_cut(self) -> bool:
        return any(row["result"] == NOT_RUN and row["found"] == OUT_OF_TIME for row in self.checks.values())

    def summary(self) -> str:
        counts = ", ".join(f"{self.count(result)} {result}" for result in (OK, FAILED, NOT_RUN))
        return f"{counts}, {self.seconds:.0f} s: {self.path}"
