"""`pegline wallet`: what a wallet on chain holds and lets others spend, and what an operator does with it by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.arguments import positive
from bot.terminal import printable

if TYPE_CHECKING:
    from bot.config import Config
    from bot.wallet_wiring import Door, Shown, Standing, TakenBack

SCHEMA = 1
NS = 10**9

EPILOG = """\
No run uses these wallets yet: `pegline run` trades on paper and opens no key. `show` opens none either. The
others write to the journal under [run] state_dir, need [wallet] sign = true, and ask before they act unless --yes is
written."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares `show`, `revoke`, `settle` and `resume`."""
    parser.epilog = EPILOG
    commands = parser.add_subparsers(dest="action", metavar="{show,revoke,settle,resume}", required=True)
    show = commands.add_parser("show", help="address, nonces, balances, who may spend what, open transactions")
    _common(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    revoke = commands.add_parser("revoke", help="take back all that the spenders of the config may spend")
    _common(revoke)
    revoke.add_argument("--wait", type=positive, default=180.0, metavar="S", help="for each block; default: 180")
    settle = commands.add_parser("settle", help="end a task that no node can tell the end of: it did not happen")
    settle.add_argument("what", metavar="TX|INTENT", help="hash of its transaction, its intent, leg or task")
    _common(settle)
    resume = commands.add_parser("resume", help="the key is ours alone again: nonces go on behind all that were used")
    _common(resume)
    for command in (settle, resume):
        command.add_argument("--reason", required=True, metavar="TEXT", help="goes into the journal")
    for command in (revoke, settle, resume):
        command.add_argument("--yes", action="store_true", help="do not ask")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="config.toml", metavar="CONFIG", help="default: config.toml")
    parser.add_argument("--chain", default="", metavar="CHAIN", help="only this wallet")


def run(args: argparse.Namespace) -> int:
    """Does it. Raises ConfigError, UsageError, RefusedByRisk, KeyRefused, WalletError, ConnectorError, AlreadyRunning,
    JournalError.
    """
    from bot.config_file import load
    from bot.errors import RefusedByRisk, UsageError

    path = Path(args.config)
    config = load(path, credentials=False)
    chains = tuple(config.wallet.chains)
    if not chains:
        raise UsageError("this config has no wallet", hint="write a table [wallet.chains.CHAIN]")
    if args.chain and args.chain not in chains:
        raise UsageError(f"no wallet on {args.chain!r}", hint=f"known: {', '.join(chains)}")
    names = (args.chain,) if args.chain else chains
    if args.action == "show":
        return asyncio.run(_show(config, names, path.parent, as_json=args.json))
    if not config.wallet.sign:
        said = "this config lets nobody sign"
        raise RefusedByRisk(said, where=f"{path.name} [wallet]", hint="write sign = true, where you mean it")
    if args.action != "revoke" and not args.reason.strip():
        raise UsageError("--reason is empty", hint="say what you know and from where")
    act = {"revoke": _revoke, "settle": _settle, "resume": _resume}[args.action]
    return asyncio.run(act(config, names, path.parent, args))


def _journal(config: Config) -> Path:
    """Where the journal is, if there is one."""
    from bot.told_state import JOURNAL

    return Path(config.run.state_dir).expanduser() / JOURNAL


# --- show


async def _show(config: Config, names: tuple[str, ...], folder: Path, *, as_json: bool) -> int:
    """Prints every wallet; one whose chain does not answer does not hide the others."""
    from bot.clock import wall_ns
    from bot.errors import ExitCode, exit_code
    from bot.wallet_wiring import kept, open_wallet, shown
    from connectors.errors import PeglineError

    journal, code, facts = _journal(config), ExitCode.OK, []
    for name in names:
        try:
            async with open_wallet(config, name, folder, kept(journal, config, name)) as door:
                seen = await shown(door.wallet, door.tokens, door.grants)
        except PeglineError as error:
            code = code or exit_code(error)
            facts.append({"chain": name, "address": config.wallet.chains[name].address, "error": str(error)})
            print(f"pegline: {name}: {printable(str(error))}", file=sys.stderr)
            continue
        facts.append(_facts(door, seen, wall_ns()))
        if not as_json:
            _table(facts[-1])
    if as_json:
        print(json.dumps({"schema": SCHEMA, "sign": config.wallet.sign, "wallets": facts}, indent=2))
    return code


