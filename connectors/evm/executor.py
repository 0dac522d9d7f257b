"""An Executor that swaps in pools of one chain out of one wallet.

A leg becomes a few tasks of the wallet: an old allowance taken back, the exact one given, the swap. Before each
everything is looked at again, and gas must leave something of the edge. What is told is what the chain says: tokens as
they came and went, gas as it was paid, and all of it back where a reorg takes the block away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from connectors.errors import ConnectorError, NoncePaused, SwapRefused, TooDear, WalletError, WrongChain
from connectors.events import NS
from connectors.evm.fees import DATA_FEE_ORACLE, WEI, cost_usd
from connectors.evm.node import Node
from connectors.evm.nonces import State
from connectors.evm.plan import Plan, plan
from connectors.evm.receipt import Receipt
from connectors.evm.rpc import Head
from connectors.evm.swap import Route, amounts, build, moves, traded
from connectors.evm.wallet import Task, Wallet, What
from connectors.exact import exact
from connectors.orders import Approved, Fill, Leg, Outcome, Report, Side
from connectors.ports import Books, Sleep

ZERO: Final = Decimal(0)
_BPS: Final = Decimal(10_000)
_SPARE_GAS: Final = 50_000
"""On top of twice what the rehearsal took: other ticks may be crossed by then, and the first swap of a later second
writes a pool's price history, which the rehearsal in the second of the last one did not. What is not used is not paid.
"""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A leg that is under way, and what a report about it needs at any time."""

    client_id: str
    intent_id: str
    number: int
    leg: Leg
    step: str
    fx: Decimal
    """USD per coin when it was sent."""
    native_usd: Decimal
    """USD per coin of the chain when it was sent."""
    data_fee_wei: int
    """What publishing was said to cost, where the receipt does not say."""


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of a task that was mined."""

    outcome: Outcome
    fill: Fill | None = None
    gas_usd: Decimal = ZERO
    """Where there is no fill."""


class Refusal(Exception):
    """A leg is not begun; one word and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class SwapExecutor:
    """Swaps what it is given, one leg after the other; `tick` does what there is to do and tells what has happened."""

    def __init__(
        self,
        wallet: Wallet,
        routes: Mapping[int, Route],
        *,
        tell: Callable[[Report], None],
        fx: Callable[[int], Decimal | None],
        native_usd: Callable[[], Decimal | None],
        clock: Callable[[], int],
        data_fee_oracle: str | None = None,
    ) -> None:
        """`routes` by instrument. `fx` is USD per coin of an instrument, `native_usd` USD per coin of the chain; None
        is not known. `data_fee_oracle` replaces the one that the chain is known to have; empty is none.
        """
        self._wallet, self._routes, self._tell = wallet, dict(routes), tell
        self._fx, self._native_usd, self._clock = fx, native_usd, clock
        known = DATA_FEE_ORACLE.get(wallet.terms.chain_id)
        self._oracle = known if data_fee_oracle is None else data_fee_oracle
        self._queue: deque[tuple[Approved, int]] = deque()
        self._spent: dict[str, Decimal] = {}
        """USD of gas that a leg has cost so far."""
        self.stuck: dict[str, str] = {}
        """Contracts (lower-case address) that could not be moved as they should when last looked at, and why: what is
        held of them is stuck."""
        self.trouble = ""
        """Why the last tick did not come to its end; empty when it did."""

    # --- the port

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """Takes an order; its legs are swapped in turn. Answers are told, so no moment is asked for."""
        self._queue.extend((order, number) for number in range(len(order.intent.legs)))
        return ()

    def answer(self, due: int, books: Books) -> tuple[Report, ...]:
        """Nothing: answers are told as they come."""
        return ()

    # --- life

    def restore(self, payloads: Iterable[bytes]) -> None:
        """Goes on from the wallet's records of earlier runs, in order."""
        self._wallet.restore(payloads)

    async def run(self, sleep: Sleep, every_s: float) -> None:
        """Ticks until cancelled. What the world does wrong is tried again; JournalError and WrongChain are raised."""
        while True:
            try:
                await self.tick()
                self.trouble = ""
            except ConnectorError as error:
                self.trouble = str(error)
            await sleep(every_s)

    async def tick(self) -> None:
        """Tells what has happened, and begins the next task where none is under way.

        Raises as Rpc.ask, WrongChain, JournalError: then nothing was lost, and the next tick goes on.
        """
        for what in await self._wallet.look():
            self._wallet.noted(what, self._happened(what))
        alive = {order.intent.id for order, _ in self._queue}
        alive |= {_intent_of(task.key.rpartition(".")[0]) for task in self._wallet.tasks()}
        self._spent = {leg: usd for leg, usd in self._spent.items() if _intent_of(leg) in alive}
        while self._queue and not self._wallet.busy:
            order, number = self._queue[0]
            try:
                step = await self._begin(order, number)
            except Refusal as refusal:
                self._queue.popleft()
                self._refuse(order, number, refusal)
            else:
                if step == "swap":
                    self._queue.popleft()

    # --- before

    async def _begin(self, order: Approved, number: int) -> str:
        """Begins the next task of a leg and says which. Raises Refusal, and as `tick`: then it is tried again."""
        leg, client_id = order.intent.legs[number], f"{order.intent.id}-{number}"
        route = self._routes.get(leg.instrument)
        if route is None:
            raise Refusal("route", "no pool for this instrument")
        if self._clock() > order.intent.deadline_ns:
            raise Refusal("deadline", "the deadline has passed")
        fx, native_usd = self._fx(leg.instrument), self._native_usd()
        if fx is None or native_usd is None or not native_usd > 0:
            raise Refusal("cost_unknown", "what the coin or the gas is worth is not known")
        oracle = self._oracle
        if oracle is None:
            raise Refusal("cost_unknown", f"what chain {self._wallet.terms.chain_id} takes for publishing is not known")
        wallet, deadline_s = self._wallet, order.intent.deadline_ns // NS
        # What a leg has spent so far is for its allowance.
        given = client_id in self._spent
        try:
            wanted = amounts(leg, route)
            swap = build(route, wanted, wallet.address, deadline_s)

            async def asked(node: Node, head: Head) -> tuple[int, Plan]:
                """What must be known of one block, and what several nodes must say alike."""
                counted, _ = await wallet.at(node, head)
                return counted, await plan(
                    node, head, route, wanted, swap, wallet.address, deadline_s, oracle, given=given
                )

            head, (counted, found) = await wallet.agreed(asked)
            await wallet.ready(head, counted)
            self._look_at_token(found, route)
            if found.refused:
                raise Refusal(found.refused, found.detail)
            market = await wallet.market()
            room_usd = self._room_usd(order, number)
            needed_usd = cost_usd(found.gas_all, market.price, found.data_fee_all_wei, native_usd)
            if needed_usd >= room_usd:
                raise Refusal("gas", f"gas costs {needed_usd:.4f} USD, {room_usd:.4f} are left for it")
            gas = 2 * found.gas + _SPARE_GAS
            note = Order(
                client_id=client_id, intent_id=order.intent.id, number=number, leg=leg, step=found.step, fx=fx,
                native_usd=native_usd, data_fee_wei=found.data_fee_wei,
            )  # fmt: skip
            task = Task(
                key=f"{client_id}.{found.step}", to=found.to, data=found.data, gas=gas, deadline_s=deadline_s,
                max_fee_wei=int((room_usd / native_usd * WEI - found.data_fee_all_wei) / gas),
                note=msgspec.msgpack.encode(note),
            )  # fmt: skip
            sent = await wallet.begin(task, head, market)
        except SwapRefused as error:
            raise Refusal("amount", error.what) from error
        except TooDear as error:
            raise Refusal("gas", error.what) from error
        except NoncePaused as error:
            raise Refusal("nonce", error.what) from error
        except WrongChain as error:
            raise Refusal("wrong_chain", error.what) from error
        except WalletError as error:
            raise Refusal("not_signed", str(error)) from error
        if not sent:
            self._say(note, Outcome.UNKNOWN, detail="whether it was sent is not known", final=False)
        return found.step

    def _room_usd(self, order: Approved, number: int) -> Decimal:
        """What a leg may still cost: all legs so far no more than the strategy knew of them and the edge, that is one
        for all of them.
        """
        known, spent = _edge_usd(order), ZERO
        for at, leg in enumerate(order.intent.legs[: number + 1]):
            route = self._routes.get(leg.instrument)
            known += ZERO if route is None else route.gas_usd
            spent += self._spent.get(f"{order.intent.id}-{at}", ZERO)
        own = self._spent.get(f"{order.intent.id}-{number}", ZERO)
        return min(self._wallet.terms.caps.max_cost_usd - own, known - spent)

    def _look_at_token(self, found: Plan, route: Route) -> None:
        """Remembers which contracts cannot be moved as they should."""
        if found.stuck:
            self.stuck[found.stuck] = found.detail
        elif not found.refused:
            for side in (route.token, route.coin):
                self.stuck.pop(side.address.lower(), None)

    def _refuse(self, order: Approved, number: int, refusal: Refusal) -> None:
        """Tells that a leg is not begun; final where none of its tasks is under way any more."""
        client_id = f"{order.intent.id}-{number}"
        self._tell(
            Report(
                client_id=client_id,
                intent_id=order.intent.id,
                leg=number,
                outcome=Outcome.REFUSED,
                reason=refusal.reason,
                detail=refusal.detail,
                final=not self._under_way(client_id, ""),
            )
        )

    # --- after

    def _happened(self, what: What) -> bytes:
        """Tells what became of a task, and gives what must be known of it later. Raises BadMessage for a receipt that
        lacks something.
        """
        order = msgspec.msgpack.decode(what.task.note, type=Order)
        news = f"{what.hash or what.task.key}.{what.number}"
        if what.what is State.MINED:
            assert what.receipt is not None
            return self._mined(what, what.receipt, order, news)
        if what.what is State.GONE:
            self._drop(order)
            why = "its nonce was used by a transaction that is not ours"
            self._say(order, Outcome.REFUSED, id=news, reason="nonce", detail=why, final=self._last(what, order))
            return b""
        booked = msgspec.msgpack.decode(what.kept, type=Booked)
        if what.what is State.SETTLED:
            if self._last(what, order):
                self._say(order, booked.outcome, id=news)
            return what.kept
        self._spend(order, -(booked.gas_usd if booked.fill is None else booked.fill.gas_usd))
        undone = () if booked.fill is None else (booked.fill,)
        why = "a reorg took it out of the chain"
        self._say(order, Outcome.UNKNOWN, id=news, undone=undone, gas_usd=-booked.gas_usd, detail=why, final=False)
        return b""

    def _mined(self, what: What, receipt: Receipt, order: Order, news: str) -> bytes:
        """Tells of a task that a block has: the fill, or the gas that was paid for none."""
        fee = order.data_fee_wei if receipt.data_fee_wei is None else receipt.data_fee_wei
        gas_usd = cost_usd(receipt.gas, receipt.price_wei, fee, order.native_usd)
        if receipt.worked and not what.instead and order.step == "swap":
            fill = self._fill(receipt, order, gas_usd)
            booked = Booked(outcome=Outcome.ACCEPTED, fill=fill)
            self._spend(order, gas_usd)
            asked = order.leg.quantity
            detail = "" if fill.quantity == asked else f"{fill.quantity} of {asked} were moved"
            self._say(order, Outcome.ACCEPTED, id=news, fills=(fill,), detail=detail, final=False)
        else:
            booked = Booked(outcome=Outcome.REFUSED, gas_usd=gas_usd)
            self._spend(order, gas_usd)
            if receipt.worked and not what.instead:
                self._say(order, Outcome.UNKNOWN, id=news, gas_usd=gas_usd, detail=order.step, final=False)
            else:
                self._drop(order)
                reason, why = ("deadline", "not mined in time") if what.instead else ("reverted", "reverted")
                self._say(order, Outcome.REFUSED, id=news, gas_usd=gas_usd, reason=reason, detail=why, final=False)
        return msgspec.msgpack.encode(booked)

    def _fill(self, receipt: Receipt, order: Order, gas_usd: Decimal) -> Fill:
        """What a swap moved. Raises BadMessage where the receipt lacks logs."""
        leg = order.leg
        moved = traded(
            moves(receipt.logs, self._wallet.address), self._routes[leg.instrument], buys=leg.side is Side.BUY
        )
        return Fill(
            id=f"{self._wallet.terms.chain_id}:{receipt.hash}",
            client_id=order.client_id,
            instrument=leg.instrument,
            side=leg.side,
            quantity=moved.quantity,
            price=moved.price,
            fee=moved.rest,
            fx=order.fx,
            ts=self._clock(),
            gas_usd=gas_usd,
        )

    def _say(
        self,
        order: Order,
        outcome: Outcome,
        *,
        id: str = "",
        fills: tuple[Fill, ...] = (),
        undone: tuple[Fill, ...] = (),
        gas_usd: Decimal = ZERO,
        reason: str = "",
        detail: str = "",
        final: bool = True,
    ) -> None:
        """Tells one thing about a leg."""
        self._tell(
            Report(
                client_id=order.client_id,
                intent_id=order.intent_id,
                leg=order.number,
                outcome=outcome,
                id=id,
                fills=fills,
                undone=undone,
                gas_usd=gas_usd,
                reason=reason,
                detail=detail,
                final=final,
            )
        )

    def _spend(self, order: Order, usd: Decimal) -> None:
        self._spent[order.client_id] = self._spent.get(order.client_id, ZERO) + usd

    def _drop(self, order: Order) -> None:
        """A leg whose approval failed is not gone on with."""
        if self._queue and self._head_of_queue() == order.client_id:
            self._queue.popleft()

    def _head_of_queue(self) -> str:
        order, number = self._queue[0]
        return f"{order.intent.id}-{number}"

    def _last(self, what: What, order: Order) -> bool:
        """Whether nothing more will come for a leg once this task is closed."""
        waits = bool(self._queue) and self._head_of_queue() == order.client_id
        return not waits and not self._under_way(order.client_id, what.task.key)

    def _under_way(self, client_id: str, but: str) -> bool:
        """Whether a task of a leg is under way, other than `but`."""
        return any(task.key != but and task.key.rpartition(".")[0] == client_id for task in self._wallet.tasks())


def _intent_of(leg: str) -> str:
    """The intent's id in a leg's client id."""
    return leg.rpartition("-")[0]


def _edge_usd(order: Approved) -> Decimal:
    """What a trade is expected to bring after all costs that the strategy knew."""
    return order.intent.notional_usd * exact(order.intent.edge_bps) / _BPS
