"""`pegline fit`: from a tape to a file of parameters, pulled to their kind, with what could not be told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.cli import main
from bot.paths import prepare_kernel

prepare_kernel()

from bot.assembly import assemble, fitted  # noqa: E402 - the kernel's cache must be chosen first
from bot.betas import beta, with_betas  # noqa: E402
from bot.config_file import load  # noqa: E402
from bot.fit import FEWEST_PRINTS, Found, coarser, file_of, fit  # noqa: E402
from bot.params_file import as_json, read_params, write_params  # noqa: E402
from bot.prints import Prints  # noqa: E402
from bot.sessions import load_sessions  # noqa: E402
from bot.tape_import import import_tape  # noqa: E402
from connectors.errors import DataError  # noqa: E402
from connectors.events import Kind, Row, Rows  # noqa: E402
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe  # noqa: E402
from connectors.tape import TapeWriter  # noqa: E402
from strategies.market import kernel as K  # noqa: E402
from strategies.market.fair import variance_clock  # noqa: E402
from strategies.market.filter import Premium  # noqa: E402
from strategies.market.params import TOKEN, Params  # noqa: E402
from strategies.market.session import Session  # noqa: E402
from tests.ou_world import world  # noqa: E402

MAPS = Path(__file__).parents[1] / "maps"
MONDAY = 1_778_500_800 * 10**9
"""11 May 2026, 12:00 UTC."""
TRUE = Premium(mean=0.001, sd=0.0032, half_life_s=1500.0, noise=5e-4)
VOL = 0.02
NAMES = ("AA", "BB", "CC", "DD")


def share(name: str) -> Instrument:
    """A source of a share with its hours."""
    return Instrument(venue="broker", symbol=name, role=Role.SHARE, underlying=name, hours=Hours.REGULAR)


def token(name: str) -> Instrument:
    """A token of a share."""
    return Instrument(venue="dex", symbol=f"{name}x/USD", role=Role.TOKEN, underlying=name, token=f"{name}x")


def prints_of(counts: dict[str, int], seed: int = 1) -> Prints:
    """Prints every five minutes from Monday on; the token of each share prints so many times, then never again."""
    sessions = load_sessions()
    moments = MONDAY + np.arange(500) * 300 * 10**9
    days = np.diff(variance_clock(sessions).many(moments), prepend=np.nan)
    days[0] = 0.0
    open_now = sessions.codes_at(moments) == Session.REGULAR
    instruments, columns = [], []
    for at, (name, count) in enumerate(counts.items()):
        z = world(seed + at, VOL, (TRUE,), days, open_now)
        z[count:, 1] = np.nan
        instruments += [share(name), token(name)]
        columns.append(z)
    z = np.concatenate(columns, axis=1)
    return Prints(Universe(tuple(instruments)), moments, z, np.full(z.shape, 1e-10))


@pytest.fixture(scope="module")
def found() -> Found:
    """A fit of three tokens that print for two days and one that does for two hours past the least."""
    return fit(prints_of(dict(zip(NAMES, (500, 500, 500, FEWEST_PRINTS + 10), strict=True))), Params(), tape="made")


def test_volatility_and_premia_of_a_known_world_are_found(found):
    """
    Of every share and of every token that prints for long: within 3.5 of their errors, and told by the tape.
    """
    for name in NAMES:
        vol = found.told[name]["daily_vol_bps"]
        assert abs(np.log(vol.value / (VOL * 1e4))) < 3.5 * np.log(vol.high / vol.value)
        assert vol.told
    for name in NAMES[:3]:
        told = found.told[token(name).name]
        for key, true in (("sd_bps", 32.0), ("half_life_s", 1500.0), ("noise_bps", 5.0)):
            assert abs(np.log(told[key].value / true)) < 3.5 * np.log(told[key].high / told[key].value)
        assert abs(told["mean_bps"].value - 10.0) < 3.5 * (told["mean_bps"].high - told["mean_bps"].value)
        assert told["sd_bps"].told
        assert abs(np.log(told["sd_bps"].value / 32)) < abs(np.log(told["sd_bps"].value / (TOKEN.sd * 1e4)))


def test_a_token_that_says_little_is_pulled_to_the_others(found):
    """
    With 60 prints its spread is nearer to that of the three others than when it is fitted alone, and its error less.
    """
    alone = fit(prints_of({NAMES[0]: 0, NAMES[1]: 0, NAMES[2]: 0, NAMES[3]: FEWEST_PRINTS + 10}), Params())
    label = token(NAMES[3]).name
    others = np.mean([np.log(found.told[token(name).name]["half_life_s"].value) for name in NAMES[:3]])
    pulled, single = (np.log(of.told[label]["half_life_s"].value) for of in (found, alone))
    assert abs(pulled - others) < abs(single - others)
    width = [of.told[label]["half_life_s"].high / of.told[label]["half_life_s"].low for of in (found, alone)]
    assert width[0] < width[1]


def test_what_it_stands_on_is_kept(found):
    """
    Span, number of prints, log-likelihood and tape of each share; unlike shares have unlike likelihoods.
    """
    stood = found.params.fitted
    assert set(NAMES) == set(stood)
    assert (MONDAY, "made") == (stood["AA"].start_ns, stood["AA"].tape)
    assert 500 + np.count_nonzero(np.isfinite(prints_of({"AA": 500}).z[:, 0])) == stood["AA"].prints
    assert stood["AA"].loglik > stood["DD"].loglik > 0


def test_too_few_prints_are_not_fitted_and_say_so():
    """
    A token below the least keeps its default and is named; a share whose instruments all are below has no fit.
    """
    prints = prints_of({"AA": FEWEST_PRINTS - 1})
    silent = replace(prints, z=np.where(np.arange(500)[:, None] < 40, prints.z, np.nan))
    found = fit(prints, Params())
    assert {token("AA").name: "49 believed prints, a fit needs 50"} == found.not_fitted
    assert TOKEN == found.params.premium(token("AA"))
    assert {} == fit(silent, Params()).params.fitted
    assert "has most, 40 believed prints" in fit(silent, Params()).not_fitted["AA"]


def test_a_wild_print_does_not_spoil_the_fit():
    """
    One print at twice the price is left out and counted; volatility and spread are those without it, to 10 %.
    """
    prints = prints_of({"AA": 400})
    wild = prints.z.copy()
    wild[200, 1] += 0.7
    clean, spoilt = fit(prints, Params()), fit(replace(prints, z=wild), Params())
    assert {token("AA").name: 1} == spoilt.left_out
    for name, key in (("AA", "daily_vol_bps"), (token("AA").name, "sd_bps")):
        assert pytest.approx(clean.told[name][key].value, rel=0.1) == spoilt.told[name][key].value


def test_without_the_share_nobody_says_how_far_its_perp_lies():
    """
    A 24/7 source beside a token, and no share: its premium stays the default and is said to be.
    """
    prints = prints_of({"AA": 500})
    oracle = Instrument(venue="hl", symbol="AA", role=Role.SHARE, underlying="AA")
    z = prints.z.copy()
    z[:, 0] = np.nan
    z[:, 0] = z[:, 1] + np.random.default_rng(3).normal(0, 1e-4, 500)
    found = fit(Prints(Universe((oracle, token("AA"))), prints.moments, z, prints.var), Params())
    assert "the share itself is not on the tape" == found.not_fitted["premia of hl:AA"]
    assert pytest.approx(Params().premium(oracle).sd) == found.params.premium(oracle).sd
    assert {"mean_bps", "sd_bps", "half_life_s"} == set(
        file_of(found, tape="", every_s=60).instruments["hl:AA"].default
    )


def test_of_a_long_tape_every_nth_moment_is_looked_at():
    """
    The last print of each stretch counts, at its end; a short tape is left as it is.
    """
    prints = prints_of({"AA": 500})
    assert (prints, 1) == coarser(prints, 500)
    less, every = coarser(prints, 200)
    assert (3, 167) == (every, len(less.moments))
    assert prints.moments[[2, 5]].tolist() == less.moments[:2].tolist()
    assert prints.z[[2, 5], 1].tolist() == less.z[:2, 1].tolist()
    assert prints.moments[-1] == less.moments[-1]


def test_the_file_says_the_same_when_it_is_read(found, tmp_path):
    """
    Every number of the parameters comes back, and the file has its version, span and likelihood.
    """
    path = tmp_path / "params.json"
    told = file_of(found, tape="made", every_s=60.0)
    write_params(path, told)
    read, kept = read_params(path), found.params
    assert {n: pytest.approx(v) for n, v in kept.daily_vol_bps.items()} == read.daily_vol_bps
    for name, premium in kept.premia.items():
        for field in ("mean", "sd", "half_life_s", "noise", "shut"):
            assert pytest.approx(getattr(premium, field)) == getattr(read.premia[name], field)
    assert kept.fitted == read.fitted
    assert 1 == json.loads(path.read_text())["version"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "version"),
        ('{"version": 2}', "is of version 2, this is 1"),
        ("no json", "is no file of parameters"),
        ('{"version": 1, "shares": {"A": {"daily_vol_bps": -1}}}', "shares"),
    ],
)
def test_another_file_is_refused(text, said, tmp_path):
    """
    No version, another one, no JSON, or a number that cannot be: the error says which.
    """
    path = tmp_path / "params.json"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_params(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_params(tmp_path / "absent.json")


@pytest.fixture(scope="module")
def may(shared, tmp_path_factory) -> Path:
    """The tape of May and June 2026: two pools by the hour, the share by five minutes."""
    data, path = shared / "data", tmp_path_factory.mktemp("may") / "tape"
    files = [data / "xstocks_solana_2026-06" / "ohlcv.csv.gz", data / "us_equity_2025_2026" / "yahoo_5m.csv.gz"]
    import_tape(files, MAPS / "xstocks_2026_06.toml", path)
    return path


def test_the_command_fits_a_real_tape_and_writes_what_it_prints(may, tmp_path, capsys):
    """
    May 2026: the share moves 200 to 320 bps a day, pools lie within 30 bps; stdout and file are the same bytes, and
    what is read from it is not the default.
    """
    out = tmp_path / "params.json"
    words = ["fit", str(may), "--from", "2026-05-11T00:00Z", "--to", "2026-05-20T00:00Z", "--json", "--out", str(out)]
    assert 0 == main(words)
    said = capsys.readouterr().out
    assert out.read_text() == said
    told = json.loads(said)
    assert 200 < told["shares"]["TSLA"]["daily_vol_bps"] < 320
    assert {"raydium:TSLAX/USD", "orca:TSLAX/USD"} == set(told["instruments"])
    assert all(5 < line["sd_bps"] < 30 for line in told["instruments"].values())
    assert read_params(out).premia["orca:TSLAX/USD"] != TOKEN


def test_the_command_says_what_a_short_tape_cannot_tell(may, tmp_path, capsys):
    """
    Of one hour: exit code 8, what was too few, nothing on stdout and no file.
    """
    out = tmp_path / "params.json"
    words = ["fit", str(may), "--from", "2026-05-12T14:00Z", "--to", "2026-05-12T15:00Z", "--out", str(out)]
    assert 8 == main(words)
    said = capsys.readouterr()
    assert ("", False) == (said.out, out.exists())
    assert "nothing can be fitted" in said.err
    assert "a fit needs 50" in said.err


def test_of_a_tape_that_tells_nothing_every_share_has_one_short_line(tmp_path, capsys):
    """
    Thirty shares of nine instruments with a print each: a line of at most 120 characters for each of the first twenty,
    one for the rest, and one error.
    """
    tokens = [
        Instrument(venue=f"venue{v}", symbol=f"S{n:02}x", role=Role.TOKEN, token=f"S{n:02}x", issuer="i",
                   underlying=f"S{n:02}", unit_model=UnitModel.REBASING)
        for n in range(30) for v in range(9)
    ]  # fmt: skip
    rows = [Row(ts_recv=MONDAY + n, instrument=n, kind=Kind.QUOTE, bid=99.0, ask=101.0) for n in range(len(tokens))]
    with TapeWriter(tmp_path / "tape", Universe(tuple(tokens)), {"made_by": "test"}) as writer:
        writer.append(Rows.of(rows))
    assert 8 == main(["fit", str(tmp_path / "tape")])
    lines = capsys.readouterr().err.splitlines()
    shares = [line for line in lines if line.startswith("not fitted: S")]
    assert [f"not fitted: S{n:02}: " for n in range(20)] == [line[: len("not fitted: S00: ")] for line in shares]
    assert all("1 believed prints" in line and len(line) <= 120 for line in shares)
    assert "not fitted: 10 more shares" in lines
    assert 1 == sum("nothing can be fitted" in line for line in lines)
    assert max(len(line) for line in lines) <= 120 + 2 * len(str(tmp_path))


def test_the_table_marks_what_is_default(may, capsys):
    """
    A day of hourly prints tells no pool's numbers: they are named as not fitted, the share's line is there.
    """
    assert 0 == main(["fit", str(may), "--from", "2026-05-12T00:00Z", "--to", "2026-05-13T00:00Z"])
    said = capsys.readouterr()
    assert "TSLA" in said.out
    assert "not fitted: orca:TSLAX/USD: 24 believed prints, a fit needs 50" in said.err


def test_two_fits_of_one_tape_are_the_same_bytes_and_say_how_far_they_are():
    """
    Nothing is left to chance; each round of each share is told while it goes on.
    """
    prints, said = prints_of({"AA": 120}), []
    first, second = (as_json(file_of(fit(prints, Params(), progress=said.append), tape="t", every_s=60)) for _ in "ab")
    assert first == second
    assert "fitting AA: round 1" == said[0]
    assert len(said) > 4


def index_and_share(seed: int) -> Prints:
    """A share that follows its index by 1.5 with as much again of its own, both every five minutes."""
    rng = np.random.default_rng(seed)
    moments = MONDAY + np.arange(400) * 300 * 10**9
    index = np.cumsum(rng.normal(0, 1e-3, 400))
    own = np.cumsum(rng.normal(0, 1.5e-3, 400))
    z = np.stack((6 + 1.5 * index + own, 5 + index), axis=1)
    return Prints(Universe((share("AA"), share("IDX"))), moments, z, np.full(z.shape, 1e-10))


def test_betas_are_found_with_what_they_explain():
    """
    In five worlds within 3.5 errors of 1.5, explaining 40 to 60 %; of an index that has nothing to do with it, nothing.
    """
    for seed in range(5):
        prints = index_and_share(seed)
        found = beta(prints, "AA", ["IDX"])
        assert abs(found.betas["IDX"] - 1.5) < 3.5 * found.errors["IDX"] < 1
        assert 0.4 < found.explained < 0.6
        z = prints.z.copy()
        z[:, 1] = index_and_share(seed + 100).z[:, 1]
        assert beta(replace(prints, z=z), "AA", ["IDX"]).explained < 0.05


def test_betas_are_written_and_carried_through_the_fit(tmp_path):
    """
    They stand in the file, and what is read from it makes the filter follow the index.
    """
    prints = index_and_share(1)
    found = fit(prints, with_betas(Params(), {"AA": beta(prints, "AA", ["IDX"])}))
    path = tmp_path / "params.json"
    write_params(path, file_of(found, tape="", every_s=60.0))
    read = read_params(path)
    assert {0: {1: pytest.approx(1.5, abs=0.25)}} == read.controls(("AA", "IDX"))
    assert 0.4 < read.explained["AA"] < 0.6


def test_a_beta_needs_both_on_the_tape_and_enough_of_them():
    """
    An underlying that is not there is named with those that are; too few returns say how many there are.
    """
    prints = index_and_share(2)
    with pytest.raises(DataError, match="no instrument of SPY is on the tape"):
        beta(prints, "AA", ["SPY"])
    short = replace(prints, z=np.where(np.arange(400)[:, None] < 30, prints.z, np.nan))
    with pytest.raises(DataError, match="29 returns together"):
        beta(short, "AA", ["IDX"])


@pytest.mark.parametrize("word", ["TSLA", "TSLA=", "=SPY", "TSLA=TSLA", "TSLA=SPY,SPY", "TSLA=SPY,"])
def test_a_control_that_makes_no_sense_is_a_mistake_of_usage(word, capsys):
    """
    Exit code 2 before anything is read, with the word.
    """
    assert 2 == main(["fit", "nowhere", "--control", word])
    assert repr(word) in capsys.readouterr().err


def test_a_config_that_names_the_file_goes_by_it(found, tmp_path):
    """
    The path is relative to the config; its volatility is the columns', one in the config stands above it.
    """
    write_params(tmp_path / "params.json", file_of(found, tape="made", every_s=60.0))
    path = tmp_path / "config.toml"
    path.write_text('[fair]\nparams_file = "params.json"\ndaily_vol_bps = { BB = 77.0 }\n')
    config = load(path, credentials=False)
    parts = assemble(config, Universe((share("AA"), share("BB"), share("ZZ"))), load_sessions(), Deaf(), executor=None)
    vols = np.sqrt(parts.columns.g[:, K.VOL2]) * 1e4
    assert [found.params.daily_vol_bps["AA"], 77.0, 300.0] == pytest.approx(vols.tolist())
    assert found.params.premia.keys() == fitted(config).premia.keys()


class Deaf:
    """A scribe that writes nothing."""

    def append(self, kind: str, ts: int, payload: bytes) -> int:
        """Forgets the record."""
        return 0
