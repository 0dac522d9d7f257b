"""Premium samples of a tape, and the statistics that `pegline peg` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np

from bot.peg_beyond import VENUES, beyond
from bot.peg_further import beyond_sigmas, executed, fitted, healthy, in_sigmas, known, level_since, ordinary
from bot.peg_samples import Samples, Which
from bot.sessions import load_sessions
from connectors.errors import RegistryError
from connectors.events import F8, I2, I8, NAN, NS, Flag, Kind
from connectors.instruments import USD, Instrument, Role, UnitModel, Universe
from connectors.tape import Tape
from monitoring.narrate import utc
from strategies.market.health import PegHealth
from strategies.market.ou import half_life
from strategies.market.peg_stats import level, longest_outside_s, share_outside
from strategies.market.session import Session

BPS: Final = 1e4
COLUMNS: Final = ("ts_recv", "instrument", "kind", "flags", "bid", "ask")
PRICES: Final = (Kind.QUOTE, Kind.DEPTH, Kind.POOL, Kind.REFERENCE, Kind.FX)
"""Kinds whose bid and ask make a price; a TRADE does so only for a series that has one price."""
NO_PRINT: Final = Flag.SUPERSEDED | Flag.SAME_PRINT
SESSIONS: Final = ("all", *(session.label for session in Session if session is not Session.UNKNOWN))


@dataclass(frozen=True, slots=True)
class _Prices:
    """What one instrument said: prices (mid) and, where told, multipliers with their moments, in order."""

    ts: I8
    mid: F8
    told: tuple[tuple[int, float, float], ...]
    """(ts_recv, shares per unit, activation in unix s or NaN) of each MULTIPLIER row."""


def samples_against(tape: Tape, against: str, start_ns: int | None = None, end_ns: int | None = None) -> Samples:
    """Premia of every token on the share of `against`, to its last price carried forward whatever its age.

    A print is a row of a token with a price; a row that a newer one overtook is none, and neither are
    the levels of a print that was told already. A sample
    sees every row of its own instant; start_ns <= ts < end_ns, and what was said before `start_ns` is remembered. No
    sample is made where the other price, a quote coin's FX or a multiplier is not known by then. Raises RegistryError
    where the tape has no instrument `against`, or none of its tokens is on that share, and TapeError.
    """
    universe = tape.universe
    reference = universe.number(against)
    underlying = universe[reference].underlying
    tokens = [number for number in universe.where(role=Role.TOKEN, underlying=underlying) if number != reference]
    if not tokens or not underlying:
        raise RegistryError(f"no token on {underlying or 'a share'} to compare it with", where=against)
    heard = _listen(tape, {*tokens, reference, *_coins(universe)}, end_ns)
    found = []
    for token in tokens:
        prints = heard[token]
        inside = prints.ts >= (start_ns if start_ns is not None else np.iinfo(np.int64).min)
        ts, mid = prints.ts[inside], prints.mid[inside]
        share = _usd_per_share(universe, reference, heard, ts, _last(heard[reference], ts))
        premium = (_usd_per_share(universe, token, heard, ts, mid) / share - 1) * BPS
        told = np.isfinite(premium)
        found.append((ts[told], np.full(int(told.sum()), token, dtype=np.int32), premium[told]))
    return Samples(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))


def _listen(tape: Tape, wanted: set[int], end_ns: int | None) -> dict[int, _Prices]:
    """Prices and multipliers of the wanted instruments, in one pass over the tape."""
    one_price = np.array([instrument.one_price for instrument in tape.universe])
    keep = np.isin(np.arange(len(tape.universe)), sorted(wanted))
    ts: dict[int, list[I8]] = {number: [] for number in wanted}
    mids: dict[int, list[F8]] = {number: [] for number in wanted}
    told: dict[int, list[tuple[int, float, float]]] = {number: [] for number in wanted}
    for rows in tape.blocks(COLUMNS, None, end_ns):
        heard = keep[rows.instrument] & (rows.flags & NO_PRINT == 0)
        priced = heard & _has_price(rows.kind, one_price[rows.instrument])
        mid = np.where((rows.bid > 0) & (rows.ask > 0) & (rows.bid < inf) & (rows.ask < inf), rows.bid + rows.ask, NAN)
        priced &= np.isfinite(mid)
        for number in np.unique(rows.instrument[priced]).tolist():
            its = priced & (rows.instrument == number)
            ts[number].append(rows.ts_recv[its])
            mids[number].append(mid[its] / 2)
        for at in np.flatnonzero(heard & (rows.kind == Kind.MULTIPLIER)).tolist():
            said = (int(rows.ts_recv[at]), float(rows.bid[at]), float(rows.ask[at]))
            told[int(rows.instrument[at])].append(said)
    return {
        number: _Prices(
            np.concatenate([np.empty(0, dtype=np.int64), *ts[number]]),
            np.concatenate([np.empty(0), *mids[number]]),
            tuple(told[number]),
        )
        for number in wanted
    }


def _has_price(kind: I2, one_price: Which) -> Which:
    """Which rows say a price: quotes of every sort, and the trades of a series without a book."""
    traded: Which = (kind == np.int16(Kind.TRADE)) & one_price
    return np.isin(kind, PRICES) | traded


def _last(prices: _Prices, ts: I8) -> F8:
    """The last price at or before each moment, every row of the moment itself included; NaN before the first."""
    place = np.searchsorted(prices.ts, ts, side="right") - 1
    return np.where(place >= 0, np.append(prices.mid, NAN)[place], NAN)


def _usd_per_share(universe: Universe, number: int, heard: Mapping[int, _Prices], ts: I8, mid: F8) -> F8:
    """Prices `mid` at `ts` of an instrument, in USD for one share; NaN where a coin or the multiplier is not known."""
    instrument = universe[number]
    usd = mid * _fx(universe, instrument.quote, heard, ts)
    return usd / _multiplier(instrument, heard[number], ts) if instrument.role is Role.TOKEN else usd


def _coins(universe: Universe) -> Iterator[int]:
    """Numbers of the instruments that price a coin."""
    return (number for number, instrument in enumerate(universe) if instrument.role is Role.COIN)


def _fx(universe: Universe, coin: str, heard: Mapping[int, _Prices], ts: I8, through: tuple[str, ...] = ()) -> F8:
    """USD per coin at each moment: of the first instrument that prices it, itself perhaps quoted in another coin."""
    if coin == USD:
        return np.ones(len(ts))
    for number in _coins(universe):
        instrument = universe[number]
        if instrument.coin == coin and instrument.quote not in (coin, *through):
            onward = _fx(universe, instrument.quote, heard, ts, (*through, coin))
            return _last(heard[number], ts) * onward
    return np.full(len(ts), NAN)


def _multiplier(instrument: Instrument, prices: _Prices, ts: I8) -> F8:
    """Shares per unit at each moment; 1 for a rebasing token, NaN where nobody has said.

    A multiplier holds from its activation, or at once where none was named; a newer word cancels what is pending.
    """
    if instrument.unit_model is UnitModel.REBASING:
        return np.ones(len(ts))
    steps = [(int(np.iinfo(np.int64).min), instrument.multiplier if instrument.multiplier is not None else NAN)]
    for said, value, activation_s in prices.told:
        if not 0 < value < inf:
            continue
        # A float holds unix seconds to a quarter of a microsecond; whole microseconds are what was meant.
        active = said if np.isnan(activation_s) else max(said, round(activation_s * 1e6) * 1000)
        steps = [step for step in steps if step[0] <= said]
        steps.append((active, value))
    moments, values = np.array([s[0] for s in steps]), np.array([s[1] for s in steps])
    return values[np.searchsorted(moments, ts, side="right") - 1]


def statistics(
    samples: Samples,
    universe: Universe,
    tokens: Sequence[int],
    against: str,
    *,
    gap_ns: int,
    band_bps: Mapping[str, float] | None = None,
    unknown: Mapping[int, Mapping[str, int]] | None = None,
    health: Mapping[int, PegHealth] | None = None,
    costs: Mapping[int, float] | None = None,
) -> list[dict[str, Any]]:
    """One object for each token and session with samples, and `all` for every token; absent values are None.

    `band_bps` gives the band by session; None, or a session that is not named, leaves what needs one None. Each
    session's spells and half-life are made of that session's prints alone. `unknown` counts prints of each token that
    are no samples, since what they would be compared with was not known: `all` says so in its note, and it has the
    score of `health`. `costs` of a trade, as shares of the price; what is not
    there is not known. Formulas: strategies/market/peg_stats.py, ou.py,
    excursions.py, health.py.
    """
    codes = load_sessions().codes_at(samples.ts)
    bands = np.array([(band_bps or {}).get(session.label, NAN) for session in Session])
    found = []
    for token in tokens:
        cost = (costs or {}).get(token, NAN)
        for at, session in enumerate(SESSIONS):
            its = (samples.instrument == token) & ((codes == at - 1) | (at == 0))
            if at == 0 or its.any():
                named = {"token": universe[token].token or universe[token].symbol, "instrument": universe[token].name}
                numbers = _statistics(samples.of(its), bands[codes[its]], gap_ns, cost)
                if at == 0:
                    ts, premium_bps = samples.ts[its], samples.premium_bps[its]
                    since = level_since(ts, premium_bps)
                    numbers["level_since"] = None if since is None else utc(since)
                    numbers |= healthy((health or {}).get(token), int(ts[-1]) if len(ts) else 0)
                missing = (unknown or {}).get(token, {})
                if missing and at == 0:
                    whys = ", ".join(f"{why}: {count:,}" for why, count in missing.items())
                    word = f"{sum(missing.values()):,} prints are no samples: the fair value was unknown ({whys})"
                    numbers["note"] = f"{numbers['note']}; {word}" if numbers["n"] and numbers["note"] else word
                found.append({**named, "against": against, "session": session, **numbers})
    for token_name, over, its_samples in beyond(samples, universe, tokens, gap_ns):
        its_codes = load_sessions().codes_at(its_samples.ts)
        for at, session in enumerate(SESSIONS):
            its = (its_codes == at - 1) | (at == 0)
            if its.any():
                numbers = _statistics(its_samples.of(its), bands[its_codes[its]], gap_ns, 0.0)
                named = {"token": token_name, "instrument": VENUES, "against": over or against, "session": session}
                found.append({**named, **numbers})
    return found


def _statistics(samples: Samples, band_bps: F8, gap_ns: int, cost: float) -> dict[str, Any]:
    """The numbers of one token in one session."""
    ts, premium_bps = samples.ts, samples.premium_bps
    where, back = level(premium_bps), half_life(ts, premium_bps, gap_ns)
    told = not np.isnan(back.seconds)
    return {
        "n": where.n,
        "mean_bps": known(where.mean),
        "sd_bps": known(where.sd),
        "median_bps": known(where.median),
        "median_abs_bps": known(where.median_abs),
        "p95_abs_bps": known(where.p95_abs),
        "max_abs_bps": known(where.max_abs),
        "share_outside": known(share_outside(premium_bps, band_bps)),
        "longest_outside_s": known(longest_outside_s(ts, premium_bps, band_bps, gap_ns)),
        "half_life_s": known(back.seconds),
        "half_life_ci_s": [back.low, back.high] if told else None,
        "note": back.note if where.n else "no print at which the other price, FX and multiplier were known",
        "beyond_2_sigmas_share": beyond_sigmas(premium_bps, samples.error_bps),
        **ordinary(ts, premium_bps),
        **executed(samples.sell_bps, samples.buy_bps, cost),
        **fitted(ts, premium_bps, band_bps, back),
        "level_since": None,
        **healthy(None, 0),
        **in_sigmas(premium_bps, samples.error_bps, samples.par_bps),
    }


def judged(universe: Universe, against: str) -> list[int]:
    """Numbers of the tokens that are compared with `against`: those of its share, itself left out."""
    reference = universe.number(against)
    same = universe.where(role=Role.TOKEN, underlying=universe[reference].underlying)
    return [number for number in same if number != reference]


def gap_of(seconds: float) -> int:
    """A silence in ns."""
    return round(seconds * NS)
