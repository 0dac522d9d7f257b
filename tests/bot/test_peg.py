"""`pegline peg`: premium samples of a tape, against an independent computation and against made-up tapes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bot.commands import peg as command
from bot.errors import UsageError
from bot.peg import SESSIONS, samples_against, statistics
from bot.peg_further import executed
from bot.tape_import import import_tape
from connectors.errors import RegistryError, TapeError
from connectors.events import NS, Flag, Kind, Row, Rows
from connectors.instruments import Instrument, Role, UnitModel, Universe
from connectors.tape import Tape, TapeWriter, open_tape

MAPS = Path(__file__).resolve().parents[1] / "maps"
TOKEN = Instrument(
    venue="pool",
    symbol="TSLAx/USDC",
    role=Role.TOKEN,
    underlying="TSLA",
    token="TSLAx",
    unit_model=UnitModel.SCALED_UI,
    quote="USDC",
    multiplier=2.0,
)
SHARE = Instrument(venue="share", symbol="TSLA", role=Role.SHARE, underlying="TSLA")
COIN = Instrument(venue="fx", symbol="USDC/USD", role=Role.COIN, coin="USDC")
OTHER = Instrument(venue="share", symbol="AAPL", role=Role.SHARE, underlying="AAPL")
NOON = 1_787_245_200  # 2026-08-20 13:00 New York, a Thursday


def price(at: float, number: int, kind: Kind, value: float, **more: object) -> Row:
    """A row with one price."""
    return Row(ts_recv=round(at * NS), instrument=number, kind=kind, bid=value, ask=value, **more)


def made(tmp_path: Path, rows: list[Row], *instruments: Instrument) -> Tape:
    """A tape of made-up rows; by default of the token (0), its share (1), its coin (2) and another share (3)."""
    universe = Universe(instruments or (TOKEN, SHARE, COIN, OTHER))
    with TapeWriter(tmp_path / "t.tape", universe, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    return open_tape(tmp_path / "t.tape")


def premia(tape: Tape, **span: int) -> list[tuple[int, float]]:
    """(second, premium in bps to 1e-6) of each sample against the share."""
    found = samples_against(tape, "share:TSLA", **span)
    return [(int(ts) // NS, round(float(bps), 6)) for ts, bps in zip(found.ts, found.premium_bps, strict=True)]


def test_fx_and_multiplier_stand_between_token_and_share(tmp_path):
    """
    Token 202 USDC at 0.99 USD, two shares a unit, share at 100: 202 x 0.99 / 200 - 1 = -1 bp.
    """
    rows = [price(1, 2, Kind.FX, 0.99), price(1, 1, Kind.REFERENCE, 100.0), price(2, 0, Kind.QUOTE, 202.0)]
    assert [(2, -1.0)] == premia(made(tmp_path, rows))


def test_the_price_of_two_sides_is_their_mid(tmp_path):
    """
    Token 199 / 201 and share 99 / 101 have mids of 200 and 100: no premium.
    """
    rows = [
        price(1, 2, Kind.FX, 1.0),
        Row(ts_recv=NS, instrument=1, kind=Kind.REFERENCE, bid=99.0, ask=101.0),
        Row(ts_recv=2 * NS, instrument=0, kind=Kind.QUOTE, bid=199.0, ask=201.0),
    ]
    assert [(2, 0.0)] == premia(made(tmp_path, rows))


def test_a_sample_sees_every_row_of_its_own_instant(tmp_path):
    """
    Rows of the same time that stand behind the print on the tape count, the last of them.
    """
    rows = [price(1, 2, Kind.FX, 0.5), price(1, 1, Kind.REFERENCE, 50.0), price(2, 0, Kind.QUOTE, 202.0)]
    rows += [price(2, 1, Kind.REFERENCE, 70.0), price(2, 1, Kind.REFERENCE, 100.0), price(2, 2, Kind.FX, 1.0)]
    assert [(2, 100.0)] == premia(made(tmp_path, rows))


def test_without_an_earlier_price_fx_or_multiplier_there_is_no_sample(tmp_path):
    """
    Nothing is invented: the share speaks at 3, the coin at 5, so the first sample is the print at 6.
    """
    rows = [price(2, 0, Kind.QUOTE, 200.0), price(3, 1, Kind.REFERENCE, 100.0), price(4, 0, Kind.QUOTE, 200.0)]
    rows += [price(5, 2, Kind.FX, 1.0), price(6, 0, Kind.QUOTE, 200.0)]
    assert [(6, 0.0)] == premia(made(tmp_path, rows))


def test_a_multiplier_that_nobody_told_is_not_one(tmp_path):
    """
    A total-return token without a multiplier has no premium until a MULTIPLIER row comes.
    """
    mute = Instrument(venue="pool", symbol="T", role=Role.TOKEN, underlying="TSLA", unit_model=UnitModel.TOTAL_RETURN)
    rows = [price(1, 1, Kind.REFERENCE, 100.0), price(2, 0, Kind.QUOTE, 101.0)]
    rows += [Row(ts_recv=3 * NS, instrument=0, kind=Kind.MULTIPLIER, bid=1.01), price(4, 0, Kind.QUOTE, 101.0)]
    assert [(4, 0.0)] == premia(made(tmp_path, rows, mute, SHARE))


def test_a_rebasing_token_is_never_multiplied(tmp_path):
    """
    One unit is one share, whatever multiplier is written beside it.
    """
    twin = Instrument(
        venue="pool", symbol="T", role=Role.TOKEN, underlying="TSLA", unit_model=UnitModel.REBASING, multiplier=1.5
    )
    rows = [price(1, 1, Kind.REFERENCE, 100.0), price(2, 0, Kind.QUOTE, 100.0)]
    assert [(2, 0.0)] == premia(made(tmp_path, rows, twin, SHARE))


def test_a_multiplier_holds_from_its_activation(tmp_path):
    """
    Announced at 2 for 5, a ten-for-one split counts from 5 on, its own second included.
    """
    rows = [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.REFERENCE, 10.0)]
    rows += [Row(ts_recv=2 * NS, instrument=0, kind=Kind.MULTIPLIER, bid=20.0, ask=5.0)]
    rows += [price(at, 0, Kind.QUOTE, 20.0) for at in (2, 4)] + [price(5, 0, Kind.QUOTE, 200.0)]
    assert [(2, 0.0), (4, 0.0), (5, 0.0)] == premia(made(tmp_path, rows))


def test_a_newer_multiplier_cancels_the_pending_one(tmp_path):
    """
    What was announced for 5 never comes when another value is announced before it.
    """
    rows = [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.REFERENCE, 100.0)]
    rows += [Row(ts_recv=2 * NS, instrument=0, kind=Kind.MULTIPLIER, bid=7.0, ask=5.0)]
    rows += [Row(ts_recv=3 * NS, instrument=0, kind=Kind.MULTIPLIER, bid=4.0, ask=8.0)]
    rows += [price(6, 0, Kind.QUOTE, 200.0), price(9, 0, Kind.QUOTE, 400.0)]
    assert [(6, 0.0), (9, 0.0)] == premia(made(tmp_path, rows))


def test_a_coin_may_be_priced_in_another_coin(tmp_path):
    """
    USDC is quoted in USDT here, and USDT in USD: 202 x 1.01 x 0.98 against two shares at 100.
    """
    usdc = Instrument(venue="fx", symbol="USDC/USDT", role=Role.COIN, coin="USDC", quote="USDT")
    usdt = Instrument(venue="fx", symbol="USDT/USD", role=Role.COIN, coin="USDT")
    rows = [price(1, 2, Kind.FX, 1.01), price(1, 3, Kind.FX, 0.98), price(1, 1, Kind.REFERENCE, 100.0)]
    tape = made(tmp_path, [*rows, price(2, 0, Kind.QUOTE, 202.0)], TOKEN, SHARE, usdc, usdt)
    assert [(2, round((202 * 1.01 * 0.98 / 200 - 1) * 1e4, 6))] == premia(tape)


def test_what_the_bot_never_saw_is_no_print(tmp_path):
    """
    Superseded rows are left out; so are the trades of an instrument that has a book.
    """
    rows = [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.REFERENCE, 100.0)]
    rows += [price(2, 0, Kind.QUOTE, 300.0, flags=Flag.SUPERSEDED), price(3, 0, Kind.TRADE, 300.0)]
    assert [(4, 0.0)] == premia(made(tmp_path, [*rows, price(4, 0, Kind.QUOTE, 200.0)]))


def test_a_price_that_is_none_is_refused_with_its_row(tmp_path):
    """
    No writer of ours leaves half a quote on a tape: it is no silence, but damage, and the row is named.
    """
    rows = [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.REFERENCE, 100.0)]
    rows += [Row(ts_recv=2 * NS, instrument=1, kind=Kind.REFERENCE, ask=500.0), price(3, 0, Kind.QUOTE, 200.0)]
    with pytest.raises(TapeError, match="row 2: bid is nan, which cannot be"):
        premia(made(tmp_path, rows))


def test_from_and_to_cut_the_samples_but_not_the_memory(tmp_path):
    """
    Samples lie in [from, to); what was said before `from` is still known.
    """
    rows = [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.REFERENCE, 100.0)]
    rows += [price(at, 0, Kind.QUOTE, 200.0) for at in (2, 3, 4, 5)]
    assert [(3, 0.0), (4, 0.0)] == premia(made(tmp_path, rows), start_ns=3 * NS, end_ns=5 * NS)


def test_a_token_is_compared_with_its_own_share_only(tmp_path):
    """
    Against another share there is nothing to compare, and an unknown instrument is named.
    """
    tape = made(tmp_path, [price(1, 2, Kind.FX, 1.0)])
    with pytest.raises(RegistryError, match="no token on AAPL"):
        samples_against(tape, "share:AAPL")
    with pytest.raises(RegistryError, match="no instrument 'share:TSLB'"):
        samples_against(tape, "share:TSLB")


def test_a_token_against_a_token_knows_both_units(tmp_path):
    """
    Against another token its own multiplier counts, and it is not compared with itself.
    """
    sister = Instrument(
        venue="cex",
        symbol="TSLAon",
        role=Role.TOKEN,
        underlying="TSLA",
        unit_model=UnitModel.TOTAL_RETURN,
        multiplier=4.0,
    )
    rows = [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.QUOTE, 400.0), price(2, 0, Kind.QUOTE, 202.0)]
    found = samples_against(made(tmp_path, rows, TOKEN, sister, COIN), "cex:TSLAon")
    assert ([0], pytest.approx([100.0])) == (found.instrument.tolist(), found.premium_bps.tolist())


def test_every_session_is_judged_by_its_own_band(tmp_path):
    """
    The same 100 bps are outside in the regular session and inside at the weekend; `all` counts each by its own.
    """
    weekend = NOON + 2 * 86_400
    rows = [price(NOON - 1, 2, Kind.FX, 1.0), price(NOON - 1, 1, Kind.REFERENCE, 100.0)]
    rows += [price(at, 0, Kind.QUOTE, 202.0) for at in (NOON, NOON + 60, weekend, weekend + 60)]
    tape = made(tmp_path, rows)
    samples = samples_against(tape, "share:TSLA")
    band = {"regular": 50.0, "weekend": 300.0}
    found = statistics(samples, tape.universe, [0], "share:TSLA", gap_ns=1800 * NS, band_bps=band)
    assert [("all", 4, 0.5, 60.0), ("regular", 2, 1.0, 60.0), ("weekend", 2, 0.0, 0.0)] == [
        (line["session"], line["n"], line["share_outside"], line["longest_outside_s"]) for line in found
    ]


def call(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Runs the command as the command line does; returns what went to stdout."""
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    assert 0 == command.run(parser.parse_args([str(word) for word in words]))
    return capsys.readouterr().out


