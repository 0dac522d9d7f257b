"""Real data of August 2026: an issuer's quote that stood still is no reference, whether it is wide or tight."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.cli import main
from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import assemble, refused_rows  # noqa: E402 - the kernel's cache must be chosen first
from bot.config import Config, Fair, Gates  # noqa: E402
from bot.journal import Journal  # noqa: E402
from bot.peg_fair import fair_look, fair_samples  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.tape_import import import_tape  # noqa: E402
from connectors.events import NS  # noqa: E402
from connectors.tape import Tape, open_tape  # noqa: E402
from strategies.base import Step  # noqa: E402

MAP = Path(__file__).resolve().parents[1] / "maps" / "multivenue_2026_08.toml"
BELIEVE_ALL = Gates(
    max_reference_spread_bps=inf, stub_move=inf, frozen_after_s=inf, outlier_bps=inf, max_quote_age_s=inf
)


def utc(*moment: int) -> int:
    """A moment in ns UTC."""
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * NS  # type: ignore[arg-type, misc]


FALSE_DEPEG = utc(2026, 8, 22)
WEEKEND = utc(2026, 8, 15), utc(2026, 8, 17)
"""Friday 14 August 20:00 to Sunday 16 August 20:00 in New York."""


@pytest.fixture(scope="module")
def august(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """The whole file as a tape."""
    out = tmp_path_factory.mktemp("august") / "tape"
    import_tape([shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"], MAP, out)
    return open_tape(out)


@pytest.fixture(scope="module")
def issuer_only(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """The same without Hyperliquid: the issuer's own quote is the only source."""
    folder = tmp_path_factory.mktemp("issuer")
    head, *series = MAP.read_text(encoding="utf-8").split("[[source.series]]")
    kept = [part for part in series if "hl:" not in part]
    (folder / "map.toml").write_text("[[source.series]]".join([head, *kept]), encoding="utf-8")
    file = shared / "data" / "multivenue_rh_hl_bsc_2026-08" / "snapshots.csv.gz"
    import_tape([file], folder / "map.toml", folder / "tape")
    return open_tape(folder / "tape")


def look(
    tape: Tape, start_ns: int, end_ns: int, gates: Gates | None = None
) -> tuple[dict[str, int], set[str], list[Step]]:
    """Refusals of rh:TSLA by reason, every source that TSLA's own evidence had, and the records, within a span."""
    steps: list[Step] = []
    config = Config(gates=gates or Gates(), fair=Fair())
    parts = assemble(config, tape.universe, load_sessions(), Journal(None), executor=None, on_step=[steps.append])
    columns, group = parts.columns, parts.columns.underlyings.index("TSLA")
    before: dict[str, int] = {}
    sources: set[str] = set()
    for rows in tape.blocks(end_ns=end_ns):
        begin = int(np.searchsorted(rows.ts_recv, start_ns))
        if begin:
            parts.engine.advance(rows[:begin])
            before = refused_rows(columns).get("rh:TSLA", {})
        for at in range(begin, len(rows)):
            parts.engine.advance(rows[at : at + 1])
            fair = columns.own(group, int(rows.ts_recv[at]))
            sources.add(tape.universe[fair.source].name if fair else "unknown")
    after = refused_rows(columns).get("rh:TSLA", {})
    counted = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: count for reason, count in counted.items() if count}, sources, steps


def test_the_wide_standing_quote_is_refused_with_counted_reasons(august: Tape) -> None:
    """
    On 22 August rh:TSLA stood at 255 / 364 for 93 polls: every one is refused, and Hyperliquid is the source instead.
    """
    refused, sources, steps = look(august, FALSE_DEPEG, FALSE_DEPEG + 86_400 * NS)
    assert 93 <= sum(refused.values())
    assert 93 <= refused.get("wide", 0) + refused.get("stub", 0) + refused.get("frozen", 0)
    assert sources <= {"hl:TSLA-oracle", "hl:TSLA-mark"}
    told = [n for s in steps for n in s.notes if n.kind == "reference_refused" and n.underlying == "TSLA"]
    assert told


def test_the_tight_standing_quote_of_a_weekend_is_refused_as_frozen(august: Tape) -> None:
    """
    From 14 to 16 August it was tight and just as still: refused as frozen, while Hyperliquid goes on.
    """
    refused, sources, _ = look(august, *WEEKEND)
    assert 100 < refused["frozen"]
    assert sources <= {"hl:TSLA-oracle", "hl:TSLA-mark", "rh:TSLA"}
    late = look(august, WEEKEND[0] + 3 * 3600 * NS, WEEKEND[1])[1]
    assert late <= {"hl:TSLA-oracle", "hl:TSLA-mark"}


