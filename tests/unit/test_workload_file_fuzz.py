"""Whatever stands in a workload file or flag, the answer is a workload or an InputError."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from costplan.planner.config import parse_worker_flag, parse_workload, workload_from_mapping
from costplan.planner.config_models import sections
from costplan.planner.errors import InputError

WHOLE: dict[str, Any] = {
    "workload": "w",
    "workers": [
        {
            "name": "a",
            "count": 1,
            "vcpu": 4,
            "memory": "16 GiB",
            "gpu": {"count": 1, "kinds": ["T4"]},
            "markets": ["spot"],
        }
    ],
    "duration": "6h",
    "where": {"providers": ["aws"], "regions": {"aws": ["us-east-1"]}, "single_zone": True},
    "machines": {"arch": ["x86_64"], "include": ["m5.*"], "max_vcpu": 96},
    "market": {"allow": ["spot", "on_demand"], "spot_max_share": 0.5},
    "interruption": {"lost_work": 1},
    "overhead": {"vcpu": 0.5},
    "budget": {"usd_per_hour": 3},
    "limits": {"max_nodes": 3, "quotas": [{"vcpu": 3}]},
}
KEYS = sorted({key for model in sections().values() for key in model.model_fields})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["spot", "16 GiB", "6h", "aws", "us-east-1"]),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=3) | st.none(), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a value, but for its own."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def refusal(read: Callable[[], object]) -> str:
    """The message of the InputError that reading ends in, '' where it ends well."""
    try:
        read()
    except InputError as error:
        return str(error)
    return ""


def test_the_whole_file_is_right_before_it_is_broken() -> None:
    assert workload_from_mapping(WHOLE, "w.yaml").name == "w"


@given(st.sampled_from(list(places(WHOLE))), VALUES)
@settings(max_examples=400, derandomize=True, deadline=None)
@example(("where",), {"[key]": 1})
@example(("where", "regions"), {"[key]": ["a"]})
def test_any_value_anywhere_is_understood_or_refused(path: tuple[Any, ...], value: Any) -> None:
    data = copy.deepcopy(WHOLE)
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    message = refusal(lambda: workload_from_mapping(data, "w.yaml"))
    assert not message or message.startswith("w.yaml: ")
    assert "is not valid;" not in message, "a kind of problem without words of its own"


@given(st.text(max_size=40) | st.text(alphabet="ab:-.[]{}&*!|>\n 'y<\"01#%@?,", max_size=60))
@settings(max_examples=400, derandomize=True, deadline=None)
@example(":.:")
def test_any_text_is_understood_or_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_workload(f"workload: w\n{text}", "w.yaml")


@given(st.text(alphabet="vcpumeory=,|416GiB.gkndsat-+x \n'", max_size=40))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_flag_is_understood_or_refused(text: str) -> None:
    message = refusal(lambda: parse_worker_flag(f"vcpu=4,memory=16GiB,count=1,{text}"))
    assert not message or message.startswith("--worker vcpu=4")
