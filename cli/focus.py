"""`costplan focus`: checks files of the FinOps Open Cost and Usage Specification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.errors import BAD_INPUT, CommandGroup, check_word

if TYPE_CHECKING:
    from costplan.adapters.finance.focus_check import Checked, Finding

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json")
VERSIONS = ("1.2", "1.4")


@app.callback()
def focus() -> None:
    """Look at FOCUS files: cost and usage in the form that every cloud and tool knows."""


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Parquet or CSV, of anybody.")
    ],
    version: Annotated[
        str | None, typer.Option("--version", help="1.2 or 1.4. [as its columns say]")
    ] = None,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Check files strictly: every row, every column, and the rows of a commitment together.

    Ends with 1 where something is wrong, and says in which column and row, and which value.
    """
    from costplan.adapters.finance.focus_check import check_focus
    from costplan.cli.render import write
    from costplan.planner.finance.focus_columns import Version

    check_word("--format", output, FORMATS)
    if version is not None:
        check_word("--version", version, VERSIONS)
    known = None if version is None else Version(version)
    checked = [check_focus(file, known) for file in files]
    write(_json(checked) if output == "json" else "".join(_text(each) for each in checked))
    if any(each.findings for each in checked):
        raise typer.Exit(BAD_INPUT)


def _text(checked: Checked) -> str:
    from costplan.planner.wording import counted

    rows = counted(checked.rows, "row")
    what = f"{checked.path}: FOCUS {checked.version} {checked.dataset}, {rows}"
    if not checked.findings:
        return f"{what}, nothing is wrong\n"
    rules = {(finding.rule, finding.column) for finding in checked.findings}
    broken = "1 rule is broken" if len(rules) == 1 else f"{len(rules)} rules are broken"
    lines = [f"{what}, {broken}"]
    return "\n".join([*lines, *(f"  {_line(finding)}" for finding in checked.findings)]) + "\n"


def _line(finding: Finding) -> str:
    place = finding.column or "the file"
    if finding.row is not None:
        place = f"row {finding.row}, {place}"
    shown = "" if finding.value is None else f" {finding.value}"
    others = f" (and in {finding.count - 1:,} more rows)" if finding.count > 1 else ""
    return f"{place}:{shown} {finding.text}{others} [{finding.rule}]"


def _json(checked: list[Checked]) -> str:
    import json

    made = [
        {
            "file": str(each.path),
            "version": each.version.value,
            "dataset": each.dataset.value,
            "rows": each.rows,
            "findings": [
                {
                    "rule": finding.rule,
                    "column": finding.column,
                    "row": finding.row,
                    "value": finding.value,
                    "text": finding.text,
                    "rows": finding.count,
                }
                for finding in each.findings
            ],
        }
        for each in checked
    ]
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"
