"""The documentation of the autoscaler's file names its keys, their defaults and right examples."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from costplan.cli.config_file import read_config
from costplan.planner.config_models import Section, keys_of, sections
from costplan.planner.daemon_config import daemon_config_from_mapping, parse_daemon_config
from costplan.planner.daemon_config_models import DaemonSection
from costplan.planner.provider_config import ProviderChoice
from costplan.planner.provider_config_models import AwsSection, AzureSection, GcpSection
from tests.unit.daemon_files import LEAST, LEAST_AWS, LEAST_AZURE, LEAST_GCP, ROOT, copied


def _documented() -> dict[str, list[str]]:
    """The cells of each row of the tables of keys, by key."""
    text = (ROOT / "docs/autoscaler-config.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| `[a-z_.\[\]]+` \|", line)]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert all(all(row) and len(row) == 5 for row in cells)
    return {row[0].strip("`"): row[1:] for row in cells}


def _marked(path: str) -> str:
    """A path with [] after each list, as documents write it."""
    path = re.sub(r"^provider\.(local|aws|gcp|azure)\.", "provider.", path)
    lists = ("workers", "limits.quotas", "safety.freezes", "calendar", "place_rates")
    for plain in (*lists, "reports.sharing.shares", "reports.gl_accounts", "reports.schedule"):
        path = re.sub(rf"^{re.escape(plain)}(?=\.)", f"{plain}[]", path)
    return path


def test_the_documentation_names_exactly_the_keys_that_exist() -> None:
    held = ("commitments.", "commitment_rates")  # docs/commitments.md has their keys
    every = sections(DaemonSection)
    models = {path: model for path, model in every.items() if not path.startswith(held)}
    paths = [
        f"{path}.{key}".lstrip(".") for path, model in models.items() for key in keys_of(model)
    ]
    exist = {
        _marked(path)
        for path in paths
        if not any(f"{inner}.".startswith(f"{path}.") for inner in models)
    }
    assert sorted(_documented()) == sorted(exist)


WORDS = {
    "needed", "none", "no limit", "all", "all regions", "every size", "every type", "the system's",
    "the bundled prices", "needed with `tls://`", "true without `provider.subnets`",
}  # fmt: skip
DEFAULTS = {
    key: cells[1]
    for key, cells in _documented().items()
    if cells[1] not in WORDS and "[]" not in key
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_the_documented_default_is_what_a_file_without_the_key_means(key: str) -> None:
    data: dict[str, Any] = {name: copied(part) for name, part in LEAST.items()}
    *outer, last = key.split(".")
    if outer == ["provider"]:  # those of local have no default
        clouds = {AwsSection: LEAST_AWS, GcpSection: LEAST_GCP, AzureSection: LEAST_AZURE}
        fits = (
            file
            for section, file in clouds.items()
            if last in section.model_fields and section.model_fields[last].default is not None
        )
        data["provider"] = dict(next(fits))
    if outer == ["alerts", "email"]:
        data["alerts"] = {"email": {"host": "h", "from": "a@b.c", "to": ["a@b.c"]}}
    least = daemon_config_from_mapping(data, "c.yaml", "/etc/costplan")
    inner = data
    for step in outer:
        inner = inner.setdefault(step, {})
    assert last not in inner
    inner[last] = yaml.safe_load(DEFAULTS[key])
    assert daemon_config_from_mapping(data, "c.yaml", "/etc/costplan") == least


def test_every_key_that_has_a_value_by_default_says_which() -> None:
    valued = {
        f"{path}.{key}".lstrip(".")
        for path, model in sections(DaemonSection).items()
        if not path.startswith("commitments.")
        for key, field in zip(keys_of(model), model.model_fields.values(), strict=True)
        if not field.is_required()
        and field.get_default(call_default_factory=True) not in (None, (), {})
        and not isinstance(field.default, Section)
    }
    assert {key for key in map(_marked, valued) if "[]" not in key} == set(DEFAULTS)


def test_the_documented_examples_are_right() -> None:
    text = (ROOT / "docs/autoscaler-config.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 2
    least, whole = (parse_daemon_config(block, "docs", "/etc") for block in blocks)
    assert (least.settings.cluster, whole.settings.kinds[1].threads) == ("fraud", 1)


def test_the_example_for_one_computer_is_right() -> None:
    folder = ROOT / "examples/local"
    config = read_config(folder / "costplan.yaml")
    assert isinstance(config.provider, ProviderChoice)
    assert config.provider.scenario == str(folder / "scenario.yaml")
    assert config.settings.budget.usd_per_hour == 1
