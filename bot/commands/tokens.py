"""`pegline tokens`: the registry of tokenized shares, as a list or one token in full, and asked on chain."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import groupby

from bot.commands import tokens_verify
from bot.tables import print_table
from connectors.errors import RegistryError
from connectors.instruments import Token, Trust, UnitModel
from connectors.registry import Registry, load_registry

SCHEMA = 1
MODELS = {
    UnitModel.REBASING: "one unit is one share; at an event balances change, not what a unit is worth",
    UnitModel.SCALED_UI: "one raw unit is worth `multiplier` shares; wallets show raw x multiplier",
    UnitModel.TOTAL_RETURN: "one unit is worth `multiplier` shares; balances do not change",
    UnitModel.VAULT: "one unit is worth convertToAssets(1 unit) shares, as an ERC-4626 vault says",
    None: "not known: the token can be listed, but not priced",
}
TRUSTS = {
    Trust.ISSUER: "named by a repository or page that the issuer runs",
    Trust.MULTI: "two or more independent sources agree",
    Trust.THIRD_PARTY: "one source that is not the issuer",
}
WARNING = "No address was checked on chain. Compare each with the issuer's own list before you trade."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `list` (the default), `show` and `verify`."""
    _filters(parser)
    commands = parser.add_subparsers(dest="action", metavar="{list,show,verify}")
    listing = commands.add_parser("list", help="every token, one line for each symbol and unit model")
    _filters(listing, default=argparse.SUPPRESS)
    show = commands.add_parser("show", help="one token: chains, contracts, unit model, trust, sources")
    show.add_argument("symbol", help="display name, e.g. TSLAx")
    show.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    asked = "ask a node: chain, decimals, symbol, multiplier, and the code, which may be pinned to a file"
    tokens_verify.arguments(commands.add_parser("verify", help=asked))


def _filters(parser: argparse.ArgumentParser, default: str = "") -> None:
    """The filters of `list`; they may stand before or after the word."""
    parser.add_argument("--underlying", default=default, metavar="TICKER", help="only tokens of this share")
    parser.add_argument("--issuer", default=default, help="only tokens of this issuer, e.g. xstocks")
    parser.add_argument("--chain", default=default, help="only tokens on this chain, e.g. solana")
    no = argparse.SUPPRESS if default else False
    parser.add_argument("--json", action="store_true", default=no, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints what was asked. Raises RegistryError for a token, issuer or chain that the registry does not hold."""
    if args.action == "verify":
        return tokens_verify.run(args)
    registry = load_registry()
    if args.action == "show":
        tokens = registry.named(args.symbol)
        _json(registry, tokens) if args.json else _show(registry, tokens)
        return 0
    _check_filters(registry, args)
    tokens = registry.select(underlying=args.underlying, issuer=args.issuer, chain=args.chain)
    _json(registry, tokens) if args.json else _list(tokens)
    return 0


def _check_filters(registry: Registry, args: argparse.Namespace) -> None:
    """Raises RegistryError, with what there is, for a filter that no token meets."""
    for name in ("underlying", "issuer", "chain"):
        wanted = getattr(args, name)
        known = sorted({getattr(token, name) for token in registry.tokens})
        if wanted and wanted.lower() not in {value.lower() for value in known}:
            raise RegistryError(f"no token with {name} {wanted!r}", hint="known: " + ", ".join(known))


def _json(registry: Registry, tokens: Sequence[Token]) -> None:
    """One object with the tokens, a field for each of their facts."""
    found = [
        {
            "symbol": token.symbol,
            "underlying": token.underlying,
            "issuer": token.issuer,
            "chain": token.chain,
            "chain_id": registry.chains.get(token.chain),
            "contract": token.contract,
            "decimals": token.decimals,
            "unit_model": token.unit_model,
            "trust": token.trust,
            "source": token.source,
            "note": token.note,
        }
        for token in tokens
    ]
    print(json.dumps({"schema": SCHEMA, "collected": registry.collected, "tokens": found}, indent=2))


def _list(tokens: Sequence[Token]) -> None:
    """A table with one line for each symbol, issuer, unit model and trust; its chains share the line."""

    def key(token: Token) -> tuple[str, str, str, str, str]:
        return (token.symbol, token.issuer, token.underlying, token.unit_model or "unknown", token.trust)

    rows = [[*names, ", ".join(t.chain for t in group)] for names, group in groupby(tokens, key)]
    print_table(("token", "issuer", "share", "unit model", "trust", "chains"), rows)
    print(f"{len(tokens)} contracts. {WARNING}", file=sys.stderr)
    print("One token in full: pegline tokens show TSLAx", file=sys.stderr)


def _show(registry: Registry, tokens: Sequence[Token]) -> None:
    """Every contract of a symbol, what a unit is worth, who says so, and the pools that are known."""
    for issuer, found in groupby(tokens, lambda token: token.issuer):
        group = list(found)
        print(f"{group[0].symbol}: {group[0].underlying} by {registry.issuers[issuer].name}\n")
        rows = [
            [
                f"{t.chain} ({registry.chains[t.chain]})" if t.chain in registry.chains else t.chain,
                t.contract,
                "?" if t.decimals is None else str(t.decimals),
                t.unit_model or "unknown",
                t.trust,
            ]
            for t in group
        ]
        print_table(
            ("chain (id)", "contract", "decimals", "unit model", "trust"),
            rows,
            numbers=("decimals",),
            whole=("contract",),
        )
        for model in dict.fromkeys(token.unit_model for token in group):
            print(f"  {model or 'unknown'}: {MODELS[model]}")
        for trust in dict.fromkeys(token.trust for token in group):
            print(f"  {trust}: {TRUSTS[trust]}")
        reading = registry.facts[issuer].get("evm_multiplier_fn")
        if reading:
            print(f"  multiplier on EVM: {reading}")
        for note in dict.fromkeys(token.note for token in group if token.note):
            print(f"  note: {note}")
        for source in dict.fromkeys(token.source for token in group):
            print(f"  source: {source}")
        print()
    pools = [pool for pool in registry.pools if pool.token == tokens[0].symbol]
    if pools:
        rows = [[p.chain, p.dex or "?", p.address, p.quote or "?", p.note] for p in pools]
        print_table(("chain", "dex", "pool", "quote", "note"), rows, title="Pools", whole=("pool",))
    print(WARNING, file=sys.stderr)
