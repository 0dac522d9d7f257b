"""A ccxt instance as we want it: one lane's markets, pings that tell a dead line, addresses replaced where asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.cex.quirks import Lane, Quirk

KEY_NAMES: Final[Mapping[str, str]] = {
    "key": "apiKey", "api_key": "apiKey", "apiKey": "apiKey", "secret": "secret", "api_secret": "secret",
    "password": "password", "passphrase": "password",
}  # fmt: skip
"""How a key file may call what ccxt calls apiKey, secret and password."""

MOST_DIGITS: Final = 100
"""No price and no amount has more digits; the smallest coins have 18."""


def build(
    exchange: Callable[[dict[str, Any]], Any],
    lane: Lane,
    quirk: Quirk,
    symbols: tuple[str, ...],
    url: str,
    key: Mapping[str, str] | None = None,
) -> Any:
    """A ccxt instance of a lane; its addresses are replaced where `url` is given. A key only reads."""
    config: dict[str, Any] = {
        "options": {name: _copied(value) for name, value in lane.options.items()},
        "timeout_on_exit": 0,
        "streaming": {"keepAlive": int(quirk.ping_s * 1000)},
    }
    for name, value in (key or {}).items():
        if name in KEY_NAMES:
            config[KEY_NAMES[name]] = value
    if quirk.keep_case:
        bases = {symbol.partition("/")[0] for symbol in symbols}
        mixed = {base for base in bases if base != base.upper()}
        config["commonCurrencies"] = {name: base for base in mixed for name in (base, base.upper())}
    instance = exchange(config)
    instance.parse_precision = _counted(instance.parse_precision)
    if url:
        instance.urls["api"] = redirected(instance.urls["api"], url)
    return instance


def redirected(urls: Any, base: str) -> Any:
    """The same tree of addresses with the scheme and host of `base`: http(s) stays http, ws(s) becomes ws."""
    if isinstance(urls, dict):
        return {name: redirected(value, base) for name, value in urls.items()}
    if isinstance(urls, list):
        return [redirected(value, base) for value in urls]
    if not isinstance(urls, str):
        return urls
    socket = re.sub(r"^http", "ws", base.rstrip("/"))
    return re.sub(r"^wss?://[^/]+", socket, re.sub(r"^https?://[^/]+", base.rstrip("/"), urls))


def _counted(parse: Callable[[str | None], str | None]) -> Callable[[str | None], str | None]:
    """ccxt counts the digits of a precision out one by one: a list of markets that names 2**63 would hold up the loop
    for ever. Such a number is refused as any other rubbish is: ValueError.
    """

    def counted(precision: str | None) -> str | None:
        if precision is not None and abs(int(precision)) > MOST_DIGITS:
            raise ValueError(f"a precision of {precision[:40]} digits")
        return parse(precision)

    return counted


def _copied(value: Any) -> Any:
    """ccxt writes into its options: the table must not change."""
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, list) else value
