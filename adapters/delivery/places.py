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


def put(files: Path, place: str) -> str:
    """Puts what is in a folder there under its names and gives the receipt; what is there already
    is replaced. Raises DeliveryFailed."""
    found = [path for path in files.rglob("*") if path.is_file()]
    # What belongs to a file and lies deeper comes before it.
    names = sorted((path.relative_to(files) for path in found), key=lambda n: (-len(n.parts), n))
    scheme, is_url, rest = place.partition("://")
    if not is_url or scheme == "file":
        _put_in_folder(files, names, Path(rest if is_url else place))
    else:
        _put_in_store(files, names, place)
    size = sum(path.stat().st_size for path in found)
    count = "1 file" if len(names) == 1 else f"{len(names)} files"
    return f"{count}, {size:,} bytes in {place}"


def _put_in_folder(files: Path, names: Iterable[Path], folder: Path) -> None:
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with replaced(folder / name) as partial:
                shutil.copyfile(files / name, partial)
    except OSError as error:
        raise DeliveryFailed(f"{folder} cannot be written: {error.strerror}") from None


def _put_in_store(files: Path, names: Iterable[Path], place: str) -> None:
    try:
        store, folder = _store(place)
        for name in names:
            # An object is there as a whole, once all of it has come, or not at all.
            store.put_file(str(files / name), f"{folder.rstrip('/')}/{name.as_posix()}")
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
