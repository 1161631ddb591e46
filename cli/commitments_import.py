"""`costplan commitments import`: what is held, from a cloud or a file, into one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costplan.cli.cluster_options import Cloud, CloudAccount, CloudFile
from costplan.cli.errors import check_word, note

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from costplan.planner.commitments.holdings import Holdings
    from costplan.planner.commitments.values import Commitment

FORMATS = ("table", "json")
DEFAULT_OUT = Path("commitments.yaml")
_MOST_BYTES = 64 * 2**20
_RATES = "commitment_rates"


def import_held(  # noqa: PLR0913, PLR0917 - one parameter a flag
    provider: Cloud = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="A file of yours, instead of a cloud."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="REGION", help="May be repeated; else the configured one, or all."),
    ] = None,
    project: CloudAccount = None,
    config: CloudFile = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where they are written.")
    ] = DEFAULT_OUT,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Put them into FILE, where it is there; what else it has stays."
        ),
    ] = False,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Read what is held from a cloud, or from a file of yours, and write it as one file.

    Nothing is written where something could not be read. Exit codes: 0 written, 1 not.
    """
    from costplan.adapters.clock import utc_now
    from costplan.cli.commitments_import_view import import_text, import_view
    from costplan.cli.out_file import check_out, write_new, write_out
    from costplan.cli.render import terminal_text, write
    from costplan.planner.commitments.holdings import Holdings, merged
    from costplan.planner.commitments.written import commitments_text
    from costplan.planner.errors import InputError

    check_word("--format", output, FORMATS)
    regions = tuple(dict.fromkeys(region or ()))
    if file is not None:
        _check_alone(
            {"--provider": provider, "--region": regions, "--project": project, "--config": config}
        )
    check_out(out)
    is_there = out.is_file()
    if is_there and not merge:
        raise InputError(
            str(out), "is there already", "add --merge to put them into it, or name another --out"
        )
    before, beside = _file_of(out) if is_there else ((), {})
    now = utc_now()
    if file is not None:
        held, more = _file_of(file)
        read = Holdings(provider="", account="", held=held)
        beside = _both(beside, more)
    else:
        read = _read(provider, regions, project, config)
    done = merged(before, read, now)
    text = commitments_text(done.held, _comments(read, file, now), beside)
    if is_there:
        write_out(out, text)
    elif out.exists():
        write_out(out, text)  # a device or a pipe
    else:
        write_new(out, text)
    if output == "json":
        write(import_text(read, done, str(out), now))
    else:
        write(terminal_text(import_view(read, done, str(out), now)))
        for each in read.notes:
            note(f"note: {each}")


def _check_alone(given: Mapping[str, object]) -> None:
    """Returns where none of the options of a cloud is given; raises InputError otherwise."""
    from costplan.planner.errors import InputError

    for option, value in given.items():
        if value:
            raise InputError(f"--file and {option}", "name two sources", "give one of them")


def _file_of(path: Path) -> tuple[tuple[Commitment, ...], dict[str, Any]]:
    """The commitments of a file, and what else it has, as it stands there."""
    from costplan.adapters.text_file import read_text
    from costplan.planner.commitments.file import GUIDE, mapping_of, parse_commitments

    text = read_text(path, absent=f"see {GUIDE} for an example", most_bytes=_MOST_BYTES)
    held = parse_commitments(text, str(path))
    found = mapping_of(text, str(path))
    return held, {key: value for key, value in found.items() if key != "commitments"}


def _both(there: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
    """What two files have beside commitments: the rates of the one that was read come in place of
    those that are there for the same machines."""
    rates = {
        (each["provider"], each["instance_type"], each.get("region") or ""): each
        for each in (*(there.get(_RATES) or ()), *(read.get(_RATES) or ()))
    }
    both = {**there, **read}
    return {**both, _RATES: list(rates.values())} if rates else both


def _read(
    provider: str | None, regions: tuple[str, ...], project: str | None, config: Path | None
) -> Holdings:
    """What is held with a cloud."""
    from costplan.adapters.clock import utc_now
    from costplan.cli.cloud_choice import Asked
    from costplan.cli.commitment_sources import holdings
    from costplan.cli.config_file import read_config
    from costplan.cli.logs import quiet_libraries

    quiet_libraries()
    asked = Asked(
        regions=regions,
        project=project or "",
        file=None if config is None else read_config(config),
        clock=utc_now,
    )
    return holdings(provider, asked)


def _comments(read: Holdings, file: Path | None, now: datetime) -> list[str]:
    source = f"{read.provider} {read.account}".strip() or str(file)
    return [f"Read from {source} by `costplan commitments import`, {now:%Y-%m-%d %H:%M} UTC."]
