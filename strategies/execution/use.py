"""How much of each limit is used now, for whoever watches: 1 is at the limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final

import msgspec

from strategies.base import View
from strategies.execution import saga as S
from strategies.execution.caps import positions_usd
from strategies.execution.limits import Limits
from strategies.execution.memory import MINUTE_NS, Memory, net_usd
from strategies.execution.saga import ENDS, Saga
from strategies.execution.stops import nakeds_usd


class Use(msgspec.Struct, frozen=True):
    """What the gate has let out at one moment."""

    limits: dict[str, float] = {}
    """Share of each limit that is in use, of the name that uses most of it; a limit that is off, or of which that is
    not known, is left out."""
    naked_usd_s: dict[str, float] = {}
    """USD x seconds that trades without an end have stood without a hedge so far, by strategy."""


NOTHING: Final = Use()
UseOf = Callable[[], Use]


def use_of(view: View, limits: Limits | None, memory: Memory, trades: Iterable[Saga]) -> Use:
    """The use at the moment of `view`; changes nothing."""
    naked: defaultdict[str, float] = defaultdict(float)
    for saga in trades:
        if saga.stage in ENDS:
            continue
        naked[saga.plan.strategy] += S.naked_usd_s(saga, view.now)
    return Use({} if limits is None else _limits(view, limits, memory), dict(naked))


def _limits(view: View, limits: Limits, memory: Memory) -> dict[str, float]:
    now, names = view.now, view.columns.underlyings
    net = net_usd(view) if view.ledger.fills else 0.0
    lost = memory.day_start_net - net if memory.day >= 0 else 0.0
    since = now - MINUTE_NS
    wishes = [sum(at > since for at in times) for times in memory.wished.values()]
    uses = {
        "daily_loss": (max(0.0, lost), float(limits.max_daily_loss_usd)),
        "drawdown": (max(0.0, memory.peak_usd - net), limits.max_drawdown_usd),
        "naked": (max(nakeds_usd(names, view).values(), default=0.0), limits.max_naked_usd),
        "turnover": (max([float(memory.turned(name, now)) for name in names], default=0.0),
                     limits.max_turnover_usd_per_day),
        "orders_per_minute": (sum(at > since for at in memory.sent), limits.max_orders_per_minute),
        "wishes_per_minute": (max(wishes, default=0), limits.max_wishes_per_minute),
        **positions_usd(view, limits),
    }  # fmt: skip
    return {name: used / most for name, (used, most) in uses.items() if isfinite(used) and isfinite(most)}
