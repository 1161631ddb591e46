"""`costplan reload`: the daemon reads its file again."""

from __future__ import annotations

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile


def reload(config: ConfigFile = None, store: StoreFile = None) -> None:
    """Have the daemon read its file again.

    A file that is wrong is refused here already.
    """
    from costplan.cli.cluster_store import note_if_dead, opened

    with opened(config, store, read_only=False) as cluster:
        cluster.store.request_reload(cluster.now())
        typer.echo("the daemon reads its file again at its next look")
        note_if_dead(cluster, "it reads the file anyway when it is started")
