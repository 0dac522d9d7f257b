"""Premia of a tape beyond one venue, and in sigmas: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bot.peg import statistics
from bot.peg_beyond import VENUES, beyond
from bot.peg_further import in_sigmas
from bot.peg_samples import Samples
from connectors.events import NS
from connectors.instruments import Instrument, Role, Universe

GAP_NS = 100 * NS
UNIVERSE = Universe(
    tuple(
        Instrument(venue=venue, symbol=name, role=Role.TOKEN, underlying="S", token=name, issuer=issuer)
        for venue, name, issuer in (("a", "Sx", "one"), ("b", "Sx", "one"), ("c", "Sx", "one"), ("a", "Sy", "two"))
    )
)


def samples(*prints: tuple[int, int, float]) -> Samples:
    """(second, instrument, premium in bps), each against a fair value known to 5 bps."""
    ts, number, premium = zip(*prints, strict=True)
    return Samples(
        np.array(ts, np.int64) * NS, np.array(number, np.int32), np.array(premium, float), np.full(len(ts), 5.0)
    )


def test_a_token_is_the_median_of_its_venues_last_premia() -> None:
    """
    Three venues at 0, 10 and 400 bps: 0, then 5, then 10; the first two are forgotten a gap later.
    """
    told = samples((0, 0, 0.0), (10, 1, 10.0), (20, 2, 400.0), (300, 2, 390.0))
    ((token, over, found),) = beyond(told, UNIVERSE, [0, 1, 2], GAP_NS)
    assert ("Sx", None) == (token, over)
    assert [0.0, 5.0, 10.0, 390.0] == found.premium_bps.tolist()
    assert found.error_bps is not None and [5.0] * 4 == found.error_bps.tolist()


def test_issuers_are_compared_share_for_share() -> None:
    """
    Sx at 100 bps and Sy at 0 a little later: 100 bps of one over the other, from the moment on that both are known.
    """
    ((token, over, found),) = beyond(samples((0, 0, 100.0), (10, 3, 0.0)), UNIVERSE, [0, 3], GAP_NS)
    assert ("Sx", "Sy", [10 * NS], [pytest.approx(100.0)]) == (
        token, over, found.ts.tolist(), found.premium_bps.tolist()
    )  # fmt: skip
    assert found.error_bps is None


def quoted(*prints: tuple[int, int, float, float]) -> Samples:
    """(second, instrument, premium, half a spread) in bps."""
    ts, number, premium, half = (np.array(column) for column in zip(*prints, strict=True))
    return Samples(
        ts * NS,
        number.astype(np.int32),
        premium,
        np.full(len(ts), 5.0),
        sell_bps=premium - half,
        buy_bps=premium + half,
    )


def test_a_pair_of_issuers_errs_as_both_prints_do() -> None:
    """
    Spreads of 9 and 12 bps are errors of 3 and 4 each way, together 5 bps; a premium of 100 is 20 sigmas.
    """
    ((*_, found),) = beyond(quoted((0, 0, 100.0, 4.5), (10, 3, 0.0, 6.0)), UNIVERSE, [0, 3], GAP_NS)
    assert found.error_bps is not None and [pytest.approx(5.0)] == found.error_bps.tolist()


def test_venues_that_are_apart_make_a_pair_less_sure() -> None:
    """
    Two venues of Sx at 80 and 120 bps are 20 off their middle each, whatever their spreads; with Sy's 15 that is 25.
    """
    told = quoted((0, 0, 80.0, 3.0), (1, 1, 120.0, 3.0), (10, 3, 0.0, 22.5))
    *_, (_, over, found) = beyond(told, UNIVERSE, [0, 1, 3], GAP_NS)
    assert "Sy" == over and found.error_bps is not None and [pytest.approx(25.0)] == found.error_bps.tolist()


def test_a_pair_where_one_shows_no_spread_has_no_error() -> None:
    """
    A venue with one price says nothing of how sure it is: the premium stays, its error is unknown.
    """
    told = quoted((0, 0, 100.0, np.nan), (10, 3, 0.0, 6.0))
    ((*_, found),) = beyond(told, UNIVERSE, [0, 3], GAP_NS)
    assert [pytest.approx(100.0)] == found.premium_bps.tolist() and found.error_bps is None


def test_the_statistics_tell_both_behind_the_venues() -> None:
    """
    Two venues of Sx and one of Sy: a line for all venues of Sx and one for Sx over Sy, whose sigmas are unknown.
    """
    told = samples((0, 0, 10.0), (10, 1, 20.0), (20, 3, 0.0))
    lines = [one for one in statistics(told, UNIVERSE, [0, 1, 3], "fair", gap_ns=GAP_NS) if one["session"] == "all"]
    assert [("a:Sx", "fair"), ("b:Sx", "fair"), ("a:Sy", "fair"), (VENUES, "fair"), (VENUES, "Sy")] == [
        (one["instrument"], one["against"]) for one in lines
    ]
    assert (12.5, 2.5) == (lines[3]["median_bps"], lines[3]["median_abs_sigmas"])
    assert (pytest.approx(15.0), None, None) == (
        lines[4]["median_bps"],
        lines[4]["median_abs_sigmas"],
        lines[4]["error_bps"],
    )


def test_sigmas_are_premia_over_their_own_errors() -> None:
    """
    10, 20 and -30 bps over errors of 10, 5 and 10: one, four and three sigmas. At par 0, 10, -40. Unknown stays so.
    """
    found = in_sigmas(np.array([10.0, 20.0, -30.0]), np.array([10.0, 5.0, 10.0]), np.array([0.0, 10.0, -40.0]))
    assert (10.0, 3.0, -3.0) == (found["error_bps"], found["median_abs_sigmas"], found["last_sigmas"])
    assert (0.0, 0.0) == (found["median_at_par_bps"], found["median_at_par_sigmas"])
    assert {None} == set(in_sigmas(np.array([10.0]), None, None).values())
