"""The token that a daemon shows to a scheduler: read from a file that only its owner may read."""

from __future__ import annotations

import stat
from pathlib import Path

from costplan.planner.errors import InputError

SHORTEST_TOKEN = 16
LONGEST_TOKEN = 512


def read_token(path: Path) -> str:
    """The token in a file, without the white space around it.

    Raises InputError where the file is missing, may be read or written by others, or holds no
    token; the error never shows what is in it.
    """
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            content = file.read(LONGEST_TOKEN + 100)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise InputError(str(path), f"no token: {reason}", "name a file with a token") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        problem = f"others may use this token file (mode {stat.S_IMODE(mode):04o})"
        raise InputError(str(path), problem, "run chmod 600 on it")
    return checked_token(content.decode("ascii", errors="replace"), str(path))


def checked_token(text: str, subject: str) -> str:
    """A token without the white space around it; raises InputError where it is not one."""
    token = text.strip()
    way_out = "make one, as with: openssl rand -hex 32"
    if not token:
        raise InputError(subject, "holds no token", way_out)
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        length = f"a token has {SHORTEST_TOKEN} to {LONGEST_TOKEN} characters"
        raise InputError(subject, length, way_out)
    if not all("!" <= character <= "~" for character in token):
        raise InputError(subject, "a token is of visible ASCII characters", way_out)
    return token
