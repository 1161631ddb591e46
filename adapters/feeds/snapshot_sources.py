"""The packages that the bundled prices are derived from, read out of their wheels.

  apache-libcloud  libcloud/data/pricing.json                       Apache-2.0
  moto             moto/ec2/resources/instance_types.json.gz and
                   .../instance_type_offerings/availability-zone/   Apache-2.0

Nothing is imported from them: a wheel is a zip file and these are data in it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from costplan.adapters.feeds.machine_sizes import MachineSize

LIBCLOUD_VERSIONS = ("3.3.1", "3.4.1", "3.5.1", "3.6.0", "3.6.1", "3.7.0", "3.8.0", "3.9.1")
MOTO_VERSION = "5.2.5"

_MOTO_DATA = "moto/ec2/resources/"
_MOTO_ZONES = _MOTO_DATA + "instance_type_offerings/availability-zone/"


class PriceRow(NamedTuple):
    """One line of the snapshot, in the order of its columns that sort it."""

    provider: str
    region: str
    zone: str | None
    instance_type: str
    market: str
    size: MachineSize
    usd_per_hour: float
    hazard_per_hour: float | None
    observed_at: datetime
    source: str
    is_estimate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The compute prices in one release of libcloud, and when its data says it was updated."""

    version: str
    updated: datetime
    compute: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2:
    """EC2's instance types as DescribeInstanceTypes gives them, and (zone, type) by region."""

    types: Mapping[str, Mapping[str, Any]]
    offerings: Mapping[str, Sequence[tuple[str, str]]]


def download_wheels(folder: Path) -> None:
    """Fetch the wheels named above into `folder` with pip, without what they depend on."""
    wanted = [f"apache-libcloud=={version}" for version in LIBCLOUD_VERSIONS]
    for requirement in (*wanted, f"moto=={MOTO_VERSION}"):
        subprocess.run(  # noqa: S603 - the names above, no shell
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--only-binary", ":all:", "--dest", str(folder), requirement),
            ],
            check=True,
        )


def read_releases(folder: Path) -> list[Release]:
    """The libcloud releases among the wheels of a folder, oldest data first."""
    releases = []
    for path in folder.glob("apache_libcloud-*.whl"):
        with zipfile.ZipFile(path) as wheel:
            pricing = json.loads(wheel.read("libcloud/data/pricing.json"))
        release = Release(
            version=path.name.split("-")[1],
            updated=datetime.fromtimestamp(pricing["updated"], UTC),
            compute=pricing["compute"],
        )
        releases.append(release)
    return sorted(releases, key=lambda release: (release.updated, release.version))


def read_ec2(folder: Path) -> Ec2:
    """EC2's types and zones from the newest moto wheel of a folder."""
    path = max(folder.glob("moto-*.whl"))
    with zipfile.ZipFile(path) as wheel:
        types = json.loads(gzip.decompress(wheel.read(_MOTO_DATA + "instance_types.json.gz")))
        offerings = {
            name.removeprefix(_MOTO_ZONES).removesuffix(".json.gz"): sorted(
                (offer["Location"], offer["InstanceType"])
                for offer in json.loads(gzip.decompress(wheel.read(name)))
            )
            for name in wheel.namelist()
            if name.startswith(_MOTO_ZONES)
        }
    return Ec2(types=types, offerings=offerings)


def last_read(releases: Sequence[Release], section: str) -> tuple[Mapping[str, Any], datetime]:
    """A section of the newest release, and the date of the first that has it in this form.

    libcloud stamps its whole file when any part is updated, and has carried some parts along
    unchanged for years: those prices are as old as the first file that shows them.
    """
    newest = releases[-1].compute[section]
    unchanged = releases[-1].updated
    for release in reversed(releases):
        if release.compute.get(section) != newest:
            break
        unchanged = release.updated
    return newest, unchanged
