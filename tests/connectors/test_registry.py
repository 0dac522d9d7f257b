"""The token registry: what it holds, and what it refuses."""

from __future__ import annotations

import re
import tomllib

import pytest

from connectors.errors import RegistryError
from connectors.instruments import Trust, UnitModel
from connectors.registry import SHIPPED, load_registry, parse_registry

SOUND = """
schema_version = 1
collected = "2026-11-22"
chains = { ethereum = 1, base = 8453 }
[issuers.ondo]
name = "Ondo"
[[token]]
symbol = "TSLAon"
issuer = "ondo"
underlying = "TSLA"
decimals = { evm = 18, solana = 9 }
unit_model = { evm = "total_return", solana = "scaled_ui" }
addresses = { ethereum = "0xf6b1117ec07684D3958caD8BEb1b302bfD21103f", solana = "KeGv7bsfR4MheC1CkmnAVceoApjrkvBhHYjWb67ondo" }
trust = { evm = "issuer", solana = "multi" }
source = ["a", "b"]
[[pool]]
token = "TSLAon"
chain = "ethereum"
address = "0xf6b1117ec07684D3958caD8BEb1b302bfD21103e"
source = "c"
[[coin]]
symbol = "USDC"
addresses = { ethereum = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48" }
source = "d"
[[factory]]
fork = "uniswap_v4"
addresses = { ethereum = "0x000000000004444c5dc75cB358380D2e3dE08A90" }
views = { ethereum = "0x7ffe42c4a5deea5b0fec41c94c136cf115597227" }
source = "e"
"""  # noqa: E501  (an inline table of TOML may not be wrapped)

ROTATIONS = (0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14)


def keccak_256(data: bytes) -> bytes:
    """Keccak-256 of fewer than 136 bytes, from the specification (Ethereum pads with 01, SHA-3 with 06)."""
    mask = (1 << 64) - 1
    padded = bytearray(data + b"\x01" + bytes(135 - len(data)))
    padded[-1] |= 0x80
    lanes = [int.from_bytes(padded[at : at + 8], "little") for at in range(0, 136, 8)] + [0] * 8
    register = 1
    for _ in range(24):
        column = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        twist = [column[x - 1] ^ ((column[(x + 1) % 5] << 1 | column[(x + 1) % 5] >> 63) & mask) for x in range(5)]
        lanes = [lane ^ twist[at % 5] for at, lane in enumerate(lanes)]
        moved = [0] * 25
        for at, lane in enumerate(lanes):
            x, y, turn = at % 5, at // 5, ROTATIONS[at]
            moved[y + 5 * ((2 * x + 3 * y) % 5)] = (lane << turn | lane >> (64 - turn)) & mask
        rows = [moved[at : at + 5] for at in range(0, 25, 5)]
        lanes = [row[x] ^ (~row[(x + 1) % 5] & mask & row[(x + 2) % 5]) for row in rows for x in range(5)]
        for bit in range(7):
            if register & 1:
                lanes[0] ^= 1 << ((1 << bit) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def checksummed(address: str) -> str:
    """The EIP-55 spelling of an EVM address."""
    plain = address[2:].lower()
    digits = keccak_256(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(d, 16) >= 8 else c for c, d in zip(plain, digits, strict=False))


def test_the_hash_of_this_file_is_keccak():
    """
    The empty text hashes to the value that Ethereum knows (the oracle of the next test is sound).
    """
    assert "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470" == keccak_256(b"").hex()


def test_every_mixed_case_address_carries_its_checksum():
    """
    No shipped EVM address, of token, pool or issuer, has a mistyped digit that EIP-55 would show.
    """
    addresses = set(re.findall(r"0x[0-9a-fA-F]{40}\b", SHIPPED.read_text(encoding="utf-8")))
    assert len(addresses) > 60
    assert [] == [a for a in addresses if a[2:] != a[2:].lower() and a != checksummed(a)]


def test_a_token_stands_once_for_each_chain_with_the_values_of_its_family():
    """
    One entry becomes a token per contract; unit model, decimals and trust follow the family of the chain.
    """
    registry = parse_registry(SOUND, where="x.toml")
    assert [
        ("ethereum", UnitModel.TOTAL_RETURN, 18, Trust.ISSUER, "a; b"),
        ("solana", UnitModel.SCALED_UI, 9, Trust.MULTI, "a; b"),
    ] == [(t.chain, t.unit_model, t.decimals, t.trust, t.source) for t in registry.tokens]


def test_the_xstock_is_rebasing_on_evm_and_scaled_on_solana():
    """
    The classic loss: TSLAx must not be multiplied on an EVM chain, and must be on Solana.
    """
    assert {"solana": True, **dict.fromkeys(("arbitrum", "bsc", "ethereum", "hyperevm", "ink", "mantle"), False)} == {
        token.chain: token.multiplied for token in load_registry().named("TSLAx") if token.chain != "xlayer"
    }


def test_a_token_whose_unit_nobody_explained_cannot_be_priced():
    """
    An unknown unit model is absent, not one share per unit: asking raises.
    """
    (token,) = load_registry().named("TSLAr")
    assert token.unit_model is None
    with pytest.raises(RegistryError, match="TSLAr on solana"):
        _ = token.multiplied


def test_a_contract_is_found_in_any_case_on_evm_and_only_exactly_on_solana():
    """
    The case of an EVM address is a checksum; the case of a Solana address is the address.
    """
    registry = load_registry()
    on_evm, on_solana = registry.named("TSLAon")[0], registry.named("TSLAon")[-1]
    assert on_evm is registry.find(on_evm.chain, on_evm.contract.upper().replace("0X", "0x"))
    assert on_solana is registry.find("solana", on_solana.contract)
    with pytest.raises(RegistryError, match="not in the registry"):
        registry.find("solana", on_solana.contract.lower())


def test_a_ticker_that_several_issuers_use_gives_all_of_them():
    """
    A ticker is no identity: AAPL is a token of Robinhood and another one of Coinbase.
    """
    assert {"robinhood", "coinbase"} == {token.issuer for token in load_registry().named("aapl")}


def test_an_unknown_name_is_answered_with_the_nearest():
    """
    A mistyped symbol names what may have been meant.
    """
    with pytest.raises(RegistryError, match=r"nearest: .*TSLAx"):
        load_registry().named("TSLAxx")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version 2 is not 1"),
        ("collected =", "colected =", "colected"),
        ('symbol = "TSLAon"', 'symbol = "TSLAon"\nsymbl = 1', r"symbl.*token\[0\]|token\[0\]|\$\.token"),
        ("18, solana", "-1, solana", "cannot have -1 decimals"),
        ('"total_return"', '"total"', r"token\[0\]: TSLAon: 'total' is not a valid UnitModel"),
        ('"multi" }', '"everybody" }', "is not a valid Trust"),
        ('{ evm = "issuer", solana', "{ solana", "lacks unit_model or trust for evm"),
        ('issuer = "ondo"', 'issuer = "onda"', "TSLAon on ethereum: issuer 'onda' has no table"),
        ("ethereum = 1,", "ethereal = 1,", "chain 'ethereum' has no id"),
        ("0xf6b1117ec07684D3958caD8BEb1b302bfD21103f", "0xf6b1", "is not 0x and 40 hex digits"),
        ("KeGv7bsf", "KeGv7bs0", "is not 32 bytes in base58"),
        ("KeGv7bsf", "KeGv7bsff", "is not 32 bytes in base58"),
        ('token = "TSLAon"', 'token = "TSLAom"', r"pool\[0\]: no token 'TSLAom'"),
        ('name = "Ondo"', "title = 5", "issuers.ondo: needs a name"),
        ('solana = "KeGv7', 'base = "KeGv7', "is not 0x and 40 hex digits"),
        ("[issuers.ondo]", "[issuers.ondo", "x.toml"),
        ("0xA0b86991", "0xA0b8", r"coin\[0\]: .* is not 0x and 40 hex digits"),
        ('fork = "uniswap_v4"', 'fork = "uniswap_v5"', r"factory\[0\]: no fork 'uniswap_v5'"),
        ("0x7ffe42c4", "0x7ffe", r"factory\[0\]\.views: .* is not 0x and 40 hex digits"),
    ],
)
def test_a_registry_that_is_not_sound_is_refused_with_its_place(old, new, message):
    """
    Schema, unknown keys, models, trust, issuers, chains and the shape of addresses are checked.
    """
    assert old in SOUND
    with pytest.raises(RegistryError, match=message):
        parse_registry(SOUND.replace(old, new), where="x.toml")


