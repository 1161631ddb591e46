"""Parts of ticks as bytes: what ticks share is kept once, by its digest.

Many values by name (nodes, meters, workers, machines) are cut into chunks of about sixteen. Where
a chunk ends depends on its names alone, so one value that changes makes one chunk anew.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from costplan.planner.codec import decode, text_of
from costplan.planner.errors import InputError

DIGEST_BYTES = 12
LEVEL = 1
"""Of compression: 9 takes seven times as long for a third less."""
CHUNK = 16
_WAY_OUT = "restore a backup (docs/store.md)"


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """Text under its digest, and the chunks that belong to it."""

    digest: bytes
    text: bytes
    chunks: tuple[Blob, ...] = ()

    @property
    def parts(self) -> bytes:
        """The digests of its chunks, one after the other."""
        return b"".join(chunk.digest for chunk in self.chunks)

    @property
    def data(self) -> bytes:
        """The text as it is stored."""
        return zlib.compress(self.text, LEVEL)


def blob_of(text: str, chunks: tuple[Blob, ...] = ()) -> Blob:
    """Text and its chunks under their digest."""
    data = text.encode()
    return Blob(digest_of(data, b"".join(chunk.digest for chunk in chunks)), data, chunks)


def digest_of(text: bytes, parts: bytes) -> bytes:
    """What names a text with such parts."""
    return hashlib.sha256(text + b"\0" + parts).digest()[:DIGEST_BYTES]


def whole(digest: bytes, data: Any, parts: Any) -> str:
    """The text of a stored blob; raises InputError where it is damaged."""
    try:
        text = zlib.decompress(data)
        if digest_of(text, parts) == digest:
            return text.decode()
    except (zlib.error, TypeError, ValueError):
        pass
    raise InputError(f"part {digest.hex()}", "is damaged", _WAY_OUT)


def split(digests: bytes) -> Iterator[bytes]:
    """Each of the digests that were joined."""
    for start in range(0, len(digests), DIGEST_BYTES):
        yield digests[start : start + DIGEST_BYTES]


@dataclass(slots=True, eq=False)
class _Item:
    value: Any
    text: str
    is_last: bool


class Series:
    """Writes values of one class by name in chunks. Remembers the last ones as text, so that what
    is still the same is not turned again.

    `by_value` classes are made anew at every tick: one that is equal, field by field and type by
    type, counts as the same. Others are the same object as long as nothing has changed.
    """

    def __init__(self, form: type, *, by_value: bool = False) -> None:
        self._form = form
        names = [field.name for field in fields(form)]
        self._read: Callable[[Any], tuple[Any, ...]] | None = None
        if by_value:
            self._read = attrgetter(*names)
        self._items: dict[str, _Item] = {}
        self._chunks: dict[tuple[_Item, ...], Blob] = {}

    def text(self, name: str, value: Any) -> str:
        """The text of one value."""
        item = self._items.get(name)
        return item.text if item and item.value is value else text_of(value, self._form)

    def chunks(self, values: Iterable[tuple[str, Any]]) -> tuple[Blob, ...]:
        """All values, in the order that they have."""
        items: dict[str, _Item] = {}
        cut: list[Blob] = []
        chunks: dict[tuple[_Item, ...], Blob] = {}
        names: list[str] = []
        current: list[_Item] = []
        for name, value in values:
            item = self._items.get(name)
            if item is None or not self._is_same(item.value, value):
                is_last = zlib.crc32(name.encode()) % CHUNK == 0
                item = _Item(value, text_of(value, self._form), is_last)
            items[name] = item
            names.append(name)
            current.append(item)
            if item.is_last:
                cut.append(self._cut(names, current, chunks))
                names, current = [], []
        if current:
            cut.append(self._cut(names, current, chunks))
        self._items, self._chunks = items, chunks
        return tuple(cut)

    def _cut(
        self, names: list[str], items: list[_Item], chunks: dict[tuple[_Item, ...], Blob]
    ) -> Blob:
        key = tuple(items)
        known = self._chunks.get(key)
        if known is None:
            pairs = (
                f"[{json.dumps(name)},{item.text}]" for name, item in zip(names, items, strict=True)
            )
            known = blob_of(f"[{','.join(pairs)}]")
        chunks[key] = known
        return known

    def _is_same(self, old: Any, new: Any) -> bool:
        if old is new:
            return True
        if self._read is None:
            return False
        were, are = self._read(old), self._read(new)
        return were == are and list(map(type, were)) == list(map(type, are))


def read_series(texts: Iterable[str], form: Any) -> list[tuple[str, Any]]:
    """Names and values of chunks, in their order; raises InputError."""
    pairs = tuple[tuple[str, form], ...]
    return [pair for text in texts for pair in decode(text, pairs)]


def closure(blobs: Iterable[Blob]) -> Mapping[bytes, Blob]:
    """These and their chunks by digest."""
    found: dict[bytes, Blob] = {}
    for blob in blobs:
        found[blob.digest] = blob
        for chunk in blob.chunks:
            found[chunk.digest] = chunk
    return found
