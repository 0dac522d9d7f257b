"""`pegline tokens verify`: asks a node whether the registry's contracts are what it says, and what each is worth."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from bot.wiring import Verified
    from connectors.instruments import Token
    from connectors.registry import Registry

SCHEMA = 1
ONE = 10**18


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what to verify, and where to ask."""
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="only these tokens; none are all of the chain")
    parser.add_argument("--chain", required=True, help="as the registry calls it, e.g. ethereum")
    parser.add_argument(
        "--node", default="", metavar="URL", help="address of a node of that chain (JSON-RPC over HTTP)"
    )
    parser.add_argument("--key-file", default="", metavar="FILE", help='a file with url = "...", where it holds a key')
    parser.add_argument("--registry", default="", metavar="FILE", help="another registry than the one that is shipped")
    parser.add_argument("--shares-oracle", default="", metavar="ADDRESS", help="Ondo's SyntheticSharesOracle there")
    parser.add_argument(
        "--pin", default="", metavar="FILE",
        help="hold the code against this file of pins, and add what is right and not in it yet, with block and date",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints what was found. Raises UsageError, RegistryError, DataError, ConnectorError; CheckFailed is the exit code
    only."""
    from bot.errors import ExitCode
    from bot.keys import reader
    from bot.wiring import verify_tokens
    from connectors.registry import load_registry, read_registry

    registry = read_registry(Path(args.registry)) if args.registry else load_registry()
    tokens = _chosen(registry, args.chain, args.symbols)
    _check_node(args.node, args.key_file)
    key = reader(Path(args.key_file), venue=args.chain) if args.key_file else dict
    options = {"shares_oracle": args.shares_oracle} if args.shares_oracle else {}
    pin = Path(args.pin) if args.pin else None
    block, found, new = asyncio.run(
        verify_tokens(args.chain, tokens, registry, url=args.node, key=key, options=options, pin=pin)
    )
    if args.json:
        print(json.dumps({"schema": SCHEMA, "chain": args.chain, "block": block, "new_pins": new,
                          "tokens": [_facts(one) for one in found]}, indent=2))  # fmt: skip
    else:
        _show(args.chain, block, found, args.pin, new)
    return ExitCode.CHECK_FAILED if any(one.problems for one in found) else ExitCode.OK


def _chosen(registry: Registry, chain: str, symbols: Sequence[str]) -> tuple[Token, ...]:
    """The registry's tokens on a chain. Raises RegistryError where it is no EVM chain or has none of them."""
    from connectors.errors import RegistryError

    if chain not in registry.chains:
        known = ", ".join(sorted(registry.chains))
        raise RegistryError(f"{chain!r} is no EVM chain of the registry", hint=f"known: {known}")
    tokens = registry.select(chain=chain)
    if symbols:
        wanted = {token.contract for symbol in symbols for token in registry.named(symbol)}
        tokens = tuple(token for token in tokens if token.contract in wanted)
    if not tokens:
        raise RegistryError(f"none of them is on {chain}", hint="`pegline tokens list` shows the chains of each")
    return tokens


def _check_node(url: str, key_file: str) -> None:
    """Raises UsageError without exactly one place to ask, or for an address that seems to hold a key: what stands on
    a command line can be read by everybody on the machine."""
    from bot.errors import UsageError

    if bool(url) == bool(key_file):
        raise UsageError("write --node URL or --key-file FILE", hint='the file holds a line url = "..."')
    if any("@" in p.netloc or p.query or re.search(r"[0-9A-Za-z_-]{16,}", p.path) for p in map(urlsplit, url.split())):
        raise UsageError(
            "the address of --node seems to hold a key", hint='put it into a file: url = "...", --key-file'
        )


def _facts(one: Verified) -> dict[str, Any]:
    """One token for machines."""
    reading, identity = one.reading, one.identity
    return {
        "symbol": one.token.symbol,
        "issuer": one.token.issuer,
        "contract": one.token.contract,
        "ok": not one.problems,
        "problems": list(one.problems),
        "code_hash": identity.code_hash or None,
        "pinned": bool(one.token.code_hash),
        "implementation": identity.implementation or None,
        "decimals": identity.decimals,
        "multiplier": None if reading is None else reading.multiplier / ONE,
        "pending": None if reading is None or reading.pending is None else reading.pending / ONE,
        "activates_s": None if reading is None else reading.activates_s,
        "paused": None if reading is None else reading.paused,
        "supply": None if reading is None else reading.supply_units,
    }


def _show(chain: str, block: int, found: Sequence[Verified], pin: str, new: int) -> None:
    """A table for people, and below it what is wrong."""
    from bot.tables import print_table

    rows = []
    for one in found:
        facts = _facts(one)
        worth = "?" if facts["multiplier"] is None else f"{facts['multiplier']:.9g}"
        if facts["pending"] is not None:
            worth += f", then {facts['pending']:.9g}"
        state = "WRONG" if one.problems else "paused" if facts["paused"] else "ok"
        code = f"{one.identity.code_hash[:10]}…" + (" pinned" if one.token.code_hash else "")
        rows.append([one.token.symbol, one.token.issuer, one.token.contract, state, worth, code])
    print_table(("token", "issuer", "contract", "is", "multiplier", "code"), rows, whole=("contract",))
    for one in found:
        for problem in one.problems:
            print(f"  {one.token.symbol} ({one.token.issuer}): {problem}")
    wrong = sum(1 for one in found if one.problems)
    print(f"{len(found)} contracts on {chain} at block {block}: {wrong} wrong.", file=sys.stderr)
    if pin:
        print(f"{new} pinned now in {pin}. Write [run] pins_file to have feeds refuse other code.", file=sys.stderr)
    elif any(not one.token.code_hash for one in found):
        print("A code that is not pinned is believed: --pin FILE pins what runs now.", file=sys.stderr)
