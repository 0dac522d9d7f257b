"""Contracts by their ABI: what to send to them, and what their answers and logs say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import abi_to_signature, event_abi_to_log_topic, function_abi_to_4byte_selector, get_abi_input_types
from eth_utils.abi import get_abi_output_types as output_types


@dataclass(frozen=True)
class Artifact:
    """A compiled contract: its ABI and its creation code."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes

    def creation(self, *args: Any) -> bytes:
        """Creation code with the constructor's arguments behind it."""
        for entry in self.abi:
            if entry["type"] == "constructor":
                return self.bytecode + encode(get_abi_input_types(entry), args)
        return self.bytecode

    def data(self, function: str, *args: Any) -> bytes:
        """A call's data; `function` is a name, or a signature where a name is overloaded."""
        entry = self.function(function, len(args))
        return function_abi_to_4byte_selector(entry) + encode(get_abi_input_types(entry), args)

    def result(self, function: str, answer: bytes, count: int | None = None) -> Any:
        """What a call's answer says: the value where there is one, else a tuple of them."""
        values = decode(output_types(self.function(function, count)), answer)
        return values[0] if len(values) == 1 else values

    def function(self, function: str, count: int | None = None) -> dict[str, Any]:
        """The ABI entry of a name (with `count` arguments) or signature. Raises KeyError where there is not one."""
        found = [
            entry
            for entry in self.abi
            if entry["type"] == "function"
            and (
                function == abi_to_signature(entry)
                or (function == entry["name"] and count in (None, len(entry["inputs"])))
            )
        ]
        if len(found) != 1:
            raise KeyError(f"{self.name}.{function}: {len(found)} functions")
        return found[0]

    @cached_property
    def _events(self) -> dict[str, dict[str, Any]]:
        return {"0x" + event_abi_to_log_topic(entry).hex(): entry for entry in self.abi if entry["type"] == "event"}

    def events(self, logs: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and values of the logs that this contract's ABI knows."""
        for log in logs:
            entry = self._events.get(log["topics"][0]) if log["topics"] else None
            if entry is None:
                continue
            fields = list(zip(get_abi_input_types(entry), entry["inputs"], strict=True))
            topics = iter(log["topics"][1:])
            data = decode([kind for kind, field in fields if not field["indexed"]], bytes.fromhex(log["data"][2:]))
            rest, values = iter(data), {}
            for kind, field in fields:
                indexed = field["indexed"]
                values[field["name"]] = decode([kind], bytes.fromhex(next(topics)[2:]))[0] if indexed else next(rest)
            yield entry["name"], values
