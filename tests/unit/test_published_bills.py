"""The providers' worked examples, to the last digit that they print."""

from __future__ import annotations

import pytest

from costplan.planner.commitments.file_models import BillSection
from costplan.planner.config_models import keys_of, sections
from tests.published import DOCUMENT, Example, examples, figures, table

EXAMPLES = tuple(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_published_figures_are_ours(example: Example) -> None:
    assert figures(example) == example.published


def test_the_table_of_the_document_has_them() -> None:
    assert DOCUMENT.read_text().endswith(f"\n{table()}\n")


def test_each_key_of_the_files_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    keys = {key for model in sections(BillSection).values() for key in keys_of(model)}
    assert sorted(key for key in keys if f"`{key}" not in text and f"{key}:" not in text) == []
