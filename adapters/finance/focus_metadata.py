"""The metadata of FOCUS files: what their columns are, what they are part of, how fresh they are.

    metadata/schemas/schema-<id>.json            the columns of a dataset
    metadata/data_generator.json                 version 1.2
    metadata/dataset_instances.json              version 1.4
    metadata/recency/recency-<id>.json           version 1.4

Ids are digests of what they name, and no time is that of the writing: the same book gives the
same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from costplan.adapters.finance.focus_files import places_of
from costplan.planner.finance.focus_columns import Column, Dataset, DataType, Version

GENERATOR = "costplan"
SCHEMA_DATE = "2026-10-01T00:00:00Z"
"""When the columns that we write were last changed: FOCUS's CreationDate of a schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sector:
    """A billing period in the file, and when its last charge was recorded."""

    start: datetime
    end: datetime
    last_updated: datetime
    is_closed: bool


def instant(at: datetime) -> str:
    """As FOCUS writes instants: whole seconds of UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def text_of(document: Any) -> bytes:
    """JSON for people and programs, with a line feed at the end."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def generator_version() -> str:
    """The version of this program."""
    from importlib.metadata import version

    return version("costplan")


def schema_document(
    version: Version, dataset: Dataset, columns: Sequence[Column], *, places: int, instance: str
) -> dict[str, Any]:
    """The schema object of a dataset; its id is a digest of all the rest."""
    rest: dict[str, Any] = {
        "FocusVersion": version.value,
        "CreationDate": SCHEMA_DATE,
        "DataGenerator": GENERATOR,
        "DataGeneratorVersion": generator_version(),
        "Dataset": dataset.value,
        "ColumnDefinition": [_definition(column, places) for column in columns],
    }
    if version is not Version.V1_2:
        rest["DatasetInstanceId"] = instance
    return {"SchemaId": _digest(rest), **rest}


def _definition(column: Column, places: int) -> dict[str, Any]:
    made: dict[str, Any] = {"ColumnName": column.name, "DataType": column.type.value}
    if column.type is DataType.DECIMAL:
        made |= {"NumericPrecision": 38, "NumberScale": places_of(column, places)}
    elif column.type is not DataType.DATE_TIME:
        made["StringEncoding"] = "UTF-8"
    return made


def instance_id(version: Version, dataset: Dataset) -> str:
    """The id of a dataset that we write, the same in every file of it."""
    return _digest({"of": GENERATOR, "version": version.value, "dataset": dataset.value})


def metadata_files(
    version: Version, schemas: Iterable[Mapping[str, Any]], sectors: Sequence[Sector]
) -> dict[str, bytes]:
    """Each metadata file by its path under the folder."""
    schemas = list(schemas)
    made = {
        f"metadata/schemas/schema-{schema['SchemaId']}.json": text_of(schema) for schema in schemas
    }
    if version is Version.V1_2:
        about = {"DataGenerator": GENERATOR, "DataGeneratorVersion": generator_version()}
        return made | {"metadata/data_generator.json": text_of(about)}
    datasets = [Dataset(schema["Dataset"]) for schema in schemas]
    made["metadata/dataset_instances.json"] = text_of(
        [
            {
                "DatasetInstanceId": instance_id(version, dataset),
                "DatasetInstanceName": f"costplan {dataset.value}",
                "FocusDatasetId": dataset.value,
            }
            for dataset in datasets
        ]
    )
    for dataset in datasets:
        name = instance_id(version, dataset)
        made[f"metadata/recency/recency-{name}.json"] = text_of(_recency(name, dataset, sectors))
    return made


def _recency(instance: str, dataset: Dataset, sectors: Sequence[Sector]) -> dict[str, Any]:
    last = instant(max(sector.last_updated for sector in sectors))
    made: dict[str, Any] = {"DatasetInstanceId": instance, "RecencyLastUpdated": last}
    if dataset is not Dataset.COST_AND_USAGE:
        is_whole = all(sector.is_closed for sector in sectors)
        return made | {"DatasetInstanceLastUpdated": last, "DatasetInstanceComplete": is_whole}
    made["TimeSectors"] = [
        {
            "TimeSectorStart": instant(sector.start),
            "TimeSectorEnd": instant(sector.end),
            "TimeSectorComplete": sector.is_closed,
            "TimeSectorLastUpdated": instant(sector.last_updated),
        }
        for sector in sectors
    ]
    return made


def _digest(value: object) -> str:
    """32 hexadecimal digits in groups, in the form of a UUID."""
    found = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
    return "-".join(
        found[begin:end] for begin, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    )
