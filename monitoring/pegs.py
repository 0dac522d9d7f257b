"""Pegs as Prometheus sees them beside their states: since when, by what cause, how sure, and which price is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from connectors.events import Why
from connectors.instruments import USD, Role
from monitoring.decisions import Tally
from monitoring.facts import Facts
from monitoring.snapshot import Snapshot, number, unbelieved

if TYPE_CHECKING:
    from strategies.market.columns import Columns

Sample = tuple[tuple[str, ...], float | None]
SILENT: Final = frozenset({"no quote yet", "new unit, no quote yet", "stale", "out of hours"})
"""What a source is without having said anything wrong."""


def peg_samples(
    columns: Columns, tally: Tally, facts: Facts, states: Mapping[int, str]
) -> Mapping[str, Iterable[Sample]]:
    """Samples by family, without prefix. `states`: the state of each token instrument that is shown now; what was told
    of another state is not shown with it.
    """
    universe, now = columns.universe, columns.now
    keys = {at: (universe[at].token, universe[at].venue, universe[at].name) for at in states}
    told = {at: keys[at] for at, state in states.items() if state == tally.peg.get(at)}
    judged = {at: columns.judge(at, now) for at, state in states.items() if state != "unknown"}
    tokens = dict.fromkeys(token for token, _, _ in keys.values())
    coins = [coin for at, coin in enumerate(universe.coins()) if number(columns.fx[at]) is not None]
    depegged = facts.depeg_bps.get(columns.session.label)
    return {
        "instrument_info": [
            ((*key, universe[at].underlying, "" if universe[at].quote == USD else universe[at].quote), 1.0)
            for at, key in keys.items()
        ],
        "depeg_threshold_ratio": [((token,), None if depegged is None else depegged / 1e4) for token in tokens],
        "premium_sigmas": [(keys[at], _real(one.sigmas)) for at, one in judged.items() if one is not None],
        "premium_error_ratio": [
            (keys[at], _real(one.fair.error_bps / 1e4)) for at, one in judged.items() if one is not None
        ],
        "peg_state_since_timestamp_seconds": [(key, tally.since.get(at)) for at, key in told.items()],
        "peg_false_alarms_per_month": [(key, tally.false_alarms.get(at)) for at, key in told.items()],
        "venue_peg_cause": [((*key, tally.peg_cause[at]), 1.0) for at, key in told.items() if at in tally.peg_cause],
        "token_state_since_timestamp_seconds": [((token,), tally.since.get(token)) for token in tally.tokens],
        "stablecoin_depegged": [((coin,), float(coin in tally.coins_off)) for coin in {*coins, *tally.coins_off}],
        "stablecoin_false_alarms_per_month": [((coin,), tally.coin_false_alarms.get(coin)) for coin in tally.coins_off],
        "stablecoin_state_since_timestamp_seconds": [
            ((coin,), tally.since.get(coin)) for coin in {*coins, *tally.coins_off}
        ],
        "reference_refused": [
            ((universe[at].underlying, universe[at].name, why), float(why != ""))
            for at in universe.where(role=Role.SHARE)
            if (why := refused(columns, at)) is not None
        ],
    }


def premium_samples(picture: Snapshot, keys: Iterable[tuple[str, str, str]]) -> Mapping[str, Iterable[Sample]]:
    """Premia without the coin leg by `keys`, the labels of the picture's tokens in its order; of tokens over all their
    venues, and of one issuer's token over another's."""
    tokens, issuers = picture.token_premia, picture.issuer_premia
    return {
        "premium_at_par_ratio": [
            (key, _ratio(line.premium_at_par_bps)) for key, line in zip(keys, picture.tokens, strict=True)
        ],
        "token_premium_ratio": [((one.token,), _ratio(one.premium_bps)) for one in tokens],
        "token_premium_sigmas": [((one.token,), one.sigmas) for one in tokens],
        "token_spread_ratio": [((one.token,), _ratio(one.spread_bps)) for one in tokens],
        "issuer_premium_ratio": [((one.underlying, one.token, one.over), _ratio(one.premium_bps)) for one in issuers],
        "issuer_premium_sigmas": [((one.underlying, one.token, one.over), one.sigmas) for one in issuers],
    }


def _ratio(bps: float | None) -> float | None:
    return None if bps is None else bps / 1e4


def refused(columns: Columns, at: int) -> str | None:
    """Why the price of a share source is not believed; empty where it is, None where it says nothing."""
    why = unbelieved(columns, at)
    if why in SILENT:
        return None
    if why:
        return why.replace(" ", "_")
    return next((one.name.lower() for one in Why if columns.doubted(at, one)), "")


def _real(value: float) -> float | None:
    return value if math.isfinite(value) else None
