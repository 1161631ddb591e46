"""What a machine's name says, and what its labels say: both outlive us, the name outlives it too.

    c3fa2c10123456789abcdef0123456789abcdef--sn2-standard-4
    │      │                                 │└ machine type, with its GPUs
    │      └ token                           └ s(pot) or d (on demand)
    └ c and six digits of the cluster's digest

A deleted machine leaves nothing but operations, and those know the name of what they were done
to, so it has to tell which launch it was and what was bought. Google allows 63 characters.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from costplan.adapters.gcp.settings import region_of
from costplan.planner.types import Market, OfferKey

CLUSTER_LABEL, NODE_LABEL, TOKEN_LABEL = "costplan-cluster", "costplan-node", "costplan-token"
_LONGEST_LABEL = 63
_TOKEN = re.compile(r"(?=.{1,32}$)[a-z0-9]+(-[a-z0-9]+)*")
_TYPE = re.compile(r"[a-z][a-z0-9-]{0,20}")
_NAME = re.compile(r"(c[0-9a-f]{6})((?:[a-z0-9]|-(?!-)){1,32})--([sd])([a-z][a-z0-9-]{0,20})")
_MARKETS = {Market.SPOT: "s", Market.ON_DEMAND: "d"}
_NAMESPACE = uuid.UUID("5b0c0f0e-6a43-5a0f-9f55-3f3a1c1e6d10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a machine is and what its name says."""

    zone: str
    name: str
    token: str
    market: Market
    instance_type: str

    @property
    def provider_id(self) -> str:
        """What the port calls it."""
        return f"{self.zone}/{self.name}"

    @property
    def key(self) -> OfferKey:
        """What it was bought as."""
        return OfferKey(
            provider="gcp",
            region=region_of(self.zone),
            zone=self.zone,
            instance_type=self.instance_type,
            market=self.market,
        )


def cluster_mark(cluster: str) -> str:
    """How the names of a cluster's machines begin."""
    return "c" + hashlib.sha256(cluster.encode()).hexdigest()[:6]


def name_start(cluster: str, token: str) -> str:
    """How the names of all machines that a token may lead to begin."""
    return f"{cluster_mark(cluster)}{token}--"


def is_sellable(instance_type: str, market: Market) -> bool:
    """True where a machine's name has room for what it is."""
    return market in _MARKETS and _TYPE.fullmatch(instance_type) is not None


def is_token(text: str) -> bool:
    """True where a machine's name has room for a token."""
    return _TOKEN.fullmatch(text) is not None


def place_for(cluster: str, token: str, key: OfferKey) -> Place:
    """The place of the machine that a token leads to, where it is bought as `key`."""
    name = f"{name_start(cluster, token)}{_MARKETS[key.market]}{key.instance_type}"
    return Place(
        zone=key.zone,
        name=name,
        token=token,
        market=key.market,
        instance_type=key.instance_type,
    )


def place_of(zone: str, name: str, mark: str) -> Place | None:
    """The place that a name says, None for a name that is none of this cluster's."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] != mark:
        return None
    market = next(market for market, letter in _MARKETS.items() if letter == found[3])
    return Place(zone=zone, name=name, token=found[2], market=market, instance_type=found[4])


def place_of_link(link: str, mark: str) -> Place | None:
    """The place in a URL '.../zones/Z/instances/N', None where it is none of ours."""
    parts = link.split("/")
    if len(parts) < 4 or parts[-4] != "zones" or parts[-2] != "instances":
        return None
    return place_of(parts[-3], parts[-1], mark)


def place_of_id(provider_id: str, mark: str) -> Place | None:
    """The place in an id of the port, None where it is none of ours."""
    zone, _, name = provider_id.partition("/")
    if re.fullmatch(r"[a-z]+-[a-z]+\d+-[a-z]", zone) is None:
        return None
    return place_of(zone, name, mark)


def request_id(*parts: str) -> str:
    """The id under which Google does these once: the same parts give the same."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))


def label_value(text: str) -> str:
    """A text as the value of a label: small letters, digits and '-' stay, a byte of anything else
    is '_' and two digits. One that is too long ends in its digest and cannot be read back."""
    escaped = "".join(
        chr(byte) if re.match(r"[a-z0-9-]", chr(byte)) else f"_{byte:02x}" for byte in text.encode()
    )
    if len(escaped) <= _LONGEST_LABEL:
        return escaped
    return f"{escaped[:50]}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def label_text(value: str) -> str:
    """The text that `label_value` was given, where that was short enough."""
    raw = re.sub(rb"_([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), value.encode())
    return raw.decode(errors="replace")


def label_key(text: str) -> str:
    """A text as the key of a label: it begins with a letter, and what is not allowed is '_'."""
    clean = re.sub(r"[^a-z0-9_-]", "_", text.lower())
    return (clean if clean[:1].isalpha() else f"x{clean}")[:_LONGEST_LABEL]
