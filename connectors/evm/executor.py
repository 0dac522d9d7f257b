"""An Executor that swaps in pools of one chain out of one wallet.

A leg becomes a few tasks of the wallet: an old allowance taken back, the exact one given, the swap, and what that left
of the allowance taken back. Before each everything is looked at again, and gas must leave something of the edge. What
is told is what the chain says: tokens as they came and went, gas as it was paid, and all of it back where a reorg takes
the block away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from connectors.client_ids import intent_part
from connectors.errors import ConnectorError, CostUnknown, NoncePaused, SwapRefused, TooDear, WalletError, WrongChain
from connectors.events import NS
from connectors.evm.fees import WEI, cost_usd
from connectors.evm.node import Node
from connectors.evm.nonces import State
from connectors.evm.plan import Plan, plan
from connectors.evm.receipt import Receipt
from connectors.evm.rpc import Head
from connectors.evm.swap import Route, amounts, build, paid_with
from connectors.evm.swap_leg import (
    ZERO,
    Booked,
    Order,
    Refusal,
    edge_usd,
    fill_of,
    leg_of,
    order_of,
    paid_usd,
    report,
)
from connectors.evm.takeback import GIVES, TAKES, Owed, Takeback
from connectors.evm.tasks import Task, What
from connectors.evm.wallet import Wallet
from connectors.orders import Approved, Outcome, Report
from connectors.ports import Books, Sleep


class SwapExecutor:
    """Swaps what it is given, one leg after the other; `tick` does what there is to do and tells what has happened."""

    def __init__(
        self,
        wallet: Wallet,
        routes: Mapping[int, Route],
        names: Mapping[int, str],
        *,
        tell: Callable[[Report], None],
        fx: Callable[[int], Decimal | None],
        native_usd: Callable[[], Decimal | None],
        clock: Callable[[], int],
    ) -> None:
        """`routes` by instrument, with the names by which another run knows these. `fx` is USD per coin of an
        instrument, `native_usd` USD per coin of the chain; None is not known.
        """
        self._wallet, self._routes, self._tell = wallet, dict(routes), tell
        self._names = {number: names[number] for number in routes}
        self._numbers = {name: number for number, name in self._names.items()}
        self._fx, self._native_usd, self._clock = fx, native_usd, clock
        self._queue: deque[tuple[Approved, int]] = deque()
        self._spent: dict[str, Decimal] = {}
        """USD of gas that a leg has cost so far."""
        self._begun: set[str] = set()
        """Keys of the tasks that were begun: of a leg each is begun once."""
        self._intent = ""
        """Whose leg was begun last."""
        self._takeback = Takeback(wallet)
        self._outcomes: dict[str, Outcome] = {}
        """Of legs, as far as they are known."""
        self._held: set[str] = set()
        """Legs of which nothing is under way any more, and which are not final since they may have left something."""
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
        """Goes on from the wallet's records of earlier runs, in order. Raises DataError where a swap is under way of an
        instrument that this run does not have.
        """
        kept = tuple(payloads)
        self._wallet.restore(kept)
        for task in self._wallet.tasks():
            if task.note:
                order_of(task.note, self._numbers)
        self._outcomes = self._takeback.restore(kept)

    @property
    def left(self) -> Mapping[str, str]:
        """Contracts (lower-case address) of which somebody may still spend something of ours, and why that stays."""
        return self._takeback.left

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
        self._forget()
        while not self._wallet.busy:
            # The legs of one trade follow each other at once; what they leave is taken back behind them.
            goes_on = bool(self._queue) and self._queue[0][0].intent.id == self._intent
            if not goes_on and self._takeback.owed and await self._take_back():
                continue
            if not self._queue:
                break
            order, number = self._queue[0]
            self._intent = order.intent.id
            try:
                step = await self._begin(order, number)
            except Refusal as refusal:
                self._leave()
                self._refuse(order, number, refusal)
            else:
                if step == "swap":
                    self._leave()

    def _forget(self) -> None:
        """Lets go of what is remembered of legs of which nothing more will come."""
        alive = {order.intent.id for order, _ in self._queue}
        alive |= {intent_part(leg_of(task.key)) for task in self._wallet.tasks()}
        alive |= {intent_part(leg) for leg in self._takeback.owed}
        self._spent = {leg: usd for leg, usd in self._spent.items() if intent_part(leg) in alive}
        self._outcomes = {leg: outcome for leg, outcome in self._outcomes.items() if intent_part(leg) in alive}
        self._held = {leg for leg in self._held if intent_part(leg) in alive}
        self._begun = {key for key in self._begun if intent_part(leg_of(key)) in alive}

    async def _take_back(self) -> bool:
        """Whether a task was begun that takes back what a leg has left; tells which legs have left nothing."""
        begun, over = await self._takeback.begin(self._native_usd(), self._outcomes)
        for order in over:
            if order.client_id in self._held and not self._under_way(order.client_id, ""):
                self._held.discard(order.client_id)
                outcome = self._outcomes.get(order.client_id, order.outcome)
                self._tell(report(order, outcome, id=f"{order.client_id}.over"))
        return begun

    # --- before

    async def _begin(self, order: Approved, number: int) -> str:
        """Begins the next task of a leg and says which. Raises Refusal, and as `tick`: then it is tried again."""
        leg, client_id = order.intent.legs[number], order.intent.client_id(number)
        route = self._routes.get(leg.instrument)
        if route is None:
            raise Refusal("route", "no pool for this instrument")
        if self._clock() > order.intent.deadline_ns:
            raise Refusal("deadline", "the deadline has passed")
        fx, native_usd = self._fx(leg.instrument), self._native_usd()
        if fx is None or native_usd is None or not native_usd > 0:
            raise Refusal("cost_unknown", "what the coin or the gas is worth is not known")
        wallet, deadline_s = self._wallet, order.intent.deadline_ns // NS
        given = f"{client_id}.approve" in self._begun
        try:
            habit = await wallet.habit()
            wanted = amounts(leg, route)
            swap = build(route, wanted, wallet.address, deadline_s)

            async def asked(node: Node, head: Head) -> tuple[int, Plan]:
                """What must be known of one block, and what several nodes must say alike."""
                counted, _ = await wallet.at(node, head)
                return counted, await plan(
                    node, head, route, wanted, swap, wallet.address, deadline_s, habit, given=given
                )

            head, (counted, found) = await wallet.agreed(asked)
            await wallet.ready(head, counted)
            self._look_at_token(found, route)
            if found.refused:
                raise Refusal(found.refused, found.detail)
            key = f"{client_id}.{found.step}"
            if key in self._begun:
                why = f"{found.step} was done, and changed nothing"
                self.stuck[paid_with(route, wanted).address.lower()] = why
                raise Refusal("token", why)
            market = await wallet.market()
            pays_usd, most_usd = self._room_usd(order, number)
            needed_usd = cost_usd(found.gas_all, market.price, found.data_fee_all_wei, native_usd)
            if needed_usd >= min(pays_usd, most_usd):
                left = min(pays_usd, most_usd)
                raise Refusal("gas", f"gas costs {needed_usd:.4f} USD, {left:.4f} are left for it")
            note = Order(
                client_id=client_id, intent_id=order.intent.id, number=number, leg=leg, step=found.step, fx=fx,
                name=self._names[leg.instrument], route=route, native_usd=native_usd,
                data_fee_wei=found.data_fee_wei, charges_limit=habit.charges_limit,
            )  # fmt: skip
            # At this price what is expected eats the edge, or all the gas that the leg's tasks are given eats the cap.
            pays_wei = (pays_usd / native_usd * WEI - found.data_fee_all_wei) / found.gas_all
            most_wei = (most_usd / native_usd * WEI - found.data_fee_all_wei) / found.limit_all
            task = Task(
                key=key, to=found.to, data=found.data, gas=found.gas, deadline_s=deadline_s,
                max_fee_wei=int(min(pays_wei, most_wei)), note=msgspec.msgpack.encode(note),
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
        except CostUnknown as error:
            raise Refusal("cost_unknown", error.what) from error
        except WalletError as error:
            raise Refusal("not_signed", str(error)) from error
        self._begun.add(key)
        if not sent:
            self._tell(report(note, Outcome.UNKNOWN, detail="whether it was sent is not known", final=False))
        return found.step

    def _room_usd(self, order: Approved, number: int) -> tuple[Decimal, Decimal]:
        """What a leg may still cost so that the trade pays, and at most.

        All legs so far may cost no more than the strategy knew of them and the edge, that is one for all of them.
        """
        known, spent = edge_usd(order), ZERO
        for at, leg in enumerate(order.intent.legs[: number + 1]):
            route = self._routes.get(leg.instrument)
            known += ZERO if route is None else route.gas_usd
            spent += self._spent.get(f"{order.intent.id}-{at}", ZERO)
        own = self._spent.get(order.intent.client_id(number), ZERO)
        return known - spent, self._wallet.terms.caps.max_cost_usd - own

    def _look_at_token(self, found: Plan, route: Route) -> None:
        """Remembers which contracts cannot be moved as they should."""
        if found.stuck:
            self.stuck[found.stuck] = found.detail
        elif not found.refused:
            for side in (route.token, route.coin):
                self.stuck.pop(side.address.lower(), None)

    def _leave(self) -> None:
        """The first leg of the queue goes; what it let somebody spend is to be taken back."""
        order, number = self._queue.popleft()
        client_id = order.intent.client_id(number)
        if any(f"{client_id}.{step}" in self._begun for step in GIVES):
            leg = order.intent.legs[number]
            self._takeback.owed[client_id] = Owed(
                Order(
                    client_id=client_id, intent_id=order.intent.id, number=number, leg=leg, step="", data_fee_wei=0,
                    name=self._names[leg.instrument], route=self._routes[leg.instrument],
                    fx=self._fx(leg.instrument) or ZERO, native_usd=self._native_usd() or ZERO,
                )
            )  # fmt: skip

    def _refuse(self, order: Approved, number: int, refusal: Refusal) -> None:
        """Tells that a leg is not begun; final where nothing of it is open any more."""
        client_id = order.intent.client_id(number)
        self._outcomes[client_id] = Outcome.REFUSED
        self._tell(
            Report(
                client_id=client_id,
                intent_id=order.intent.id,
                leg=number,
                outcome=Outcome.REFUSED,
                reason=refusal.reason,
                detail=refusal.detail,
                final=self._over(client_id),
            )
        )

    # --- after

    def _happened(self, what: What) -> bytes:
        """Tells what became of a task, and gives what must be known of it later. Raises BadMessage for a receipt that
        lacks something.
        """
        if not what.task.note:  # an operator's own, of which no leg is to be told anything
            return b""
        order = order_of(what.task.note, self._numbers)
        news = f"{what.hash or what.task.key}.{what.number}"
        if what.what is State.MINED:
            assert what.receipt is not None
            return self._mined(what, what.receipt, order, news)
        if what.what is State.GONE:
            self._gone(what, order, news)
            return b""
        booked = msgspec.msgpack.decode(what.kept, type=Booked)
        if what.what is State.SETTLED:
            if self._over(order.client_id, what.task.key):
                known = order.outcome if order.step in TAKES else booked.outcome
                self._tell(report(order, self._outcomes.get(order.client_id, known), id=news))
            return what.kept
        self._outcomes.pop(order.client_id, None)
        self._spend(order, -(booked.gas_usd if booked.fill is None else booked.fill.gas_usd))
        fills = () if booked.fill is None else (booked.fill,)
        undone = tuple(msgspec.structs.replace(fill, instrument=order.leg.instrument) for fill in fills)
        why = "a reorg took it out of the chain"
        unknown, back = Outcome.UNKNOWN, -booked.gas_usd
        self._tell(report(order, unknown, id=news, undone=undone, gas_usd=back, detail=why, final=False))
        return b""

    def _mined(self, what: What, receipt: Receipt, order: Order, news: str) -> bytes:
        """Tells of a task that a block has: the fill, or the gas that was paid for none."""
        gas_usd = paid_usd(order, receipt, what.limit)
        worked = receipt.worked and not what.instead
        if worked and order.step == "swap":
            chain, me = self._wallet.terms.chain_id, self._wallet.address
            fill = fill_of(order, receipt, wallet=me, chain_id=chain, ts=self._clock(), gas_usd=gas_usd)
            self._spend(order, gas_usd)
            self._outcomes[order.client_id] = Outcome.ACCEPTED
            asked = order.leg.quantity
            detail = "" if fill.quantity == asked else f"{fill.quantity} of {asked} were moved"
            self._tell(report(order, Outcome.ACCEPTED, id=news, fills=(fill,), detail=detail, final=False))
            return msgspec.msgpack.encode(Booked(outcome=Outcome.ACCEPTED, fill=fill))
        self._spend(order, gas_usd)
        outcome, reason, why = Outcome.UNKNOWN, "", order.step
        if not worked and order.step in TAKES:
            why = f"{order.step} was reverted"
            self._takeback.failed(order, why)
        elif not worked:
            outcome = self._outcomes[order.client_id] = Outcome.REFUSED
            reason, why = ("deadline", "not mined in time") if what.instead else ("reverted", "reverted")
            self._drop(order)
        self._tell(report(order, outcome, id=news, gas_usd=gas_usd, reason=reason, detail=why, final=False))
        return msgspec.msgpack.encode(Booked(outcome=Outcome.REFUSED, gas_usd=gas_usd))

    def _gone(self, what: What, order: Order, news: str) -> None:
        """Tells that a task will not happen."""
        why = "its nonce was used by a transaction that is not ours"
        why = f"an operator gave it up: {what.why}" if what.why else why
        if order.step in TAKES:
            self._takeback.owed[order.client_id] = Owed(order)
            self._over(order.client_id, what.task.key)
            self._tell(report(order, Outcome.UNKNOWN, id=news, detail=f"{order.step}: {why}", final=False))
            return
        self._drop(order)
        self._outcomes[order.client_id] = Outcome.REFUSED
        final = self._over(order.client_id, what.task.key)
        self._tell(report(order, Outcome.REFUSED, id=news, reason="nonce", detail=why, final=final))

    def _spend(self, order: Order, usd: Decimal) -> None:
        self._spent[order.client_id] = self._spent.get(order.client_id, ZERO) + usd

    def _drop(self, order: Order) -> None:
        """A leg whose approval failed is not gone on with."""
        if self._queue and self._head_of_queue() == order.client_id:
            self._leave()

    def _head_of_queue(self) -> str:
        order, number = self._queue[0]
        return order.intent.client_id(number)

    def _over(self, client_id: str, but: str = "") -> bool:
        """Whether nothing more will come for a leg once the task `but` is closed."""
        if (self._queue and self._head_of_queue() == client_id) or self._under_way(client_id, but):
            return False
        if client_id in self._takeback.owed:
            self._held.add(client_id)
            return False
        return True

    def _under_way(self, client_id: str, but: str) -> bool:
        """Whether a task of a leg is under way, other than `but`."""
        return any(task.key != but and leg_of(task.key) == client_id for task in self._wallet.tasks())
