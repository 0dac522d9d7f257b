"""One node of an EVM chain, asked over HTTP with JSON-RPC 2.0; what goes wrong comes out as errors of the house."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

from connectors.errors import (
    BadMessage,
    LogsRefused,
    Maintenance,
    RateLimited,
    Reverted,
    VenueUnreachable,
)
from connectors.evm.abi import Call, batch, unbatch
from connectors.evm.log_ranges import in_parts, too_many
from connectors.poll import MAX_BODY_BYTES, Poll
from connectors.refusal import refused, unreachable

MULTICALL3: Final = "0xcA11bde05977b3631167028862bE2a173976CA11"
"""The same address on every chain (mds1/multicall3)."""

_NOW: Final = bytes.fromhex("0f28c97d")
"""getCurrentBlockTimestamp()"""

ANSWER_S: Final = 5.0
"""Two tries without an answer are found out in 12 s."""

_PER_BATCH: Final = 300
_LIMITS: Final = (-32005, -32029, 429)
"""Codes under which providers say that we ask too much (EIP-1474 and common use)."""
_REVERTS: Final = ("revert", "out of gas", "outofgas")
"""What is said of a call that its contract did not let end."""
_LOGS_REFUSED: Final = (400, 413)
"""Statuses with which some send the same error in JSON that others send with 200."""


class _Problem(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""
    data: Any = None


class _Answer(msgspec.Struct, frozen=True):
    result: Any = None
    error: _Problem | None = None


class Head(NamedTuple):
    """One block."""

    number: int
    hash: str
    parent: str
    timestamp_s: int


class Rpc:
    """Asks one node. All calls raise as `ask` does."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, poll: Poll, frame: Callable[[bytes], None] = lambda _: None
    ) -> None:
        """`poll` throttles, tries again and counts; the address is told to nobody, since it may hold a key. `frame`
        gets every answer as it came."""
        self._session, self._url, self._poll, self._frame = session, url, poll, frame
        self._numbers = itertools.count(1)

    async def ask(self, method: str, *params: Any) -> Any:
        """The result of a call.

        Raises Reverted where a contract refused it, LogsRefused where logs of a range of blocks were, RateLimited,
        EntitlementLost, VenueUnreachable (no connection, a time-out, 5xx, a node that does not have the block),
        BadMessage (anything else that is no answer).
        """
        return await self._poll.call(lambda: self._post(method, params), endpoint=method)

    async def chain_id(self) -> int:
        """By which a chain is known (EIP-155)."""
        return number(await self.ask("eth_chainId"))

    async def head(self, block: int | str = "latest") -> Head:
        """A block by number or tag."""
        at = hex(block) if isinstance(block, int) else block
        found = await self.ask("eth_getBlockByNumber", at, False)
        if not isinstance(found, dict):
            raise VenueUnreachable(f"the node does not have block {block}", where=self._poll.venue)
        try:
            return Head(
                int(found["number"], 16), str(found["hash"]), str(found["parentHash"]), int(found["timestamp"], 16)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadMessage("not a block", where=self._poll.venue) from error

    async def code(self, address: str, head: Head) -> bytes:
        """The code of a contract at a block; empty where there is none."""
        return _bytes(await self.ask("eth_getCode", address, hex(head.number)))

    async def slot(self, address: str, slot: int, head: Head) -> bytes:
        """One word of a contract's storage at a block."""
        return _bytes(await self.ask("eth_getStorageAt", address, hex(slot), hex(head.number))).rjust(32, b"\0")

    async def call(self, call: Call, head: Head) -> bytes:
        """What a contract answers at a block."""
        wish = {"to": call.to, "data": "0x" + call.data.hex()}
        return _bytes(await self.ask("eth_call", wish, hex(head.number)))

    async def calls(self, calls: Sequence[Call], head: Head) -> list[bytes | None]:
        """What many contracts answer, all at this block; None where one failed.

        Multicall3 says the block's time along with each batch; where that is not the head's, a node behind the same
        address answered from another block, and the whole is refused as VenueUnreachable.
        """
        found: list[bytes | None] = []
        for start in range(0, len(calls), _PER_BATCH):
            part = [Call(MULTICALL3, _NOW), *calls[start : start + _PER_BATCH]]
            answer = await self.call(Call(MULTICALL3, batch(part)), head)
            if not answer:
                raise BadMessage("no Multicall3 on this chain", where=self._poll.venue)
            now, *rest = unbatch(answer, len(part))
            if now is None or int.from_bytes(now, "big") != head.timestamp_s:
                raise VenueUnreachable(f"not answered from block {head.number}", where=self._poll.venue)
            found += rest
        return found

    async def logs(
        self, addresses: Sequence[str], topics: Sequence[Any], first: int, last: int
    ) -> list[dict[str, Any]]:
        """Logs of contracts in blocks `first` to `last`; `topics` as eth_getLogs takes them."""
        return await self.logs_where({"address": list(addresses), "topics": list(topics)}, first, last)

    async def logs_where(self, wish: Mapping[str, Any], first: int, last: int) -> list[dict[str, Any]]:
        """Logs that fit a filter in blocks `first` to `last`, in parts where the node does not tell them at once.

        Raises LogsRefused where it refuses those of one block too.
        """

        async def ask(start: int, end: int) -> list[dict[str, Any]]:
            found = await self.ask("eth_getLogs", {**wish, "fromBlock": hex(start), "toBlock": hex(end)})
            if not isinstance(found, list) or not all(isinstance(log, dict) for log in found):
                raise BadMessage(f"not a list of logs: {str(found)[:80]!a}", where=self._poll.venue)
            return found

        return await in_parts(ask, first, last)

    async def _post(self, method: str, params: Sequence[Any]) -> Any:
        where = self._poll.venue
        patience = aiohttp.ClientTimeout(total=ANSWER_S)
        asked = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}
        ranged = method == "eth_getLogs" and "fromBlock" in params[0]
        try:
            async with self._session.post(self._url, json=asked, allow_redirects=False, timeout=patience) as answer:
                self._poll.heard(answer.headers)
                if answer.content_type == "text/html":
                    raise Maintenance("a page for people instead of data", where=where)
                body = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        said = f"an answer of more than {MAX_BODY_BYTES} bytes"
                        raise LogsRefused(said, where=where) if ranged else BadMessage(said, where=where)
                if answer.status != 200 and not (ranged and answer.status in _LOGS_REFUSED):
                    raise refused(where, answer.status, answer.headers)
        except TimeoutError as error:
            raise VenueUnreachable("no answer in time", where=where) from error
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(where, "no answer", error) from None
        self._frame(bytes(body))
        return _result(bytes(body), f"{where} {method}", ranged=ranged)


