"""The command line: help, spelling, colour, exit codes, and how errors are told."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bot.cli import COMMANDS, main
from bot.errors import CheckFailed, ExitCode, exit_code
from bot.journal import Journal
from bot.terminal import coloured
from bot.topics import TOPICS
from connectors.errors import EntitlementLost, SymbolUnknown, TapeError, VenueUnreachable
from strategies.base import Note, Step

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "aiohttp", "asyncio", "ccxt", "numba", "numpy", "pandas", "prometheus_client", "pyarrow", "pydantic", "rich",
    "structlog", "web3", "yfinance",
}  # fmt: skip


def pegline(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Runs pegline in a process of its own; `code` runs after it."""
    script = f"import sys; from bot.cli import main; c = main({list(words)!r}); {code or 'sys.exit(c)'}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize(
    "words", [("--help",), ("help", "exit-codes"), ("version", "--json"), ("--version",), ("chek",)]
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    """
    What only prints a text imports no library that takes time.
    """
    done = pegline(*words, code="print(*sys.modules, sep='\\n', file=sys.stderr)")
    assert set() == HEAVY & {line.partition(".")[0] for line in done.stderr.splitlines()}


def test_a_config_is_checked_without_the_compiler() -> None:
    """
    `pegline check` reads a whole config, knows its feeds, and loads neither the kernel nor what compiles it.
    """
    done = pegline("check", "config.example.toml", code="print(c, *sys.modules, sep='\\n', file=sys.stderr)")
    modules = done.stderr.splitlines()
    assert "bot.wiring" in modules
    assert not {"numba", "strategies.market.kernel"} & set(modules)


def test_orders_of_a_journal_are_told_without_the_compiler(tmp_path: Path) -> None:
    """
    They are there in a moment: nothing that compiles is loaded for them.
    """
    start = Step(seq=1, ts=1, cause="start", notes=(Note(kind="start", detail={"instruments": "a:T"}),))
    with Journal(tmp_path / "j") as journal:
        journal.append("step", 1, msgspec.msgpack.encode(start))
    words = ("journal", "orders", "--file", str(tmp_path / "j"))
    done = pegline(*words, code="print(c, *sys.modules, sep='\\n', file=sys.stderr)")
    modules = done.stderr.splitlines()
    assert ("0", "no orders") == (modules[0], done.stdout.strip())
    assert not {"numba", "strategies.market.kernel"} & set(modules)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    """
    Each command's file exists, and its help, too, costs no heavy import.
    """
    done = pegline(name, "--help", code="print(c, *sys.modules, sep='\\n', file=sys.stderr)")
    lines = done.stderr.splitlines()
    assert "0" == lines[0]
    assert f"usage: pegline {name}" in done.stdout
    assert set() == (HEAVY - {"asyncio"}) & {line.partition(".")[0] for line in lines}


