"""What monitoring reads: the engine's columns and step records as protocols, and the plain facts of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from connectors.events import F8, I8
from connectors.orders import Approved, Intent, Refused, Report

SESSIONS: Final = ("pre", "regular", "post", "overnight", "weekend", "holiday", "unknown")
"""Session names by their codes, as metrics and JSON write them."""


class ColumnsView(Protocol):
    """What we believe now. Arrays have one element per instrument unless said otherwise; NaN is unknown."""

    @property
    def now(self) -> int:
        """Time of the last row, ns UTC."""

    @property
    def session(self) -> int:
        """Code of the session in force."""

    @property
    def bid(self) -> F8:
        """Best bid, quote currency per unit."""

    @property
    def ask(self) -> F8:
        """Best ask, quote currency per unit."""

    @property
    def bid_size(self) -> F8:
        """Units at the best bid."""

    @property
    def ask_size(self) -> F8:
        """Units at the best ask."""

    @property
    def ts(self) -> I8:
        """Time of the last accepted row, ns UTC; 0 before the first."""

    @property
    def prints(self) -> I8:
        """Accepted rows so far."""

    @property
    def premium_bps(self) -> F8:
        """Mid over fair value."""

    @property
    def sell_premium_bps(self) -> F8:
        """What a seller gets after costs, over fair value: positive is a gain."""

    @property
    def buy_premium_bps(self) -> F8:
        """What a buyer pays after costs, over fair value: negative is a gain."""

    @property
    def usd_per_share(self) -> F8:
        """USD per quote currency over shares per unit: price x this = USD per share."""

    @property
    def refusal(self) -> I8:
        """Why the last row was not believed: an index of `refusal_names`; 0 is believed."""

    @property
    def refusal_names(self) -> Sequence[str]:
        """The reasons by their codes."""

    @property
    def refused(self) -> I8:
        """Rows that were not believed, shape (instruments, reasons)."""

    @property
    def halted(self) -> npt.NDArray[np.bool_] | I8:
        """Whether the source says that trading is halted."""

    @property
    def fair_price(self) -> F8:
        """USD per share, one element per underlying."""

    @property
    def fair_source(self) -> I8:
        """Number of the instrument behind the fair value, -1 for none; per underlying."""

    @property
    def fair_as_of(self) -> I8:
        """When that source spoke, ns UTC; per underlying."""

    @property
    def edge_bps(self) -> F8:
        """Best cross-venue edge after costs, per underlying."""

    @property
    def edge_buy(self) -> I8:
        """Where to buy for it: an instrument, or -1; per underlying."""

    @property
    def edge_sell(self) -> I8:
        """Where to sell for it; per underlying."""

    @property
    def fx(self) -> F8:
        """USD per coin, one element per coin of the universe."""

    def fair_error_bps(self, now: int) -> F8:
        """One-sigma error of the fair value at a moment (ns UTC), per underlying."""


class NoteView(Protocol):
    """Something worth telling that happened in a step."""

    @property
    def kind(self) -> str:
        """What happened, e.g. `peg_state`."""

    @property
    def instrument(self) -> int:
        """The instrument it happened to, or -1."""

    @property
    def underlying(self) -> str:
        """The share it happened to, or empty."""

    @property
    def detail(self) -> Mapping[str, float | str]:
        """Numbers and words of it."""


class StepView(Protocol):
    """The record of one decision."""

    @property
    def seq(self) -> int:
        """Count of steps."""

    @property
    def ts(self) -> int:
        """Its moment, ns UTC."""

    @property
    def notes(self) -> Sequence[NoteView]:
        """What was noticed."""

    @property
    def wishes(self) -> Sequence[Intent]:
        """What the strategies wanted."""

    @property
    def refused(self) -> Sequence[Refused]:
        """What the risk review stopped."""

    @property
    def approved(self) -> Sequence[Approved]:
        """What was sent."""

    @property
    def reports(self) -> Sequence[Report]:
        """What venues answered."""


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of one venue, as its connector and the inbox count it."""

    venue: str
    feed: str
    up: bool
    messages: int = 0
    rejected: dict[str, int] = {}
    """Messages that never became a row, by reason."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change during a run."""

    version: str
    mode: str
    """monitor, dry_run or live."""
    commit: str = ""
    python: str = ""
    config_hash: str = ""
    config_file: str = ""
    market: str = "us_equity"
    venue_kinds: dict[str, str] = {}
    """cex, dex, broker, issuer or oracle, by venue."""
    strategies: tuple[str, ...] = ()
    """Names of the strategies that may trade."""
    warn_bps: dict[str, float] = {}
    """Alert threshold by session name."""
    max_age_s: tuple[float, ...] = ()
    """How old a quote may be, one element per instrument; empty is no limit."""
    unhedged_limit_usd: float | None = None
