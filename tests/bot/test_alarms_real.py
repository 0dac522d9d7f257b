"""Alarms on real data: August 2026 as it was, with depegs in it, and with the stablecoin of March 2023 laid over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bot.paths import prepare_kernel

prepare_kernel()

from bot.alarms.score import score, without  # noqa: E402 - the kernel's cache must be chosen first
from bot.alarms.shapes import Shape  # noqa: E402
from bot.alarms.summary import summary  # noqa: E402
from bot.alarms.watch import Run, watch  # noqa: E402
from bot.config import Config  # noqa: E402
from bot.peg_rules import rule_of, starting_table  # noqa: E402
from bot.tape_import import import_tape  # noqa: E402
from connectors.events import IMPORT_ORDER, NS, ROW, Flag, Kind, Rows  # noqa: E402
from connectors.instruments import Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.tape import open_tape  # noqa: E402
from strategies.peg.state import Cause, PegState  # noqa: E402

MAPS = Path(__file__).resolve().parents[1] / "maps"
CONFIG = Config(gates={"max_quote_age_s": 900.0, "max_source_lag_s": float("inf")})  # type: ignore[arg-type]
"""For polls every five and a half minutes: a quote is old after 15, and no source can follow the others by less."""
RULE = rule_of(starting_table())
NEITHER = ("AMZN", "PLTR", "GOLD", "HOOD")
USDT_ERROR = 1e-3
"""USDT is taken as one dollar, give or take 10 bps."""


def utc(*moment: int) -> int:
    """A moment in ns UTC."""
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * NS  # type: ignore[arg-type, misc]


@pytest.fixture(scope="module")
def august(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Universe]:
    """The whole tape."""
    out = tmp_path_factory.mktemp("august") / "tape"
    import_tape(
        [shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"], MAPS / "multivenue_2026_08.toml", out
    )
    tape = open_tape(out)
    return Rows.join(list(tape.blocks())), tape.universe


@pytest.fixture(scope="module")
def march(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Universe]:
    """USDC in USDT at Binance and Kraken, 1 to 21 March 2023."""
    out = tmp_path_factory.mktemp("march") / "tape"
    folder = shared / "data" / "depeg_usdc_2023-03"
    files = [folder / "binance_usdcusdt.csv.gz", folder / "kraken_usdcusdt_1min.csv.gz"]
    import_tape(files, MAPS / "usdc_2023_03.toml", out)
    tape = open_tape(out)
    return Rows.join(list(tape.blocks())), tape.universe


def depegs(run: Run) -> list[int]:
    """Moments at which any venue or token became DEPEGGED."""
    lines = [*run.active.venues.values(), *run.active.tokens.values()]
    return [ts for line in lines for ts, _ in line.alarms(0, 2**62)]


def test_nothing_is_depegged_in_ten_real_days(august: tuple[Rows, Universe]) -> None:
    """
    Neither by the frozen weekend, nor by the stub, nor by the eleven minutes of 22 August in which both pools were 2 %
    up: no DEPEGGED. Both tokens were judged for most of the time, and shares without a token are UNKNOWN.
    """
    run = watch(CONFIG, [august[0]], august[1], RULE)
    assert [] == depegs(run)
    assert dict.fromkeys(NEITHER, PegState.UNKNOWN) == {name: run.share_states[name] for name in NEITHER}
    assert {"TSLAB", "AAPLB"} == {token for token, _ in run.active.tokens}
    for line in run.active.tokens.values():
        hours = [utc(2026, 8, 13) + at * 1800 * NS for at in range(9 * 48)]
        known = [line.at(ts)[0] is PegState.PEGGED for ts in hours]
        assert sum(known) > 0.5 * len(known)


def test_an_issuer_alone_that_stands_still_depegs_nothing(august: tuple[Rows, Universe]) -> None:
    """
    With the issuer's quote as the only source: frozen on 14 to 16 August, 255/364 on 22 August, halted in between. No
    DEPEGGED, and UNKNOWN for the reference on the Sunday.
    """
    rows, universe = august
    kept = [at for at, i in enumerate(universe) if i.venue != "hl"]
    numbers = np.full(len(universe), -1, dtype=np.int32)
    numbers[kept] = np.arange(len(kept))
    less = rows[numbers[rows.instrument] >= 0]
    run = watch(
        CONFIG,
        [replace(less, instrument=numbers[less.instrument])],
        Universe(tuple(universe[at] for at in kept)),
        RULE,
    )
    assert [] == depegs(run)
    for line in run.active.tokens.values():
        assert (PegState.UNKNOWN, Cause.REFERENCE) == line.at(utc(2026, 8, 16, 12))


def test_injected_depegs_are_found(august: tuple[Rows, Universe]) -> None:
    """
    Fifteen of 200 bps, of all shapes, over the sessions of the second half: at least 14 found in time and called
    what they are, none of a coin or a stale reference called DEPEGGED, and no token DEPEGGED for its one pool.
    """
    found = score(*august, CONFIG, RULE, count=15, sizes_bps=(200.0,), seed=3)
    rule = summary(found)["rules"][0]
    every = next(c for c in rule["cells"] if (c["shape"], c["session"]) == ("all", "all"))
    assert 15 == every["recall"]["of"] and 14 <= every["recall"]["hits"]
    shapes = {c["shape"] for c in rule["cells"] if c["session"] == "all"}
    assert {"all", *(shape.value for shape in Shape)} == shapes
    assert (0, 0, 0) == (
        rule["false_alarms"],
        rule["depegged_that_should_not_be"],
        rule["tokens_depegged_without_injection"],
    )
    assert 0 == rule["single_venue_called_token"]
    assert set(NEITHER) == set(found.unknown)


def laid_over(
    august: tuple[Rows, Universe], march: tuple[Rows, Universe], source: str, shift: int
) -> tuple[Rows, Universe]:
    """August with its tokens quoted in USDC as one source of March 2023 has it, `shift` ns later; true premia stand."""
    rows, universe = without(*august, NEITHER)
    coins, of = march
    chosen = coins[coins.instrument == of.number(f"{source}:USDC/USDT")]
    ts = chosen.ts_recv + shift
    chosen = replace(chosen, ts_recv=ts, ts_venue=ts)[(ts >= rows.ts_recv[0]) & (ts <= rows.ts_recv[-1])]
    listed = [msgspec.structs.replace(i, quote="USDC") if i.role is Role.TOKEN else i for i in universe]
    usdc, usdt = len(listed), len(listed) + 1
    listed += [
        Instrument(venue=source, symbol="USDC/USDT", role=Role.COIN, coin="USDC", quote="USDT", one_price=True),
        Instrument(venue="assumed", symbol="USDT/USD", role=Role.COIN, coin="USDT"),
    ]
    assumed = np.zeros(0, dtype=ROW)
    moments = np.arange(int(rows.ts_recv[0]), int(rows.ts_recv[-1]), 600 * NS, dtype=np.int64)
    assumed = np.zeros(len(moments), dtype=ROW)
    assumed["ts_recv"], assumed["instrument"], assumed["kind"] = moments, usdt, Kind.FX
    assumed["bid"], assumed["ask"] = 1 - USDT_ERROR, 1 + USDT_ERROR
    bid, ask = rows.bid.copy(), rows.ask.copy()
    its = np.flatnonzero(np.isin(rows.instrument, universe.where(role=Role.TOKEN)))
    place = np.searchsorted(chosen.ts_recv, rows.ts_recv[its], side="right") - 1
    price = np.where(place >= 0, chosen.bid[np.maximum(place, 0)], 1.0)
    bid[its], ask[its] = bid[its] / price, ask[its] / price
    both = Rows.join(
        [
            replace(rows, bid=bid, ask=ask),
            replace(chosen, instrument=np.full(len(chosen), usdc, np.int32)),
            Rows.from_records(assumed),
        ]
    )
    rank = np.array([IMPORT_ORDER.get(Kind(kind), 5) for kind in range(len(Kind))])[both.kind]
    order = np.lexsort((rank, both.ts_recv))
    return Rows(**{name: getattr(both, name)[order] for name in ROW.names or ()}), Universe(tuple(listed))


def test_the_coin_of_march_2023_is_the_cause_and_no_token_is_depegged(
    august: tuple[Rows, Universe], march: tuple[Rows, Universe]
) -> None:
    """
    USDC falls to 0.87 while the tokens stay where they are: the coin is named within ten minutes after its ten-minute
    median has passed 100 bps (11 March, 00:38), and no venue and no token is called DEPEGGED then or later.
    """
    passed = utc(2026, 8, 19, 0, 38)
    rows, universe = laid_over(august, march, "kraken", passed - utc(2023, 3, 11, 0, 38))
    days = (rows.ts_recv > passed - 3 * 86_400 * NS) & (rows.ts_recv < passed + 2 * 86_400 * NS)
    run = watch(CONFIG, [rows[days]], universe, RULE)
    assert [] == depegs(run)
    for line in (*run.active.venues.values(), *run.active.tokens.values()):
        named = [ts for ts, (_, cause) in zip(line.ts, line.states, strict=True) if cause is Cause.STABLECOIN]
        assert passed - 6 * 3600 * NS < named[0]
        assert Cause.STABLECOIN is line.at(passed + 600 * NS)[1]
        states = {state for _, state, cause in line.within(passed, passed + 86_400 * NS) if cause is Cause.STABLECOIN}
        assert PegState.STRAINED in states


def test_thin_prints_of_a_coin_raise_nothing(august: tuple[Rows, Universe], march: tuple[Rows, Universe]) -> None:
    """
    Binance's prints of 0.97, 0.90 and 0.93 on 3 March, on a handful of units: no cause, no state.
    """
    shift = utc(2026, 8, 14) - utc(2023, 3, 3)
    rows, universe = laid_over(august, march, "binance", shift)
    thin = rows[(rows.instrument == universe.number("binance:USDC/USDT")) & (rows.ts_recv < utc(2026, 8, 15))]
    assert float(thin.bid.min()) < 0.91
    run = watch(CONFIG, [rows[rows.ts_recv < utc(2026, 8, 17)]], universe, RULE)
    assert [] == depegs(run)
    lines = [*run.active.venues.values(), *run.active.tokens.values()]
    assert len(lines) == 4
    assert Cause.STABLECOIN not in {cause for line in lines for _, cause in line.states}
    assert {PegState.UNKNOWN, PegState.PEGGED} == {state for line in lines for state, _ in line.states}


AMZN = Universe(
    (
        Instrument(venue="kraken", symbol="AMZNx/USD", role=Role.TOKEN, underlying="AMZN", token="AMZNx",
                   unit_model=UnitModel.REBASING),
        Instrument(venue="jupiter", symbol="AMZNx/USD", role=Role.TOKEN, underlying="AMZN", token="AMZNx",
                   unit_model=UnitModel.REBASING, one_price=True),
        Instrument(venue="us", symbol="AMZN", role=Role.SHARE, underlying="AMZN"),
    )
)  # fmt: skip


def test_one_print_at_a_hundred_times_the_price_leaves_the_peg_as_it_is() -> None:
    """
    AMZNx as in July 2025: one buy of 500 USD prints 23,781.22 on Jupiter, and the next print is ordinary. The token and
    both venues, Jupiter too, stay PEGGED throughout.
    """
    begin, rows = utc(2026, 9, 4, 14), []
    for at in range(240):
        for number, kind in ((2, Kind.REFERENCE), (0, Kind.QUOTE), (1, Kind.QUOTE)):
            price = 225.0 * (1 + 1e-4 * ((at * 7 + number * 3) % 5 - 2))
            price = 23_781.22 if (at, number) == (200, 1) else price
            half = 0.0 if number == 1 else 1e-4
            rows.append(
                (0, begin + 60 * at * NS, number, kind, Flag.ONE_PRICE if number == 1 else 0, price * (1 - half),
                 price * (1 + half), 0.021 if number == 1 else 50.0, 50.0, float("nan"))
            )  # fmt: skip
    tape = Rows.from_records(np.array(rows, dtype=ROW))
    assert 23_781.22 == float(tape.bid.max())
    run = watch(Config(gates={"max_quote_age_s": 300.0}), [tape], AMZN, RULE)  # type: ignore[arg-type]
    (token,) = run.active.tokens.values()
    for line in (*run.active.venues.values(), token):
        told = [state for ts, (state, _) in zip(line.ts, line.states, strict=True) if ts > begin + 3600 * NS]
        assert [] == told
        assert PegState.PEGGED is line.at(begin + 239 * 60 * NS)[0]
    assert [] == depegs(run)
    assert PegState.PEGGED is token.at(begin + 200 * 60 * NS + 2 * NS)[0]