def test_help_names_every_command_and_topic(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without words, with --help and with `help` the same list is printed.
    """
    said = []
    for words in ([], ["--help"], ["help"]):
        assert 0 == main(words)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2]
    assert not [name for name in (*COMMANDS, *TOPICS) if f"\n  {name} " not in said[0]]


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_topics_are_printed(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    `pegline help TOPIC` prints the topic, in lines that fit a terminal.
    """
    assert 0 == main(["help", topic])
    said = capsys.readouterr().out
    assert TOPICS[topic][1] in said
    assert max(map(len, said.splitlines())) <= 110


def test_every_exit_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The topic lists every code with its meaning.
    """
    main(["help", "exit-codes"])
    said = capsys.readouterr().out
    assert not [code for code in ExitCode if f"{code.value:>3}  {code.meaning}" not in said]


@pytest.mark.parametrize(
    "words, meant",
    [
        (["chek"], "did you mean 'check'?"),
        (["help", "exit-code"], "did you mean 'exit-codes'?"),
        (["version", "--jsn"], "did you mean '--json'?"),
        (["--color", "alwys", "version"], "did you mean 'always'?"),
    ],
)
def test_a_slip_of_the_finger_is_understood(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A word that is not known gives exit code 2 and the word that was probably meant.
    """
    assert 2 == main(words)
    assert meant in capsys.readouterr().err


def test_abbreviations_are_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    """
    `--js` is not taken for --json: tomorrow it could mean something else.
    """
    assert 2 == main(["version", "--js"])
    assert "" == capsys.readouterr().out


def test_common_options_may_stand_on_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    """
    `pegline --debug version` and `pegline version --debug` are the same.
    """
    assert 0 == main(["--debug", "--color", "never", "version", "--json"])
    assert 0 == main(["version", "--json", "--color=never", "--debug"])
    first, second = capsys.readouterr().out.split("}\n{")
    assert json.loads(first + "}") == json.loads("{" + second)
    assert 0 == main(["tokens", "list", "--json", "--debug"])


class Broken:
    """A command that ends with an error."""

    def __init__(self, error: BaseException) -> None:
        """The error that it ends with."""
        self.error = error

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """It has no options."""

    def run(self, args: argparse.Namespace) -> int:
        """Ends with the error."""
        raise self.error


def test_an_unexpected_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An error that nobody foresaw gives exit code 1, one line, and the way to the traceback.
    """
    assert 1 == main(["run"], lambda name: Broken(ValueError("a\nb")))
    said = "pegline: unexpected ValueError: a b (rerun with --debug for the traceback)\n"
    assert said == capsys.readouterr().err
    assert 1 == main(["run", "--debug"], lambda name: Broken(ValueError("a\nb")))
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_the_tree_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An error with a place and a hint is one line, with its own exit code.
    """
    assert 8 == main(["run"], lambda name: Broken(TapeError("cut off", where="part-00001", hint="import it again")))
    assert "pegline: part-00001: cut off (import it again)\n" == capsys.readouterr().err


def test_an_error_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """
    What a venue, a file or a name put into an error is shown with its control characters written out.
    """
    assert 8 == main(["run"], lambda name: Broken(TapeError("not \x1b[2J\x07 a price", where="caf\u00e9")))
    assert "pegline: café: not \\x1b[2J\\x07 a price\n" == capsys.readouterr().err
    assert 1 == main(["run"], lambda name: Broken(ValueError("\x1b[31m")))
    assert "\x1b" not in capsys.readouterr().err


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An interrupted command says so in one line and ends with 130.
    """
    assert 130 == main(["run"], lambda name: Broken(KeyboardInterrupt()))
    assert "pegline: interrupted\n" == capsys.readouterr().err


def test_a_package_of_an_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Where a package of an extra is absent, the message says how to get it.
    """
    assert 1 == main(["run"], lambda name: Broken(ModuleNotFoundError("no", name="ccxt.pro")))
    assert "pegline: this needs ccxt, which is not installed (run: make feeds)\n" == capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """
    `pegline help config | head -1` ends quietly.
    """
    script = (
        "import os, sys; from bot.cli import main\n"
        "r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
        "sys.exit(main(['help', 'config']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "error, code",
    [
        (CheckFailed("x"), 5),
        (EntitlementLost("x"), 4),
        (SymbolUnknown("x"), 7),
        (VenueUnreachable("x"), 7),
        (TapeError("x"), 8),
        (KeyboardInterrupt(), 130),
        (ValueError(), 1),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    """
    The class of an error decides the code, the narrow class before the wide one.
    """
    assert code == exit_code(error)


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True


def test_colour_only_where_it_is_wanted() -> None:
    """
    Colour goes to terminals; NO_COLOR, TERM=dumb and --color never switch it off, --color always on.
    """
    assert coloured(Terminal(), "auto", {"TERM": "xterm"})
    assert coloured(Terminal(), "auto", {"NO_COLOR": ""})
    assert not coloured(io.StringIO(), "auto", {})
    assert not coloured(Terminal(), "auto", {"NO_COLOR": "1"})
    assert not coloured(Terminal(), "auto", {"TERM": "dumb"})
    assert not coloured(Terminal(), "never", {})
    assert coloured(io.StringIO(), "always", {"NO_COLOR": "1"})


def test_version_as_json_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A bug report needs versions of pegline, Python, the platform and the libraries.
    """
    assert 0 == main(["version", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert 1 == said["schema"]
    assert {"schema", "pegline", "python", "platform", "libraries"} == set(said)
    assert said["libraries"]["numpy"]