def test_the_json_has_exactly_the_fields_of_the_contract(tmp_path, capsys):
    """
    A list of objects; what is absent is null, and a token without a sample says why.
    """
    tape = made(tmp_path, [price(1, 2, Kind.FX, 1.0), price(1, 1, Kind.REFERENCE, 100.0)])
    (line,) = json.loads(call(capsys, tape.path, "--against", "share:TSLA", "--json"))
    fields = "token instrument against session n mean_bps sd_bps median_bps median_abs_bps p95_abs_bps max_abs_bps"
    fields += " share_outside longest_outside_s half_life_s half_life_ci_s note"
    more = "beyond_2_sigmas_share baseline_bps mad_bps last_z executable_mint_bps executable_redeem_bps"
    more += " half_life_above_s variance_ratio variance_ratio_ou ordinary_share_outside ordinary_spell_s to_band_s"
    more += " level_since score parts beta lead_side lead_lag_s spread_trend_per_day depth_trend_per_day"
    more += " error_bps median_abs_sigmas p95_abs_sigmas last_sigmas median_at_par_bps median_at_par_sigmas"
    assert [*fields.split(), *more.split()] == list(line)
    assert {None} == {line[name] for name in more.split()}
    assert ("TSLAx", "all", 0, None, None) == (
        line["token"],
        line["session"],
        line["n"],
        line["sd_bps"],
        line["half_life_s"],
    )
    assert line["note"].startswith("no print at which")


