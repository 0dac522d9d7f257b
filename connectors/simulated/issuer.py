"""A simulated issuer: what it does with requests, and apart from that what it tells, on virtual time.

A mint is requested, accepted, its shares journaled, its tokens delivered, and it is settled. A redemption begins with
the transfer of the tokens, so that they have left before the issuer says a word. The whole course of a request is
planned when it comes in: `truth` is what happens, and what is told of it may be late, lost, repeated or wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from math import isfinite

from msgspec import structs

from connectors.events import NS
from connectors.exact import exact
from connectors.instruments import Role, Universe
from connectors.orders import CONVERTED, Conversion, ConversionState, Progress
from connectors.ports import Bounds, Soft
from connectors.simulated.issuer_terms import HOUR_NS, ZERO, IssuerFault, IssuerTerms, Ways
from connectors.simulated.order_faults import chance

State = ConversionState
ANSWER_NS = NS // 2
"""From a request or question to the issuer's answer."""


class SimulatedIssuer:
    """Primary of one issuer. Deterministic: the same requests at the same moments come to the same ends."""

    def __init__(
        self, issuer: str, universe: Universe, terms: IssuerTerms, usd_per_unit: Callable[[int], float],
        shares_per_unit: Callable[[int], float],
    ) -> None:  # fmt: skip
        """`usd_per_unit` and `shares_per_unit` tell of an instrument now; NaN is unknown. Prices matter only where a
        coin is given or due; between shares and tokens only what a unit is worth in shares does."""
        self.issuer, self.universe, self.terms = issuer, universe, terms
        self._usd, self._shares = usd_per_unit, shares_per_unit
        self.orders: dict[str, Conversion] = {}
        self.truth: dict[str, tuple[Progress, ...]] = {}
        """What happens to each request, oldest first; all of it, also what is still to come."""
        self._dues: dict[int, list[Progress]] = {}
        self._asked: dict[int, list[str]] = {}

    # --- what it offers

    def quote(self, *, mint: bool, source: int, target: int, quantity: Decimal, now: int) -> Soft | None:
        """What a request would bring now; None where nobody can say or the two are not a pair of this issuer."""
        ways, rate = self._ways(mint), self._rate(mint, source, target)
        if ways is None or rate is None:
            return None
        whole = quantity * rate
        expected = self._cut(whole * (1 - ways.fee))
        until = now + round(self.terms.valid_s * NS)
        return Soft(expected, ways.fee_usd, until, ways.delay_at(now).median_s, whole - expected)

    def bounds(self, *, mint: bool, source: int, target: int, now: int) -> Bounds:
        """What may be asked for now; what is open counts against the most."""
        ways, nothing = self._ways(mint), ("not for us" if self._pair(mint, source, target) else "no such pair")
        if ways is None or not self._pair(mint, source, target):
            return Bounds(nothing, ZERO, ZERO, 0)
        closed, opens = self.terms.hours(now)
        underlying = self.universe[target if mint else source].underlying
        for freeze in self.terms.freezes:
            if freeze.underlying == underlying and freeze.begin <= now < freeze.end:
                closed, opens = freeze.why, max(opens, freeze.end)
        usd, open_ = exact(self._usd(source)), self._open(source, target, now)
        caps = [ways.most, ways.most_open - open_]
        if ways.least_usd or ways.most_usd is not None or ways.most_open_usd is not None:
            if not usd.is_finite() or not usd > 0:
                return Bounds(closed or "no price", ZERO, ZERO, opens)
            caps += [ways.most_usd / usd] if ways.most_usd is not None else []
            caps += [ways.most_open_usd / usd - open_] if ways.most_open_usd is not None else []
            return Bounds(closed, max(ways.least, ways.least_usd / usd), max(ZERO, min(caps)), opens)
        return Bounds(closed, ways.least, max(ZERO, min(caps)), opens)

    def _ways(self, mint: bool) -> Ways | None:
        return self.terms.mint if mint else self.terms.redeem

    def _pair(self, mint: bool, source: int, target: int) -> bool:
        """Whether one is a token of this issuer and the other its share or a coin."""
        token, other = self.universe[target if mint else source], self.universe[source if mint else target]
        shares_at = self.terms.shares_at or other.venue
        share = other.role is Role.SHARE and other.underlying == token.underlying and other.venue == shares_at
        same = share or (other.role is Role.COIN and self.terms.cash)
        return token.role is Role.TOKEN and token.issuer == self.issuer and same

    def _rate(self, mint: bool, source: int, target: int) -> Decimal | None:
        """Units of the target for one of the source, before the fee."""
        if not self._pair(mint, source, target):
            return None
        cash = Role.COIN in (self.universe[source].role, self.universe[target].role)
        worth = self._usd if cash else self._shares
        given, due = worth(source), worth(target)
        return exact(given) / exact(due) if isfinite(given) and isfinite(due) and due > 0 and given > 0 else None

    def _cut(self, units: Decimal) -> Decimal:
        return units.quantize(Decimal(1).scaleb(-self.terms.digits), ROUND_DOWN)

    def _open(self, source: int, target: int, now: int) -> Decimal:
        """Units of the source in requests of this pair that have not ended."""
        return sum(
            (
                order.quantity
                for id, order in self.orders.items()
                if (order.source, order.target) == (source, target) and self.now(id, now).state not in CONVERTED
            ),
            ZERO,
        )

    # --- what it is asked for

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """Takes a request on, or rejects it; one whose id it knows is the same request, and is told again."""
        if order.id in self.orders:
            return self.status(order.id, now)
        number = len(self.orders)
        course, told = self._course(order, now, self.terms.fault(number, order.id))
        self.orders[order.id], self.truth[order.id] = order, course
        for due, news in told:
            self._dues.setdefault(due, []).append(news)
        return tuple(sorted({due for due, _ in told}))

    def status(self, id: str, now: int) -> tuple[int, ...]:
        """Asks how one stands."""
        self._asked.setdefault(now + ANSWER_NS, []).append(id)
        return (now + ANSWER_NS,)

    def progress(self, due: int) -> tuple[Progress, ...]:
        """What is told at `due`. Of a request that it never had it says that nothing was taken."""
        asked = [self.now(id, due) for id in self._asked.pop(due, ())]
        return (*self._dues.pop(due, ()), *asked)

    def hang_up(self) -> None:
        """Whoever listened is gone: what was still to be told is told to nobody, and the requests go on."""
        self._dues.clear()
        self._asked.clear()

    def now(self, id: str, now: int) -> Progress:
        """How a request stands in truth at `now`."""
        done = [step for step in self.truth.get(id, ()) if step.ts <= now]
        if done:
            return done[-1]
        if id in self.orders:
            return Progress(id=id, state=State.REQUESTED, ts=now)
        return Progress(id=id, state=State.REJECTED, ts=now, detail="the issuer has no such request")

    # --- what comes of it

    def _course(
        self, order: Conversion, now: int, fault: IssuerFault | None
    ) -> tuple[tuple[Progress, ...], list[tuple[int, Progress]]]:
        """What happens to a request, and what is told of it when."""
        at = now + ANSWER_NS
        problem = self._problem(order, now)
        ways, rate = self._ways(order.mint), self._rate(order.mint, order.source, order.target)
        if problem or ways is None or rate is None:
            no = self._news(order, State.REJECTED, at, detail=problem or "no price")
            return (no,), [(at, no)]
        due = self._cut(order.quantity * rate * (1 - ways.fee))
        course: tuple[Progress, ...]
        if self.terms.attested:
            course = (self._news(order, State.SETTLED, at, order.quantity, due, ways.fee_usd),)
        else:
            course = self._steps(order, at, due, ways, fault)
        told = [(step.ts, step) for step in course]
        if fault is IssuerFault.NO_WORD:
            told = [(at, self._news(order, State.UNKNOWN, at, detail="no answer"))]
        elif fault is IssuerFault.REPEATS:
            told += [(course[-1].ts + (1 + n) * NS, step) for n, step in enumerate(reversed(course))]
        return course, told

    def _steps(
        self, order: Conversion, at: int, due: Decimal, ways: Ways, fault: IssuerFault | None
    ) -> tuple[Progress, ...]:
        """The life of a request that is good."""
        all_, fee = order.quantity, ways.fee_usd
        delay = ways.delay_at(at).drawn_ns(chance(self.terms.seed, f"{order.id} delay"))
        end = at + max(delay, 2)
        sent_first = not order.mint and self.terms.by_transfer
        first = (State.JOURNALED, at, all_) if sent_first else (State.ACCEPTED, at, ZERO)
        accepted = self._news(order, *first)
        if fault is IssuerFault.REJECTED:
            return accepted, self._news(order, State.REJECTED, end, detail="rejected by the issuer")
        begun = [accepted]
        if not sent_first:
            begun.append(self._news(order, State.JOURNALED, at + 1, all_))
        if fault is IssuerFault.NEVER_SETTLES:
            return tuple(begun)
        if fault in (IssuerFault.FAILED, IssuerFault.UNFAILS):
            begun.append(self._news(order, State.FAILED, end, all_, detail="failed at the issuer"))
            if fault is IssuerFault.FAILED:
                return tuple(begun)
            end += HOUR_NS
        off = {IssuerFault.SHORT: Decimal("0.98"), IssuerFault.OTHER_PRICE: Decimal(1) / Decimal("1.01")}
        got = self._cut(due * off[fault]) if fault in off else due
        delivered = self._news(order, State.DELIVERED, end - 1, all_, got, fee)
        return (*begun, delivered, structs.replace(delivered, state=State.SETTLED, ts=end))

    def _problem(self, order: Conversion, now: int) -> str:
        """Why a request is rejected at once; empty where it is good."""
        bounds = self.bounds(mint=order.mint, source=order.source, target=order.target, now=now)
        if bounds.closed:
            return bounds.closed
        if not bounds.least <= order.quantity or not order.quantity > 0:
            return f"at least {bounds.least} units"
        if order.quantity > bounds.most:
            return f"at most {bounds.most} units now"
        mint, source, target = order.mint, order.source, order.target
        soft = self.quote(mint=mint, source=source, target=target, quantity=order.quantity, now=now)
        if self.terms.attested and soft is not None and soft.expected < order.least:
            return "the price has moved since it was quoted"
        return ""

    def _news(
        self, order: Conversion, state: State, ts: int, given: Decimal = ZERO, got: Decimal = ZERO, fee: Decimal = ZERO,
        detail: str = "",
    ) -> Progress:  # fmt: skip
        return Progress(
            id=order.id, state=state, ts=ts, given=given, got=got, fee_usd=fee, detail=detail,
            issuer_id=f"{self.issuer}-{len(self.orders)}",
        )  # fmt: skip
