"""The providers' worked examples, to the last digit that they print."""

from __future__ import annotations

import pytest

from tests.published import Example, examples, figures

EXAMPLES = tuple(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_published_figures_are_ours(example: Example) -> None:
    assert figures(example) == example.published
