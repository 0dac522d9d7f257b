"""The window around a new multiplier: when it opens and ends, whom it touches, and that a wrong word heals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.maintenance import split_of
from connectors.events import NAN, Kind, Row, Why
from connectors.instruments import Instrument, Role, UnitModel
from strategies.base import Note
from strategies.market.columns import Beliefs
from tests.bot.test_corporate import EX, NS, A, B, P, R, Ran, before, said


def multiplier(s: float, value: float, in_s: float = NAN, *, by: int = B) -> Row:
    """A multiplier told `s` seconds after the ex-moment, in force from `in_s` seconds after it on; NaN is at once."""
    at = EX / NS + in_s
    return Row(ts_recv=EX + round(s * NS), instrument=by, kind=Kind.MULTIPLIER, bid=value, ask=at)


def in_window(ran: Ran, number: int = B) -> bool:
    """Whether an instrument is in a window: in doubt for it, and not traded."""
    doubted = ran.columns.doubted(number, Why.MAINTENANCE)
    assert doubted <= (not ran.may(number))
    return doubted


def told(ran: Ran) -> list[Note]:
    """What was told of windows."""
    return [note for note in ran.notes("doubt", "doubt_cleared") if note.detail["why"] == "maintenance"]


def test_a_small_change_at_once_waits_for_the_share_and_the_token() -> None:
    """
    1 % more a unit, without notice: in a window until both have printed after it, in either order.
    """
    for rows in ((said(5, R, 400.0), said(7, B, 404.0)), (said(5, B, 404.0), said(7, R, 400.0))):
        ran = Ran().say(*before(), multiplier(1, 1.01), said(3, A, 400.0))
        assert in_window(ran) and not in_window(ran, A)
        ran.say(rows[0], said(6.5, A, 400.0))
        assert in_window(ran)
        ran.say(rows[1], said(10, A, 400.0))
        assert not in_window(ran) and ran.may(B)
        assert ["doubt", "doubt_cleared"] == [note.kind for note in told(ran)]
        assert ([], 0) == (ran.depegs(), ran.trades())


def test_a_wrong_multiplier_that_is_taken_back_heals() -> None:
    """
    A node says 10 and, a minute later, 1 again, while token and share stay where they are: unknown in between, nothing
    else is touched, and then all is as before.
    """
    ran = Ran().say(*before(), multiplier(1, 10.0))
    for s in range(2, 60, 5):
        ran.say(said(s, R, 400.0), said(s + 1, A, 400.0), said(s + 2, B, 400.0))
    assert in_window(ran) and ran.may(A)
    ran.say(multiplier(61, 1.0), said(63, R, 400.0), said(64, B, 400.0), said(67, R, 400.0))
    assert not in_window(ran) and ran.may(B)
    assert ([], 0) == (ran.depegs(), ran.trades())


def test_a_reverse_split_is_no_premium_either() -> None:
    """
    1:10, and the share follows an hour later: a unit at 400 is then a tenth of a share at 4,000.
    """
    ran = Ran().say(*before(), multiplier(-20, 0.1, 0.0))
    for s in range(1, 3600, 60):
        ran.say(said(s, R, 400.0), said(s + 1, B, 400.0))
    assert in_window(ran)
    ran.say(said(3601, R, 4000.0), said(3602, B, 400.0), said(3604, R, 4000.0), said(3606, R, 4000.0))
    assert not in_window(ran)
    alarms = [note for note in ran.notes("peg_state") if note.instrument == B and note.detail["to"] == "DEPEGGED"]
    assert [] == alarms


def test_a_change_that_is_called_off_ends_its_window() -> None:
    """
    Announced for the ex-moment and called off in the pause before it: judged again at once; without that, not.
    """
    calm = (said(-0.3, R, 400.0), said(-0.2, B, 400.0))
    ran = Ran().say(*before(), multiplier(-20, 2.0, 0.0), *calm)
    assert in_window(ran)
    ran.say(multiplier(-0.1, 1.0, 0.0))
    assert not in_window(ran)
    ran.say(said(5, R, 400.0), said(6, B, 400.0), said(9, R, 400.0))
    assert (1.0, True) == (ran.columns.shares_per_unit[B], ran.may(B))


def test_a_rebasing_token_keeps_its_unit_and_has_its_window() -> None:
    """
    Its multiplier doubles: a unit is a share all the same, its quote of before is forgotten, and it waits for the share
    to halve. What is in force at the start opens no window.
    """
    ran = Ran().say(*before(), multiplier(-20, 1.0, by=A), said(-10, R, 400.0))
    assert not in_window(ran, A)
    ran.say(multiplier(0, 2.0, by=A), said(2, A, 200.0), said(3, R, 400.0), said(6, R, 400.0))
    assert (1.0, True) == (ran.columns.shares_per_unit[A], in_window(ran, A))
    ran.say(said(10, R, 200.0), said(11, A, 200.0), said(13, R, 200.0), said(15, R, 200.0))
    assert not in_window(ran, A)


def test_what_is_said_on_one_chain_is_not_said_of_another() -> None:
    """
    A multiplier holds for the token's instruments on that chain and for those without one, and for no other token.
    """
    from bot.notices import _same_token

    def one(chain: str, token: str = "T", model: UnitModel | None = UnitModel.SCALED_UI) -> Instrument:
        return Instrument(
            venue="v", symbol="s", role=Role.TOKEN, token=token, issuer="i", chain=chain, unit_model=model
        )

    said_of = one("solana")
    others = (one("solana"), one(""), one("ethereum"), one("solana", "U"), one("solana", model=None))
    assert [True, True, False, False, False] == [_same_token(said_of, other) for other in others]


def test_a_jump_like_a_split_s_that_nobody_told_is_a_doubt_until_both_agree() -> None:
    """
    58. The share goes from 400 to 40 and nobody has told of a split: from the refusal of that jump on, all that is
    priced by it is in a window, also once the jump has stood; who follows it is judged again by the next tick, who
    does not is not. No premium is known meanwhile, nothing alarms and nothing is traded.
    """
    ran = Ran(Beliefs(max_error=1.0, stub_move=0.5, confirm_rows=2, confirm_ns=NS)).say(
        *(said(-30 + at, at, 400.0) for at in (R, A, B, P))
    )
    assert ran.may(A) and ran.may(B)
    ran.say(said(1, R, 40.0))
    assert in_window(ran, A) and in_window(ran, B) and in_window(ran, P)
    ran.say(said(2, A, 400.0), said(3, R, 40.0), said(4, R, 40.0), said(4.1, B, 400.0), said(4.2, A, 400.0))
    assert in_window(ran, A) and in_window(ran, B)
    ran.say(said(5, A, 40.0), said(7, R, 40.0), said(9, R, 40.0))
    assert (False, True) == (in_window(ran, A), in_window(ran, B))
    assert ([], 0) == (ran.depegs(), ran.trades())
    assert {10.0} == {note.detail["ratio"] for note in told(ran) if note.kind == "doubt"}


def test_a_wrong_print_like_a_split_s_heals_with_the_next_right_one() -> None:
    """
    One print at a tenth, then the share is where it was: in doubt for that long, and all is judged again.
    """
    ran = Ran(Beliefs(max_error=1.0, stub_move=0.5, confirm_rows=2, confirm_ns=NS)).say(
        *(said(-30 + at, at, 400.0) for at in (R, A, B, P))
    )
    ran.say(said(1, R, 40.0), said(1.5, A, 400.0))
    assert in_window(ran, A)
    ran.say(said(2, R, 400.0), said(4, R, 400.0))
    assert not in_window(ran, A) and ran.may(A)
    assert ([], 0) == (ran.depegs(), ran.trades())


@given(st.floats(1.0, 1e6), st.integers(2, 50), st.booleans())
def test_a_whole_ratio_is_like_a_split_s_and_a_day_s_move_is_not(price: float, ratio: int, reverse: bool) -> None:
    """
    Forward and reverse, within what a share does overnight; 40 % and 60 % are none, nor is what is no price.
    """
    after = price * ratio if reverse else price / ratio
    assert float(ratio) == split_of(price, after * 1.004)
    assert [0.0] * 4 == [split_of(price, price * move) for move in (0.6, 1.6, 0.0, float("nan"))]