def test_two_tokens_may_not_share_a_contract():
    """
    Identity is (chain, contract): a second name for one contract is refused, whatever its case.
    """
    twin = (
        SOUND.split("[[token]]")[1].split("[[pool]]")[0].replace("TSLAon", "TSLAno").replace("D3958caD8", "d3958cad8")
    )
    with pytest.raises(RegistryError, match=r"TSLAno on ethereum: .* is already TSLAon"):
        parse_registry(f"{SOUND}\n[[token]]{twin}", where="x.toml")


def test_the_shipped_registry_holds_every_contract_of_the_collected_one(shared):
    """
    Nothing was lost or changed on the way from the collected list into the package.
    """
    collected = tomllib.loads((shared / "tokens.toml").read_text(encoding="utf-8"))
    wanted = [
        (entry["symbol"], entry["issuer"], chain, contract)
        for entry in collected["token"]
        for chain, contract in entry["addresses"].items()
    ]
    assert wanted == [(t.symbol, t.issuer, t.chain, t.contract) for t in load_registry().tokens]
    assert (len(collected["pool"]), collected["pyth"]) == (len(load_registry().pools), load_registry().pyth)


def test_a_coin_and_a_factory_are_known_by_chain():
    """
    What a pool is proved by: the coin's contract and the factory of its fork there, of v4 the StateView too.
    """
    registry = parse_registry(SOUND, where="x.toml")
    assert {("ethereum", "USDC"): "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"} == registry.coins
    assert {("ethereum", "uniswap_v4"): "0x000000000004444c5dc75cB358380D2e3dE08A90"} == registry.factories
    assert {("ethereum", "uniswap_v4"): "0x7ffe42c4a5deea5b0fec41c94c136cf115597227"} == registry.views
    twice = '[[coin]]\nsymbol = "USDC"\naddresses = { ethereum = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB49" }\n'
    with pytest.raises(RegistryError, match=r"coin\[1\]: USDC on ethereum is already 0xA0b8"):
        parse_registry(f'{SOUND}\n{twice}source = "f"', where="x.toml")


def test_the_coins_of_the_shipped_pools_have_contracts():
    """
    Every EVM pool of the registry can be proved on its coin's side, and USDG is that of Robinhood's own facts.
    """
    registry = load_registry()
    on_evm = [pool for pool in registry.pools if pool.chain in registry.chains]
    assert on_evm and all((pool.chain, pool.quote) in registry.coins for pool in on_evm)
    assert registry.facts["robinhood"]["usdg"] == registry.coins["robinhood", "USDG"]
    assert {chain for chain, fork in registry.factories if fork == "uniswap_v4"} == {c for c, _ in registry.views}
