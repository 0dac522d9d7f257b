"""A dry run has no signer: neither the wallet's modules nor the library that signs are ever loaded."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

CONFIG = """
[run]
state_dir = "{state}"
[http]
port = 0
[venues.chain]
kind = "oracle"
feed = "onchain"
url = "http://127.0.0.1:9"
[venues.pool]
kind = "dex"
feed = "none"
taker_fee_bps = 30
fixed_cost_usd = 0
latency_ms = 1
[instruments."chain:0x1111111111111111111111111111111111111111"]
role = "share"
underlying = "TSLA"
[instruments."pool:TSLAx/USD"]
token = "TSLAx"
unit_model = "rebasing"
lot = 0.25
[strategies.cross_venue]
min_edge_bps = 50
size_units = 0.25
max_short_units = 0.25
max_long_units = 0.25
[risk]
max_order_usd = 1000
max_position_usd = 1000
max_gross_usd = 2000
collar_bps = 1000
max_orders_per_minute = 60
max_daily_loss_usd = 100
sessions = ["pre", "regular", "post", "overnight", "weekend", "holiday"]
coin_band_bps = 100
hedge_orders_per_minute = 0
max_wishes_per_minute = inf
max_turnover_usd_per_day = inf
trade_gap_s = 0
max_drawdown_usd = inf
max_naked_usd = inf
max_naked_s = inf
caps.token_usd = inf
caps.venue_usd = inf
caps.issuer_usd = inf
caps.chain_usd = inf
caps.stablecoin_usd = inf
"""


async def test_a_run_that_reads_a_chain_loads_nothing_that_signs(tmp_path: Path) -> None:
    """
    `pegline run` with a feed of an EVM chain and paper trades loads that feed, and no key, wallet or eth_account.
    """
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(state=tmp_path / "state"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "importtime", "-m", "bot", "run", "--config", str(config), "--seconds", "0.1",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(90):
        _, told = await process.communicate()
    said = told.decode()
    loaded = set(re.findall(r"^import time:.*\| +(\S+)$", said, re.MULTILINE))
    assert 0 == process.returncode, said[-2_000:]
    assert "dry run on 2 instruments" in said
    assert {"connectors.evm.rpc", "connectors.paper", "bot.daemon"} <= loaded
    assert not [name for name in loaded if name.startswith(("eth_account", "eth_keys", "connectors.evm.keys"))]
    assert not {"connectors.evm.wallet", "connectors.evm.executor"} & loaded
