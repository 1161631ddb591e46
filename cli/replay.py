"""`costplan replay`: a stored tick again, here: the same to the byte, or what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import ConfigFile, StoreFile

if TYPE_CHECKING:
    from costplan.adapters.store.store import StoredTick


def replay(
    tick: Annotated[str, typer.Argument(metavar="[last|TICK]", help="Which tick.")] = "last",
    config: ConfigFile = None,
    store: StoreFile = None,
    show: Annotated[bool, typer.Option("--show", help="Print the plan as JSON.")] = False,
) -> None:
    """Compute a stored tick again, and compare.

    Exit codes: 0 the same, 1 something differs, or there is no such tick.
    """
    from costplan.cli.cluster_store import opened
    from costplan.cli.render import write
    from costplan.planner.errors import InputError

    with opened(config, store, read_only=True) as cluster:
        stored = cluster.store.last_tick() if tick == "last" else cluster.store.tick(tick)
        if stored is None:
            raise InputError(tick, "is no stored tick", "`costplan explain` names the newest")
    before, after = stored_text(stored), text_again(stored)
    if show:
        write(after)
    version = _version()
    if stored.version != version:
        errors.note(f"note: it was made by costplan {stored.version}, this is {version}")
    if before == after:
        errors.note(f"tick {stored.tick_id}: the same plan, actions and entries, byte for byte")
        return
    write(_difference(before, after))
    raise errors.Ended(f"tick {stored.tick_id}: something differs", errors.DIFFERS)


def _version() -> str:
    from importlib.metadata import version

    return version("costplan")


def stored_text(stored: StoredTick) -> str:
    """What the tick decided, as the text that is compared."""
    return _text(stored)


def text_again(stored: StoredTick) -> str:
    """What the same inputs give here and now."""
    from dataclasses import replace

    from costplan.planner.loop import tick
    from costplan.policies.default import default_policies

    again = tick(
        stored.readings,
        stored.state_before,
        stored.settings,
        default_policies(),
        replan=stored.replan,
    )
    return _text(
        replace(
            stored,
            snapshot_digest=again.snapshot.digest,
            plan=again.plan,
            actions=again.actions,
            entries=again.entries,
        )
    )


def _text(tick: StoredTick) -> str:
    """The codec's JSON, on lines, so that a difference is found in it."""
    import json

    from costplan.planner import codec
    from costplan.planner.ledger import LedgerEntry
    from costplan.planner.tick import Action, MovePlan

    whole = {
        "snapshot_digest": tick.snapshot_digest,
        "plan": json.loads(codec.encode(tick.plan, MovePlan | None)),
        "actions": json.loads(codec.encode(tick.actions, tuple[Action, ...])),
        "entries": json.loads(codec.encode(tick.entries, tuple[LedgerEntry, ...])),
    }
    return json.dumps(whole, indent=2, sort_keys=True) + "\n"


def _difference(before: str, after: str) -> str:
    """Lines that differ, with three lines around."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), after.splitlines(), "stored", "replayed", lineterm="")
    return "\n".join(lines) + "\n"
