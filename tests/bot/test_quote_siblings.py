"""Who is judged by tokens of its own issuer alone is told so: if all of them leave the peg, nobody here sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from bot.paths import prepare_kernel
from connectors.events import NS, Kind, Row, Rows
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe
from connectors.tape import TapeWriter

prepare_kernel()

SATURDAY = 1_788_624_000
"""5 September 2026, noon in New York."""
POOLS = tuple(
    Instrument(venue=venue, symbol="TSLAx", role=Role.TOKEN, token="TSLAx", issuer="one", underlying="TSLA",
               unit_model=UnitModel.REBASING)
    for venue in ("pool", "other")
)  # fmt: skip
OTHERS = {
    "nobody": (),
    "perp": (Instrument(venue="perps", symbol="TSLA-PERP", role=Role.PERP, underlying="TSLA"),),
    "issuer": (
        Instrument(venue="cex", symbol="TSLAon", role=Role.TOKEN, token="TSLAon", issuer="two", underlying="TSLA",
                   unit_model=UnitModel.REBASING),
    ),
    "share": (Instrument(venue="tape", symbol="TSLA", role=Role.SHARE, underlying="TSLA", hours=Hours.EXTENDED),),
}  # fmt: skip


@pytest.mark.parametrize("who", OTHERS)
def test_two_pools_that_judge_each_other_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], who: str) -> None:
    """
    Without anybody else each pool's judge is the other one, whole; with a perp or another issuer's token it is not,
    nor at noon of a trading day with the share itself.
    """
    begin = SATURDAY - 24 * 3600 if who == "share" else SATURDAY
    universe, rows = Universe((*POOLS, *OTHERS[who])), []
    for n in range(60):
        for number, one in enumerate(universe):
            kind = Kind.REFERENCE if one.role is Role.SHARE else Kind.QUOTE
            price = 400.0 + 0.01 * ((n + number) % 5)
            rows.append(Row(ts_recv=(begin + 10 * n) * NS, instrument=number, kind=kind, bid=price - 0.05,
                            ask=price + 0.05, bid_size=9.0, ask_size=9.0))  # fmt: skip
    with TapeWriter(tmp_path / "tape", universe, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    words = ["quote", "TSLAx", "--tape", str(tmp_path / "tape")]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    siblings = [venue["siblings"] for venue in answer["venues"]]
    assert main(words) == 0
    told = capsys.readouterr().out.count("by tokens of its own issuer: a depeg of them all together does not show")
    if who == "nobody":
        assert ([pytest.approx(1.0)] * 2, 2) == (siblings, told)
    else:
        assert 0 < max(siblings) < 0.6
        assert 0 == told


def test_a_token_over_its_venues_and_over_another_issuers_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Two pools at 404 against another issuer's 400: 100 bps over it, in sigmas, as data and as lines; another issuer's
    own line over its venues was not asked for.
    """
    universe, rows = Universe((*POOLS, *OTHERS["issuer"])), []
    for n in range(60):
        for number, level in enumerate((404.0, 404.0, 400.0)):
            price = level + 0.01 * ((n + number) % 5)
            rows.append(Row(ts_recv=(SATURDAY + 10 * n) * NS, instrument=number, kind=Kind.QUOTE, bid=price - 0.05,
                            ask=price + 0.05, bid_size=9.0, ask_size=9.0))  # fmt: skip
    with TapeWriter(tmp_path / "tape", universe, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    words = ["quote", "TSLAx", "--tape", str(tmp_path / "tape")]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (token,), (pair,) = answer["tokens"], answer["issuers"]
    assert ("TSLAx", 2) == (token["token"], token["venues"])
    assert {"TSLAx", "TSLAon"} == {pair["token"], pair["over"]}
    side = 1 if pair["token"] == "TSLAx" else -1
    assert pytest.approx(100.0, abs=2.0) == side * pair["premium_bps"]
    assert pytest.approx(pair["premium_bps"] / pair["error_bps"]) == pair["sigmas"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "TSLAx on 2" in text
    assert any(row.split()[:2] == [pair["token"], pair["over"]] for row in text.splitlines())
