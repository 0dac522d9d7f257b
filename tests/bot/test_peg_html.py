"""The page of `pegline peg --html`: it holds what the numbers say, shows unknown as gaps, and asks nobody."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from bot.peg import statistics
from bot.peg_further import level_since
from bot.peg_html import document, duration
from bot.peg_samples import Samples
from bot.peg_svg import BINS, Track, by_hour, over_time, spells
from connectors.events import NS
from connectors.instruments import Instrument, Role, Universe

NOON = 1_785_772_800 * NS
"""Monday 3 August 2026, 12:00 in New York."""
MINUTE = 60 * NS
HOUR = 60 * MINUTE


def track(count: int = 2000, **more: object) -> Track:
    """Prints every five minutes around zero, with a spell of 80 bps from the 1000th to the 1011th."""
    rng = np.random.default_rng(1)
    premium = 5 * rng.normal(size=count)
    premium[1000:1012] += 80
    usual = {"ts": NOON + np.arange(count) * 5 * MINUTE, "premium_bps": premium, "error_bps": np.full(count, 4.0),
             "band_bps": None, "gap_ns": 30 * MINUTE}  # fmt: skip
    return Track(**{**usual, **more})


class Strict(HTMLParser):
    """Counts what is opened and closed, and collects text and addresses."""

    def __init__(self, text: str) -> None:
        """Reads a document."""
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that has no inside."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """A tag ends: it must be the last one that was opened."""
        assert tag == self.open.pop()


def page(one: Track, name: str = "pool:T") -> str:
    """The page of one token."""
    universe = Universe((Instrument(venue=name.split(":")[0], symbol="T", role=Role.TOKEN, underlying="S", token="T"),))
    samples = Samples(one.ts, np.zeros(len(one.ts), np.int32), one.premium_bps, one.error_bps)
    found = statistics(samples, universe, [0], "fair", gap_ns=one.gap_ns)
    return document("Premia", {universe[0].name: one}, found)


def test_a_page_is_whole_and_asks_nobody():
    """
    Every tag is closed in order, there is no script and no address, and its policy forbids both.
    """
    text = page(track())
    parsed = Strict(text)
    assert ([], [], 0) == (parsed.open, parsed.addresses, parsed.tags.count("script"))
    assert "default-src 'none'" in text
    assert len(text) < 200_000


def test_a_name_cannot_become_markup():
    """
    A venue that is called like a tag is shown as text.
    """
    text = page(track(100), name="<script>alert(1)</script>:T")
    assert ("<script>" not in text, "&lt;script&gt;" in text) == (True, True)


def test_a_spell_is_found_and_told():
    """
    Twelve prints of 80 bps outside the premium's own band: an hour, with its worst, and a mark in the picture.
    """
    (one,) = spells(track())
    assert (NOON + 1000 * 5 * MINUTE, 60 * MINUTE) == (one.start, one.end - one.start)
    assert 75 < one.worst_bps < 100
    assert 1 == over_time(track(), NOON, NOON + 2000 * 5 * MINUTE).count('class="spell"')
    assert "1 spell outside, the longest 60m" in page(track())


def test_a_given_band_counts_by_session_and_a_silence_ends_a_spell():
    """
    Outside 60 bps in the regular session only; a spell whose next print comes after a silence ends at its last print.
    """
    few = track(
        6, ts=NOON + np.array([0, 5, 10, 100, 105, 110]) * MINUTE, premium_bps=np.array([0.0, 90, 90, 90, 0, 0]),
        error_bps=None, band_bps={"regular": 60.0},
    )  # fmt: skip
    assert [(5, 10), (100, 105)] == [((s.start - NOON) // MINUTE, (s.end - NOON) // MINUTE) for s in spells(few)]
    assert [] == spells(replace(few, band_bps={"weekend": 60.0}))


def test_a_silent_stretch_is_a_gap_in_the_line():
    """
    Two days without a print: the line is in two pieces, and nothing is drawn between them.
    """
    whole, ts = track(400), track(400).ts.copy()
    ts[200:] += 48 * HOUR
    torn = replace(whole, ts=ts)
    end = int(ts[-1])
    assert 1 == over_time(whole, NOON, end).count("<polyline")
    assert 2 == over_time(torn, NOON, end).count("<polyline")
    points = [p for line in re.findall(r'<polyline class="premium" points="([^"]*)"', over_time(torn, NOON, end))
              for p in line.split()]  # fmt: skip
    across = sorted(float(point.split(",")[0]) for point in points)
    assert 400 < max(np.diff(across))


def test_an_unknown_score_is_a_gap_and_never_zero():
    """
    Known, unknown for a day, known again: two pieces; without any score there is no scale for one.
    """
    times = NOON + np.arange(72) * HOUR
    scores = [(int(ts), None if 20 <= at < 44 else 50.0) for at, ts in enumerate(times)]
    drawn = over_time(track(900, scores=scores), NOON, int(times[-1]))
    assert 2 == drawn.count('class="score"')
    assert 'class="score"' not in over_time(track(900), NOON, int(times[-1]))
    assert "unknown at the end" in page(track(900))


def test_health_is_told_with_its_parts_and_what_is_unknown():
    """
    A score with one rare part, the others unknown; trends and who leads in words, nothing where they are not known.
    """
    one = track(900)
    universe = Universe((Instrument(venue="pool", symbol="T", role=Role.TOKEN, underlying="S", token="T"),))
    samples = Samples(one.ts, np.zeros(900, np.int32), one.premium_bps, one.error_bps)
    found = statistics(samples, universe, [0], "fair", gap_ns=one.gap_ns)
    assert "a day" not in document("Premia", {"pool:T": one}, found)
    found[0] |= {"score": 3.2, "parts": {"depth": 0.004}, "depth_trend_per_day": -0.2, "lead_side": -0.4,
                 "lead_lag_s": -40.0, "beta": 0.97}  # fmt: skip
    text = document("Premia", {"pool:T": one}, found)
    assert ("Health: 3 of 100" in text, ">0.4%<" in text, text.count(">unknown<")) == (True, True, 10)
    for words in ("depth -20% a day", "the busiest other venue leads by about 40s", "it makes 0.97 of a move"):
        assert words in text


def test_prints_of_unknown_fair_value_are_marked():
    """
    A stretch of them is one mark; a token that was never judged has a section that says so.
    """
    unknown = [int(NOON + at * 5 * MINUTE) for at in range(50)]
    assert 1 == over_time(track(unknown_ts=unknown), NOON, NOON + 2000 * 5 * MINUTE).count('class="unknown"')
    empty = track(0, ts=np.empty(0, np.int64), premium_bps=np.empty(0), error_bps=None, unknown_ts=unknown)
    assert "no print at which" in page(empty)


def test_many_prints_make_a_small_picture():
    """
    Sixty thousand prints are drawn by column: the picture is hardly larger than that of two thousand, and an outlier
    beyond the field is marked.
    """
    rng = np.random.default_rng(2)
    premium = 5 * rng.normal(size=60_000)
    premium[30_000] = 900.0
    dense = track(60_000, ts=NOON + np.arange(60_000) * 10 * NS, premium_bps=premium, error_bps=np.full(60_000, 4.0))
    drawn = over_time(dense, NOON, int(dense.ts[-1]))
    assert len(drawn) < 125 * BINS
    assert 1 == drawn.count('class="beyond"')
    assert "+900 bps" in drawn


def test_the_heat_map_is_that_of_new_york_and_leaves_unknown_hours_empty():
    """
    Prints from Monday 12:00 to 14:59 in New York fill three cells with their medians; the other 165 are empty.
    """
    three = track(
        36, ts=NOON + np.arange(36) * 5 * MINUTE, premium_bps=np.repeat([7.0, -20.0, 0.2], 12), error_bps=None
    )
    drawn = by_hour(three)
    assert (3, 165) == (drawn.count('class="cell"'), drawn.count('class="empty"'))
    assert ["+7", "-20", "0"] == re.findall(r'class="cell"[^>]*>([^<]*)<', drawn)
    assert ("above", "below") == tuple(re.findall(r'class="(above|below)"', drawn))[:2]


def test_sessions_are_shaded():
    """
    From Monday noon to Tuesday noon: post, overnight and pre have a stripe each, the regular session has none.
    """
    drawn = over_time(track(288), NOON, NOON + 24 * HOUR)
    assert [1, 1, 1, 0] == [drawn.count(f'class="s-{name}"') for name in ("post", "overnight", "pre", "regular")]


@pytest.mark.parametrize(("seconds", "word"), [(None, "-"), (90, "90s"), (600, "10m"), (9000, "2.5h"), (4e5, "4.63d")])
def test_durations_are_said_in_fit_units(seconds, word):
    """
    Seconds to days; a dash where there is none.
    """
    assert word == duration(seconds)


def test_a_level_that_moved_is_dated():
    """
    The hour in which the level of the hourly medians moved by 40 bps; a level that stands dates from its first print.
    """
    still = track(2000).premium_bps
    still[1000:1012] -= 80
    ts = track(2000).ts
    moved = still + np.where(np.arange(2000) < 1200, 0.0, 40.0)
    assert abs(level_since(ts, moved) - int(ts[1200])) <= HOUR
    assert int(ts[0]) == level_since(ts, still)
    assert level_since(ts[:12], still[:12]) is None
