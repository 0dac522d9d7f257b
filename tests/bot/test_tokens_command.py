"""`pegline tokens`: what it prints for people and for machines."""

from __future__ import annotations

import argparse
import json

import pytest

from bot.commands import tokens
from connectors.errors import RegistryError


def call(*words: str) -> int:
    """Runs the command as the command line does."""
    parser = argparse.ArgumentParser()
    tokens.arguments(parser)
    return tokens.run(parser.parse_args(words))


def test_alone_it_lists_every_contract(capsys):
    """
    `pegline tokens --json` is the list: 192 contracts with their chain, unit model and trust.
    """
    assert 0 == call("--json")
    answer = json.loads(capsys.readouterr().out)
    assert (1, 192) == (answer["schema"], len(answer["tokens"]))
    assert {"symbol", "issuer", "chain", "contract", "unit_model", "trust"} <= set(answer["tokens"][0])


@pytest.mark.parametrize("words", [("list", "--issuer", "ondo", "--json"), ("--issuer", "ondo", "list", "--json")])
def test_filters_hold_before_and_after_the_word(capsys, words):
    """
    A filter narrows the list wherever it stands.
    """
    call(*words)
    assert {"ondo"} == {token["issuer"] for token in json.loads(capsys.readouterr().out)["tokens"]}


def test_filters_add_up(capsys):
    """
    Share and chain together leave the tokens that meet both.
    """
    call("list", "--underlying", "tsla", "--chain", "solana", "--json")
    assert {"TSLAx", "TSLAon", "TSLAr"} == {t["symbol"] for t in json.loads(capsys.readouterr().out)["tokens"]}


def test_a_filter_that_nothing_meets_says_what_there_is():
    """
    An issuer that does not exist is an error that names the issuers.
    """
    with pytest.raises(RegistryError, match="known: binance, coinbase"):
        call("list", "--issuer", "kraken")


def test_show_explains_a_token_in_words(capsys):
    """
    Every chain with its whole contract, the unit model and the trust level in words, and the sources.
    """
    assert 0 == call("show", "tslax")
    out = capsys.readouterr().out
    for part in (
        "0x8aD3c73F833d3F9A523aB01476625F269aEB7Cf0",
        "XsDoVfqeBukxuZHWhdvWHBhgEHjGNst4MLodqsJHzoB",
        "one unit is one share",
        "wallets show raw x multiplier",
        "named by a repository or page that the issuer runs",
        "backed-fi/cowswap-xstocks-tokenlist",
    ):
        assert part in out


@pytest.mark.parametrize("words", [("list",), ("show", "AAPL"), ("show", "SPYx"), ("show", "TSLAr")])
def test_tables_fit_in_a_hundred_columns_without_colour(capsys, words):
    """
    Into a pipe goes plain text, at most 100 columns wide, and every contract on one line.
    """
    call(*words)
    out = capsys.readouterr().out
    wide = [line for line in out.splitlines() if len(line) > 100 and "source:" not in line]
    assert ([], False) == (wide, "\x1b" in out)


def test_talk_goes_to_stderr(capsys):
    """
    The warning that no address was checked on chain does not enter the data.
    """
    call("list")
    said = capsys.readouterr()
    assert (False, True) == ("checked on chain" in said.out, "checked on chain" in said.err)
