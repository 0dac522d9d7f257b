"""What makes the gate hold a scope back by itself: a drawdown, a share without a hedge, a strategy that runs away."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from math import inf, isfinite, isnan

from connectors.events import NS
from connectors.exact import exact
from connectors.orders import Intent, Reason
from strategies.base import Note, View
from strategies.execution.latch import ALL, DRAWDOWN, NAKED, RUNAWAY, Hold, Mode, hold_of
from strategies.execution.legs import Problem
from strategies.execution.limits import Limits
from strategies.execution.memory import Memory, net_usd, new_day
from strategies.market import kernel as K
from strategies.market.columns import Columns

TOLD_SHARE = 0.01
"""A higher peak is told when it is higher by this share of the drawdown allowed; so much may be lost by a restart."""


def watch(view: View, limits: Limits, memory: Memory) -> list[Note]:
    """Looks at profit and exposure at a moment: a new day, a new peak, and the holds that follow.

    A hold needs a fill, and a believed price of everything that is held.
    """
    notes: list[Note] = []
    if new_day(view, memory):
        notes.append(Note(kind="day", detail={"day": memory.day, "net_usd": memory.day_start_net}))
    notes += _drawdown(view, limits, memory)
    nakeds = nakeds_usd(view.columns.underlyings, view)
    for name in view.columns.underlyings:
        _naked(name, nakeds.get(name, 0.0), view, limits, memory)
    return [*notes, *told(memory)]


def told(memory: Memory) -> list[Note]:
    """The holds that the gate has set and that no record holds yet."""
    notes = [hold_note(hold) for hold in memory.tripped]
    memory.tripped.clear()
    return notes


def hold_note(hold: Hold) -> Note:
    """A hold that was set, as a record holds it."""
    detail: dict[str, float | str] = {
        "scope": hold.scope, "mode": hold.mode.name, "cause": hold.cause, "why": hold.why, "by": hold.by,
        "at": str(hold.at), "until": str(hold.until),
    }  # fmt: skip
    return Note(kind="hold", underlying=_underlying(hold.scope), detail=detail)


def resumed_note(scope: str, modes: Iterable[Mode], *, number: int, why: str, by: str) -> Note:
    """Holds of these modes on a scope were taken back: the `number`-th time that somebody did so here."""
    names = " ".join(mode.name for mode in modes)
    detail: dict[str, float | str] = {"scope": scope, "modes": names, "number": number, "why": why, "by": by}
    return Note(kind="resumed", underlying=_underlying(scope), detail=detail)


def heed_note(memory: Memory, note: Note) -> None:
    """Folds a record of a hold or of its end into the memory."""
    if note.kind == "resumed":
        modes = (Mode[name] for name in str(note.detail["modes"]).split())
        memory.heed(memory.latch.lifted(str(note.detail["scope"]), modes))
        memory.resumed = int(note.detail["number"])
    else:
        memory.heed(memory.latch.set(hold_of(note.detail)))


def _underlying(scope: str) -> str:
    """The share that a scope names, or nothing."""
    kind, _, name = scope.partition(":")
    return name if kind == "underlying" else ""


def _drawdown(view: View, limits: Limits, memory: Memory) -> list[Note]:
    """Keeps the peak, and holds everything back once the result is too far below it."""
    if limits.max_drawdown_usd == inf or not view.ledger.fills or not marked(view):
        return []
    net = net_usd(view)
    memory.peak_usd = max(net, memory.peak_usd)  # in this order: nan, a peak that begins anew, gives way
    fall = memory.peak_usd - net
    if fall > limits.max_drawdown_usd and not _held(memory, ALL, DRAWDOWN):
        why = f"{fall:.2f} USD below the peak of {memory.peak_usd:.2f}, allowed {limits.max_drawdown_usd:g}"
        memory.trip(Hold(scope=ALL, mode=Mode.REDUCE, cause=DRAWDOWN, why=why, at=view.now))
    if abs(memory.peak_usd - memory.told_peak_usd) < TOLD_SHARE * limits.max_drawdown_usd:
        return []
    memory.told_peak_usd = memory.peak_usd
    return [Note(kind="peak", detail={"net_usd": memory.peak_usd})]


def _naked(name: str, usd: float, view: View, limits: Limits, memory: Memory) -> None:
    """Holds a share back of which net shares have stood without a hedge for too long."""
    if usd <= limits.max_naked_usd:
        memory.naked_since.pop(name, None)
        return
    since = memory.naked_since.setdefault(name, view.now)
    scope = f"underlying:{name}"
    if view.now - since > limits.max_naked_ns and not _held(memory, scope, NAKED):
        long = f"{(view.now - since) / NS:.0f} s, allowed {limits.max_naked_ns / NS:g} s"
        why = f"{usd:.2f} USD without a hedge (above {limits.max_naked_usd:g}) for {long}"
        memory.trip(Hold(scope=scope, mode=Mode.REDUCE, cause=NAKED, why=why, at=view.now))


def naked_usd(name: str, view: View) -> float:
    """USD of the net shares of an underlying, absolute, with what mints and redemptions under way will make of them;
    inf where they, or their price, are not known."""
    return nakeds_usd((name,), view).get(name, 0.0)


def nakeds_usd(names: tuple[str, ...], view: View) -> dict[str, float]:
    """The same of several underlyings; one that is left out has no net shares."""
    columns, ledger = view.columns, view.ledger
    positions, instruments = ledger.positions, columns.universe.instruments
    if ledger.conversions.under_way:
        coming = ledger.coming()
        positions = {at: ledger.position(at) + coming.get(at, Decimal(0)) for at in {**positions, **coming}}
    shares: dict[str, Decimal | None] = {}
    prices: dict[str, float] = {}
    """Of a share by what is held of it, for where it has no fair value."""
    for number, units in positions.items():
        name = instruments[number].underlying
        if not units or name not in names:
            continue
        worth = columns.f_rows[number][K.SHARES_PER_UNIT]
        before = shares.get(name, Decimal(0))
        shares[name] = None if before is None or not isfinite(worth) else before + units * exact(worth)
        if isfinite(mark := columns.mark_usd(number)):
            prices[name] = mark / worth
    return {name: _usd(name, net, prices.get(name, inf), columns) for name, net in shares.items() if net is None or net}


def _usd(name: str, shares: Decimal | None, price: float, columns: Columns) -> float:
    """USD of net shares, absolute, at the fair value, or at a price where that is not known."""
    if shares is None:
        return inf
    fair = columns.g.item(columns.underlyings.index(name), K.FAIR)
    return abs(float(shares)) * (fair if isfinite(fair) else price)


def marked(view: View) -> bool:
    """Whether everything that is held has a price that is believed now."""
    columns, now = view.columns, view.now
    for owned in (view.ledger.held, view.ledger.away):
        for at, units in owned.items():
            k = columns.k_rows[at]
            priced = k[K.REFUSAL] == K.OK and now <= k[K.EXPIRES] and isfinite(columns.mark_usd(at))
            if units and not (priced and columns.fx_is_fresh(at, now)):
                return False
    return True


def loss_problem(view: View, limits: Limits, memory: Memory) -> Problem | None:
    """What speaks against opening anything, by the result of the day and of all days. Without a fill there is none."""
    if not view.ledger.fills:
        return None
    net = net_usd(view)
    if not isfinite(net) or memory.day < 0:
        return Reason.DAILY_LOSS, "today's result is not known: a position has no price, or the day no beginning yet"
    loss = memory.day_start_net - net
    if not loss <= float(limits.max_daily_loss_usd):
        return Reason.DAILY_LOSS, f"{loss:.2f} USD lost today, allowed {limits.max_daily_loss_usd}"
    fall = memory.peak_usd - net
    if limits.max_drawdown_usd < inf and not fall <= limits.max_drawdown_usd:
        if isnan(fall):
            return Reason.DRAWDOWN, "the peak begins anew, and not everything that is held has a believed price"
        return Reason.DRAWDOWN, f"{fall:.2f} USD below the peak, allowed {limits.max_drawdown_usd:g}"
    return None


def wished(intent: Intent, limits: Limits, memory: Memory, now: int) -> None:
    """Counts a wish; a strategy that wishes too often is halted."""
    if limits.max_wishes_per_minute == inf:
        return
    times = memory.wished.setdefault(intent.strategy, deque())
    scope = f"strategy:{intent.strategy}"
    if _held(memory, scope, RUNAWAY):
        return
    times.append(now)
    if len(times) > limits.max_wishes_per_minute:
        why = f"{len(times)} wishes in a minute, allowed {limits.max_wishes_per_minute:g}"
        times.clear()
        memory.trip(Hold(scope=scope, mode=Mode.HALT, cause=RUNAWAY, why=why, at=now))


def _held(memory: Memory, scope: str, cause: str) -> bool:
    """Whether the gate itself holds a scope back for a cause already; such a hold has no end of its own."""
    return any(hold.scope == scope and hold.cause == cause for hold in memory.latch.holds)