def _facts(door: Door, seen: Shown, now: int) -> dict[str, Any]:
    """One wallet for machines. Amounts of smallest units are texts: they may not fit a float."""
    places = {one.contract: one.decimals for one in seen.held}
    return {
        "chain": door.chain,
        "chain_id": door.chain_id,
        "address": door.wallet.address,
        "error": None,
        "block": seen.block,
        "nonce_latest": seen.nonce_latest,
        "nonce_pending": seen.nonce_pending,
        "native": _scaled(seen.native_wei, 18),
        "native_wei": str(seen.native_wei),
        "publishing": seen.charges,
        "paused": seen.paused or None,
        "tokens": [
            {
                "contract": one.contract,
                "symbol": one.symbol or None,
                "decimals": one.decimals,
                "raw": None if one.units is None else str(one.units),
                "units": _scaled(one.units, one.decimals),
            }
            for one in seen.held
        ],
        "allowances": [
            {
                "token": one.token,
                "symbol": one.symbol or None,
                "spender": one.spender,
                "permit": one.permit or None,
                "raw": None if one.direct is None else str(one.direct),
                "units": _scaled(one.direct, places[one.token]),
                "permit_raw": None if one.permitted is None or not one.permit else str(one.permitted),
                "permit_units": _scaled(one.permitted, places[one.token]) if one.permit else None,
            }
            for one in seen.spendable
        ],
        "open": [
            {
                "task": one.key,
                "nonce": one.nonce,
                "transactions": list(one.hashes),
                "state": one.state,
                "detail": one.detail,
                "age_s": round((now - door.begun[one.key]) / NS, 1) if one.key in door.begun else None,
            }
            for one in seen.tasks
        ],
    }


def _scaled(units: int | None, decimals: int | None) -> str | None:
    """Smallest units as units, without an exponent; None where either is not known."""
    from decimal import Context, Decimal

    if units is None or decimals is None:
        return None
    text = f"{Context(prec=200).scaleb(Decimal(units), -decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _table(fact: dict[str, Any]) -> None:
    """One wallet for people."""
    from bot.tables import print_table

    print(f"{fact['chain']} ({fact['chain_id']}): {fact['address']} at block {fact['block']}")
    waiting = fact["nonce_pending"] - fact["nonce_latest"]
    print(f"  nonce       {fact['nonce_latest']}" + (f", and {waiting} wait" if waiting else ""))
    print(f"  own coin    {fact['native']}")
    print(f"  publishing  {printable(fact['publishing'])}")
    if fact["paused"]:
        print(f"  paused      {fact['paused']}; `pegline wallet resume` goes on")
    held = [[printable(one["symbol"] or "?"), one["contract"], one["units"] or "?"] for one in fact["tokens"]]
    if held:
        print_table(("token", "contract", "holds"), held, numbers=("holds",), whole=("contract",))
    may = [
        [printable(one["symbol"] or one["token"]), one["spender"], _through(one), one["units"] or one["raw"] or "?"]
        for one in fact["allowances"]
        if one["raw"] != "0" or one["permit_raw"] not in (None, "0")
    ]
    if may:
        print_table(("may spend", "who", "through", "allowed"), may, numbers=("allowed",), whole=("who",))
    else:
        print("  nobody of the config's spenders may spend anything")
    if fact["open"]:
        rows = [
            [one["task"], str(one["nonce"]), one["state"], _age(one["age_s"]), one["detail"]] for one in fact["open"]
        ]
        print_table(("open task", "nonce", "state", "age", "detail"), rows, numbers=("nonce", "age"))
        for one in fact["open"]:
            print(f"  {one['task']}: {one['transactions'][-1] if one['transactions'] else 'nothing signed'}")
    else:
        print("  no task is open")


def _through(one: dict[str, Any]) -> str:
    if not one["permit"]:
        return "the token"
    return f"Permit2, at most {one['permit_units'] or one['permit_raw'] or '?'}"


