"""A folder with a config, a key and a wallet on a real node, for tests of `pegline wallet`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from bot.cli import main
from connectors.amm.forks import Family
from connectors.evm.keys import APPROVE, PERMIT
from tests.chain.parts import Parts
from tests.chain.trader import KEY, STOCK, Pit, pit
from tests.servers.anvil import Anvil

BASE = 8453
PASSWORD = "correct horse battery"
CONFIG = """
[run]
state_dir = "{state}"
[venues.node]
kind = "oracle"
url = "{url}"
[wallet]
sign = {sign}
[wallet.chains.base]
address = "{address}"
venue = "node"
agree = 1
{key}
tokens = [{tokens}]
spenders = ["{spender}"]
{permit}
confirmations = 2
max_head_age_s = 3600
max_fee_gwei = 100
max_priority_gwei = 3
max_cost_usd = 5
"""


@dataclass
class Place:
    """A folder with a config and a key, and a wallet on a node."""

    folder: Path
    here: Pit
    address: str

    def write(self, *, sign: bool = True, key: str = 'key_file = "wallet.key"', more: str = "", **other: str) -> None:
        """The config."""
        route = self.here.route
        text = CONFIG.format(
            state=self.folder / "state",
            url=other.get("url", self.here.node.url),
            sign=str(sign).lower(),
            address=other.get("address", self.address),
            key=key,
            tokens=f'"{self.here.token.address}", "{self.here.coin.address}"',
            spender=route.router.address,
            permit=f'permit = "{route.permit.address}"' if route.permit else "",
        )
        (self.folder / "config.toml").write_text(text + more)

    async def pegline(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """Runs a command in a thread; its exit code, and what it said on stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in environ.items():
                patch.setenv(name, value)
            code = await asyncio.to_thread(main, [*words, "--config", str(self.folder / "config.toml")])
        return code, out.getvalue(), err.getvalue()

    async def process(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """The same in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *words, "--config", str(self.folder / "config.toml"),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environ},
        )  # fmt: skip
        async with asyncio.timeout(90):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def shown(self) -> dict[str, Any]:
        """What `wallet show --json` says of the one wallet."""
        code, out, err = await self.pegline("wallet", "show", "--json")
        assert 0 == code, err
        told = json.loads(out)
        assert 1 == told["schema"]
        (wallet,) = told["wallets"]
        return dict(wallet)

    async def allow(self, units: int) -> None:
        """The router may spend so many stocks, at Permit2 too."""
        node, route = self.here.node, self.here.route
        await node.become(self.address)
        calls = [APPROVE.call(route.token.address, route.spender, units)]
        if route.permit:
            calls.append(PERMIT.call(route.permit.address, route.token.address, route.router.address, units, 2**47))
        for call in calls:
            await node.send(call.to, call.data, sender=self.address)
        await node.rpc("anvil_stopImpersonatingAccount", self.address)

    @property
    def journal(self) -> Path:
        """Where it is."""
        return self.folder / "state" / "journal.sqlite"


async def placed(chain: Parts, node: Anvil, folder: Path, family: Family = Family.V3) -> Place:
    """A wallet with ten coins and 1,000 stocks."""
    here = await pit(chain, node, family)
    place = Place(folder, here, Account.from_key(KEY).address)
    await node.fund(place.address, 10**19)
    await here.token.write("mint", place.address, 1_000 * STOCK)
    (folder / "wallet.key").write_text(KEY.hex())
    (folder / "wallet.key").chmod(0o600)
    place.write()
    return place
