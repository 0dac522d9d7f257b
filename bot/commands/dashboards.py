"""`pegline dashboards`: rules, alert routes, board and runbooks for your Prometheus, Alertmanager and Grafana."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from bot.errors import UsageError

EPILOG: Final = """\
Writes into --out:
  prometheus.yml, rules/        scrape and alert; `promtool check config` passes
  alertmanager.yml              what is told once, and where to
  grafana/                      the board "Peg" and its provisioning
  runbooks/                     what each alert means and what to do

Run Prometheus and Alertmanager with these files, and mount grafana/provisioning at /etc/grafana/provisioning and
grafana/dashboards at /etc/grafana/pegline/dashboards."""

FILES: Final = {
    "prometheus/prometheus.yml": "prometheus.yml",
    "prometheus/rules/alerts.yml": "rules/alerts.yml",
    "prometheus/rules/recording.yml": "rules/recording.yml",
    "alertmanager/alertmanager.yml": "alertmanager.yml",
    "grafana/dashboards/peg.json": "grafana/dashboards/peg.json",
    "grafana/provisioning/datasources/pegline.yml": "grafana/provisioning/datasources/pegline.yml",
    "grafana/provisioning/dashboards/pegline.yml": "grafana/provisioning/dashboards/pegline.yml",
} | {
    f"runbooks/{name}.md": f"runbooks/{name}.md"
    for name in (
        "PeglineAttestationOld", "PeglineBackingShortfall", "PeglineChargeUnknown", "PeglineDepeg", "PeglineDiskLow",
        "PeglineDiskSlow", "PeglineDown", "PeglineFilesLow", "PeglineHedgeCost", "PeglineHedgeMargin",
        "PeglineHeldBack", "PeglineJournalFailed", "PeglineKilled", "PeglineLiquidityCliff", "PeglineMintStuck",
        "PeglinePegDeviation", "PeglineReconcileDifference", "PeglineReferenceRefused", "PeglineStablecoinDepeg",
        "PeglineWatchdog",
    )
}  # fmt: skip
"""Where a file of the package goes."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", default="dashboards", metavar="DIR", help="folder to write to (dashboards)")
    parser.add_argument(
        "--target", type=_place, metavar="HOST:PORT", help="where pegline serves /metrics (127.0.0.1:9464)"
    )
    parser.add_argument(
        "--alertmanager", type=_place, metavar="HOST:PORT", help="where Alertmanager is (127.0.0.1:9093)"
    )
    parser.add_argument(
        "--prometheus", type=_url, metavar="URL", help="where Grafana finds Prometheus (http://127.0.0.1:9090)"
    )
    parser.add_argument(
        "--webhook",
        type=_url,
        metavar="URL",
        help="where alerts are posted (http://127.0.0.1:9465/); one that is secret belongs into a url_file",
    )
    parser.add_argument("--runbooks", metavar="URL", help="where the folder runbooks/ can be read (runbooks)")
    parser.add_argument("--every", type=_pace, metavar="TIME", help="how often to scrape and judge, e.g. 5s (15s)")
    parser.add_argument(
        "--hold",
        type=_span,
        metavar="TIME",
        help="how long the state of a peg must last before it alerts (by rule, 0s-5m)",
    )
    parser.add_argument(
        "--group", type=_pace, metavar="TIME", help="how long alerts are gathered into one message (10s, then 1m)"
    )
    parser.add_argument("--force", action="store_true", help="write over files that were changed by hand")


def run(args: argparse.Namespace) -> int:
    """Writes the files. Raises UsageError where one that differs is there already, or the folder cannot be made."""
    out = Path(args.out)
    made = {out / place: text for place, text in files(args).items()}
    try:
        return _written(out, made, force=args.force)
    except OSError as error:
        raise UsageError(f"{error.filename or out}: cannot be written: {error.strerror}", where="--out") from error


def _written(out: Path, made: dict[Path, str], *, force: bool) -> int:
    changed = [path for path, text in made.items() if path.exists() and path.read_text(encoding="utf-8") != text]
    if changed and not force:
        raise UsageError(
            "there already, and different: " + ", ".join(str(path) for path in changed),
            where="--out",
            hint="choose another folder, or --force to write over them",
        )
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(made)} files in {out}")
    print(f"next: prometheus --config.file={out / 'prometheus.yml'}")
    print(f"      prometheus-alertmanager --config.file={out / 'alertmanager.yml'}")
    return 0


def files(args: argparse.Namespace) -> dict[str, str]:
    """Place and text of every file, with the operator's addresses and times."""
    from importlib.resources import files as package

    root = package("monitoring")
    return {place: _filled(root.joinpath(name).read_text("utf-8"), args) for name, place in FILES.items()}


def _filled(text: str, args: argparse.Namespace) -> str:
    for said, there, here in (
        (args.target, "127.0.0.1:9464", args.target),
        (args.alertmanager, "127.0.0.1:9093", args.alertmanager),
        (args.prometheus, "http://127.0.0.1:9090", args.prometheus),
        (args.webhook, "http://127.0.0.1:9465/", args.webhook),
        (args.runbooks, "runbook_url: runbooks/", f"runbook_url: {(args.runbooks or '').rstrip('/')}/"),
    ):
        if said is not None:
            text = text.replace(there, here)
    for said, names in (
        (args.every, "scrape_interval|evaluation_interval|timeInterval"),
        (args.hold, "for"),
        (args.group, "group_wait|group_interval"),
    ):
        if said is not None:
            # What watches over pegline itself keeps its own time: one scrape that is late is no outage.
            pegs, rest, own = text.partition("  - name: pegline-self")
            text = re.sub(rf"^( *(?:{names}): )\d+[smh]$", rf"\g<1>{said}", pegs, flags=re.MULTILINE) + rest + own
    return text


def _span(text: str) -> str:
    """A time as Prometheus writes it."""
    if not re.fullmatch(r"\d+(ms|s|m|h)", text):
        raise argparse.ArgumentTypeError(f"not a time: {text!r}; write 5s, 2m or 1h")
    return text


def _pace(text: str) -> str:
    """The same, of something that happens again and again."""
    if not re.search("[1-9]", text):
        raise argparse.ArgumentTypeError(f"{text} is no pace; write 5s, 2m or 1h")
    return _span(text)


def _place(text: str) -> str:
    """A host and a port."""
    if not re.fullmatch(r"[\w.\[\]:-]+:\d{1,5}", text):
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text!r}")
    return text


def _url(text: str) -> str:
    """An address that a YAML file can hold as it stands."""
    if not re.fullmatch(r"https?://[\w.\[\]:/?&=%~+-]+", text):
        raise argparse.ArgumentTypeError(f"not an http address: {text!r}")
    return text
