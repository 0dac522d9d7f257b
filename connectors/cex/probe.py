"""One look at a venue, for `venues test` and `doctor`: everything that it can say, as findings, errors included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from connectors.cex.book import read_book
from connectors.cex.instance import build
from connectors.cex.quirks import Lane, Quirk
from connectors.cex.rest import Rest, close
from connectors.cex.rounds import time_of
from connectors.cex.terms import fees_bps, halted, near, perp_of, published_bps, read_funding
from connectors.errors import (
    ConnectorError,
    EntitlementLost,
    PeglineError,
    RateLimited,
    SymbolUnknown,
    VenueUnreachable,
)
from connectors.events import NS
from connectors.instruments import Instrument
from connectors.offset import measured
from connectors.ports import FeedSetup, Finding

CLOCK_OK_S: Final = 1.0
"""A clock that is further off than this needs a look (faults.md asks for less before anything is signed)."""

SLOW_S: Final = 2.0
"""An answer that takes longer makes prices old before they are read."""


async def probed(
    setup: FeedSetup,
    quirk: Quirk,
    rest: Rest,
    lanes: Sequence[tuple[Lane, Sequence[Instrument]]],
    load: Callable[[], Awaitable[Any]],
) -> tuple[Finding, ...]:
    """What was found at the venue, lane by lane. Never raises for what the world does."""
    found: list[Finding] = []
    try:
        module = await load()
    except ConnectorError as error:
        return (Finding(what="entitlement", subject=setup.exchange, ok=False, detail=str(error)),)
    for at, (lane, members) in enumerate(lanes):
        look = _Look(setup, quirk, rest, module, lane, members, found)
        await look.run(first=at == 0)
    budget = ", ".join(f"{name}: {value}" for name, value in sorted(rest.budget.items()))
    found.append(
        Finding(
            what="rate_budget",
            ok=rest.limited == 0,
            detail=budget or f"{rest.calls} requests, {rest.limited} answers that asked to slow down",
            hint="ask less often: status_s, funding_s, compare_s" if rest.limited else "",
            value=float(rest.limited),
            unit="answers",
        )
    )
    return tuple(found)


class _Look:
    """A look at one ccxt instance."""

    def __init__(
        self,
        setup: FeedSetup,
        quirk: Quirk,
        rest: Rest,
        module: Any,
        lane: Lane,
        members: Sequence[Instrument],
        found: list[Finding],
    ) -> None:
        self._setup, self._quirk, self._rest, self._lane = setup, quirk, rest, lane
        self._module, self._members, self._found = module, members, found
        exchange = getattr(module, setup.exchange or setup.venue)
        known = tuple(dict.fromkeys(perp_of(i.symbol) or i.symbol for i in members))
        self._symbols = known
        self._key = self._credentials()
        self._exchange = build(rest.patient(exchange), lane, quirk, known, setup.url, self._key)

    def _credentials(self) -> Mapping[str, str]:
        """The account whose fees are asked for; none where the key file is wrong, which is said."""
        try:
            return self._setup.key()
        except PeglineError as error:
            self._say("entitlement", "key file", ok=False, detail=str(error))
            return {}

    async def run(self, *, first: bool) -> None:
        """All questions; the venue-wide ones only once."""
        try:
            if first:
                await self._venue_wide()
            await self._markets()
        finally:
            await close(self._exchange)

    async def _venue_wide(self) -> None:
        has = self._exchange.has
        if has.get("fetchTime"):
            await self._clock()
        else:
            self._say("clock", ok=None, detail="the venue does not tell its time")
        if has.get("fetchStatus") and self._quirk.status:
            try:
                state = await self._ask("fetch_status")
            except ConnectorError as error:
                self._refused("status", "", error)
            else:
                self._say("status", ok=state.get("status") == "ok", detail=str(state.get("status")))

    async def _clock(self) -> None:
        """Offset and round trip, of the quickest of a few answers."""
        grain_s = self._quirk.clock_step_s
        try:
            found = await measured(lambda: time_of(self._ask), self._setup.clock, grain_ns=round(grain_s * NS))
        except ConnectorError as error:
            self._refused("clock", "fetch_time", error)
            return
        if found is None:
            self._say("clock", ok=None, detail="our own clock went backwards meanwhile")
            return
        well = abs(found.offset_s) <= CLOCK_OK_S + found.error_s
        hint = "" if well else "set this machine's clock by NTP"
        detail = f"known to within {found.error_s:.3f} s"
        self._say("clock", ok=well, detail=detail, value=found.offset_s, unit="s", hint=hint)
        trip_s = 2.0 * found.error_s - grain_s
        self._say("latency", ok=trip_s <= SLOW_S, value=trip_s, unit="s")

    async def _markets(self) -> None:
        try:
            await self._ask("load_markets", True, dict(self._lane.params))
        except ConnectorError as error:
            self._refused("entitlement", "list of markets", error)
            return
        self._say("entitlement", "list of markets", ok=True, detail=f"{len(self._exchange.markets)} markets")
        for symbol in self._symbols:
            market = self._exchange.markets.get(symbol)
            if market is None:
                names = ", ".join(self._spelt(name) for name in near(symbol, self._exchange.markets))
                self._say("symbol", symbol, ok=False, detail="not listed", hint=f"listed: {names}" if names else "")
                continue
            self._say("symbol", symbol, ok=True, detail=str(market.get("id")))
            stopped = halted(market)
            self._say("status", symbol, ok=None if stopped is None else not stopped,
                      detail={None: "not told", True: "halted", False: "trading"}[stopped])  # fmt: skip
            await self._fees(symbol, market)
            if not self._lane.quotes:
                await self._book(symbol)
            if market.get("swap"):
                await self._funding(symbol, market)

    def _spelt(self, name: str) -> str:
        """A symbol, with the venue's own name for it where case counts: ccxt knows upper case only."""
        own = self._exchange.markets[name].get("id") if self._quirk.keep_case else ""
        return f"{name} ({own} there)" if own else name

    async def _fees(self, symbol: str, market: dict[str, Any]) -> None:
        """The fee of this account where there is a key, else the published one, else ccxt's table, and says which."""
        published = published_bps(market, self._quirk, self._lane)
        taker, maker = published or fees_bps(market)
        source = "the venue's list" if published else ""
        if self._key and self._exchange.has.get("fetchTradingFee"):
            try:
                taker, maker = fees_bps(await self._ask("fetch_trading_fee", symbol))
                source = "this account"
            except ConnectorError as error:
                self._refused("entitlement", "fees of this account", error)
        if taker != taker:
            self._say("fees", symbol, ok=None, detail="the venue does not publish them")
            return
        said = self._setup.taker_fee_bps
        words = f"taker {taker:.4g} bps, maker {maker:.4g} bps by {source or 'the table of ccxt: not read'}"
        if said is None:
            self._say("fees", symbol, ok=None, detail=words, value=taker, unit="bps")
            return
        same = abs(said - taker) < 0.005
        self._say("fees", symbol, ok=same if source else None, detail=f"{words}; the config says {said:.4g}",
                  value=taker, unit="bps", hint="" if same else "taker_fee_bps of the venue in the config")  # fmt: skip

    async def _book(self, symbol: str) -> None:
        try:
            book = await self._ask("fetch_order_book", symbol, self._quirk.rest_depth, dict(self._lane.about))
        except ConnectorError as error:
            self._refused("entitlement", f"book of {symbol}", error)
            return
        best = read_book(book)
        if isinstance(best, str):
            self._say("entitlement", f"book of {symbol}", ok=None, detail=f"the book is {best}")
        else:
            self._say("entitlement", f"book of {symbol}", ok=True, detail=f"{best[0]:g} / {best[1]:g}")

    async def _funding(self, symbol: str, market: dict[str, Any]) -> None:
        has = self._exchange.has
        if not has.get("fetchFundingRate"):
            self._say("funding", symbol, ok=None, detail="the venue does not tell it")
            return
        try:
            rate = await self._ask("fetch_funding_rate", symbol)
            listed, interest = "", None
            if has.get("fetchFundingIntervals") is True:
                listed = ((await self._ask("fetch_funding_intervals", [symbol])).get(symbol) or {}).get(
                    "interval"
                ) or ""
            if not self._quirk.interest and has.get("fetchOpenInterest"):
                interest = await self._ask("fetch_open_interest", symbol)
        except ConnectorError as error:
            self._refused("funding", symbol, error)
            return
        terms = read_funding(rate, market, self._quirk, listed=listed, interest=interest)
        whole = terms.rate == terms.rate and terms.period_s > 0.0
        self._say("funding", symbol, ok=whole, value=terms.rate, unit=f"per {terms.period_s:g} s",
                  detail=f"open interest {terms.open_interest:g} units, mark {terms.mark:g}, oracle {terms.oracle:g}",
                  hint="" if whole else "the period of this funding is not told: it cannot be compared")  # fmt: skip

    async def _ask(self, method: str, *args: Any) -> Any:
        return await self._rest.call(self._module, lambda: getattr(self._exchange, method)(*args))

    def _refused(self, what: str, subject: str, error: Exception) -> None:
        hints = {
            EntitlementLost: "the venue wants a key for this, or refuses this account",
            RateLimited: "wait before asking again",
            SymbolUnknown: "look the symbol up with `pegline venues show`",
        }
        hint = hints.get(type(error), "")
        if isinstance(error, VenueUnreachable):
            what = "reachable"
        self._say(what, subject, ok=False, detail=str(error)[:200], hint=hint)

    def _say(
        self, what: str, subject: str = "", *, ok: bool | None, detail: str = "", hint: str = "",
        value: float | None = None, unit: str = "",
    ) -> None:  # fmt: skip
        self._found.append(Finding(what=what, subject=subject, ok=ok, detail=detail, hint=hint, value=value, unit=unit))
