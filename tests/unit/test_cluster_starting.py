"""What a start of a cluster waits for."""

from __future__ import annotations

from pathlib import Path

from costplan.adapters.cluster.folder import Folder
from costplan.adapters.cluster.starting import has_place, place_of

WRITTEN = '{"address": "tcp://127.0.0.1:8786", "services": {"dashboard": 8787}}'


def test_a_scheduler_is_somewhere_once_all_of_its_file_is_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "c")
    folder.path.mkdir()
    assert not has_place(folder)
    for length in (0, 1, len(WRITTEN) - 1):
        folder.scheduler_file.write_text(WRITTEN[:length])
        assert not has_place(folder)
    folder.scheduler_file.write_text(WRITTEN)
    assert has_place(folder)
    assert place_of(folder).http_port == 8787
