"""The file that `pegline fit` writes: parameters of the filter, and what they stand on."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from connectors.errors import DataError

if TYPE_CHECKING:
    from strategies.market.params import Params

VERSION: Final = 1
"""Raised when a field or its meaning changes; another one is refused."""

_BPS = 1e4
_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class PremiumLine(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How one instrument differs from its share."""

    mean_bps: float
    sd_bps: _NotNegative
    half_life_s: _Positive
    noise_bps: _NotNegative
    shut: _Positive = 1.0
    """Times the variance while the share trades nowhere."""
    one_sigma: dict[str, tuple[float, float]] = {}
    """One sigma below and above each parameter."""
    default: list[str] = []
    """Parameters of which the tape says nothing: default, or the mean of the kind."""


class ShareLine(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How much one share moves, and what its fit stands on."""

    daily_vol_bps: _Positive
    one_sigma: tuple[float, float] | None = None
    default: bool = False
    betas: dict[str, float] = {}
    explained: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    start_ns: int
    end_ns: int
    prints: int
    loglik: float


class ParamsFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int
    tape: str = ""
    every_s: float = 0.0
    thinned: int = 1
    """Only every so many-th moment was looked at."""
    shares: dict[str, ShareLine] = {}
    instruments: dict[str, PremiumLine] = {}
    not_fitted: dict[str, str] = {}
    prints_left_out: dict[str, int] = {}

    def params(self) -> Params:
        """What the filter takes; underlyings and instruments that are not in the file keep their defaults."""
        # Imported here: a config is checked before the place of compiled code is chosen.
        from strategies.market.filter import Premium
        from strategies.market.params import Fitted, Params

        plain = Params()
        return Params(
            daily_vol_bps={**plain.daily_vol_bps, **{name: line.daily_vol_bps for name, line in self.shares.items()}},
            premia={
                name: Premium(
                    mean=line.mean_bps / _BPS,
                    sd=line.sd_bps / _BPS,
                    half_life_s=line.half_life_s,
                    noise=line.noise_bps / _BPS,
                    shut=line.shut,
                )
                for name, line in self.instruments.items()
            },
            betas={name: line.betas for name, line in self.shares.items() if line.betas},
            explained={name: line.explained for name, line in self.shares.items() if line.betas},
            fitted={
                name: Fitted(
                    start_ns=line.start_ns, end_ns=line.end_ns, prints=line.prints, loglik=line.loglik, tape=self.tape
                )
                for name, line in self.shares.items()
            },
        )


def read_params(path: Path) -> Params:
    """The parameters of a file. Raises DataError as `read_file`."""
    return read_file(path).params()


def read_file(path: Path) -> ParamsFile:
    """A file as it is. Raises DataError where it cannot be read, is of another version, or holds what cannot be."""
    hint = "write it again: pegline fit TAPE --out FILE"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ParamsFile)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    except msgspec.MsgspecError as error:
        raise DataError(f"is no file of parameters: {error}", where=str(path), hint=hint) from error
    if found.version != VERSION:
        raise DataError(f"is of version {found.version}, this is {VERSION}", where=str(path), hint=hint)
    if any(not -inf < line.mean_bps < inf for line in found.instruments.values()):
        raise DataError("a mean is no number", where=str(path), hint=hint)
    return found


def write_params(path: Path, file: ParamsFile) -> None:
    """Writes the file in one piece. Raises DataError where it cannot."""
    whole = path.with_name(path.name + ".new")
    try:
        whole.write_bytes(as_json(file))
        whole.replace(path)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(path)) from error


def as_json(file: ParamsFile) -> bytes:
    """The file as it stands on disk."""
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"
