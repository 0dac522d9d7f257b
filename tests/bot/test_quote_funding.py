"""The funding of a perp is a term of the answer of `pegline quote --explain`."""

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

NOON = 1_788_537_600
"""Friday 4 September 2026, 12:00 in New York."""
TOKEN, PERP, SHARE = range(3)
UNIVERSE = Universe(
    (
        Instrument(venue="pool", symbol="TSLAx", role=Role.TOKEN, token="TSLAx", issuer="one", underlying="TSLA",
                   unit_model=UnitModel.REBASING),
        Instrument(venue="perps", symbol="TSLA-PERP", role=Role.PERP, underlying="TSLA"),
        Instrument(venue="tape", symbol="TSLA", role=Role.SHARE, underlying="TSLA", hours=Hours.EXTENDED),
    )
)  # fmt: skip


@pytest.mark.parametrize("rate", [0.0005, None], ids=["funded", "silent"])
def test_a_perps_funding_is_told_where_it_was_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: float | None
) -> None:
    """
    5 bps an hour on a perp that prints 65 bps over the share make 65 bps of its offset the usual; without a FUNDING row
    there is no such term.
    """
    rows = []
    for n in range(120):
        ts = (NOON + 10 * n) * NS
        if rate is not None:
            rows.append(Row(ts_recv=ts, instrument=PERP, kind=Kind.FUNDING, bid=rate, ask=3600.0))
        for number, price, kind in (
            (TOKEN, 100.1, Kind.QUOTE),
            (PERP, 100.65, Kind.QUOTE),
            (SHARE, 100.0, Kind.REFERENCE),
        ):
            row = Row(ts_recv=ts, instrument=number, kind=kind, bid=price - 0.01, ask=price + 0.01, bid_size=9.0,
                      ask_size=9.0)  # fmt: skip
            rows.append(row)
    with TapeWriter(tmp_path / "tape", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    words = ["quote", "TSLAx", "--tape", str(tmp_path / "tape"), "--explain"]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    told = {term["source"]: term["funding"] for term in answer["shares"][0]["terms"]}
    assert main(words) == 0
    text = capsys.readouterr().out
    assert told["tape:TSLA"] is told["pool:TSLAx"] is None
    if rate is None:
        assert told["perps:TSLA-PERP"] is None
        assert "its funding" not in text
        return
    assert (5.0, 3600.0) == (told["perps:TSLA-PERP"]["rate_bps"], told["perps:TSLA-PERP"]["period_s"])
    assert pytest.approx(65.0) == told["perps:TSLA-PERP"]["basis_bps"]
    assert pytest.approx(20.2, abs=0.1) == told["perps:TSLA-PERP"]["sigma_bps"]
    assert "perps:TSLA-PERP: its funding of +5 bps every 1 h" in text
    assert max(len(line) for line in text.splitlines()) <= 100
