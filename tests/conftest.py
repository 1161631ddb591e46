"""What tests of several folders share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every computer and at every run: what fails, fails for whoever looks.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# Prices that the developer has synced are not those that tests are about.
os.environ["XDG_DATA_HOME"] = "/nonexistent"

# A shell starts what runs in the background deaf to Ctrl-C, and `nohup` to a hang-up, and what the
# tests start would be deaf too.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The reference data folder, which is no part of the project; skips where it is absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("COSTPLAN_SHARED_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("reference data folder ../shared/data is absent")
    return folder
