"""The providers' worked examples: what they publish, and what `costplan commitments bill` says.

`python -m tests.published` writes the table of `docs/commitments.md` anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.file import BillFile, parse_bill
from costplan.planner.commitments.values import HourBill

FILE = Path(__file__).parent / "unit" / "published_bills.yaml"
DOCUMENT = Path(__file__).parents[1] / "docs/commitments.md"
_HEAD = "| example | figures | published | costplan |"
_YEAR_HOURS = 8760


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A published example: the file that bills it, and the figures of its source."""

    name: str
    source: str
    what: str
    how: str
    file: BillFile
    published: dict[str, str]


def examples() -> Iterator[Example]:
    """All of them, in the order of the file."""
    data = yaml.safe_load(FILE.read_text())
    for each in data["examples"]:
        yield Example(
            name=each["id"],
            source=data["sources"][each["source"]],
            what=each["what"],
            how=each.get("how", ""),
            file=parse_bill(_as_text(each["bill"]), each["id"]),
            published=each["published"],
        )


def _as_text(data: Any) -> str:
    """The bill as a file of its own, without anchors."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    text: str = yaml.dump(data, Dumper=Plain, width=10**6)
    return text


def figures(example: Example) -> dict[str, str]:
    """Our figure for each published one, with as many digits."""
    bills = bill(example.file.hours, example.file.rules)
    return {
        name: " ".join(
            _rounded(ours, theirs)
            for ours, theirs in zip(_figure(name, example, bills), published.split(), strict=True)
        )
        for name, published in example.published.items()
    }


def _rounded(amount: Fraction, like: str) -> str:
    """An amount with the digits of another; half a unit up, as prices are printed."""
    exact = Decimal(amount.numerator) / amount.denominator
    return f"{exact.quantize(Decimal(like), rounding=ROUND_HALF_UP)}"


def _figure(name: str, example: Example, bills: tuple[HourBill, ...]) -> list[Fraction]:
    what, *names = name.split()
    lines = [line for each in bills for line in each.lines]
    of_first = [line for line in lines if names and line.usage_id == names[0] and not line.is_idle]
    uses = [use for each in bills for use in each.commitments if use.commitment_id in names]
    usages = [usage for hour in example.file.hours for usage in hour.usage]
    list_usd = _sum(usage.quantity * usage.usd_per_unit for usage in usages)
    total = _sum(each.total_usd for each in bills)
    match what:
        case "quantity":
            by = names[1] if len(names) > 1 else None
            found = _sum(line.quantity for line in of_first if line.covered_by == by)
        case "usd":
            found = _sum(line.usd for line in of_first if line.covered_by is None)
        case "idle":
            found = _sum(
                line.quantity for line in lines if line.is_idle and line.usage_id == names[0]
            )
        case "prices":
            return sorted({line.usd_per_unit for line in of_first}, reverse=True)
        case "on_demand_by_hour":
            return [each.on_demand_usd for each in bills]
        case "discount":
            found = 1 - total / list_usd
        case "list_usd":
            found = list_usd
        case "utilization":
            used = _sum(use.used_usd for use in uses)
            found = used / (used + _sum(use.unused_usd for use in uses))
        case "year_usd":
            found = _YEAR_HOURS * _sum(use.used_usd + use.unused_usd for use in uses)
        case "used_usd" | "unused_usd" | "used_quantity" | "unused_quantity":
            found = _sum(getattr(use, what) for use in uses)
        case "on_demand_usd" | "total_usd":
            found = _sum(getattr(each, what) for each in bills)
        case _:
            raise AssertionError(f"no such figure: {name}")
    return [found]


def _sum(amounts: Iterable[Fraction]) -> Fraction:
    return sum(amounts, Fraction(0))


def table() -> str:
    """The examples in Markdown, the published figures beside ours."""
    lines = [_HEAD, "|---|---|---|---|"]
    for example in examples():
        ours, note = figures(example), f" ({example.how})" if example.how else ""
        cells = (
            f"[{example.what}]({example.source}){note}",
            "; ".join(name.replace("_", " ") for name in example.published),
            "; ".join(example.published.values()),
            "; ".join(ours[name] for name in example.published),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    TEXT = DOCUMENT.read_text()
    DOCUMENT.write_text(f"{TEXT[: TEXT.index(_HEAD)]}{table()}\n")
