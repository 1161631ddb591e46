"""The least files of the autoscaler, for tests to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from costplan.planner.daemon_config import DaemonConfig, daemon_config_from_mapping

ROOT = Path(__file__).parents[2]
SCHEDULER = {"endpoint": "http://h:8787", "token_file": "t", "address": "tcp://h:8786"}
LEAST: dict[str, Any] = {
    "cluster": "c",
    "workload": "w",
    "scheduler": SCHEDULER,
    "provider": {"kind": "local", "scenario": "s.yaml", "state_dir": "d"},
    "store": {"path": "s.db"},
    "workers": [{"name": "a", "vcpu": 1, "memory": "1 GiB"}],
}
LEAST_AWS = {"kind": "aws", "region": "r", "zones": ["ra"], "image": "ami-1"}
LEAST_GCP = {
    "kind": "gcp",
    "project": "our-project",
    "zones": ["us-central1-a"],
    "image": "projects/our-project/global/images/dask",
}
LEAST_AZURE = {
    "kind": "azure",
    "subscription": "00000000-0000-0000-0000-000000000001",
    "resource_group": "dask",
    "region": "eastus",
    "zones": ["eastus-1"],
    "image": "a:b:c:latest",
    "subnet": "/subscriptions/S/resourceGroups/G/providers/N/subnets/s",
    "ssh_key": "ssh-ed25519 AAAA me",
}


def parsed(**more: Any) -> DaemonConfig:
    return daemon_config_from_mapping({**LEAST, **more}, "c.yaml", "/etc/costplan")


def copied(part: Any) -> Any:
    if isinstance(part, dict):
        return dict(part)
    return [dict(each) for each in part] if isinstance(part, list) else part
