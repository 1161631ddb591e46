"""Values as bytes and back: every class that is stored, and what is refused."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from costplan.planner import ledger, load, nodes, tick
from costplan.planner.codec import decode, digest, encode, text_of
from costplan.planner.errors import InputError, InvariantBroken
from costplan.planner.learnt import Learnt
from costplan.planner.settings import Settings
from costplan.planner.tick import Action, Cordon, Readings, State, Uncordon
from tests import fleets
from tests.values import values

CLASSES = sorted(
    {
        form
        for module in (tick, nodes, ledger, load)
        for _, form in inspect.getmembers(module, inspect.isclass)
        if dataclasses.is_dataclass(form) and form.__module__ == module.__name__
    },
    key=lambda form: form.__name__,
)
FEW = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
by_class = pytest.mark.parametrize("form", CLASSES, ids=lambda form: form.__name__)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$", "at", "load", "nodes", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_all_that_is_stored_is_tried() -> None:
    assert {Readings, State, tick.MovePlan, nodes.Node, ledger.Meter, load.Load} <= set(CLASSES)


@by_class
@FEW
@given(data=st.data())
def test_a_value_comes_back_as_it_was(form: Any, data: st.DataObject) -> None:
    value = data.draw(values(form))
    for written in (encode(value, form), text_of(value, form)):
        back = decode(written, form)
        assert back == value
        assert same_types(back, value)
        assert encode(back, form) == encode(value, form)
    text = text_of(value, form)
    assert text_of(decode(text, form), form) == text


@by_class
@settings(FEW, max_examples=1)
@given(data=st.data())
def test_a_field_that_is_not_known_is_refused(form: Any, data: st.DataObject) -> None:
    plain = json.loads(encode(data.draw(values(form)), form))
    plain["surprise"] = 1
    with pytest.raises(InputError, match=f"{form.__name__} has no field 'surprise'"):
        decode(json.dumps(plain), form)


@by_class
def test_a_class_that_is_no_object_is_refused(form: Any) -> None:
    for text in ("[]", '"text"', "7", "null"):
        with pytest.raises(InputError, match=f"is not a {form.__name__} of this version"):
            decode(text, form)


@by_class
def test_a_field_without_which_there_is_no_value_is_missed(form: Any) -> None:
    needed = [
        field.name
        for field in dataclasses.fields(form)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if not needed:
        assert decode("{}", form) == form()
        return
    with pytest.raises(InputError, match=needed[0]):
        decode("{}", form)


@settings(FEW, max_examples=60)
@given(plain=JSON, form=st.sampled_from([*CLASSES, Settings, Action, tuple[Action, ...]]))
def test_nonsense_is_a_value_or_an_input_error(plain: Any, form: Any) -> None:
    with suppress(InputError):
        decode(json.dumps(plain), form)


@pytest.mark.parametrize("text", ["", "{", "nope", "[" * 100_000, "\x00"])
def test_what_is_no_json_is_said(text: str) -> None:
    with pytest.raises(InputError, match="is no JSON"):
        decode(text, State)


def test_a_class_that_is_not_known_is_refused() -> None:
    for said in ('{"$":"Reboot"}', '{"node_ids":[],"workers":[]}'):
        with pytest.raises(InputError, match=r"there is no class '?(Reboot|None)'? among Launch, "):
            decode(said, Action)


def test_a_value_of_another_class_is_a_bug() -> None:
    with pytest.raises(InvariantBroken, match="no codec for a Learnt where Launch, "):
        encode(Learnt(), Action)


def test_classes_of_one_shape_are_told_apart() -> None:
    actions: tuple[Action, ...] = (
        Uncordon(node_ids=("a",), workers=("w",)),
        Cordon(node_ids=("a",), workers=("w",), token="t"),  # noqa: S106 - of an action
    )
    assert decode(encode(actions, tuple[Action, ...]), tuple[Action, ...]) == actions


def test_the_same_value_gives_the_same_bytes() -> None:
    one = Learnt(durations={"a": (1, 2.0), "b": (3, 4.0)})
    other = Learnt(durations=MappingProxyType({"b": (3, 4.0), "a": (1, 2.0)}))
    assert one == other
    assert encode(one, Learnt) == encode(other, Learnt)
    assert digest(one, Learnt) == digest(other, Learnt)
    assert digest(one, Learnt) != digest(Learnt(durations={"a": (1, 2.0)}), Learnt)


def test_what_a_value_keeps_of_its_bytes_is_not_that_of_a_changed_one() -> None:
    seen = fleets.does(1)
    first = encode(seen, load.WorkerLoad)
    changed = dataclasses.replace(seen, executing=2)
    assert encode(seen, load.WorkerLoad) == first
    assert json.loads(encode(changed, load.WorkerLoad)) == {**json.loads(first), "executing": 2}


def test_an_order_that_is_kept_comes_back() -> None:
    value = Learnt(durations={"b": (3, 4.0), "a": (1, 2.0)})
    assert list(decode(text_of(value, Learnt), Learnt).durations) == ["b", "a"]
    assert list(decode(encode(value, Learnt), Learnt).durations) == ["a", "b"]


@pytest.mark.parametrize("text", ["1", "1.0", "1.00", "1E+3", "0.1", "1e-30", "9" * 60])
def test_dollars_keep_every_digit(text: str) -> None:
    back = decode(encode(Decimal(text), Decimal), Decimal)
    assert str(back) == str(Decimal(text))


def test_the_end_of_time_comes_back() -> None:
    for at in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
        assert decode(encode(at, datetime), datetime) == at


def test_a_naive_instant_is_refused() -> None:
    text = encode(Readings(
        at=datetime(2026, 1, 1, tzinfo=UTC), load=None, machines=None, notices=None, offers=(),
        quotes=(),
    ), Readings).decode()  # fmt: skip
    with pytest.raises(InputError, match="at is not aware UTC"):
        decode(text.replace("+00:00", ""), Readings)


def test_a_mapping_with_other_keys_than_text_has_no_codec() -> None:
    with pytest.raises(InvariantBroken, match="keys of mappings are text"):
        encode({1: 2}, Mapping[int, int])


def same_types(one: Any, other: Any) -> bool:
    """True where equal values are also of equal classes, all the way down."""
    if isinstance(one, Mapping):
        return all(same_types(item, other[key]) for key, item in one.items())
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return all(same_types(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, tuple):
        return all(map(same_types, one, other))
    return True


def test_a_digest_is_of_the_value_whatever_kind_of_number_holds_it() -> None:
    plain, numpys = {"a": 2.5}, {"a": np.float64(2.5)}
    assert digest(plain, Mapping[str, float]) == digest(numpys, Mapping[str, float])
    huge, other = {"a": 2**70}, {"a": 2**70 + 1}
    assert digest(huge, Mapping[str, int]) != digest(other, Mapping[str, int])
    assert digest({"b": 1, "a": 2**70}, Mapping[str, int]) == digest(
        {"a": 2**70, "b": 1}, Mapping[str, int]
    )