def _result(body: bytes, where: str, *, ranged: bool = False) -> Any:
    """The result in an answer; `ranged`: it was asked for the logs of a range of blocks.

    Raises as Rpc.ask; an error of the node itself (-32000 to -32099) may pass.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not an answer of JSON-RPC: {body[:80]!r}", where=where) from error
    problem = answer.error
    if problem is None:
        return answer.result
    said = f"{problem.message[:200]} ({problem.code})"
    if problem.code == 3 or any(word in problem.message.lower() for word in _REVERTS):
        raise Reverted(said, where=where, data=_bytes(problem.data) if isinstance(problem.data, str) else b"")
    if ranged and too_many(problem.code, f"{problem.message} {problem.data}"):
        raise LogsRefused(said, where=where)
    if problem.code in _LIMITS:
        raise RateLimited(said, where=where)
    if ranged:
        raise LogsRefused(said, where=where)
    if -32099 <= problem.code <= -32000:
        raise VenueUnreachable(said, where=where)
    raise BadMessage(said, where=where)


def _bytes(text: Any) -> bytes:
    try:
        return bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError as error:
        raise BadMessage(f"not hexadecimal: {str(text)[:40]!r}") from error


def number(text: Any) -> int:
    """A quantity of JSON-RPC. Raises BadMessage."""
    try:
        return int(str(text), 16)
    except ValueError as error:
        raise BadMessage(f"not a number: {str(text)[:40]!r}") from error
