"""What `check` found: a line a law, and five lines that show each broken one."""

from dataclasses import dataclass

LAWS = {
    1: "state fixed by init",
    2: "numbers are live",
    3: "jit, vmap, sharding agree",
    4: "dtypes and absent leaves",
    5: "zero moves nothing",
    6: "bad input is refused",
    7: "extra arguments pass",
    8: "follows the oracle",
    9: "sign",
}


class Broken(Exception):
    """A law does not hold: a sentence, and lines of Python that fail because of it."""

    def __init__(self, sentence: str, *lines: str):
        super().__init__(sentence)
        self.lines = lines


class NotChecked(Exception):
    """A law could not be looked at; the message says what that needs."""


@dataclass(frozen=True)
class Outcome:
    """One law's verdict: "holds", "broken" or "not checked"."""

    verdict: str
    sentence: str = ""
    reproducer: str = ""


@dataclass(frozen=True)
class Report:
    """The verdict on each law, by its number.

    `print(report)` shows all; `broken` lists the numbers of the broken ones;
    `raise_if_broken()` is for a test.
    """

    name: str
    outcomes: dict[int, Outcome]

    @property
    def broken(self) -> list[int]:
        return [law for law, out in self.outcomes.items() if out.verdict == "broken"]

    def raise_if_broken(self) -> None:
        """Raises:
        AssertionError: a law is broken; the message is the whole report.
        """
        if self.broken:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        lines = [self.name]
        for law, out in self.outcomes.items():
            tail = f": {out.sentence}" if out.sentence else ""
            lines.append(f"  {law} {LAWS[law]:<26}{out.verdict}{tail}")
        for law in self.broken:
            shown = self.outcomes[law].reproducer.splitlines()
            lines += ["", f"  law {law} in five lines:", *(f"    {x}" for x in shown)]
        return "\n".join(lines)
