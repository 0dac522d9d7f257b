"""The door to wallets on chain. `pegline wallet` alone goes through it; a run is on paper and never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from bot.clock import chance, monotonic_s, sleep, wall_ns
from bot.config import Config, WalletChain
from bot.journal_file import Record
from bot.journal_reader import read
from bot.keys import reader
from connectors.errors import KeyRefused
from connectors.evm.abi import checksummed
from connectors.evm.allowances import Grant
from connectors.evm.custody import Shown, Standing, begun, meant, shown, standing
from connectors.evm.fees import Caps
from connectors.evm.keys import KeySource, NoSigner, Policy, Signer, load
from connectors.evm.node import Node
from connectors.evm.revoking import TakenBack, revoke
from connectors.evm.rpcs import Foremost, nodes
from connectors.evm.tasks import Records, Terms, kind_of
from connectors.evm.wallet import Wallet
from connectors.ports import FeedSetup
from connectors.registry import load_registry

__all__ = [
    "Door",
    "Shown",
    "Standing",
    "TakenBack",
    "kept",
    "meant",
    "open_wallet",
    "revoke",
    "shown",
    "sleep",
    "standing",
]

_GWEI: Final = 10**9


@dataclass(frozen=True, slots=True)
class Door:
    """One wallet, and what its table in the config names."""

    chain: str
    chain_id: int
    wallet: Wallet
    tokens: tuple[str, ...]
    grants: tuple[Grant, ...]
    begun: Mapping[str, int]
    """When each task was signed first, ns UTC."""


class Nothing:
    """Records of somebody who only looks."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Raises RuntimeError."""
        raise RuntimeError("a look writes nothing down")

    async def wait(self, seq: int) -> None:
        """Nothing to wait for."""


def kept(journal: Path, config: Config, chain: str) -> tuple[Record, ...]:
    """The records of a wallet in a journal; none where there is no journal yet. Raises JournalError."""
    kind = kind_of(load_registry().chains[chain], config.wallet.chains[chain].address)
    return tuple(read(journal, kind=kind)) if journal.exists() else ()


@asynccontextmanager
async def open_wallet(
    config: Config,
    chain: str,
    folder: Path,
    earlier: Sequence[Record],
    *,
    records: Records | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Door]:
    """A wallet of a config. Its key is opened only where `environ` is given, which a password may stand in.

    Raises KeyRefused where the key cannot be had or is another wallet's, EntitlementLost and CredentialsMissing without
    an address of a node.
    """
    table, chain_id = config.wallet.chains[chain], load_registry().chains[chain]
    tokens = tuple(map(checksummed, table.tokens))
    caps = Caps(
        max_fee_wei=int(table.max_fee_gwei * _GWEI), max_priority_wei=int(table.max_priority_gwei * _GWEI),
        max_cost_usd=table.max_cost_usd,
    )  # fmt: skip
    signer: Signer = NoSigner(table.address)
    if environ is not None:
        signer = _signer(table, chain_id, caps, folder, environ)
    terms = Terms(
        chain_id=chain_id, confirmations=table.confirmations, stuck_blocks=table.stuck_blocks,
        max_head_age_s=table.max_head_age_s, caps=caps,
    )  # fmt: skip
    venue = config.venues[table.venue]
    async with aiohttp.ClientSession() as session:
        rpcs = nodes(_setup(table.venue, venue.url, venue.key_file, folder), session)
        relay: Node | None = None
        if table.relay or table.relay_file:
            relay = nodes(_setup(f"{chain} relay", table.relay, table.relay_file, folder), session).rpcs[0]
        wallet = Wallet(
            terms, signer, Foremost(rpcs), Nothing() if records is None else records, clock=wall_ns, relay=relay,
            agreed=partial(rpcs.agreed, table.agree),
        )  # fmt: skip
        wallet.restore(record.payload for record in earlier)
        permit = checksummed(table.permit) if table.permit else ""
        grants = tuple(Grant(token, checksummed(spender), permit) for token in tokens for spender in table.spenders)
        # A router may be allowed directly too.
        grants += tuple(Grant(one.token, one.spender) for one in grants if one.permit)
        yield Door(chain, chain_id, wallet, tokens, grants, begun((record.ts, record.payload) for record in earlier))


def _signer(table: WalletChain, chain_id: int, caps: Caps, folder: Path, environ: Mapping[str, str]) -> Signer:
    """The signer of a wallet, for allowances and nothing else. Raises KeyRefused."""
    policy = Policy(
        chain_id=chain_id,
        tokens=frozenset(map(str.lower, table.tokens)),
        spenders=frozenset(map(str.lower, table.spenders)),
        permits=frozenset({table.permit.lower()} if table.permit else ()),
        max_fee_wei=caps.max_fee_wei,
    )
    source = KeySource(
        keystore=table.keystore, password_file=table.password_file, password_env=table.password_env,
        key_file=table.key_file,
    )  # fmt: skip
    signer = load(source, policy, folder=folder, environ=environ)
    if signer.address.lower() != table.address.lower():
        hint = f"the config says {table.address}"
        raise KeyRefused(f"the key is that of {signer.address}", where=table.keystore or table.key_file, hint=hint)
    return signer


def _setup(venue: str, url: str, key_file: str, folder: Path) -> FeedSetup:
    """What makes a client of a node."""
    return FeedSetup(
        venue=venue, instruments=(), clock=wall_ns, monotonic=monotonic_s, sleep=sleep, rng=chance(0), url=url,
        key=reader(folder / Path(key_file).expanduser(), venue=venue) if key_file else dict,
    )  # fmt: skip
