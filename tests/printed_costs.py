"""Tables of costs as they are printed, read back to see whether they add up."""

from __future__ import annotations

import re
from decimal import Decimal

AMOUNT = r"\$([\d,]+\.\d+)"


def amount(text: str, pattern: str) -> Decimal:
    """The one amount that follows a pattern in a text."""
    (found,) = re.findall(pattern + AMOUNT, text)
    return Decimal(found.replace(",", ""))


def table(text: str, after: str) -> dict[str, Decimal]:
    """Dollars by name of the indented lines that follow the line that begins so."""
    (block,) = re.findall(rf"^{re.escape(after)}.*\n((?:  \S.*\n?)+)", text, re.MULTILINE)
    rows = re.findall(rf"^  (\S.*?) +{AMOUNT}", block, re.MULTILINE)
    return {name: Decimal(usd.replace(",", "")) for name, usd in rows}


def spans(text: str) -> dict[str, Decimal]:
    """Dollars by span and of what was idle, as `adaptive.cost` prints them; asserts that these are
    the sum that it prints, to the last digit, and no more than the workers cost in all."""
    found = table(text, "by span")
    total = amount(text, "since workers joined ")
    assert sum(found.values()) == total, text
    assert found["idle"] >= 0
    assert amount(text, r"(?m)^cost +") >= total
    return found
