"""Every trade of a backtest, worked out again from the rows of the tape and the lines of the config alone."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from bot.cli import main
from bot.journal_reader import read
from bot.paths import prepare_kernel

prepare_kernel()

from bot.sessions import load_sessions  # noqa: E402 - the kernel's cache must be chosen first
from connectors.events import NS, Kind, Rows  # noqa: E402
from connectors.instruments import Role  # noqa: E402
from connectors.orders import Intent  # noqa: E402
from connectors.simulated.recording import write_tape  # noqa: E402
from connectors.tape import Tape, open_tape  # noqa: E402
from strategies.base import Step  # noqa: E402
from tests.bot.trading import demo_text  # noqa: E402

MS = 1_000_000
QUOTES = (Kind.QUOTE, Kind.DEPTH, Kind.POOL)
RUNS = ((1, "demo"), (2, "demo"), (3, "slow"), (4, "big"))
"""Seed of the world, and how the demo's config was changed: slow venues slip and refuse, big orders find no size."""
TWO_DAYS_S = 2 * 86_400.0
CHANGES = {
    "demo": (),
    "slow": ((r"latency_ms = ([\d.]+)", 100),),
    "big": (
        (r"(?:size|max_order|max_position|max_gross|max_daily_loss)_usd = ([\d.]+)", 40),
        (r"_units = ([\d.]+)", 40),
    ),
}


@dataclass
class Seen:
    """What the tape had said at some moment, kept by nothing but its rows."""

    quote: dict[int, int]
    """Last row of each token that is no fat finger, as a place in the tape."""
    mid: dict[int, float]
    """Last mid of each share source and coin."""
    worth: dict[int, float]
    """Shares per unit."""


@dataclass
class Ran:
    """One backtest of the demo's config over a simulated tape."""

    tape: Tape
    rows: Rows
    answer: dict[str, Any]
    steps: list[Step]
    config: dict[str, Any]
    how: str

    def wishes(self) -> dict[str, tuple[int, Intent]]:
        """Decision time and intent of every approved wish, by id."""
        return {w.id: (s.ts, w) for s in self.steps for w in s.wishes if w.id in s.approved}

    def venue(self, number: int) -> dict[str, Any]:
        """The config's table of an instrument's venue."""
        table: dict[str, Any] = self.config["venues"][self.tape.universe[number].venue]
        return table


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: f"{run[1]}-{run[0]}")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo's config over a world, with its journal read back from disk."""
    folder = tmp_path_factory.mktemp("explained")
    seed, how = request.param
    write_tape(folder / "tape", seed, seconds=TWO_DAYS_S, sessions=load_sessions().codes_at)
    # Mints and redemptions move units that no fill explains; tests/bot/test_minting.py counts those.
    text = demo_text("peg_watch", "mint_redeem")
    for pattern, factor in CHANGES[how]:
        text = re.sub(pattern, lambda found, by=factor: found[0].replace(found[1], str(float(found[1]) * by)), text)
    (folder / "config.toml").write_text(text)
    words = ["--config", str(folder / "config.toml"), "--tape", str(folder / "tape"), "--json", str(folder / "out")]
    assert 0 == main(["backtest", *words, "--journal", str(folder / "journal")])
    tape = open_tape(folder / "tape")
    steps = [msgspec.msgpack.decode(record.payload, type=Step) for record in read(folder / "journal")]
    answer = json.loads((folder / "out").read_text())
    return Ran(tape, Rows.join(list(tape.blocks())), answer, steps, tomllib.loads(text), how)


