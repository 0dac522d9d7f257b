"""The error tree; each error says whether to retry, stop this venue, or stop all.

PeglineError
├── DataError            data on disk is missing, broken or not what it says      STOP_ALL
│   ├── TapeError        a tape cannot be read or written
│   └── ImportFailed     a file given to `tape import` or its map is not usable
├── RegistryError        the token registry or a universe contradicts itself      STOP_ALL
├── PoolError            a pool cannot be quoted or traded as asked               STOP_VENUE
│   ├── SwapRefused      the contract would refuse a swap like this
│   ├── NotQuotable      only the chain knows the answer: a hook or a dynamic fee
│   ├── ForkUnverified   maths not checked against the deployed contract: not tradable
│   └── PoolStateError   kept state or log is impossible: read the pool again     RETRY
├── WalletError          a wallet must not sign or send this                      STOP_VENUE
│   ├── KeyRefused       its key cannot be had, or is not kept safely
│   ├── NotSigned        a transaction that is not among those that it may sign
│   ├── WrongChain       the node is of another chain
│   ├── NoncePaused      somebody else used its nonces: nothing is sent until an operator says so
│   ├── CostUnknown      what a chain takes for a transaction is not known
│   ├── NotUnknown       an operator's word is not needed: the chain says what became of a task
│   └── TooDear          gas costs more than is allowed                           RETRY
└── ConnectorError       the world outside did not do what it should
    ├── VenueUnreachable no connection, a time-out                                RETRY
    │   ├── Silent       connected, but nothing comes in the time in which it must
    │   ├── Maintenance  the venue says that it is not there now (503, a page)
    │   └── NoQuorum     too few nodes say the same of one block
    │       ├── NodesBehind    because those that answer are behind
    │       └── NodesDisagree  because they say different things
    ├── RateLimited      429, with the seconds to wait where the venue says so    RETRY
    ├── BadMessage       a message that cannot be read as what it should be       RETRY
    │   ├── FrameTooLarge  a frame longer than allowed; it was not read
    │   ├── LogsRefused  a node does not tell the logs of so many blocks at once
    │   └── Reverted     a contract refused a call
    ├── EntitlementLost  401 or 403: this account may not have this               STOP_VENUE
    └── SymbolUnknown    the venue does not know the symbol                       STOP_VENUE
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What the caller should do about an error."""

    RETRY = "retry"
    STOP_VENUE = "stop this venue"
    STOP_ALL = "stop all"


class PeglineError(Exception):
    """An error with a place, a cause and a next step, fit to be shown to a person as one line."""

    action: Action = Action.STOP_ALL

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        """`what` went wrong, `where` (file:row, venue, field), and a `hint` on what to do next."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """`where: what (hint)` with the absent parts left out."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text


class DataError(PeglineError):
    """Data on disk is missing, broken or not what it says."""


class TapeError(DataError):
    """A tape cannot be read or written."""


class ImportFailed(DataError):
    """A file given to `tape import`, or its map, is not usable."""


class RegistryError(PeglineError):
    """The token registry or a universe contradicts itself."""


class PoolError(PeglineError):
    """A pool cannot be quoted or traded as asked."""

    action = Action.STOP_VENUE


class SwapRefused(PoolError):
    """The contract would refuse a swap like this: an amount, a price limit or a size that it does not take."""


class NotQuotable(PoolError):
    """Only the chain knows what a swap would do: a hook or a dynamic fee has a say."""


class ForkUnverified(PoolError):
    """The maths of this fork was not checked against its deployed contract, so it is not traded."""


class PoolStateError(PoolError):
    """A pool's kept state, or a log on top of it, is impossible: read the pool again."""

    action = Action.RETRY


class WalletError(PeglineError):
    """A wallet must not sign or send this."""

    action = Action.STOP_VENUE


class KeyRefused(WalletError):
    """The key of a wallet cannot be had, or is not kept safely."""


class NotSigned(WalletError):
    """A transaction that is not among those that a wallet may sign."""


class WrongChain(WalletError):
    """The node is of another chain than the wallet signs for."""


class NoncePaused(WalletError):
    """Somebody else used the wallet's nonces: nothing is sent until an operator says so."""


class CostUnknown(WalletError):
    """What a chain takes for a transaction is not known, or the chain does otherwise than is believed."""


class NotUnknown(WalletError):
    """What became of a task can be seen on the chain, or is still open: nobody's word ends it."""


class TooDear(WalletError):
    """Gas costs more than is allowed."""

    action = Action.RETRY


class ConnectorError(PeglineError):
    """The world outside did not do what it should."""

    action = Action.RETRY
    word = "disconnected"
    """Under which it is counted."""


class VenueUnreachable(ConnectorError):
    """No connection, or a time-out."""


class Silent(VenueUnreachable):
    """Connected, but nothing comes in the time in which something must."""

    word = "silent"


class Maintenance(VenueUnreachable):
    """The venue says that it is not there now: 503, or a page for people where data was asked for."""

    word = "maintenance"


class NoQuorum(VenueUnreachable):
    """Too few nodes of a chain say the same of one block, so nothing is known of it."""

    word = "no_quorum"


class NodesBehind(NoQuorum):
    """Enough nodes answer, but too few of them are not behind the newest."""

    word = "nodes_behind"


class NodesDisagree(NoQuorum):
    """Nodes of one chain say different things of it, and nobody can know which of them is right."""

    word = "nodes_disagree"


class RateLimited(ConnectorError):
    """The venue asks us to slow down; `retry_after_s` is what it named, or None."""

    word = "rate_limited"

    def __init__(self, what: str, *, where: str = "", hint: str = "", retry_after_s: float | None = None) -> None:
        """As PeglineError, with the seconds that the venue asked us to wait."""
        super().__init__(what, where=where, hint=hint)
        self.retry_after_s = retry_after_s


class BadMessage(ConnectorError):
    """A message that cannot be read as what it should be."""

    word = "bad_message"


class FrameTooLarge(BadMessage):
    """A frame was longer than the line allows; it was not read."""

    word = "frame_too_large"


class LogsRefused(BadMessage):
    """A node does not tell the logs of so many blocks at once; of fewer it may."""

    word = "logs_refused"


class Reverted(BadMessage):
    """A contract refused a call; `data` is the reason as it gave it, ABI-encoded, or empty."""

    word = "reverted"

    def __init__(self, what: str, *, where: str = "", hint: str = "", data: bytes = b"") -> None:
        """As PeglineError, with the contract's reason."""
        super().__init__(what, where=where, hint=hint)
        self.data = data


class EntitlementLost(ConnectorError):
    """401 or 403: this account may not have this feed; only this feed stops."""

    action = Action.STOP_VENUE
    word = "entitlement_lost"


class SymbolUnknown(ConnectorError):
    """The venue does not know the symbol that we asked for."""

    action = Action.STOP_VENUE
    word = "symbol_unknown"
