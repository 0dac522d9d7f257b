"""The way out, looked at: what breaks an invariant does not leave, and a connector that raises ends nothing.

Whether a venue has what was given to a connector that raised, nobody can tell: it is unknown, and asked about.
"""

from __future__ import annotations

from bot.converting import IssuersOf
from bot.invariants import Invariants
from bot.wrapped import Wrapped, WrappedAsked, WrappedPrimary
from connectors.orders import Approved, Conversion, ConversionState, Outcome
from connectors.ports import Asked, Executor, Primary

WHY = "it breaks an invariant"
BROKEN = "invariant"
RAISED = "raised"


class WatchedExecutor(Wrapped):
    """An executor behind the look."""

    def __init__(self, executor: Executor, invariants: Invariants) -> None:
        """`executor` is the one that really sends."""
        super().__init__(executor)
        self.invariants = invariants

    def submit(self, order: Approved, now: int) -> tuple[int, ...]:
        """As Executor.submit."""
        if not self.invariants.order(order, now):
            return self._tell(order, now, Outcome.REFUSED, BROKEN, WHY)
        try:
            return super().submit(order, now)
        except Exception as error:  # whatever it is, trades must be followed; its text may hold a secret
            return self._tell(order, now, Outcome.UNKNOWN, RAISED, f"the connector raised {type(error).__name__}")


class WatchedAsked(WatchedExecutor, WrappedAsked):
    """The same of one that can be asked; a question that raises is asked again when it is due."""

    def query(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.query."""
        try:
            return super().query(client_id, instrument, now)
        except Exception:  # no answer, as where none comes
            return ()

    def cancel(self, client_id: str, instrument: int, now: int) -> tuple[int, ...]:
        """As Asked.cancel."""
        try:
            return super().cancel(client_id, instrument, now)
        except Exception:  # no answer, as where none comes
            return ()


class WatchedPrimary(WrappedPrimary):
    """The door of an issuer, behind the look."""

    def __init__(self, primary: Primary, invariants: Invariants) -> None:
        """`primary` is the one that really asks."""
        super().__init__(primary)
        self.invariants = invariants

    def request(self, order: Conversion, now: int) -> tuple[int, ...]:
        """As Primary.request."""
        if not self.invariants.request(order, now):
            return self._tell(order, now, ConversionState.REJECTED, WHY)
        try:
            return super().request(order, now)
        except Exception as error:  # as of an order
            detail = f"the connector raised {type(error).__name__}"
            return self._tell(order, now, ConversionState.UNKNOWN, detail)


def watched(executor: Executor, invariants: Invariants) -> Executor:
    """An executor behind the look; one that can be asked stays one."""
    return WatchedAsked(executor, invariants) if isinstance(executor, Asked) else WatchedExecutor(executor, invariants)


def watched_issuers(issuers: IssuersOf, invariants: Invariants) -> IssuersOf:
    """The doors of issuers behind the look."""
    return lambda usd, shares: {name: WatchedPrimary(one, invariants) for name, one in issuers(usd, shares).items()}
