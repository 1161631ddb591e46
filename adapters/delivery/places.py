"""Puts files into a folder or an object store, each as a whole, through fsspec.

    /var/reports/2026-10, file:///var/reports     a folder, made where it is not there
    s3://bucket/folder, gs://bucket/folder        through the clients that come with pyarrow
    abfs://container@account.dfs.core.windows.net/folder     needs `pip install adlfs`

Credentials are those of the environment, as the clouds' own tools find them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from costplan.adapters.delivery.failure import DeliveryFailed
from costplan.adapters.whole_file import replaced

_BY_ARROW = ("s3", "gs")
_EXTRAS = {"abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}


def put(files: Iterable[Path], place: str) -> str:
    """Puts the files there under their names and gives the receipt; what is there already is
    replaced. Raises DeliveryFailed."""
    chosen = sorted(files)
    scheme, found, rest = place.partition("://")
    if not found or scheme == "file":
        _put_in_folder(chosen, Path(rest if found else place))
    else:
        _put_in_store(chosen, place)
    size = sum(file.stat().st_size for file in chosen)
    names = "1 file" if len(chosen) == 1 else f"{len(chosen)} files"
    return f"{names}, {size:,} bytes in {place}"


def _put_in_folder(files: Iterable[Path], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            with replaced(folder / file.name) as partial:
                shutil.copyfile(file, partial)
    except OSError as error:
        raise DeliveryFailed(f"{folder} cannot be written: {error.strerror}") from None


def _put_in_store(files: Iterable[Path], place: str) -> None:
    try:
        store, folder = _store(place)
        for file in files:
            # An object is there as a whole, once all of it has come, or not at all.
            store.put_file(str(file), f"{folder.rstrip('/')}/{file.name}")
    except ImportError:
        scheme = place.partition("://")[0]
        package = _EXTRAS.get(scheme, f"what fsspec needs for {scheme}")
        raise DeliveryFailed(f"{scheme}:// needs a package: pip install {package}") from None
    except Exception as error:  # each store has errors of its own, and none may end the round
        reason = " ".join(str(error).split())[:200]
        raise DeliveryFailed(f"{place} cannot be written: {reason}") from None


def _store(place: str) -> tuple[Any, str]:
    """A file system, and the folder in its words."""
    scheme = place.partition("://")[0]
    if scheme in _BY_ARROW:
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow.fs import FileSystem

        arrow, folder = FileSystem.from_uri(place)
        return ArrowFSWrapper(arrow), folder
    from fsspec.core import url_to_fs

    store, folder = url_to_fs(place)
    return store, folder
