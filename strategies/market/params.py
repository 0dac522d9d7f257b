"""Parameters of the filter: what a witness's premium is like and how far a share moves, by default or as fitted.

Defaults, from data on which no skill is judged:

- token: sd 20 bps, half-life 15 min. Two Solana pools of TSLAx differ by 14 bps, three of CRCLx by 22 to 27, half
  of it gone in 1 to 15 min (hourly closes, 30 May to 21 June 2026), at weekends no more than in the week. What all
  pools of a token share is not seen in that; in the regular sessions of May one pool lay within 18 bps of the share.
  That nobody mints or redeems while the share is shut is worth twice the variance: a guess, no data of ours can tell.
- perp: sd 4 bps, half-life 10 min: marks of AMZN and PLTR perps against the issuer's quote, August 2026 (3 to 4
  bps, 4 to 6 min). 100 times the variance while the share is shut: when the market was back on Sunday 16 August, AMZN,
  PLTR and HOOD lay 30 to 77 bps from where their perps had been (three names, one weekend).
- a 24/7 source of the share: as a perp, since what speaks while the share is shut speaks from perps or from nothing.
  Other sources are evidence of the share itself.

A fit pulls what it finds for an underlying to the mean of its kind; `pegline fit` writes it, with the span, the number
of prints and the log-likelihood that it stands on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from connectors.instruments import Hours, Instrument, Role
from strategies.market.fair import DEFAULT_DAILY_VOL_BPS
from strategies.market.filter import Filter, Premium, Witness

DEFAULT_VOL_BPS: Final = 300.0
"""One sigma of a regular day of a share that nobody named."""

_BPS: Final = 1e-4

TOKEN: Final = Premium(sd=20 * _BPS, half_life_s=900.0, noise=5 * _BPS, shut=2.0)
PERP: Final = Premium(sd=4 * _BPS, half_life_s=600.0, noise=1 * _BPS, shut=100.0)
AROUND_THE_CLOCK: Final = Premium(sd=3 * _BPS, half_life_s=600.0, noise=3 * _BPS, shut=100.0)
SHARE: Final = Premium(noise=3 * _BPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fit stands on."""

    start_ns: int
    end_ns: int
    prints: int
    loglik: float
    tape: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Parameters by name; what is not named has its kind's default."""

    daily_vol_bps: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_DAILY_VOL_BPS))
    """By underlying."""
    default_vol_bps: float = DEFAULT_VOL_BPS
    premia: Mapping[str, Premium] = field(default_factory=dict)
    """By instrument (`venue:SYMBOL`)."""
    betas: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By underlying: how much of the return of a control (an index future, a coin) it shares."""
    explained: Mapping[str, float] = field(default_factory=dict)
    """By underlying: the part of its variance that its controls explain, all together."""
    fitted: Mapping[str, Fitted] = field(default_factory=dict)
    """By underlying; absent is default."""

    def vol(self, underlying: str) -> float:
        """One sigma of a regular day, as a fraction."""
        return self.daily_vol_bps.get(underlying, self.default_vol_bps) * _BPS

    def premium(self, instrument: Instrument) -> Premium:
        """How an instrument differs from its share."""
        return self.premia.get(instrument.name, kind_of(instrument))

    def witness(self, instrument: Instrument, underlying: int) -> Witness | None:
        """An instrument as a witness of the underlying of that number; None of a coin, which tells of no share."""
        if instrument.role is Role.COIN or not instrument.underlying:
            return None
        return Witness(underlying=underlying, group=group_of(instrument), premium=self.premium(instrument))

    def controls(self, underlyings: tuple[str, ...]) -> dict[int, dict[int, float]]:
        """Betas by number, of the shares that can hear of all their controls."""
        number = {name: at for at, name in enumerate(underlyings)}
        return {
            number[share]: {number[name]: beta for name, beta in of.items()}
            for share, of in self.betas.items()
            if share in number and not any(self.why_no_control(name, underlyings) for name in of)
        }

    def why_no_control(self, name: str, underlyings: tuple[str, ...]) -> str:
        """Why an underlying is a control of nobody, in words; empty where it may be one."""
        if name not in underlyings:
            return f"no instrument of {name} is known here"
        return f"{name} follows controls itself" if self.betas.get(name) else ""


def kind_of(instrument: Instrument) -> Premium:
    """The default of an instrument's kind."""
    if instrument.role is Role.TOKEN:
        return TOKEN
    if instrument.role is Role.PERP:
        return PERP
    return SHARE if is_evidence(instrument) else AROUND_THE_CLOCK


def is_evidence(instrument: Instrument) -> bool:
    """Whether it speaks of the share itself: a source of the share that is silent while the share is shut."""
    return instrument.role is Role.SHARE and instrument.hours is not Hours.ALWAYS


def group_of(instrument: Instrument) -> str:
    """Whose word it is: what has one name here counts once. Empty for evidence of the share itself.

    Perps and sources: their `witness`, else their venue. Tokens: the same, with the token, so that a venue's quotes of
    it in several coins are one, and those of two issuers are two.
    """
    if is_evidence(instrument):
        return ""
    who = instrument.witness or instrument.venue
    return f"{who}:{instrument.token}" if instrument.role is Role.TOKEN else who


def filter_of(
    params: Params, instruments: list[Instrument], *, judge: bool = True
) -> tuple[Filter, dict[int, int], tuple[str, ...]]:
    """A filter of all underlyings of a universe; the witness of each instrument's number; the underlyings in order."""
    names = tuple(dict.fromkeys(i.underlying for i in instruments if i.underlying))
    found = [(at, params.witness(i, names.index(i.underlying))) for at, i in enumerate(instruments) if i.underlying]
    witnesses = [(at, w) for at, w in found if w is not None]
    place = {at: n for n, (at, _) in enumerate(witnesses)}
    explained = {at: params.explained.get(names[at], 0.0) for at in params.controls(names)}
    vols = [params.vol(name) for name in names]
    return Filter([w for _, w in witnesses], vols, judge=judge, explained=explained), place, names
