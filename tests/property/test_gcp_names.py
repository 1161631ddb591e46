"""Names and labels of Google's machines: allowed there, and read back as what they were."""

from __future__ import annotations

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from costplan.adapters.gcp.gpus import ATTACHMENTS, attached, hardware_of
from costplan.adapters.gcp.names import (
    cluster_mark,
    is_sellable,
    is_token,
    label_key,
    label_text,
    label_value,
    place_for,
    place_of_id,
    place_of_link,
    request_id,
)
from costplan.planner.types import Market, OfferKey

RESOURCE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
TOKENS = st.one_of(
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{1,5}){0,3}", fullmatch=True),
)
TYPES = st.sampled_from(
    ["n2-standard-8", "c3d-standard-360-lssd", "n1-standard-8-t4x1", "e2-micro", "standard-4"]
)
MARKETS = st.sampled_from([Market.SPOT, Market.ON_DEMAND])


@given(st.text(max_size=40), TOKENS, TYPES, MARKETS)
def test_a_name_says_what_was_launched(
    cluster: str, token: str, instance_type: str, market: Market
) -> None:
    key = OfferKey(provider="gcp", region="us-central1", zone="us-central1-a",
                   instance_type=instance_type, market=market)  # fmt: skip
    assert is_token(token)
    assert is_sellable(instance_type, market)
    place = place_for(cluster, token, key)
    assert RESOURCE_NAME.fullmatch(place.name)
    mark = cluster_mark(cluster)
    assert place_of_id(place.provider_id, mark) == place
    link = f"https://x/compute/v1/projects/p/zones/{place.zone}/instances/{place.name}"
    assert place_of_link(link, mark) == place
    assert (place.key, place.token) == (key, token)
    assert place_of_id(place.provider_id, cluster_mark(cluster + "x")) is None


@given(st.text())
def test_what_is_no_id_of_ours_is_none(text: str) -> None:
    assert place_of_id(text, cluster_mark("ours")) is None
    assert place_of_link(text, cluster_mark("ours")) is None


@given(st.text(max_size=80))
def test_a_label_carries_what_is_short_enough(text: str) -> None:
    value = label_value(text)
    assert LABEL.fullmatch(value)
    assert (label_text(value) == text) or len(text.encode()) > 20
    assert label_text(label_value("fraud-training-00001-ab12")) == "fraud-training-00001-ab12"


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_texts_have_two_labels(one: str, other: str) -> None:
    assert (label_value(one) == label_value(other)) == (one == other)


@given(st.text(min_size=1, max_size=80))
def test_a_key_of_a_label_is_allowed(text: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", label_key(text))


@given(st.lists(st.text(max_size=10), min_size=1, max_size=4))
def test_a_request_id_is_a_uuid_and_the_same_again(parts: list[str]) -> None:
    assert str(uuid.UUID(request_id(*parts))) == request_id(*parts)
    assert request_id(*parts) != request_id(*parts, "more")


def test_a_machine_with_gpus_is_read_back() -> None:
    for accelerator, sizes in ATTACHMENTS.items():
        for size in sizes:
            name = attached("n1-highmem-96", accelerator, size.gpus)
            assert hardware_of(name) == ("n1-highmem-96", accelerator, size.gpus)
            assert is_sellable(name, Market.SPOT)
    assert hardware_of("a2-highgpu-1g") == ("a2-highgpu-1g", "", 0)