def test_what_can_be_executed_needs_a_cost():
    """
    A token at 101 / 102 and a share at 100, 10 bps a trade: 101 x 0.999 for 100, and 100 for 102 x 1.001. Where no cost
    is known nothing is.
    """
    sell, buy = np.array([90.0, 100.0, 110.0]), np.array([190.0, 200.0, 210.0])
    found = executed(sell, buy, 0.001)
    assert (89.9, 1e4 * (100 / 102.102 - 1)) == pytest.approx(tuple(found.values()))
    assert {None} == set(executed(sell, buy, float("nan")).values()) == set(executed(None, None, 0.001).values())


def test_people_get_a_line_for_each_session_with_signs(tmp_path, capsys):
    """
    The table carries signed bps, fits in 100 columns and has no colour in a pipe.
    """
    rows = [price(NOON, 2, Kind.FX, 1.0), price(NOON, 1, Kind.REFERENCE, 100.0), price(NOON + 1, 0, Kind.QUOTE, 202.0)]
    out = call(capsys, made(tmp_path, rows).path, "--against", "share:TSLA", "--band", "50")
    assert 4 == out.count("+100.0")
    assert ("regular" in out, "100.0%" in out, "\x1b" in out) == (True, True, False)
    assert [] == [line for line in out.splitlines() if len(line) > 100]


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path):
    """
    --from after --to is a mistake of usage, told before the tape is read.
    """
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    words = [str(tmp_path), "--against", "a:b", "--from", "2026-08-22", "--to", "2026-08-21"]
    with pytest.raises(UsageError):
        command.run(parser.parse_args(words))


