"""Answers about single tokens of one run: which instruments are meant, and what is read of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from bot.assembly import Assembly, fitted
from bot.config import Config
from bot.costs import leg_costs
from bot.errors import UsageError
from bot.terminal import nearest
from connectors.instruments import Instrument, Role, Universe
from monitoring.decisions import Tally
from monitoring.facts import FeedState
from monitoring.quote import Market, quote
from monitoring.quote_lines import Origin, Quote
from strategies.market.fair import DEFAULT_DAILY_VOL_BPS
from strategies.market.params import Params
from strategies.pricing.costs import TAKEN

LONGEST: int = 200
"""Characters of a name; longer ones are nobody's."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What a word stands for in a universe: numbers."""

    venues: tuple[int, ...]
    """Token instruments."""
    groups: tuple[int, ...]
    """Underlyings."""


def meant(universe: Universe, word: str) -> Meant:
    """What a token, an instrument (`venue:SYMBOL`) or an underlying stands for; case counts only between two that
    differ by nothing else. Of an underlying, or a source of it, all tokens of all issuers.

    Raises UsageError, naming what is near, where nothing has the name.
    """
    shares = universe.underlyings()
    for same in (str, str.casefold):
        asked = same(word)
        for of in (_name, _token, _share):
            found = [at for at, i in enumerate(universe) if of(i) and same(of(i)) == asked]
            if not found:
                continue
            names = dict.fromkeys(universe[at].underlying for at in found)
            venues = [at for at in found if universe[at].role is Role.TOKEN]
            if of is _share or not venues:
                venues = [at for name in names for at in universe.where(role=Role.TOKEN, underlying=name)]
            return Meant(tuple(venues), tuple(shares.index(name) for name in names))
    known = list(dict.fromkeys(name for i in universe for name in (_token(i), _share(i), _name(i)) if name))
    near = nearest(word[:LONGEST], known)
    few = ", ".join(dict.fromkeys(name for i in universe for name in (_token(i), _share(i)) if name)) or "none"
    listed = few if len(few) <= 300 else f"{few[:300].rpartition(',')[0]}, ..."
    hint = f"did you mean {near}?" if near else f"known: {listed}"
    raise UsageError(f"no token, instrument or share {word[:LONGEST]!r}", hint=hint)


def _name(instrument: Instrument) -> str:
    """Of what tells of a share."""
    return instrument.name if instrument.underlying and instrument.role is not Role.COIN else ""


def _token(instrument: Instrument) -> str:
    return instrument.token if instrument.role is Role.TOKEN else ""


def _share(instrument: Instrument) -> str:
    return instrument.underlying


class Quotes:
    """`ask` at any time; every answer is of the moment."""

    def __init__(
        self,
        config: Config,
        parts: Assembly,
        tally: Tally,
        origin: Callable[[], Origin],
        feeds: Callable[[], Sequence[FeedState]] = tuple,
    ) -> None:
        """`tally` folds the records of the run; `origin` says where its answers come from."""
        columns, engine, told = parts.columns, parts.engine, fitted(config)
        self._universe, self.origin = columns.universe, origin
        self._market = Market(
            columns=columns,
            tally=tally,
            costs=[leg_costs(config, instrument).only(TAKEN) for instrument in columns.universe],
            vol_from=lambda name: _vol_from(config, told, name),
            alarms=parts.peg_watch is not None,
            levels=lambda number: engine.depths.levels(number, columns.now),
            feeds=feeds,
            multiplier=lambda number: engine.judges.units.multiplier[number],
            basis=lambda number: (
                "" if engine.judges.units.said[number] is None else str(engine.judges.units.basis[number])
            ),
        )

    def ask(self, name: str, size_usd: float | None = None) -> Quote:
        """The answer about a token, an instrument or an underlying. Raises UsageError where there is none of the name,
        or the size is no number above zero."""
        if size_usd is not None and not 0 < size_usd < inf:
            raise UsageError("the size is a number of USD above zero")
        found = meant(self._universe, name)
        return quote(self._market, found.venues, found.groups, name, self.origin(), size_usd)


def _vol_from(config: Config, told: Params, name: str) -> str:
    """Where the volatility of a share comes from."""
    if name in config.fair.daily_vol_bps:
        return "config"
    if (fit := told.fitted.get(name)) is not None:
        return f"fit to {fit.prints:,} prints of {fit.tape or 'a tape'}"
    return "default of this share" if name in DEFAULT_DAILY_VOL_BPS else "default of any share"
