"""`pegline wallet` before it asks any node: who may, with which words, and what a config of wallets must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import main
from bot.config_file import load
from bot.errors import ConfigError

KEY = "5a" * 32
ADDRESS = "0xa8049bB68181799124F98E467DD749e120abFA64"
CONFIG = f"""
[run]
state_dir = "STATE"
[venues.node]
kind = "oracle"
url = "http://127.0.0.1:9"
[wallet]
sign = true
[wallet.chains.base]
address = "{ADDRESS}"
venue = "node"
agree = 1
key_file = "wallet.key"
tokens = ["0x2222222222222222222222222222222222222222"]
spenders = ["0x3333333333333333333333333333333333333333"]
confirmations = 2
max_fee_gwei = 100
max_priority_gwei = 3
max_cost_usd = 5
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with one wallet, and its key."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("STATE", str(tmp_path / "state")))
    (tmp_path / "wallet.key").write_text(KEY)
    (tmp_path / "wallet.key").chmod(0o600)
    path.chmod(0o600)
    return path


REFUSED = {
    "nobody may sign": (6, "this config lets nobody sign", "revoke --yes", ("sign = true", "sign = false")),
    "nobody may settle": (6, "lets nobody sign", "settle x --reason y --yes", ("sign = true", "sign = false")),
    "nobody may resume": (6, "lets nobody sign", "resume --reason y --yes", ("sign = true", "sign = false")),
    "nobody is asked": (2, "nobody is there to ask", "revoke", ()),
    "another's key": (4, f"the key is that of {ADDRESS}", "revoke --yes", (ADDRESS, "0x" + "11" * 20)),
    "a key that is none": (4, "it does not hold a key in hex", "revoke --yes", ("wallet.key", "config.toml")),
    "no key": (4, "No such file", "revoke --yes", ("wallet.key", "other.key")),
    "a node that is not there": (7, "needed; node 1: node: no answer", "revoke --yes", ()),
    "no such chain": (2, "no wallet on 'bass'", "show --chain bass", ()),
    "no such task": (2, "no open task is called 'x'", "settle x --reason y --yes", ()),
    "an empty reason": (2, "--reason is empty", "settle x --reason= --yes", ()),
    "no reason": (2, "--reason", "settle x --yes", ()),
    "no action": (2, "show,revoke,settle,resume", "", ()),
    "a misspelt action": (2, "did you mean 'revoke'", "revok", ()),
    "an endless wait": (2, "not a number above zero", "revoke --yes --wait nan", ()),
    "no wallet": (2, "this config has no wallet", "show", (CONFIG[CONFIG.index("[wallet]") :], "")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_must_not_be_is_refused(case: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Words say why, with the exit code; nothing is written down, and nothing is told of the key.
    """
    expected, words, said, change = REFUSED[case]
    if change:
        config.write_text(config.read_text().replace(*change))
    assert expected == main(["wallet", *said.split(), *(("--config", str(config)) if said else ())])
    told = capsys.readouterr()
    assert "" == told.out
    assert words in told.err and KEY not in told.err and "Traceback" not in told.err


def test_a_key_that_others_may_read_is_not_used(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    It says which mode the file has and what to do.
    """
    (config.parent / "wallet.key").chmod(0o644)
    assert 4 == main(["wallet", "revoke", "--yes", "--config", str(config)])
    assert "others may read it (mode 644)" in capsys.readouterr().err


def test_all_mistakes_of_a_wallet_are_told_at_once(config: Path) -> None:
    """
    Each with its line and key, and what to write; a wallet without mistakes has none.
    """
    assert "base" in load(config).wallet.chains
    text = config.read_text()
    for good, bad in (
        ("chains.base", "chains.bass"),
        (ADDRESS, ADDRESS.replace("a8049bB", "a8049Bb")),
        ('venue = "node"', 'venue = "nod"'),
        ("agree = 1", "agree = 0"),
        ('key_file = "wallet.key"', 'key_file = "wallet.key"\nkeystore = "wallet.json"\nrelay = "ftp://x"'),
        ('["0x2222222222222222222222222222222222222222"]', '["0x22", "0x' + "0" * 40 + '"]'),
        ("confirmations = 2\n", ""),
        ("max_priority_gwei = 3", "max_priority_gwei = 300"),
        ("max_cost_usd = 5", "max_cost_eur = 5"),
    ):
        assert good in text
        text = text.replace(good, bad)
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(config)
    told = "\n".join(str(one) for one in caught.value.mistakes)
    for words in (
        "bass is no EVM chain of the registry", "did you mean base?", "wrong checksum", "did you mean node?",
        "0 is not at least 1", "keystore is written too", "a keystore has a password", "no address of a relay",
        '"0x22" is no address', "nobody's address", "confirmations: missing", "300 is more than max_fee_gwei = 100",
        "max_cost_eur", "max_cost_usd",
    ):  # fmt: skip
        assert words in told, told


SECRETS = ("hunter2secret", "5a" * 32)


@pytest.mark.parametrize(
    "line", ['password_env = "hunter2secret"', f'key_file = "{"5a" * 32}"', 'password = "hunter2secret"']
)
def test_a_secret_in_a_wallet_is_refused_and_not_repeated(config: Path, line: str) -> None:
    """
    A password where the name of a variable should stand, a key where a path should, and a key that does not exist.
    """
    config.write_text(config.read_text().replace('key_file = "wallet.key"', line))
    with pytest.raises(ConfigError) as caught:
        load(config)
    told = str(caught.value)
    assert "looks like a secret" in told
    assert not [secret for secret in SECRETS if secret in told]