def fat_fingers(ran: Ran) -> set[tuple[str, int]]:
    """Instruments and moments of the prints that were mistyped, as the world that made the tape says."""
    told = [fault for fault in ran.tape.provenance["injected"] if fault["kind"] == "outlier"]
    rows, universe = ran.rows, ran.tape.universe
    found = set()
    for fault in told:
        name = fault["instruments"][0]
        its = np.flatnonzero((rows.instrument == universe.number(name)) & (rows.kind == Kind.QUOTE)).tolist()
        usual = sorted(float(rows.bid[at]) for at in its)[len(its) // 2]
        wrong = [at for at in its if not 0.75 < rows.bid[at] / usual < 1.33]
        assert wrong and all(fault["start_ns"] <= rows.ts_recv[at] <= fault["end_ns"] for at in wrong)
        found |= {(name, int(rows.ts_recv[at])) for at in wrong}
    return found


def history(ran: Ran, moments: list[int]) -> dict[int, list[Seen]]:
    """What had been seen at each moment: after every row before it, then after each row of the very moment."""
    rows, universe, wrong = ran.rows, ran.tape.universe, fat_fingers(ran)
    number, kind = rows.instrument.tolist(), rows.kind.tolist()
    ts, bid, ask = rows.ts_recv.tolist(), rows.bid.tolist(), rows.ask.tolist()
    worth = {at: (1.0 if i.unit_model == "rebasing" else i.multiplier or 1.0) for at, i in enumerate(universe)}
    now, pending = Seen({}, {}, worth), []
    found: dict[int, list[Seen]] = {}
    wanted, at = sorted(set(moments)), 0

    def copy() -> Seen:
        return Seen(dict(now.quote), dict(now.mid), dict(now.worth))

    for moment in wanted:
        found[moment] = []
        while at < len(ts) and ts[at] <= moment:
            due = [change for change in pending if change[0] <= ts[at]] if pending else ()
            pending = [change for change in pending if change[0] > ts[at]] if due else pending
            for _, token, issuer, shares in due:
                for other, i in enumerate(universe):
                    if (i.token, i.issuer) == (token, issuer) and i.unit_model != "rebasing":
                        now.worth[other] = shares
            if ts[at] == moment and (at == 0 or ts[at - 1] < moment):
                found[moment].append(copy())
            if kind[at] in QUOTES and (universe[number[at]].name, ts[at]) not in wrong:
                now.quote[number[at]] = at
            elif kind[at] in (Kind.REFERENCE, Kind.FX):
                now.mid[number[at]] = (bid[at] + ask[at]) / 2
            elif kind[at] == Kind.MULTIPLIER:
                token = universe[number[at]]
                pending.append((round(ask[at] * 1000) * MS, token.token, token.issuer, bid[at]))
            if ts[at] == moment:
                found[moment].append(copy())
            at += 1
        found[moment].append(copy())
    return found


def fx(ran: Ran, seen: Seen, number: int) -> float:
    """USD per quote coin of an instrument."""
    coin = ran.tape.universe[number].quote
    return 1.0 if coin == "USD" else seen.mid[ran.tape.universe.number(f"sim-fx:{coin}/USD")]


def edges(ran: Ran, seen: Seen, intent: Intent) -> list[float]:
    """Edge of a trade in bps of the share's price, by each source that has spoken: what it brings less what it costs.

    Costs of a leg: its fee, and its fixed cost. What is bought beyond what is sold counts what the last share costs.
    """
    brought = bought = sold = dearest = 0.0
    for leg in intent.legs:
        venue, row, units = ran.venue(leg.instrument), seen.quote[leg.instrument], float(leg.quantity)
        fee, rate, worth = venue["taker_fee_bps"] / 1e4, fx(ran, seen, leg.instrument), seen.worth[leg.instrument]
        brought -= float(venue.get("fixed_cost_usd", 0.0))
        if leg.side == "buy":
            each = float(ran.rows.ask[row]) * rate * (1 + fee)
            brought, bought, dearest = brought - units * each, bought + units * worth, max(dearest, each / worth)
        else:
            brought += units * float(ran.rows.bid[row]) * rate * (1 - fee)
            sold += units * worth
    brought += (bought - sold) * dearest
    sources = ran.tape.universe.where(role=Role.SHARE, underlying=intent.underlying)
    return [brought / bought / seen.mid[at] * 1e4 for at in sources if at in seen.mid]


def test_the_tape_trades(ran: Ran) -> None:
    """
    Every run has something to explain: slow venues slipped and held their limits, big orders took all there was.
    """
    assert 5 <= ran.answer["trades"] == sum(intent.purpose in ("open", "close") for _, intent in ran.wishes().values())
    assert len(ran.answer["fills"]) >= ran.answer["trades"] or ran.how == "slow"
    if ran.how == "slow":
        assert abs(Decimal(ran.answer["bridge_usd"]["slippage"])) > 1
        assert ran.answer["refused"]["venue: price beyond the limit"] > 0
    if ran.how == "big":
        reports = [report for step in ran.steps for report in step.reports]
        assert any(report.detail.startswith("partial: ") for report in reports)


def test_every_decision_has_its_edge_from_the_rows(ran: Ran) -> None:
    """
    The edge of each wish of cross_venue, recomputed from the last rows by its moment, is the recorded one within 1e-6
    bps; it is over the config's level, and each leg saw the price of its row.
    """
    mine = {id: told for id, told in ran.wishes().items() if told[1].strategy == "cross_venue"}
    wishes = {id: (ts, intent) for id, (ts, intent) in mine.items() if intent.purpose == "open"}
    past = history(ran, [ts for ts, _ in wishes.values()])
    for ts, intent in wishes.values():
        away = min(abs(edge - intent.edge_bps) for seen in past[ts] for edge in edges(ran, seen, intent))
        assert away < 1e-6, f"{intent.id}: {away}"
        assert intent.edge_bps > ran.config["strategies"]["cross_venue"]["min_edge_bps"]
        for leg in intent.legs:
            side = ran.rows.ask if leg.side == "buy" else ran.rows.bid
            assert any(leg.seen == Decimal(repr(float(side[seen.quote[leg.instrument]]))) for seen in past[ts])


def test_every_fill_has_price_size_fee_and_delay_from_the_rows(ran: Ran) -> None:
    """
    A fill comes its venue's latency after the decision, at the bid or ask of the last row by then that is no fat
    finger, for at most what is left of the share of its size that the venue gives, with the venue's fee and gas.
    """
    wishes, universe, rows = ran.wishes(), ran.tape.universe, ran.rows
    past = history(ran, [fill["at_ns"] for fill in ran.answer["fills"]])
    taken: dict[tuple[int, str], Decimal] = {}
    for fill in ran.answer["fills"]:
        intent_id, leg_number = fill["order"].rsplit("-", 1)
        decided, intent = wishes[intent_id]
        leg = intent.legs[int(leg_number)]
        seen, number, venue = past[fill["at_ns"]][-1], universe.number(fill["instrument"]), ran.venue(leg.instrument)
        assert (number, leg.side.value) == (leg.instrument, fill["side"])
        assert round(venue["latency_ms"] * MS) == fill["at_ns"] - decided
        row, buying = seen.quote[number], fill["side"] == "buy"
        assert fill["at_ns"] - rows.ts_recv[row] <= ran.config["gates"]["max_quote_age_s"] * NS
        quantity, price = Decimal(fill["quantity"]), Decimal(fill["price"])
        assert Decimal(repr(float((rows.ask if buying else rows.bid)[row]))) == price
        shown = float((rows.ask_size if buying else rows.bid_size)[row])
        given = Decimal(repr(shown * venue.get("fill_share", 1.0))) - taken.get((row, fill["side"]), Decimal(0))
        lot = Decimal("0.001")
        assert 0 < quantity <= leg.quantity
        assert quantity <= (given / lot).to_integral_value(rounding=ROUND_DOWN) * lot
        taken[row, fill["side"]] = taken.get((row, fill["side"]), Decimal(0)) + quantity
        assert quantity * price * Decimal(repr(venue["taker_fee_bps"])) / 10_000 == Decimal(fill["fee"])
        assert Decimal(repr(venue.get("fixed_cost_usd", 0.0))) == Decimal(fill["gas_usd"])
        assert fx(ran, seen, number) == pytest.approx(float(fill["fx"]), abs=1e-12)
        slip = Decimal(repr(ran.config["strategies"].get(intent.strategy, {}).get("slippage_bps", 0))) / 10_000
        if intent.purpose not in ("open", "close"):
            slip = Decimal(3 * ran.config["execution"]["retry_give_bps"]) / 10_000
        assert price <= leg.seen * (1 + slip) if buying else price >= leg.seen * (1 - slip)


def test_what_did_not_fill_was_refused_by_name(ran: Ran) -> None:
    """
    Every leg that was sent is a fill, or counted under what the venue said, or still under way at the end.
    """
    refused = sum(count for why, count in ran.answer["refused"].items() if why.startswith("venue"))
    filled = len({fill["order"] for fill in ran.answer["fills"]})
    assert (
        sum(len(intent.legs) for _, intent in ran.wishes().values()) == filled + refused + ran.answer["dropped_at_end"]
    )


def test_the_bridge_is_that_of_the_fills_and_the_last_rows(ran: Ran) -> None:
    """
    To the cent: net is the cash of the fills plus what is held at the last mids and FX; each part is what its name
    says, and the parts sum to net.
    """
    answer, universe, wishes = ran.answer, ran.tape.universe, ran.wishes()
    end = history(ran, [int(ran.rows.ts_recv[-1])])[int(ran.rows.ts_recv[-1])][-1]
    held: dict[int, Decimal] = {}
    parts = dict.fromkeys(("gross_edge", "slippage", "fees", "gas", "fx", "inventory_mark"), Decimal(0))
    for fill in answer["fills"]:
        number, sign = universe.number(fill["instrument"]), -1 if fill["side"] == "buy" else 1
        intent_id, leg = fill["order"].rsplit("-", 1)
        seen = wishes[intent_id][1].legs[int(leg)].seen
        quantity, price, fee, rate = (Decimal(fill[key]) for key in ("quantity", "price", "fee", "fx"))
        parts["gross_edge"] += sign * quantity * seen * rate
        parts["slippage"] += sign * quantity * (price - seen) * rate
        parts["fees"] -= fee * rate
        parts["gas"] -= Decimal(fill["gas_usd"])
        parts["fx"] += (sign * quantity * price - fee) * (Decimal(repr(fx(ran, end, number))) - rate)
        held[number] = held.get(number, Decimal(0)) - sign * quantity
    for number, units in held.items():
        row = end.quote[number]
        mid = Decimal(repr(float(ran.rows.bid[row] + ran.rows.ask[row]))) / 2
        parts["inventory_mark"] += units * mid * Decimal(repr(fx(ran, end, number)))
    parts["funding"] = -sum((one.amount * one.fx for step in ran.steps for one in step.charges), Decimal(0))
    cent = Decimal("0.01")
    for name, usd in answer["bridge_usd"].items():
        assert abs(Decimal(usd) - parts.get(name, Decimal(0))) < cent, name
    assert abs(sum(parts.values()) - Decimal(answer["net_usd"])) < cent
    assert abs(sum(map(Decimal, answer["bridge_usd"].values())) - Decimal(answer["net_usd"])) < Decimal("1e-9")
    assert {universe[at].name: units for at, units in held.items() if units} == {
        name: Decimal(units) for name, units in answer["positions"].items()
    }


def test_what_is_naked_at_the_end_is_what_the_fills_leave(ran: Ran) -> None:
    """
    Net shares of each underlying: units of the fills times the last multiplier.
    """
    universe = ran.tape.universe
    moment = int(ran.rows.ts_recv[-1])
    end = history(ran, [moment])[moment][-1]
    net: dict[str, float] = {}
    for name, units in ran.answer["positions"].items():
        number = universe.number(name)
        share = universe[number].underlying
        net[share] = net.get(share, 0.0) + float(units) * end.worth[number]
    left = {name: shares for name, shares in net.items() if abs(shares) > 1e-9}
    assert left == pytest.approx({name: at["shares"] for name, at in ran.answer["naked_at_end"].items()}, abs=1e-9)
