"""Pains 20, 21 and 25: one process of the bot, over sockets, that has traded; and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from eth_account import Account
from prometheus_client.parser import text_string_to_metric_families

from bot.cli import main
from bot.journal_reader import read, verify
from connectors.errors import NotSigned
from connectors.evm.abi import Call, Method
from connectors.evm.keys import APPROVE, KeySigner, Policy, Transaction
from tests.daemon import CANARY, CONFIG, place, positions, value

WALLET = """
[venues.node]
kind = "oracle"
url = "http://127.0.0.1:9"
[wallet]
sign = true
[wallet.chains.base]
address = "0xa8049bB68181799124F98E467DD749e120abFA64"
venue = "node"
agree = 1
key_file = "{wallet_key}"
tokens = ["0x2222222222222222222222222222222222222222"]
spenders = ["0x3333333333333333333333333333333333333333"]
confirmations = 2
max_fee_gwei = 100
max_priority_gwei = 3
max_cost_usd = 5
"""
SIGNS = re.compile(r"eth_account|eth_keys|connectors\.evm\.(keys|wallet|executor)")


class Traded(NamedTuple):
    """What a process said, showed and kept."""

    config: Path
    state: Path
    modules: frozenset[str]
    metrics: str
    said: str


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Traded:
    """`pegline run` with a wallet in its config, until it has traded a gap between two venues."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        return asyncio.run(_trade(tmp_path_factory.mktemp("traded")))


async def _trade(folder: Path) -> Traded:
    async with place(folder, CONFIG + WALLET.format(wallet_key=folder / "no-such-file")) as here:
        await here.gap()
        async with here.running() as daemon:
            await daemon.says("gap traded on paper")
            metrics = await daemon.shows(
                "metrics", lambda text: value(text, "pegline_inventory_usd", "bybit") is not None
            )
            assert 0 == await daemon.end(signal.SIGTERM)
            modules = re.findall(r"^import time:.*\| +(\S+)$", daemon.said, re.MULTILINE)
    return Traded(here.config, here.state, frozenset(modules), metrics, daemon.said)


# --- 20


def test_pain_20_a_run_on_paper_trades_and_loads_nothing_that_could_sign(traded: Traded) -> None:
    """
    Its config has a wallet that may sign, whose key file is not even there: it trades on paper all the same, and no
    module that signs, or knows a wallet, was ever loaded.
    """
    assert {0: 0.25, 1: -0.25} == positions(traded.state)
    assert {"connectors.paper", "bot.daemon"} <= traded.modules
    assert [] == [name for name in traded.modules if SIGNS.match(name)]
    assert 1.0 == value(traded.metrics, "pegline_mode", 'mode="dry_run"')


# --- 21


def test_pain_21_a_run_is_told_again_from_its_own_recording(traded: Traded, tmp_path: Path) -> None:
    """
    Nobody asked for a recording: it is there, and a backtest of it with the same config file makes the same trade, at
    the same price and fee, as the run did.
    """
    journal = tmp_path / "again.sqlite"
    words = ["--config", str(traded.config), "--tape", str(traded.state / "tape"), "--journal", str(journal)]
    assert 0 == main(["backtest", *words])
    assert 2 == len(fills(journal, tmp_path / "again.jsonl"))
    assert fills(journal, tmp_path / "again.jsonl") == fills(traded.state / "journal.sqlite", tmp_path / "first.jsonl")


def fills(journal: Path, out: Path) -> list[tuple[str, ...]]:
    """Instrument, side, quantity, price and fee of every fill, as `pegline journal export` tells them."""
    out.unlink(missing_ok=True)
    assert 0 == main(["journal", "export", "fills", "--file", str(journal), "--out", str(out)])
    told = map(json.loads, out.read_text().splitlines())
    return sorted(tuple(row[key] for key in ("instrument", "side", "quantity", "price", "fee")) for row in told)


# --- 25


ROUTER, TOKEN, THIEF = ("0x" + digit * 40 for digit in "123")
SWAP, TRANSFER = Method("swap", ("uint256",)), Method("transfer", ("address", "uint256"))
POLICY = Policy(
    chain_id=8453, calls=frozenset({(ROUTER, SWAP.selector)}), tokens=frozenset({TOKEN}), spenders=frozenset({ROUTER}),
    max_fee_wei=100,
)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "fee", "signed"),
    [
        (SWAP.call(ROUTER, 7), 100, True),
        (APPROVE.call(TOKEN, ROUTER, 7), 100, True),
        (TRANSFER.call(TOKEN, THIEF, 7), 100, False),
        (APPROVE.call(TOKEN, THIEF, 7), 100, False),
        (APPROVE.call(TOKEN, ROUTER, 2**256 - 1), 100, False),
        (SWAP.call(THIEF, 7), 100, False),
        (SWAP.call(ROUTER, 7), 101, False),
    ],
)
def test_pain_25_a_wallet_signs_for_those_on_its_list_and_nothing_else(call: Call, fee: int, signed: bool) -> None:
    """
    A swap at its router and an exact approval of it are signed; a transfer to anybody, another spender, an approval
    without a limit, a stranger's contract or too high a fee is not.
    """
    signer = KeySigner(bytes.fromhex("5a" * 32), POLICY)
    asked = Transaction(
        chain_id=8453, nonce=0, to=call.to, data=call.data, gas=10**6, max_fee_wei=fee, max_priority_wei=1
    )  # fmt: skip
    if signed:
        assert signer.address == Account.recover_transaction(signer.sign(asked).raw)
    else:
        with pytest.raises(NotSigned):
            signer.sign(asked)


def test_pain_25_a_key_stands_in_nothing_that_is_said_shown_or_kept(traded: Traded) -> None:
    """
    Not in a log line, a metric, the journal or the tape; the journal is whole and tells of the trade.
    """
    kept = [path for path in traded.state.rglob("*") if path.is_file()]
    assert CANARY in (traded.config.parent / "key").read_text()
    assert [] == [path for path in kept if CANARY.encode() in path.read_bytes()]
    assert CANARY not in traded.said + traded.metrics
    assert verify(traded.state / "journal.sqlite").ok
    assert any(read(traded.state / "journal.sqlite", kind="step"))


def test_pain_25_metrics_are_there_and_no_label_grows_with_what_is_done(traded: Traded) -> None:
    """
    The trade is counted, every sample can be read, and nothing that is new with each trade or row (an id, a price, a
    time) is a label.
    """
    families = list(text_string_to_metric_families(traded.metrics))
    samples = [sample for family in families for sample in family.samples]
    assert 2 == sum(sample.value for sample in samples if sample.name == "pegline_orders_total")
    labels = {label for sample in samples for label in sample.labels.values()}
    assert [] == [label for label in labels if re.search(r"cross_venue-\d|\d{10}", label)]
