"""How many units of its family a size of EC2 is, and which reservations are flexible in size.

The factors are those of https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/apply_ri.html.
"""

from __future__ import annotations

import re
from fractions import Fraction

from costplan.planner.commitments.values import Product

_SMALL = {"nano": "0.25", "micro": "0.5", "small": "1", "medium": "2", "large": "4", "xlarge": "8"}
_MULTIPLE = re.compile(r"([1-9][0-9]*)xlarge")
_PER_XLARGE = 8
_METAL_AS = {
    "a1": 4,
    "m5zn": 12, "z1d": 12,
    "c6g": 16, "c6gd": 16, "i3": 16, "m6g": 16, "m6gd": 16, "r6g": 16, "r6gd": 16, "x2gd": 16,
    "c5n": 18,
    "c5": 24, "c5d": 24, "i3en": 24, "m5": 24, "m5d": 24, "m5dn": 24, "m5n": 24, "r5": 24,
    "r5b": 24, "r5d": 24, "r5dn": 24, "r5n": 24,
}  # fmt: skip
"""Bare metal of a family as the multiple of xlarge that it equals; a newer one says its own:
'm7i.metal-24xl'."""

_METAL_SIZE = re.compile(r"metal-([1-9][0-9]*)xl")
_HIGH_MEMORY_METAL = 112
_INFLEXIBLE = {"g4ad", "g4dn", "g5", "g5g", "inf1"}
"""Families whose reservations cover their own size only."""


def family_of(product: Product) -> str:
    """The family of a product: 'm5' of m5.large."""
    return product.family or product.instance_type.partition(".")[0]


def normalization_factor(instance_type: str) -> Fraction | None:
    """Units of a size: 4 of m5.large, 128 of i3.metal; None where it is not known."""
    family, _, size = instance_type.partition(".")
    if size in _SMALL:
        return Fraction(_SMALL[size])
    multiple = _MULTIPLE.fullmatch(size) or _METAL_SIZE.fullmatch(size)
    if multiple is not None:
        return Fraction(_PER_XLARGE * int(multiple.group(1)))
    if size == "metal":
        as_xlarge = _HIGH_MEMORY_METAL if family.startswith("u-") else _METAL_AS.get(family)
        return None if as_xlarge is None else Fraction(_PER_XLARGE * as_xlarge)
    return None


def reserved_ratio(used: Product, reserved: Product) -> Fraction | None:
    """How many hours of a regional reservation cover an hour of usage; None where it does not.

    Sizes of a family share it on Linux and shared tenancy; elsewhere the type must be the same.
    """
    if (used.os, used.tenancy) != (reserved.os, reserved.tenancy):
        return None
    if used.instance_type == reserved.instance_type:
        return Fraction(1)
    flexible = (reserved.os, reserved.tenancy) == ("linux", "shared")
    family = family_of(reserved)
    if not flexible or family != family_of(used) or family in _INFLEXIBLE:
        return None
    factor, whole = map(normalization_factor, (used.instance_type, reserved.instance_type))
    return None if factor is None or whole is None else factor / whole
