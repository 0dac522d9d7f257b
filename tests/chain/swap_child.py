"""A process of its own that swaps once and may be killed at any time.

It keeps the real journal, books what the executor tells, and ends when its leg is final or there is nothing to do.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import msgspec

from bot.clock import sleep, wall_ns
from bot.journal import Journal
from bot.journal_reader import read
from bot.restore import restore
from connectors.errors import ConnectorError
from connectors.evm.executor import SwapExecutor
from connectors.evm.keys import KeySigner
from connectors.evm.node import alone
from connectors.evm.swap import Route
from connectors.evm.tasks import kind_of
from connectors.evm.wallet import Wallet
from connectors.orders import Approved, Intent, Leg, Report, Side
from strategies.base import Note, Step
from strategies.execution.ledger import Ledger
from strategies.execution.memory import Memory
from tests.chain.trader import CAPS, KEY, PRICE, UNIVERSE, client, policy_of, terms_of

NS = 10**9
ENCODE = msgspec.msgpack.Encoder(decimal_format="string").encode


class What(msgspec.Struct):
    """What the process is told."""

    url: str
    journal: str
    route: Route


class Ended(msgspec.Struct):
    """What it says on stdout when it ends by itself."""

    position: Decimal
    cash: Decimal
    gas: Decimal
    fills: int
    reports: int


async def main(what: What) -> Ended:
    """Goes on from the journal; orders where there is none."""
    path, ledger = Path(what.journal), Ledger(UNIVERSE)
    with Journal(path):
        pass
    steps = [msgspec.msgpack.decode(record.payload, type=Step) for record in read(path, kind="step")]
    signer = KeySigner(KEY, policy_of(what.route, CAPS))
    payloads = [record.payload for record in read(path, kind=kind_of(31337, signer.address))]
    restore(steps, UNIVERSE, ledger, Memory())
    told: list[Report] = []
    with Journal(path) as journal:

        def record(**parts: object) -> None:
            journal.append("step", wall_ns(), ENCODE(Step(seq=journal.seq + 1, ts=wall_ns(), cause="test", **parts)))

        def tell(report: Report) -> None:
            told.append(report)
            ledger.take(report, seen=Decimal(PRICE))
            record(reports=(report,))

        async with aiohttp.ClientSession() as session:
            rpc = client(session, what.url)
            wallet = Wallet(terms_of(CAPS, confirmations=1), signer, rpc, journal, clock=wall_ns, agreed=alone(rpc))
            executor = SwapExecutor(
                wallet, {0: what.route}, {0: UNIVERSE[0].name}, tell=tell, fx=lambda _: Decimal(1),
                native_usd=lambda: Decimal(2_000), clock=wall_ns,
            )  # fmt: skip
            executor.restore(payloads)
            if not steps:
                leg = Leg(instrument=0, side=Side.SELL, quantity=Decimal(4), limit=Decimal(240), seen=Decimal(PRICE))
                intent = Intent(
                    id="one", strategy="test", legs=(leg,), reason="", edge_bps=100, notional_usd=Decimal(1_000),
                    deadline_ns=wall_ns() + 600 * NS,
                )  # fmt: skip
                start = Note(kind="start", detail={"instruments": UNIVERSE[0].name})
                record(notes=(start,), wishes=(intent,), approved=(intent.id,))
                executor.submit(Approved(intent), wall_ns())
            while not steps or wallet.tasks():
                try:
                    await executor.tick()
                except ConnectorError as error:
                    print(error, file=sys.stderr)
                if told and told[-1].final:
                    break
                await sleep(0.01)
    return Ended(ledger.position(0), ledger.cash.get("USDC", Decimal(0)), ledger.gas, ledger.fills, len(told))


def run(asked: bytes, answer: Connection) -> None:
    """The process: what it is told and what it says, both as JSON; its failure in words."""
    try:
        ended: Ended | str = asyncio.run(main(msgspec.json.decode(asked, type=What)))
    except Exception:
        ended = traceback.format_exc()
    answer.send_bytes(msgspec.json.encode(ended))