def new_york_session(at: pd.Series) -> pd.Series:
    """Session names by New York wall time, for weeks without a holiday; independent of the session table."""
    wall = at.dt.tz_convert("America/New_York")
    day, hour = wall.dt.day_of_week, wall.dt.hour + wall.dt.minute / 60 + wall.dt.second / 3600
    weekend = ((day == 4) & (hour >= 20)) | (day == 5) | ((day == 6) & (hour < 20))
    names = np.select(
        [weekend, hour < 4, hour < 9.5, hour < 16, hour < 20],
        ["weekend", "overnight", "pre", "regular", "post"],
        "overnight",
    )
    return pd.Series(names, index=at.index)


def by_pandas(token: pd.DataFrame, share: pd.DataFrame, band: float, gap: str) -> dict[str, dict[str, float]]:
    """The definitions once more in pandas: frames with `at` and `mid`; one row of numbers for each session."""
    joined = pd.merge_asof(token.sort_values("at"), share.sort_values("at"), on="at", suffixes=("", "_share"))
    joined["bps"] = (joined["mid"] / joined["mid_share"] - 1) * 1e4
    joined = joined.dropna(subset=["bps"])
    joined["session"] = new_york_session(joined["at"])
    found = {}
    for name, part in [("all", joined), *joined.groupby("session")]:
        bps, outside = part["bps"], part["bps"].abs() > band
        quiet = part["at"].diff() > pd.Timedelta(gap)
        spell = (quiet | ~outside.shift(fill_value=False)).cumsum()
        until = part["at"].where(quiet.shift(-1, fill_value=True), part["at"].shift(-1))
        spells = pd.DataFrame({"at": part["at"], "until": until, "spell": spell})[outside].groupby("spell")
        lasted = spells["until"].last() - spells["at"].first()
        found[name] = {
            "n": len(part),
            "mean_bps": bps.mean(),
            "sd_bps": bps.std(),
            "median_bps": bps.median(),
            "median_abs_bps": bps.abs().median(),
            "p95_abs_bps": bps.abs().quantile(0.95),
            "max_abs_bps": bps.abs().max(),
            "share_outside": outside.mean(),
            "longest_outside_s": lasted.dt.total_seconds().max() if len(lasted) else 0.0,
        }
    return found


