"""Two other programs that judge FOCUS files: the official validator (1.2), and a linter (1.4).

The official one needs Python 3.12 and packages of its own versions, so it lives in `.ref` in the
checkout, which is made on the first call: 650 MB and about a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.side_venv import ROOT, Unavailable, side_venv

NAME = ".ref"
PINS = ("focus-validator==2.2.1", "pyarrow<26")
"""Version 2.2.1 asks for numpy below 2, which pyarrow 26 cannot work with."""

CONTRADICTING = frozenset(
    """
    InvoiceId-C-000-C InvoiceId-C-003-C InvoiceId-C-004-C InvoiceId-C-005-C
    CapacityReservationStatus-C-000-C CapacityReservationStatus-C-002-C
    CapacityReservationStatus-C-003-C CapacityReservationStatus-C-004-C
    CommitmentDiscountStatus-C-000-C CommitmentDiscountStatus-C-002-C
    CommitmentDiscountStatus-C-004-C
    CostAndUsage-D-000-M CostAndUsage-D-002-M
    """.split()  # noqa: SIM905
)
"""Rules that no right file can pass, and what is made of them.

InvoiceId must be null and must not; so must CapacityReservationStatus, for the condition of both
rules is not read; CommitmentDiscountStatus must not be null where there is *no* commitment. The
specification's own list of exclusions has most of these.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the official validator says: its line of totals, and the rules that failed."""

    total: str
    failed: frozenset[str]


def official() -> Path:
    """The official validator's program; makes its environment. Raises Unavailable."""
    return side_venv(NAME, PINS, _python312()) / "focus-validator"


def _python312() -> str:
    for python in _candidates():
        code = "import sys; print(*sys.version_info[:2])"
        try:
            done = subprocess.run(
                [python, "-c", code], capture_output=True, text=True, check=False, timeout=60
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.stdout.split() == ["3", "12"]:
            return python
    raise Unavailable("there is no Python 3.12 on PATH, in ~/.pyenv/versions, or known to uv")


def _candidates() -> Iterator[str]:
    if sys.version_info[:2] == (3, 12):
        yield sys.executable
    if found := shutil.which("python3.12"):
        yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(root.glob("versions/3.12.*/bin/python3.12")))
    if uv := shutil.which("uv"):
        done = subprocess.run(
            [uv, "python", "find", "3.12"], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode == 0:
            yield done.stdout.strip()


def judge(program: Path, file: Path) -> Judged:
    """Holds a Parquet file against all 578 rules of 1.2.

    It looks for its list of currencies, and writes its log, where it is started; with failures it
    ends with 0 all the same, so that its words are what counts.
    """
    [where] = (ROOT / NAME).glob("lib/python3.12/site-packages")
    command = [
        str(program), "--data-file", str(file.resolve()), "--validate-version", "1.2",
        "--block-download", "--applicability-criteria", "ALL", "--show-violations",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, cwd=where
    )
    total = re.search(r"^Total: .*$", done.stdout, re.MULTILINE)
    if done.returncode or total is None:
        raise AssertionError(f"the validator did not end: {done.stdout[-500:]}{done.stderr[-500:]}")
    failed = re.findall(r"^❌ (\S+): FAIL", done.stdout, re.MULTILINE)
    assert f"Fail: {len(failed)} " in total.group() + " ", total.group()
    return Judged(total=total.group(), failed=frozenset(failed))


def toolkit(*words: str) -> subprocess.CompletedProcess[str]:
    """The linter of 1.4, which is among the packages for development."""
    program = Path(sys.executable).with_name("focus-toolkit")
    return subprocess.run(
        [str(program), *words], capture_output=True, text=True, check=False, timeout=600
    )