def _age(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"


# --- what changes something


async def _writing(config: Config, name: str, folder: Path, act: Callable[[Door], Awaitable[int]], *, key: bool) -> int:
    """Does something with one wallet, with the state locked and the journal open; opens its key only where needed."""
    from bot.journal import Journal
    from bot.lock import StateLock
    from bot.paths import state_dir
    from bot.told_state import JOURNAL
    from bot.wallet_wiring import kept, open_wallet

    state = state_dir(config.run.state_dir)
    with StateLock(state), Journal(state / JOURNAL, facts={"mode": "wallet"}) as journal:
        earlier = kept(state / JOURNAL, config, name)
        environ = os.environ if key else None
        async with open_wallet(config, name, folder, earlier, records=journal, environ=environ) as door:
            return await act(door)


async def _revoke(config: Config, names: tuple[str, ...], folder: Path, args: argparse.Namespace) -> int:
    """Takes back what may be spent; 5 where something is left."""
    _confirm(f"take back all allowances of the wallet on {', '.join(names)}; each costs gas", yes=args.yes)
    code = 0
    for name in names:

        async def act(door: Door) -> int:
            from bot.wallet_wiring import revoke, sleep

            return _tell_taken(door, await revoke(door.wallet, door.grants, sleep, args.wait))

        code = max(code, await _writing(config, name, folder, act, key=True))
    return code


def _tell_taken(door: Door, done: tuple[TakenBack, ...]) -> int:
    """Prints what came of it."""
    from bot.errors import ExitCode

    if not done:
        print(f"{door.chain}: nobody of the config's spenders may spend anything")
    for one in done:
        who = f"{one.permit} (for {one.spender})" if one.permit else one.spender
        cost = f", {_scaled(one.cost_wei, 18)} of the chain's coin" if one.cost_wei else ""
        said = f"NOT taken back: {printable(one.why)}" if one.why else f"taken back{cost}"
        print(f"{door.chain}: {one.token} from {who}: {said}{f' ({one.hash})' if one.hash else ''}")
    return ExitCode.CHECK_FAILED if any(one.why for one in done) else ExitCode.OK


async def _settle(config: Config, names: tuple[str, ...], folder: Path, args: argparse.Namespace) -> int:
    """Ends the one task that is meant. Raises UsageError where none or several are."""
    from bot.errors import UsageError
    from bot.wallet_wiring import kept, meant, open_wallet, standing

    journal = _journal(config)
    found: list[tuple[str, Standing]] = []
    known: list[str] = []
    for name in names:
        async with open_wallet(config, name, folder, kept(journal, config, name)) as door:
            tasks = await standing(door.wallet)
        known += [f"{one.key} ({one.state})" for one in tasks]
        found += [(name, one) for one in meant(tasks, args.what)]
    unknown = [(name, one) for name, one in found if one.state == "unknown"]
    if len(unknown) > 1:
        raise UsageError(f"{args.what!r} means {', '.join(one.key for _, one in unknown)}", hint="name one of them")
    if not found:
        raise UsageError(f"no open task is called {args.what!r}", hint=f"open: {', '.join(known) or 'none'}")
    name, one = unknown[0] if unknown else found[0]
    what = f"say that {one.key} (nonce {one.nonce}, {one.state}) did not happen; nothing is booked of it"
    _confirm(what, yes=args.yes)

    async def act(door: Door) -> int:
        await door.wallet.give_up(one.key, args.reason)
        print(f"{name}: {one.key} is ended by your word; whoever ordered it is told that it is refused")
        print("If it did happen, the books lack it: compare them with `pegline wallet show`.", file=sys.stderr)
        return 0

    return await _writing(config, name, folder, act, key=False)


async def _resume(config: Config, names: tuple[str, ...], folder: Path, args: argparse.Namespace) -> int:
    """Goes on behind all nonces that were used."""
    _confirm(f"say that the key on {', '.join(names)} is ours alone again", yes=args.yes)
    for name in names:

        async def act(door: Door) -> int:
            from bot.wallet_wiring import shown

            seen = await shown(door.wallet, (), ())
            if not seen.paused:
                print(f"{door.chain}: nothing is paused")
                return 0
            await door.wallet.resume(args.reason)
            print(f"{door.chain}: was paused ({seen.paused}); goes on with nonce {door.wallet.nonces.next}")
            return 0

        await _writing(config, name, folder, act, key=False)
    return 0


def _confirm(what: str, *, yes: bool) -> None:
    """Asks on a terminal. Raises UsageError where nobody can be asked, RefusedByRisk for a no."""
    from bot.errors import RefusedByRisk, UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask", hint="write --yes")
    print(f"This will {printable(what)}.", file=sys.stderr)
    print("Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise RefusedByRisk("nothing was done")
