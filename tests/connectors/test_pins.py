"""A file of pins: what is written can be read again, what stands in it stays, and what is not sound is refused."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import DataError
from connectors.evm.pins import Pin, add_pins, pinned, read_pins

CONTRACT, CODE = "0x" + "Ab" * 20, "0x" + "cD" * 32


def pin(**changes: object) -> Pin:
    """A pin."""
    given = {"chain": "base", "contract": CONTRACT, "symbol": "T", "code_hash": CODE, "block": 7, "date": "2026-11-26"}
    return Pin(**{**given, **changes})  # type: ignore[arg-type]


def test_a_pin_is_found_in_any_case_and_on_its_chain_only(tmp_path: Path) -> None:
    """
    The case of an address is a checksum; the same address on another chain is another contract.
    """
    add_pins(tmp_path / "pins.toml", [pin()])
    pins = read_pins(tmp_path / "pins.toml")
    assert [CODE.lower(), ""] == [pinned(pins, chain, CONTRACT.upper().replace("0X", "0x")) for chain in ("base", "x")]


def test_what_an_operator_wrote_into_the_file_stays(tmp_path: Path) -> None:
    """
    Comments and pins of before are kept when new ones are added.
    """
    path = tmp_path / "pins.toml"
    add_pins(path, [pin()])
    path.write_text(path.read_text(encoding="utf-8") + "# mine", encoding="utf-8")
    add_pins(path, [pin(chain="bsc")])
    assert "# mine\n" in path.read_text(encoding="utf-8")
    assert {("base", CONTRACT.lower()), ("bsc", CONTRACT.lower())} == read_pins(path).keys()
    assert [path] == list(tmp_path.iterdir())


@given(st.text(st.characters(codec="utf-8")))
def test_any_symbol_can_be_written(symbol: str) -> None:
    """
    A token may call itself what it likes: the file can still be read.
    """
    with TemporaryDirectory() as folder:
        add_pins(Path(folder) / "pins.toml", [pin(symbol=symbol)])
        assert 1 == len(read_pins(Path(folder) / "pins.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[pin]", "not a file of pins"),
        ("[[pins]]", "not a file of pins"),
        ('[[pin]]\nchain = "base"', "not a file of pins"),
        ("\xff", "not a file of pins"),
    ],
)
def test_a_file_that_is_not_sound_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """
    Nothing is pinned by half of a file; the error names the file.
    """
    path = tmp_path / "pins.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=said) as caught:
        read_pins(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("changes", [{"code_hash": "0x12"}, {"contract": "0x12"}, {"code_hash": "0x" + "0" * 64}])
def test_a_pin_that_cannot_be_or_contradicts_another_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    """
    Two codes for one contract, or what is no hash and no address: named by its place.
    """
    add_pins(tmp_path / "pins.toml", [pin(), pin(**changes)])
    with pytest.raises(DataError, match=r"pins.toml: pin\[1\]"):
        read_pins(tmp_path / "pins.toml")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """
    Whoever names a file of pins relies on it.
    """
    with pytest.raises(DataError, match="cannot be read"):
        read_pins(tmp_path / "pins.toml")
