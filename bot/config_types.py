"""Numbers and tables that the shape of `config.toml` is made of: what each kind of value may be."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
NotNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
YEARS_S: Final = 1e9
"""No wait is longer: 31 years, which is still a whole number of nanoseconds."""
Seconds = Annotated[float, Field(gt=0, le=YEARS_S, allow_inf_nan=False)]
Bps = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Limit = Annotated[float, Field(gt=0)]
"""A limit that `inf` switches off."""
SessionName = Literal["pre", "regular", "post", "overnight", "weekend", "holiday"]


class Table(BaseModel):
    """A table of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