def test_with_no_other_source_the_fair_value_is_unknown_and_not_old(issuer_only: Tape) -> None:
    """
    With the issuer's quote alone, TSLA has no fair value on that weekend once it has stood, nor on 22 August.
    """
    assert {"unknown"} == look(issuer_only, WEEKEND[0] + 3 * 3600 * NS, WEEKEND[1])[1]
    samples = fair_samples(issuer_only, Config(), FALSE_DEPEG)
    tsla = issuer_only.universe.number("bsc-pool:TSLAB/USD")
    assert 0 == int((samples.instrument == tsla).sum())


def test_a_build_that_believes_everything_would_cry_depeg(issuer_only: Tape, august: Tape) -> None:
    """
    With every gate off the false depeg is there, over 1,000 bps at p95; with the gates it is within 150.
    """
    config = Config(gates=BELIEVE_ALL, fair=Fair(max_error_bps=inf, max_silence_days=inf, evidence_s=inf))
    fooled = fair_samples(issuer_only, config, FALSE_DEPEG)
    tsla = issuer_only.universe.number("bsc-pool:TSLAB/USD")
    assert 1000 < float(np.quantile(np.abs(fooled.premium_bps[fooled.instrument == tsla]), 0.95))
    looked = fair_look(august, Config(), FALSE_DEPEG)
    number = august.universe.number("bsc-pool:TSLAB/USD")
    samples = looked.samples
    assert 150 >= float(np.quantile(np.abs(samples.premium_bps[samples.instrument == number]), 0.95))
    assert {"wide": 93} == looked.refused["rh:TSLA"]


def told(capsys: pytest.CaptureFixture[str], tape: Tape, *words: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The `all` line of every token as `pegline peg --json` prints it, and what it says beside it."""
    capsys.readouterr()
    assert 0 == main(["peg", str(tape.path), "--json", *words])
    said = capsys.readouterr()
    return {line["token"]: line for line in json.loads(said.out) if line["session"] == "all"}, said.err.splitlines()


def test_peg_says_who_was_not_believed_and_whose_word_counted(august: Tape, capsys: pytest.CaptureFixture[str]) -> None:
    """
    From 22 August: 93 rows of rh:TSLA were wide, and Hyperliquid's oracle judged every print instead. The naive view of
    the same prints is over 1,000 bps.
    """
    span = ("--from", "2026-08-22T00:00Z")
    fair, talk = told(capsys, august, *span)
    assert "rows not believed: rh:TSLA: 93 wide" in talk
    assert f"fair value for bsc-pool:TSLAB/USD: hl:TSLA-oracle at {fair['TSLAB']['n']} prints" in talk
    assert fair["TSLAB"]["p95_abs_bps"] <= 150
    naive, _ = told(capsys, august, *span, "--against", "rh:TSLA")
    assert naive["TSLAB"]["n"] == fair["TSLAB"]["n"] and naive["TSLAB"]["p95_abs_bps"] > 1000


def test_peg_counts_the_frozen_weekend_by_itself(august: Tape, capsys: pytest.CaptureFixture[str]) -> None:
    """
    From three hours into the weekend on, every poll of rh:TSLA is frozen, tight as it is, and no token goes unjudged.
    """
    fair, talk = told(capsys, august, "--from", "2026-08-15T03:00Z", "--to", "2026-08-17T00:00Z")
    universe = august.universe
    heard = [b for b in august.blocks(start_ns=WEEKEND[0] + 3 * 3600 * NS, end_ns=WEEKEND[1])]
    polls = sum(int((b.instrument == universe.number("rh:TSLA")).sum()) for b in heard)
    assert f"rows not believed: rh:TSLA: {polls} frozen" in talk
    assert f"fair value for bsc-pool:TSLAB/USD: hl:TSLA-oracle at {fair['TSLAB']['n']} prints" in talk
    assert fair["TSLAB"]["p95_abs_bps"] <= 150


@pytest.mark.parametrize("words", [("2026-08-15T03:00Z", "2026-08-17T00:00Z"), ("2026-08-22T00:00Z", "2026-08-23")])
def test_peg_has_no_samples_where_nobody_is_left_to_believe(
    words: tuple[str, str], issuer_only: Tape, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without Hyperliquid there is no fair value, so no premium: not one on an old price. The note says how many prints.
    """
    start, end = words
    fair, talk = told(capsys, issuer_only, "--from", start, "--to", end)
    assert 0 == fair["TSLAB"]["n"]
    assert "prints are no samples: the fair value was unknown (no source is left to believe: " in fair["TSLAB"]["note"]
    assert any(line.startswith("fair value for bsc-pool:TSLAB/USD: unknown at ") for line in talk)
    naive, _ = told(capsys, issuer_only, "--from", start, "--to", end, "--against", "rh:TSLA")
    assert fair["TSLAB"]["note"].startswith(f"{naive['TSLAB']['n']} prints")
