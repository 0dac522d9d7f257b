"""Who is who: issuers, tokens, venues, instruments, and the universe that numbers them.

A token is known by (chain, contract), an instrument by (venue, venue symbol); never by a ticker, which impostors share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from connectors.errors import RegistryError


class UnitModel(StrEnum):
    """What one transferable unit of a token is worth in shares."""

    REBASING = "rebasing"
    """1 unit = 1 share; balances move at an event, the price of a unit does not."""
    SCALED_UI = "scaled_ui"
    """1 raw unit = multiplier shares; wallets show raw x multiplier."""
    TOTAL_RETURN = "total_return"
    """1 unit = multiplier shares; the balance is constant."""
    VAULT = "vault"
    """An ERC-4626 share: 1 unit = convertToAssets(1) shares."""


class Trust(StrEnum):
    """Who says that this address is this token."""

    ISSUER = "issuer"
    MULTI = "multi"
    THIRD_PARTY = "third_party"


class Role(IntEnum):
    """What an instrument is for."""

    TOKEN = 0
    """A tokenized share on a venue: it is judged against the fair value, and may be traded."""
    SHARE = 1
    """A quote of the share itself, or of something that stands for it (perp mark, oracle): evidence."""
    COIN = 2
    """A quote coin in USD."""
    PERP = 3
    """A perpetual on the share: may be traded, is not judged."""


class Hours(StrEnum):
    """In which sessions a reference source is alive; outside them its repeated prints are no news."""

    ALWAYS = "24/7"
    WEEKDAYS = "24/5"
    """Pre, regular, post and overnight."""
    EXTENDED = "extended"
    """Pre, regular and post."""
    REGULAR = "regular"


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Who issues tokens and stands behind them."""

    key: str
    name: str
    source: str = ""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenized share: identity is (chain, contract)."""

    symbol: str
    underlying: str
    issuer: str
    chain: str
    contract: str
    unit_model: UnitModel | None
    """None where nobody said: such a token can be listed, but not priced."""
    trust: Trust
    decimals: int | None = None
    code_hash: str = ""
    """Of all the code that runs, a proxy's own too, as `pegline tokens verify` tells it; empty is not pinned."""
    source: str = ""
    note: str = ""

    @property
    def multiplied(self) -> bool:
        """Whether a unit is worth `multiplier` shares, rather than one. Raises RegistryError where nobody said."""
        if self.unit_model is None:
            raise RegistryError("what a unit is worth is not known", where=f"{self.symbol} on {self.chain}")
        return self.unit_model is not UnitModel.REBASING


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a venue quotes, under the venue's own symbol."""

    venue: str
    symbol: str
    role: Role
    underlying: str = ""
    """Ticker of the share; empty for a coin."""
    token: str = ""
    """Display name of the token (`TSLAx`); empty unless the role is TOKEN."""
    issuer: str = ""
    chain: str = ""
    contract: str = ""
    unit_model: UnitModel | None = None
    quote: str = "USD"
    """Quote currency; for a COIN the currency that its price is in."""
    coin: str = ""
    """For a COIN: which coin this instrument prices."""
    multiplier: float | None = None
    """Shares per unit at the start, before any MULTIPLIER row. None is unknown, never one."""
    witness: str = ""
    """References that feed each other share a witness name and count as one; empty means the venue's name."""
    hours: Hours = Hours.ALWAYS
    one_price: bool = False
    """The series has one price and no book."""

    def __post_init__(self) -> None:
        """Refuses names with characters that a terminal would obey or not show."""
        for name in (self.venue, self.symbol, self.underlying, self.token, self.quote, self.coin, self.witness):
            if not name.isprintable():
                raise RegistryError("a name holds a character that cannot be shown", where=ascii(name))

    @property
    def kin(self) -> str:
        """The witness that it speaks for: its venue where none is named, and of a token that token there."""
        who = self.witness or self.venue
        return f"{who}:{self.token}" if self.role is Role.TOKEN else who

    @property
    def asset(self) -> str:
        """What its venue keeps a balance of: the token, whatever it is quoted in; a perp or share by its symbol."""
        return self.token or self.coin or self.symbol

    @property
    def name(self) -> str:
        """`venue:symbol`, unique in a universe."""
        return f"{self.venue}:{self.symbol}"


class Universe(msgspec.Struct, frozen=True):
    """All instruments of a run or tape; an instrument's number is its place in the list.

    Raises RegistryError where two instruments share a name.
    """

    instruments: tuple[Instrument, ...] = ()

    def __post_init__(self) -> None:
        """Refuses a universe in which a name stands for two instruments."""
        seen: set[str] = set()
        for instrument in self.instruments:
            if instrument.name in seen:
                raise RegistryError("the name stands for two instruments", where=instrument.name)
            seen.add(instrument.name)

    def __len__(self) -> int:
        """How many instruments there are."""
        return len(self.instruments)

    def __iter__(self) -> Iterator[Instrument]:
        """In order of their numbers."""
        return iter(self.instruments)

    def __getitem__(self, number: int) -> Instrument:
        """The instrument of a number."""
        return self.instruments[number]

    def at(self, venue: str) -> tuple[int, ...]:
        """Numbers of the instruments of a venue."""
        return tuple(number for number, one in enumerate(self.instruments) if one.venue == venue)

    def number(self, name: str) -> int:
        """The number of `venue:symbol`. Raises RegistryError, naming the nearest names, where there is none."""
        for at, instrument in enumerate(self.instruments):
            if instrument.name == name:
                return at
        raise RegistryError(
            f"no instrument {name!r}", hint="known: " + (", ".join(i.name for i in self.instruments[:12]) or "none")
        )

    def underlyings(self) -> tuple[str, ...]:
        """Every underlying once, in order of first appearance."""
        return tuple(dict.fromkeys(i.underlying for i in self.instruments if i.underlying))

    def coins(self) -> tuple[str, ...]:
        """Every quote currency or coin other than USD once, in order of first appearance."""
        names: Iterable[str] = (n for i in self.instruments for n in (i.quote, i.coin) if n and n != USD)
        return tuple(dict.fromkeys(names))

    def where(self, *, role: Role | None = None, underlying: str | None = None) -> tuple[int, ...]:
        """Numbers of the instruments of a role and underlying."""
        return tuple(
            at
            for at, i in enumerate(self.instruments)
            if (role is None or i.role is role) and (underlying is None or i.underlying == underlying)
        )


USD: Final = "USD"
