"""The help topics: what to know that belongs to no single command."""

from __future__ import annotations

from typing import Final

from bot.errors import ExitCode


def _exit_codes() -> str:
    """The table of exit codes, made from the codes themselves."""
    rows = "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode)
    return f"Every command ends with one of these codes:\n\n{rows}"


_CONFIG: Final = """\
One TOML file holds everything; config.example.toml shows every key with its unit and meaning.

  cp config.example.toml config.toml
  pegline check config.toml

Units stand in the names: _bps (0.01 %), _usd, _units (transferable units of a token), _s, _ms, and
_share (a part of one). Unknown keys are refused. No fee, limit or size has a silent default. All
mistakes are reported at once, each as

  config.toml:42 [venues.kraken] taker_fee_pct: unknown key: here fees are in bps, write taker_fee_bps = 26

Exit code 3: the file has mistakes. Exit code 4: a key file that it names is missing.
Wherever the file allows `inf`, that switches a gate or limit off."""

_SECRETS: Final = """\
Secrets never stand in the config file or on the command line. The file names a path instead:

  [venues.kraken]
  key_file = "/etc/pegline/kraken.key"

The file holds one name = "value" a line, with the names that the venue uses:

  key = "..."
  secret = "..."

A relative path starts at the folder of the config file. Give the key file mode 0600 (chmod 600); others
get a warning. A value in the config that looks like a key, a password or a seed phrase is refused, and is
not repeated in the message. Watching and paper trading need no key at all.

A wallet on chain ([wallet.chains.CHAIN]) names a keystore, with its password in a file or in an environment
variable, or a file with the key. They must have mode 0600. Only `pegline wallet revoke` opens them, and only
with [wallet] sign = true; a run never does."""

_BASIS: Final = """\
A token with a multiplier is worth that many shares a unit. Few venues say whether their price is per
unit or per share (with the multiplier applied by them), and mistaking one for the other shifts every
premium by the multiplier. So for each such instrument

  basis = "calibrate"   (the default) tells it from the first dozens of prices against the share, after
                        each start without a journal and after each change of the multiplier
  basis = "unit"        the price is per unit, as it is in every pool
  basis = "share"       the price is per share, and so are the sizes

Until it is told the instrument is shown with the reason and not traded. Where the multiplier is too near
to one for the noise it stays ambiguous, and you must write which; with neither fitting it is impossible: a
split that the venue missed, or another asset. `pegline doctor` lists all of them.

Another doubt is the band of [gates] plausible_bps: a price further from the fair value cannot be that of
the token, unless a second venue says the same; then it is a crash, and the depeg is told."""

_MODES: Final = """\
One program, three ways to feed it; the same code decides in all of them.

  pegline demo                 a seeded simulated market, paper fills: no key, no network
  pegline run                  dry-run: live data, paper fills
  pegline backtest             a recorded or imported tape, paper fills

Nothing in this version sends an order to a venue. Paper fills happen only against a bid, ask and size that
were seen; a series with one price can be watched but is never filled unless the config names a spread and a
size for it."""


TOPICS: Final[dict[str, tuple[str, str]]] = {
    "exit-codes": ("what a command returns to the shell", _exit_codes()),
    "config": ("how the config file is read, and what its units mean", _CONFIG),
    "secrets": ("where keys live", _SECRETS),
    "basis": ("per unit or per share, and what a price may be", _BASIS),
    "modes": ("demo, dry-run and backtest", _MODES),
}
"""Name of a topic -> (one line, text)."""
