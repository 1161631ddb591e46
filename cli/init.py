"""`costplan init`: a first configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costplan.cli.cluster_options import Yes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from costplan.cli.draft import Answers

_DEFAULT_SCHEDULER = "tcp://127.0.0.1:8786"
_MOST_ZONES = 3


def init(  # noqa: PLR0913, PLR0917 - one parameter a question
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The file to write.")
    ] = Path("costplan.yaml"),
    provider: Annotated[
        str | None,
        typer.Option(metavar="CLOUD", help="Who runs the machines: aws, gcp, azure or local."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="Region, like us-east-1.")
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(metavar="ZONE", help="Zone, like us-east-1a; may be repeated."),
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="ID", help="Google's project, or Azure's subscription.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where workers join: tcp://host:8786.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the scheduler serves HTTP. [its host, port 8787]"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="The cluster's name. [the folder's]")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="The image that machines boot.")
    ] = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented costplan.yaml, and say what to do next.

    Asks for what no flag says; with --yes it takes the default instead. No cloud is called.
    """
    from costplan.cli.config_file import default_cluster
    from costplan.cli.draft import DRAFTS, config_text, steps
    from costplan.cli.errors import check_word
    from costplan.cli.out_file import check_out, write_new, write_out
    from costplan.planner.errors import InputError

    check_out(config, "--config")
    if config.exists() and not force:
        raise InputError(str(config), "is there already", "name another file, or give --force")
    asking = _Asking(yes=yes)
    known = tuple(DRAFTS)
    cloud = asking.word(
        "--provider", provider, f"Cloud ({', '.join(known)})", known[0],
        lambda text: check_word("--provider", text, known),
    )  # fmt: skip
    check_word("--provider", cloud, known)
    draft = DRAFTS[cloud]
    check = partial(_check_answer, config, cloud)
    where = ""
    zones: tuple[str, ...] = ()
    if draft.default_region:
        where = asking.word(
            "--region", region, "Region", draft.default_region, partial(check, "region")
        )
        zones = tuple(zone or ()) or _zones_of(cloud, where)
        image = asking.word(
            "--image", image, "Image with dask on it (Enter: later)", "", partial(check, "image")
        )
    else:
        _refuse(cloud, {"--region": region, "--zone": zone, "--image": image})
    if draft.billed:
        question = f"{draft.billed}'s id (Enter: later)"
        project = asking.word("--project", project, question, "", partial(check, "project"))
    else:
        _refuse(cloud, {"--project": project})
    address = asking.word(
        "--scheduler", scheduler, "Scheduler's address, as workers join it", _DEFAULT_SCHEDULER,
        partial(check, "scheduler"),
    )  # fmt: skip
    name = asking.word(
        "--cluster", cluster, "Cluster's name", default_cluster(config), partial(check, "cluster")
    )
    answers = _answers(
        cloud,
        scheduler=address,
        cluster=name,
        region=where,
        zones=zones,
        project=project or "",
        endpoint=endpoint or "",
        image=image or "",
    )
    text = config_text(answers)
    _check(text, config)
    (write_out if force else write_new)(config, text, "--config")
    typer.echo(f"wrote {config}")
    for beside, content in DRAFTS[cloud].beside.items():
        path = config.parent / beside
        if not path.exists():
            write_new(path, content, "--config")
            typer.echo(f"wrote {path}")
    typer.echo("next:")
    for number, step in enumerate(steps(answers, config), 1):
        typer.echo(f"  {number}. {step}")


def _answers(provider: str, **more: Any) -> Answers:
    from costplan.cli.draft import Answers

    rest = {"cluster": "c", "region": "", "zones": (), "project": "", "endpoint": "", "image": ""}
    return Answers(provider=provider, **{**rest, **more})


def _refuse(provider: str, given: Mapping[str, object]) -> None:
    """Raises InputError where something is given that this provider has no use for."""
    from costplan.planner.errors import InputError

    for option, value in given.items():
        if value:
            raise InputError(option, f"says nothing of provider {provider}", "leave it out")


def _check(text: str, config: Path) -> None:
    """Returns where the daemon would take the file; raises InputError as it does otherwise."""
    from costplan.planner.daemon_config import parse_daemon_config

    parse_daemon_config(text, str(config), str(config.absolute().parent))


def _zones_of(provider: str, region: str) -> tuple[str, ...]:
    """The first zones of a region in the price list, a synced one where there is one. A region
    that it does not have gets two by the usual names, which is said."""
    from costplan.adapters.clock import utc_now
    from costplan.cli.draft import DRAFTS
    from costplan.cli.errors import note
    from costplan.cli.price_source import read_prices
    from costplan.planner.config_fields import suggestion

    catalogue = read_prices(None, now=utc_now()).catalogue
    rows = catalogue.provider.codes == catalogue.provider.code_of(provider)
    there = rows & (catalogue.region.codes == catalogue.region.code_of(region))
    codes = {int(code) for code in catalogue.zone.codes[there] if code >= 0}
    if codes:
        return tuple(sorted(catalogue.zone.names[code] for code in codes)[:_MOST_ZONES])
    guess = tuple(f"{region}{end}" for end in DRAFTS[provider].zone_ends)
    regions = {catalogue.region.names[code] for code in set(catalogue.region.codes[rows].tolist())}
    if region in regions:
        note(f"note: zones of {region} are guessed: compare them with those of your account")
        return guess
    near = suggestion(region, sorted(regions))
    note(
        f"note: {region} is not in the price list{': ' + near if near else ';'} "
        "its zones are guessed, and `costplan doctor` looks whether they are there"
    )
    return guess


def _check_answer(config: Path, provider: str, key: str, answer: str) -> None:
    """Returns where the configuration takes this for one of the answers; raises InputError."""
    from costplan.cli.draft import DRAFTS, config_text

    draft = DRAFTS[provider]
    answers = {"region": draft.default_region, "scheduler": _DEFAULT_SCHEDULER, key: answer}
    zones = (f"{answers['region']}{draft.zone_ends[0]}",)
    _check(config_text(_answers(provider, **answers, zones=zones)), config)


class _Asking:
    """Where answers come from: the flag, the person at the terminal, or the default."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes

    def word(
        self,
        option: str,
        given: str | None,
        question: str,
        default: str,
        check: Callable[[str], None],
    ) -> str:
        """One word; what a person types is checked, and asked for again until it will do."""
        if given is not None or self._yes:
            return default if given is None else given
        return self._asked(option, question, default, check)

    def _asked(self, option: str, question: str, default: str, check: Callable[[str], None]) -> str:
        import sys

        from costplan.planner.errors import InputError

        if not sys.stdin.isatty():
            remedy = "or give --yes, to take the default of what no flag says"
            raise InputError(option, "is needed where nobody can be asked", remedy)

        def checked(text: str) -> str:
            try:
                check(text.strip())
            except InputError as error:
                said = "; ".join(part for part in (error.problem, error.remedy) if part)
                raise typer.BadParameter(said) from None
            return text.strip()

        answer: str = typer.prompt(
            question, default=default, show_default=bool(default), value_proc=checked, err=True
        )
        return answer
