"""What a share follows is a part of the answer of `pegline quote --explain`."""

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

CLOSE = 1_788_465_600
"""Thursday 3 September 2026, 16:00 in New York."""
UNIVERSE = Universe(
    (
        Instrument(venue="pool", symbol="TSLAx", role=Role.TOKEN, token="TSLAx", issuer="one", underlying="TSLA",
                   unit_model=UnitModel.REBASING),
        Instrument(venue="tape", symbol="TSLA", role=Role.SHARE, underlying="TSLA", hours=Hours.REGULAR),
        Instrument(venue="cme", symbol="ES", role=Role.SHARE, underlying="ES", hours=Hours.WEEKDAYS),
    )
)  # fmt: skip
PREMIUM = {"mean_bps": 0.0, "sd_bps": 20.0, "half_life_s": 900.0, "noise_bps": 5.0}


def folder(path: Path, *, quiet_s: int, betas: dict[str, float]) -> list[str]:
    """A tape of two hours from before the close, on which the future falls by 10 bps after it and stops `quiet_s`
    before the end, and the words that ask about it by parameters with these betas."""
    rows = []
    for second in range(-1800, 3601, 30):
        ts = (CLOSE + second) * NS
        said = [(0, 400.0, Kind.QUOTE)]
        if second <= 0:
            said.append((1, 400.0, Kind.REFERENCE))
        if second <= 3600 - quiet_s:
            said.append((2, 6000.0 * (1 - 0.001 * max(second, 0) / 1800 if second < 1800 else 0.999), Kind.REFERENCE))
        for number, price, kind in said:
            price += 0.002 * (second % 7)  # a source that repeats itself is frozen
            rows.append(Row(ts_recv=ts, instrument=number, kind=kind, bid=price - 0.02, ask=price + 0.02,
                            bid_size=9.0, ask_size=9.0))  # fmt: skip
    with TapeWriter(path / "tape", UNIVERSE, {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    share = {"daily_vol_bps": 266.0, "start_ns": 1, "end_ns": 2, "prints": 900, "loglik": 1.0}
    shares = {"TSLA": {**share, "betas": betas, "explained": 0.55 if betas else 0.0}}
    (path / "params.json").write_text(json.dumps({"version": 1, "shares": shares, "instruments": {}}))
    (path / "config.toml").write_text('[fair]\nparams_file = "params.json"\n')
    return ["quote", "TSLAx", "--tape", str(path / "tape"), "--config", str(path / "config.toml"), "--explain"]


def asked(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[dict, str]:
    """The share's part of the answer as data, and the text."""
    assert main([*words, "--json"]) == 0
    share = json.loads(capsys.readouterr().out)["shares"][0]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 100
    return share, text


def test_each_control_is_told_with_its_beta_move_and_what_it_adds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The future is 10 bps below where it was at the close, which is 18 of the share, and 45 % of the variance is left.
    """
    share, text = asked(folder(tmp_path, quiet_s=0, betas={"ES": 1.8}), capsys)
    (line,) = share["controls"]
    assert ("ES", 1.8, "", CLOSE * NS) == (line["control"], line["beta"], line["why"], line["since_ns"])
    assert (pytest.approx(-10.0, abs=0.3), pytest.approx(-18.0, abs=0.5)) == (line["moved_bps"], line["adds_bps"])
    assert pytest.approx(0.45) == share["own_part"]
    assert pytest.approx(0.0065 + 30 / 3600 / 6.5, rel=0.01) == share["clock_days"]  # 30 s before the close
    assert "they explain 55% of its variance; 45% is its own and remains" in text
    assert ["ES", "1.80", "-10.0", "-18.0", "Thu", "03", "Sep", "16:00", "ET"] in [
        row.split() for row in text.splitlines()
    ]


def test_a_control_that_is_not_heard_has_a_reason_and_explains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    After half an hour of silence of the future its source is named; a control that is not here is named too, and takes
    the other one along.
    """
    share, text = asked(folder(tmp_path, quiet_s=1800, betas={"ES": 1.8}), capsys)
    assert (1.0, "cme:ES: its last print is too old, or halted") == (share["own_part"], share["controls"][0]["why"])
    assert "so nothing of its variance is explained now" in text
    other = tmp_path / "other"
    other.mkdir()
    share, text = asked(folder(other, quiet_s=0, betas={"ES": 1.8, "BTC": 0.1}), capsys)
    assert ["", "no instrument of BTC is known here"] == [line["why"] for line in share["controls"]]
    assert (1.0, None, None) == (share["own_part"], share["controls"][1]["moved_bps"], share["controls"][1]["since_ns"])
    assert "controls are heard together or not at all" in text


def test_without_betas_there_is_no_such_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    No lines, no part of the variance, no word of it.
    """
    share, text = asked(folder(tmp_path, quiet_s=0, betas={}), capsys)
    assert ([], None) == (share["controls"], share["own_part"])
    assert "follows" not in text
