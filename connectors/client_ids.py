"""Client ids: by what a venue and we know the same order, and by what we know after a crash which orders are ours.

Where orders leave the process, an id is 32 hexadecimal digits: our mark, the installation and the start that sent it
(its fence), the leg, and a hash of the intent. The venues that we know take that: of letters and digits at most 32
(OKX), 36 (Binance, Bybit), a UUID without dashes (Kraken, Coinbase), 128 bits (Hyperliquid); of its first 28 (Gate)
the hash keeps 48 bits. Where nothing leaves, in a replay, there is no fence, and an id is that of the intent with the
number of the leg.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

MARK: Final = "9e9"
"""What the ids of every pegline begin with."""
LENGTH: Final = 32
STARTS: Final = 16**5
"""Starts that a fence can count."""
_REQUEST: Final = 0xC1
"""Stands where the leg does; no intent has so many."""
_LEG: Final = slice(14, 16)


class Fence(NamedTuple):
    """Who sends: an installation, known by its state folder, and the number of its start."""

    installation: str
    """Six hexadecimal digits."""
    start: int

    def __str__(self) -> str:
        """As it stands in ids: eleven hexadecimal digits."""
        return f"{self.installation}{self.start:05x}"

    @classmethod
    def of(cls, text: str) -> Fence:
        """Read back."""
        return cls(text[:6], int(text[6:], 16))


def client_id(intent_id: str, leg: int, fence: str) -> str:
    """The id of a leg; the same for the same arguments. `fence` as `str(Fence)`, or empty."""
    if not fence:
        return f"{intent_id}-{leg}"
    return f"{MARK}{fence}{leg:02x}{blake2b(f'{fence} {intent_id}'.encode(), digest_size=8).hexdigest()}"


def request_id(intent_id: str, fence: str) -> str:
    """The id of the mint or redemption that completes an intent: what holds for orders holds for issuers too. It goes
    by the intent's own fence, so that a later start asks for the same."""
    return client_id(intent_id, _REQUEST, fence) if fence else f"{intent_id}.c1"


def fence_of(client_id: str) -> Fence | None:
    """Whose order it is by its id, which a venue may have cut; None where it has no mark, so that it is none of a
    pegline that sends."""
    fence = client_id[len(MARK) : len(MARK) + 11]
    if not client_id.startswith(MARK) or not 28 <= len(client_id) <= LENGTH or not _is_hex(client_id):
        return None
    return Fence.of(fence)


def intent_part(client_id: str) -> str:
    """What the ids of all legs of an intent have in common, and nothing else has."""
    if fence_of(client_id) is None:
        return client_id.rpartition("-")[0]
    return client_id[: _LEG.start] + client_id[_LEG.stop :]


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)
