"""The house's own papers: what the README promises, the lock, the scripts and the image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from bot.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAPERS = ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md", "docs/operating.md")


def text(name: str) -> str:
    """A file of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("paper", PAPERS)
def test_what_a_paper_names_exists(paper: str) -> None:
    """
    Links lead to files, `make` words are targets, and `pegline` words are commands or topics.
    """
    said = text(paper)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", said) if "://" not in link]
    assert not [link for link in links if not (ROOT / link).exists() and link != "docs/demo.svg"]
    targets = set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make (\w+)", said, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:`|bin/)pegline (\w+)", said)) <= {*COMMANDS, "help"}


@pytest.mark.parametrize("script", ["scripts/setup", "scripts/system", "scripts/chain", "scripts/check", ".ci/run"])
def test_a_script_can_be_run(script: str) -> None:
    """
    It is executable, bash can read it, and it stops at what it does not expect.
    """
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)
    assert re.search(r"^set -e?uo pipefail$", text(script), re.MULTILINE)


def test_set_up_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    """
    Where the stamp carries the lock's hash and this folder, set-up ends at once; a wider one counts for a narrower.
    """
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup", "uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text(text(name), encoding="utf-8")
    pegline = tmp_path / ".venv" / "bin" / "pegline"
    pegline.parent.mkdir(parents=True)
    pegline.touch(mode=0o755)
    lock = subprocess.run(
        "cat uv.lock pyproject.toml | sha256sum", shell=True, cwd=tmp_path, capture_output=True, text=True
    )
    stamp = f"{lock.stdout.split()[0]} {tmp_path.resolve()}\n"
    (tmp_path / ".venv" / ".synced-all").write_text(stamp, encoding="utf-8")
    for what in ("core", "feeds", "all"):
        done = subprocess.run(
            ["bash", "scripts/setup", what], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_a_moved_folder_is_set_up_again(tmp_path: Path) -> None:
    """
    Where the stamp names another folder, the scripts in .venv start nothing any more: it is removed.
    """
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup", "uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text(text(name), encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".synced-core").write_text("abc /somewhere/else\n", encoding="utf-8")
    without = {"PATH": os.environ["PATH"], "PYTHON": "no-such-python"}
    done = subprocess.run(["bash", "scripts/setup", "core"], cwd=tmp_path, env=without, capture_output=True, text=True)
    assert "moved" in done.stderr and not (tmp_path / ".venv").exists()


def test_a_python_that_will_not_do_is_told(tmp_path: Path) -> None:
    """
    Without a fitting Python the message names the Debian package.
    """
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup", "uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text(text(name), encoding="utf-8")
    without = {"PATH": os.environ["PATH"], "PYTHON": "no-such-python"}
    done = subprocess.run(["bash", "scripts/setup", "core"], cwd=tmp_path, env=without, capture_output=True, text=True)
    assert 1 == done.returncode
    assert "python3-venv" in done.stderr


def test_the_lock_names_public_places_only() -> None:
    """
    A stranger's clone can install from the committed lock.
    """
    places = {
        re.sub(r"^https://([^/]+).*", r"\1", url)
        for url in re.findall(r'(?:url|registry) = "([^"]+)"', text("uv.lock"))
    }
    assert {"pypi.org", "files.pythonhosted.org"} == places
    packages = json.loads(text("tests/chain/package-lock.json"))["packages"]
    resolved = [package["resolved"] for name, package in packages.items() if name]
    assert {"https://registry.npmjs.org"} == {"/".join(url.split("/")[:3]) for url in resolved}


def test_the_lock_knows_every_dependency() -> None:
    """
    What pyproject.toml asks for is in the lock.
    """
    project = tomllib.loads(text("pyproject.toml"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    asked += [name for extra in project["project"]["optional-dependencies"].values() for name in extra]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in asked}
    assert names <= {package["name"] for package in tomllib.loads(text("uv.lock"))["package"]}


def test_one_version_of_uv_everywhere() -> None:
    """
    The scripts and the image install the same uv.
    """
    assert re.findall(r"^UV=(\S+)", text("scripts/setup"), re.MULTILINE) == re.findall(r"uv==(\S+)", text("Dockerfile"))


def test_the_image_copies_what_there_is() -> None:
    """
    Every file that the image copies exists and gets past .dockerignore, and it does not run as root.
    """
    image = text("Dockerfile")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)", image, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert not [name for name in copied if not (ROOT / name).exists()]
    assert set(copied) <= {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert "pegline" == re.findall(r"^USER (\w+)", image, re.MULTILINE)[-1]


def engine() -> str:
    """Why no image can be built here, or the empty text."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no docker engine ({type(error).__name__})"
    return "" if done.returncode == 0 else "no docker engine answers"


@pytest.mark.timeout(900)
def test_the_image_is_built_and_runs() -> None:
    """
    Built from nothing, the image runs the demo as a user of its own with a file system that is read-only.
    """
    if reason := engine():
        pytest.skip(reason)
    subprocess.run(["docker", "build", "-q", "-t", "pegline:test", str(ROOT)], check=True, capture_output=True)
    run = [
        "docker",
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/state:uid=10001",
        "--network",
        "none",
    ]
    user = subprocess.run(
        [*run, "--entrypoint", "id", "pegline:test", "-u"], check=True, capture_output=True, text=True
    )
    assert "10001" == user.stdout.strip()
    done = subprocess.run([*run, "pegline:test", "demo", "--seconds", "5", "--json"], capture_output=True, check=False)
    assert 0 == done.returncode, done.stderr
