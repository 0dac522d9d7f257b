"""An EVM inside this process: the exchanges' own bytecode, thousands of swaps a second, no node and no blocks."""

from __future__ import annotations

from typing import Any, Final

from eth_utils.abi import function_abi_to_4byte_selector
from pyrevm import EVM, BlockEnv, Env

from tests.chain.parts import Parts

OWNER: Final = "0x" + "11" * 20
"""Who deploys and sends everything."""


class Refused(Exception):
    """The contract reverted; the text is what the EVM says."""


class Revm:
    """A chain of one sender. What is written stays; a call that reverts leaves nothing behind."""

    def __init__(self, chain: Parts) -> None:
        """`chain`: where the contracts are."""
        self._chain = chain
        self._evm = EVM(spec_id="CANCUN", env=Env(block=BlockEnv(timestamp=1_700_000_000)))
        self._evm.set_balance(OWNER, 10**30)

    def deploy(self, name: str, *args: Any) -> str:
        """Puts a contract on the chain; gives its address."""
        return self._evm.deploy(OWNER, self._chain.artifact(name).creation(*args))

    def write(self, address: str, data: bytes) -> bytes:
        """Sends a transaction; gives what the function returned. Raises Refused."""
        try:
            return self._evm.message_call(OWNER, address, data)
        except RuntimeError as error:
            raise Refused(str(error)) from None
        finally:
            self._evm.reset_transient_storage()

    def send(self, name: str, address: str, function: str, *args: Any) -> Any:
        """`write` by the names of a contract and its function, which takes a while to encode."""
        artifact = self._chain.artifact(name)
        return artifact.result(function, self.write(address, artifact.data(function, *args)), len(args))

    def selector(self, name: str, function: str, count: int) -> bytes:
        """The first four bytes of a call, for callers who put the words behind it themselves."""
        return function_abi_to_4byte_selector(self._chain.artifact(name).function(function, count))

    def log_of(self, address: str) -> list[int]:
        """The data of the last log of the last transaction that this contract wrote, as words without sign."""
        data = next(log.data[1] for log in reversed(self._evm.result.logs) if log.address.lower() == address)
        return [int.from_bytes(data[at : at + 32]) for at in range(0, len(data), 32)]


def words(*values: int | str | bool) -> bytes:
    """Numbers (with sign) and addresses as words of a call."""
    return b"".join(
        (int(value, 16) if isinstance(value, str) else int(value) % (1 << 256)).to_bytes(32) for value in values
    )


def signed(word: int) -> int:
    """A word as a number with sign."""
    return word - (1 << 256) if word >> 255 else word