@pytest.fixture(scope="module")
def august(shared, tmp_path_factory):
    """The multi-venue file of August 2026 as a frame, and imported as a tape."""
    file = shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"
    tape = tmp_path_factory.mktemp("august") / "august.tape"
    import_tape([file], MAPS / "multivenue_2026_08.toml", tape)
    frame = pd.read_csv(file)
    frame["at"] = pd.to_datetime(frame["ts"], utc=True)
    return frame[frame["symbol"] == "TSLA"], tape


@pytest.mark.parametrize("against", ["hl:TSLA-oracle", "rh:TSLA"])
def test_august_equals_an_independent_computation_in_every_session(august, capsys, against):
    """
    Real prints of a real pool: every number of every session to 0.01 bps, counts and spells exactly.
    """
    frame, tape = august
    share = frame["hl_oracle"] if against.startswith("hl") else (frame["rh_bid"] + frame["rh_ask"]) / 2
    token, share = ({"at": frame["at"], "mid": mid} for mid in (frame["dex_usd"], share))
    wanted = by_pandas(pd.DataFrame(token).dropna(), pd.DataFrame(share).dropna(), 50.0, "30min")
    said = json.loads(call(capsys, tape, "--against", against, "--band", "50", "--json"))
    assert ["all", "pre", "regular", "post", "overnight", "weekend"] == [line["session"] for line in said]
    for line in said:
        numbers = wanted[line["session"]]
        assert numbers == {name: pytest.approx(line[name], abs=0.01, rel=0) for name in numbers}, line["session"]


def test_a_frozen_issuer_quote_looks_like_a_depeg_to_the_naive_view(august, capsys):
    """
    On 22 August the issuer's quote stood still: against it the pool seems more than 1,000 bps off, against the oracle not.
    """  # noqa: E501
    _, tape = august
    p95 = {}
    for against in ("rh:TSLA", "hl:TSLA-oracle"):
        words = (tape, "--against", against, "--from", "2026-08-22T00:00Z", "--json")
        p95[against] = json.loads(call(capsys, *words))[0]["p95_abs_bps"]
    assert p95["rh:TSLA"] > 1000 > 150 > p95["hl:TSLA-oracle"]


def test_may_xstocks_hold_their_peg_in_the_regular_session(shared, tmp_path, capsys):
    """
    END of the hourly candle against END of the share's five-minute bar: p95 of TSLAx is 33 to 40 bps on its two pools.
    """
    data = shared / "data"
    files = [data / "xstocks_solana_2026-06" / "ohlcv.csv.gz", data / "us_equity_2025_2026" / "yahoo_5m.csv.gz"]
    import_tape(files, MAPS / "xstocks_2026_06.toml", tmp_path / "x.tape")
    words = (tmp_path / "x.tape", "--against", "yahoo:TSLA", "--to", "2026-05-29T20:00:01Z", "--json")
    said = json.loads(call(capsys, *words))
    p95 = {line["instrument"]: line["p95_abs_bps"] for line in said if line["session"] == "regular"}
    assert p95.pop("all venues") < max(p95.values())  # two that err apart
    assert {"raydium:TSLAX/USD": True, "orca:TSLAX/USD": True} == {name: 33 <= bps <= 40 for name, bps in p95.items()}
    assert {"holiday"} <= {line["session"] for line in said} <= set(SESSIONS)
