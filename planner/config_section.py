"""What every section of a configuration file is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the file whose keys are exactly its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
