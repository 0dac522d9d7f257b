"""All states under one rule: venues, coins and tokens, and the notes of what changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Final

from connectors.events import NS, Why
from connectors.instruments import Role, Universe
from strategies.base import Note
from strategies.market import kernel as K
from strategies.market.columns import Columns
from strategies.market.judgement import Judgement
from strategies.peg.cause import Evidence, OfVenue, allowed, cause_of, token_of
from strategies.peg.coin import CoinWatch
from strategies.peg.rule import Rule
from strategies.peg.sources import depth_usd, issuer_trouble, lone_outlier, reference_doubt, sources_told
from strategies.peg.state import Cause, PegState
from strategies.peg.tail import LEAST
from strategies.peg.venue import VenueWatch

Detail = dict[str, float | str]
MISSED_NS: Final = 6 * 3600 * NS
"""A deviation that begins so soon after a change of the multiplier may come from it."""
REFERENCE_GONE: Final = "fair value unknown: "


@dataclass(slots=True)
class Shown:
    """What is told of a venue or a token now."""

    state: PegState = PegState.UNKNOWN
    cause: Cause = Cause.NONE
    known: PegState = PegState.UNKNOWN
    """The last state that was not UNKNOWN."""


@dataclass(slots=True)
class Seen:
    """What one look came to for an instrument."""

    judged: Judgement | None
    why: str = ""
    """Why it is not judged."""
    state: PegState = PegState.UNKNOWN
    cause: Cause = Cause.NONE
    fresh: bool = False
    """Whether it has printed since the last look."""
    held: bool = False
    """Whether it stays what it was, as only one row speaks against it."""


@dataclass(slots=True)
class Board:
    """The memory of one rule. `shadow`: what it finds is recorded and counted, and alerts nobody."""

    rule: Rule
    universe: Universe
    shadow: bool = False
    watches: dict[int, VenueWatch] = field(init=False)
    shown: dict[int, Shown] = field(init=False)
    tokens: dict[tuple[str, str], tuple[int, ...]] = field(init=False)
    """Numbers of the instruments of each (token, issuer)."""
    token_shown: dict[tuple[str, str], Shown] = field(init=False)
    coins: dict[str, CoinWatch] = field(init=False)
    coin_quotes: tuple[int, ...] = field(init=False)
    """Numbers of the instruments that price a coin."""
    _coin_prints: dict[int, int] = field(default_factory=dict)
    _slips: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of an instrument: its last believed print and when the first outlier after it came."""
    _units: dict[int, tuple[float, float, int]] = field(default_factory=dict)
    """Shares per unit of an instrument before its last change and since, and when that was."""

    def __post_init__(self) -> None:
        """Nothing is known of anything."""
        numbers = self.universe.where(role=Role.TOKEN)
        self.watches = {at: VenueWatch(self.rule) for at in numbers}
        self.shown = {at: Shown() for at in numbers}
        self.tokens = {}
        for at in numbers:
            key = self.universe[at].token or self.universe[at].symbol, self.universe[at].issuer
            self.tokens[key] = (*self.tokens.get(key, ()), at)
        self.token_shown = {key: Shown() for key in self.tokens}
        self.coin_quotes = self.universe.where(role=Role.COIN)
        self.coins = {coin: CoinWatch(self.rule.coin_bps) for coin in self.universe.coins()}

    # --- one look

    def look(self, columns: Columns, now: int) -> list[Note]:
        """Takes in what printed since the last look; notes of every state or cause that changed."""
        notes = self._coins(columns, now)
        seen = {at: self._hear(columns, at, now) for at in self.watches}
        for numbers in self.tokens.values():
            for at in numbers:
                self._judge(columns, at, seen, numbers, now)
        for at, one in seen.items():
            notes += self._told(columns, at, one, now)
        for key, numbers in self.tokens.items():
            notes += self._token(columns, key, [seen[at] for at in numbers], numbers, now)
        return notes

    def _hear(self, columns: Columns, at: int, now: int) -> Seen:
        """An instrument's newest print goes into its detector."""
        judged, watch = columns.judge(at, now), self.watches[at]
        units = columns.f_rows[at][K.SHARES_PER_UNIT]
        if units > 0 and units != (had := self._units.get(at, (units, nan, now)))[1]:
            self._units[at] = had[1] if had[1] > 0 else units, units, now
        if judged is None:
            shown, why = self.shown[at], columns.why_not_judged(at, now)
            if self._slipped(columns, at, now):
                return Seen(None, why, shown.state, shown.cause, held=True)
            return Seen(None, why)
        fresh = judged.prints != watch.heard
        if fresh:
            watch.hear(judged)
        watch.settle(judged, now)
        return Seen(judged, state=watch.state, fresh=fresh)

    def _slipped(self, columns: Columns, at: int, now: int) -> bool:
        """Whether an instrument's last row is the first outlier since its last believed print: a slip makes no state,
        two that differ may be a market that has broken."""
        if not lone_outlier(columns, at, now):
            return False
        k = columns.k_rows[at]
        prints, first = self._slips.get(at, (-1, 0))
        if prints != k[K.PRINTS]:
            first = k[K.SUSPECT_SINCE]
            self._slips[at] = k[K.PRINTS], first
        return first == k[K.SUSPECT_SINCE]

    def _judge(self, columns: Columns, at: int, seen: dict[int, Seen], numbers: tuple[int, ...], now: int) -> None:
        """The cause of an instrument's state, and the state that this cause allows."""
        one, watch = seen[at], self.watches[at]
        quote = self.coins.get(self.universe[at].quote)
        coin_off = quote.bps if quote is not None and quote.off else 0.0
        if one.held:
            return
        if one.judged is None:
            if columns.why_unknown(columns.group(at), now, without=at):
                one.cause, one.why = Cause.REFERENCE, REFERENCE_GONE + one.why
                watch.lost = True
            if columns.doubted(at, Why.PAUSED):
                one.cause = Cause.ISSUER
            elif columns.doubted(at, Why.MAINTENANCE):
                one.cause = Cause.MULTIPLIER
            elif coin_off:
                one.cause = Cause.STABLECOIN
            return
        if one.fresh:
            before, watch.doubt = watch.doubt, self._doubt(columns, at, now)
            if before and not watch.doubt:
                watch.restart(self.shown[at].known)
            elif watch.lost and not watch.borne_out:
                watch.restart(PegState.PEGGED)
            watch.lost = False
            one.state = watch.state
        if one.state < PegState.STRAINED:
            if coin_off:
                one.state, one.cause = PegState.STRAINED, Cause.STABLECOIN
            return
        if watch.better_since and self.shown[at].state is one.state:
            one.cause = self.shown[at].cause  # it is on its way back: what it came from is known already
            return
        instrument, error = self.universe[at], one.judged.fair.error_bps / one.judged.fair.stretch
        others = sum(
            1
            for other in numbers
            if self.universe[other].venue != instrument.venue
            and seen[other].judged is not None
            and self.watches[other].state >= PegState.STRAINED
            and self.watches[other].side == watch.side
        )
        one.cause = cause_of(
            Evidence(
                coin_off_bps=coin_off,
                reference=watch.doubt,
                ratio=1 + watch.premium_bps / 1e4,
                ratio_sd=watch.ordinary.sd_bps(error) / 1e4,
                missed=self._missed(at, watch),
                issuer=issuer_trouble(columns, instrument.token, instrument.issuer),
                others=others,
            )
        )
        one.state = allowed(watch.state, one.cause)

    def _doubt(self, columns: Columns, at: int, now: int) -> str:
        """Why a deviation that a print bears out cannot be told from the share's sources; empty where it can."""
        watch = self.watches[at]
        if watch.state < PegState.STRAINED or not (watch.off or watch.doubt):
            return ""
        if self.shown[at].state is PegState.DEPEGGED and not watch.doubt:
            return ""  # it was told when it could be
        return reference_doubt(
            columns,
            at,
            first=watch.last[0][0] if watch.last else watch.since,
            rows=self.rule.prints - 1,
            bps=watch.size_bps,
            usual_bps=watch.usual_bps,
            now=now,
        )

    def _missed(self, at: int, watch: VenueWatch) -> float:
        """What price over fair value is where the venue has missed the last multiplier; 1 where there was none then."""
        old, new, changed = self._units.get(at, (1.0, 1.0, 0))
        return old / new if 0 <= watch.since - changed <= MISSED_NS else 1.0

    def _coins(self, columns: Columns, now: int) -> list[Note]:
        """Prints of the quote coins; a note where one left its peg or is back."""
        for at in self.coin_quotes:
            prints = columns.k_rows[at][K.PRINTS]
            if prints != self._coin_prints.get(at, 0):
                self._coin_prints[at] = prints
                self.coins[self.universe[at].coin].hear(columns.f_rows[at][K.MID_USD], columns.k_rows[at][K.TS])
        notes = []
        for coin, watch in self.coins.items():
            if watch.look(now) and not self.shadow:
                detail: Detail = {
                    "coin": coin,
                    "to": "OFF" if watch.off else "HELD",
                    "bps": _six(watch.bps),
                    "threshold_bps": self.rule.coin_bps,
                }
                if watch.off:
                    detail |= {"since": watch.since / NS, "sources": self._coin_sources(columns, coin)}
                    wrong = watch.false_alarms_per_month()
                    if wrong is not None:
                        detail |= {"false_alarms_month": _six(wrong), "false_alarms_from": _assumed(True)}
                    else:
                        detail["false_alarms_from"] = f"unknown: {watch.tail.blocks} of {LEAST} ten minutes heard"
                notes.append(Note(kind="coin_state", detail=detail))
        return notes

    def _coin_sources(self, columns: Columns, coin: str) -> str:
        """Who prices a coin, with what it says, as text."""
        told = []
        for at in self.universe.where(role=Role.COIN):
            if self.universe[at].coin == coin and columns.k_rows[at][K.PRINTS]:
                told.append(f"{self.universe[at].name} {columns.f_rows[at][K.MID_USD]:.4f}")
        return ", ".join(told)

    # --- what is told

    def _told(self, columns: Columns, at: int, one: Seen, now: int) -> list[Note]:
        """The note of an instrument whose state or cause changed, with the evidence."""
        shown, watch, rule = self.shown[at], self.watches[at], self.rule
        if (one.state, one.cause) == (shown.state, shown.cause):
            return []
        detail: Detail = {"from": shown.state.name, "to": one.state.name, "cause": one.cause.value}
        if one.state is shown.known and shown.state is PegState.UNKNOWN:
            detail["again"] = 1.0
        if one.judged is not None:
            fair = one.judged.fair
            detail |= {
                "premium_bps": _six(one.judged.premium_bps),
                "sigma_bps": _six(fair.error_bps),
                "fair": fair.price,
                "usual_bps": _six(watch.ordinary.centre_bps),
                "sigmas": _six(watch.z),
                "threshold_bps": _six(watch.entered_bps or rule.depeg_bps[one.judged.session]),
            }
        if one.state >= PegState.STRAINED or watch.doubt:
            detail |= {
                "since": watch.since / NS if watch.state >= PegState.STRAINED else now / NS,
                "by": watch.by,
                "over_usual_bps": _six(watch.size_bps),
                "sources": sources_told(columns, at, now),
                "size_usd": _six(depth_usd(columns, at)),
                "others": self._others(at),
            }
            if watch.by != "band":  # how often a band is passed by chance nobody has worked out
                detail["false_alarms_month"] = _six(watch.false_alarms_per_month(watch.state))
                detail["false_alarms_from"] = _assumed(watch.tail.beyond() is not None)
            quote = self.coins.get(self.universe[at].quote)
            if one.cause is Cause.STABLECOIN and quote is not None:
                detail |= {"coin": self.universe[at].quote, "coin_bps": _six(quote.bps)}
        if why := one.why or watch.doubt:
            detail["why"] = why
        shown.state, shown.cause = one.state, one.cause
        if one.state is not PegState.UNKNOWN:
            shown.known = one.state
        kind = "shadow_state" if self.shadow else "peg_state"
        return [Note(kind=kind, instrument=at, underlying=self.universe[at].underlying, detail=detail)]

    def _others(self, at: int) -> str:
        """The token's other venues with their premia, as text."""
        key = self.universe[at].token or self.universe[at].symbol, self.universe[at].issuer
        told = []
        for other in self.tokens[key]:
            watch = self.watches[other]
            if other != at and watch.heard > 0:
                told.append(f"{self.universe[other].venue} {watch.premium_bps:+.0f} bps")
        return ", ".join(told)

    def _token(
        self, columns: Columns, key: tuple[str, str], seen: list[Seen], numbers: tuple[int, ...], now: int
    ) -> list[Note]:
        """The note of a token whose state or cause changed."""
        shown = self.token_shown[key]
        if shown.state is PegState.PEGGED and all([one.state is PegState.PEGGED for one in seen]):
            return []
        token, issuer = key
        venues = [
            OfVenue(
                venue=self.universe[at].venue,
                state=one.state,
                cause=one.cause,
                side=self.watches[at].side,
                depth_usd=depth_usd(columns, at) if one.state is PegState.DEPEGGED else 0.0,
            )
            for at, one in zip(numbers, seen, strict=True)
        ]
        trouble = issuer_trouble(columns, token, issuer)
        state, cause = token_of(venues, trouble, self.rule.depth_usd)
        if (state, cause) == (shown.state, shown.cause):
            return []
        detail: Detail = {"token": token, "issuer": issuer, "from": shown.state.name, "to": state.name}
        detail |= {"cause": cause.value, "venues": ", ".join(f"{one.venue} {one.state.name}" for one in venues)}
        if state is shown.known and shown.state is PegState.UNKNOWN:
            detail["again"] = 1.0
        off = [self.watches[at] for at, one in zip(numbers, seen, strict=True) if one.state >= PegState.STRAINED]
        since = [watch.since for watch in off if watch.state >= PegState.STRAINED]
        if off:
            detail["since"] = min(since, default=now) / NS
            detail["premium_bps"] = _six(max((watch.premium_bps for watch in off), key=abs))
            detail["false_alarms_month"] = _six(sum(watch.false_alarms_per_month(state) for watch in off))
        if trouble:
            detail["why"] = trouble
        shown.state, shown.cause = state, cause
        if state is not PegState.UNKNOWN:
            shown.known = state
        kind = "shadow_token" if self.shadow else "token_state"
        return [Note(kind=kind, underlying=self.universe[numbers[0]].underlying, detail=detail)]


def _assumed(tail: bool) -> str:
    """What a stated rate of false alarms stands on."""
    return "exponential tail of what was heard while it held" if tail else "run length, as if prints were normal"


def _six(value: float) -> float:
    """Six digits: the last one of a logarithm differs between machines, and this goes into the journal's hash."""
    return float(f"{value:.6g}")
