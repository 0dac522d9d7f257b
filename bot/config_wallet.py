"""What must fit together in [wallet]: chains, addresses, nodes, where keys are, and limits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from bot.config_hints import plain
from bot.config_shape import Fault
from bot.terminal import nearest
from bot.toml_lines import Path
from bot.wiring import checksummed

Data = Mapping[str, Any]
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_NOBODY: Final = "0x" + "0" * 40


def wallets(data: Data, told: Collection[Path]) -> Iterator[Fault]:
    """Every rule across the keys of [wallet] that a document breaks; `told` are paths that have a fault already."""
    table = data.get("wallet")
    if not isinstance(table, dict):
        return
    signs = table.get("sign", False)
    for name, chain in table.get("chains", {}).items():
        path: Path = ("wallet", "chains", name)
        yield from _chain(path, name)
        yield from _addresses(path, chain)
        yield from _nodes(path, chain, data.get("venues", {}))
        yield from _key(path, chain, signs=signs is True)
        fee, priority = chain.get("max_fee_gwei"), chain.get("max_priority_gwei")
        if fee is not None and priority is not None and priority > fee:
            said = f"{plain(priority)} is more than max_fee_gwei = {plain(fee)}, which holds it"
            yield Fault((*path, "max_priority_gwei"), said, "write at most max_fee_gwei")
    if signs is True and not table.get("chains") and ("wallet", "chains") not in told:
        said = "missing: there is no wallet to sign for"
        yield Fault(("wallet", "chains"), said, "write a table [wallet.chains.CHAIN], or sign = false")


def _chain(path: Path, name: str) -> Iterator[Fault]:
    """The registry knows the chain and its id."""
    from connectors.registry import load_registry

    known = load_registry().chains
    if name not in known:
        meant = nearest(name, known)
        hint = f"did you mean {meant}? " if meant else ""
        yield Fault(path, f"{name} is no EVM chain of the registry", f"{hint}known: {', '.join(sorted(known))}")


def _addresses(path: Path, chain: Data) -> Iterator[Fault]:
    """Addresses are addresses, their capitals are their checksum, and none stands twice."""
    single = [((*path, key), chain[key]) for key in ("address", "permit") if chain.get(key)]
    for key in ("tokens", "spenders"):
        listed = chain.get(key, [])
        seen: set[str] = set()
        for at, value in enumerate(listed if isinstance(listed, list) else []):
            if not isinstance(value, str):
                continue
            if value.casefold() in seen:
                yield Fault((*path, key, at), f"{value} stands twice", "remove one of them")
            seen.add(value.casefold())
            single.append(((*path, key, at), value))
    for place, value in single:
        if not _ADDRESS.fullmatch(value):
            yield Fault(place, f"{plain(value)} is no address", "write 0x and 40 hexadecimal digits")
        elif value == _NOBODY:
            yield Fault(place, "this is nobody's address", "write the contract's or wallet's own")
        elif value[2:] not in (value[2:].lower(), value[2:].upper()) and value != checksummed(value):
            yield Fault(place, f"{value} has a wrong checksum: a digit is mistyped", "copy it again from its source")
    if not chain.get("spenders") and chain.get("permit"):
        yield Fault((*path, "spenders"), "missing: nobody spends through permit", "write the routers that do")


def _nodes(path: Path, chain: Data, venues: Mapping[str, Data]) -> Iterator[Fault]:
    """There are nodes to ask, and at most one relay."""
    venue = chain.get("venue")
    if isinstance(venue, str):
        if venue not in venues:
            meant = nearest(venue, venues)
            hint = f"did you mean {meant}? " if meant else ""
            yield Fault((*path, "venue"), f"venue {venue} is not known", f"{hint}write a table [venues.{venue}]")
        elif not venues[venue].get("url") and not venues[venue].get("key_file"):
            said = f"[venues.{venue}] has no node to ask"
            yield Fault((*path, "venue"), said, 'write url = "http://..." there, or key_file with url = "..."')
        elif venues[venue].get("url") and len(str(venues[venue]["url"]).split()) < chain.get("agree", 1):
            count = len(str(venues[venue]["url"]).split())
            said = f"{chain['agree']} nodes must agree, and [venues.{venue}] has {count}"
            yield Fault((*path, "agree"), said, "write fewer, or more nodes into its url, with spaces between them")
    relay = chain.get("relay")
    if relay and chain.get("relay_file"):
        yield Fault((*path, "relay_file"), "relay is written too", "write one of relay and relay_file")
    elif relay and not re.fullmatch(r"https?://[^\s]+", str(relay)):
        yield Fault((*path, "relay"), f"{plain(relay)} is no address of a relay", 'write relay = "https://..."')


def _key(path: Path, chain: Data, *, signs: bool) -> Iterator[Fault]:
    """A key is kept in one place, and a keystore has one password."""
    store, file = chain.get("keystore"), chain.get("key_file")
    passwords = [key for key in ("password_file", "password_env") if chain.get(key)]
    if store and file:
        yield Fault((*path, "key_file"), "keystore is written too", "write one of keystore and key_file")
    elif signs and not store and not file:
        said = "missing: [wallet] sign = true needs a key for every chain"
        yield Fault((*path, "keystore"), said, 'write keystore = "PATH" or key_file = "PATH", or sign = false')
    if store and not passwords:
        said = "missing: a keystore has a password"
        yield Fault((*path, "password_file"), said, 'write password_file = "PATH" or password_env = "NAME"')
    if len(passwords) == 2:
        yield Fault((*path, "password_env"), "password_file is written too", "write one of the two")
    if passwords and not store:
        yield Fault((*path, passwords[0]), "there is no keystore that it opens", 'write keystore = "PATH"')
