"""What the parts of a published answer have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from costplan.planner.types import Market

Usd = Annotated[
    str, Field(pattern=r"^-?[0-9]+\.[0-9]{2,12}$", description="US dollars, exact decimal text")
]
Share = Annotated[float, Field(ge=0, le=1, description="Share, 0 to 1")]
Count = Annotated[int, Field(ge=0)]
Zone = Annotated[
    str | None, Field(description="Zone; null where the source prices the whole region")
]
Hazard = Annotated[float, Field(ge=0, description="Interruptions expected per node-hour")]


class Document(BaseModel):
    """A mapping of a published document."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class OfferDocument(Document):
    """What names a thing that can be bought."""

    provider: str
    region: str
    zone: Zone
    instance_type: str
    market: Market
