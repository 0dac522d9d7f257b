"""From the market to the operator: a real Prometheus and Alertmanager beside `pegline demo`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.cli import main
from bot.clock import sleep
from bot.sessions import load_sessions
from connectors.simulated.world import simulate
from tests.conftest import program
from tests.monitoring.test_board import expressions
from tests.servers.alerts import Asked, Program, Webhook, alertmanager, alertmanager_name, free_ports, prometheus

SEED = 161
"""Its depeg lasts from hour 7 to 24 of 100; a share freezes before, and somebody mistypes the price of a third one."""
SECONDS = 100
"""Of the whole story; it is not heard to the end."""
WITHIN_S = 60.0


def is_about(alert: dict[str, Any], name: str, token: str) -> bool:
    """Whether it is this alert of this token."""
    return (name, token) == (alert["labels"]["alertname"], alert["labels"].get("token"))


@pytest.mark.timeout(240)
async def test_the_depeg_of_the_demo_reaches_the_operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The token that slides off its peg is delivered within a minute of the alarm, with its cause and numbers, and taken
    back when it returns; the mistyped price and the frozen share are not delivered; every query of the board has data.
    """
    paths = [program(name) for name in ("prometheus", alertmanager_name())]
    truth = {one.kind: one for one in simulate(SEED, sessions=load_sessions().codes_at).injected if one.kind != "gap"}
    token = truth["depeg"].instruments[0].split(":")[1].split("/")[0]
    assert max(truth["frozen"].end_ns, truth["outlier"].end_ns) < truth["depeg"].end_ns
    assert 3 == len({truth[kind].underlying for kind in ("frozen", "outlier", "depeg")})
    page, at_prometheus, at_alertmanager, at_webhook = free_ports(4)
    words = f"--every 1s --hold 0s --group 1s --target 127.0.0.1:{page} --alertmanager 127.0.0.1:{at_alertmanager}"
    out = tmp_path / "watch"
    assert 0 == main(["dashboards", "--out", str(out), *words.split(), "--webhook", f"http://127.0.0.1:{at_webhook}/"])
    demo = [str(Path(sys.executable).with_name("pegline")), "demo", "--json"]
    demo += ["--seed", str(SEED), "--seconds", str(SECONDS), "--port", str(page)]
    async with (
        ClientSession() as session,
        Webhook(at_webhook) as webhook,
        alertmanager(paths[1], out, at_alertmanager),
        prometheus(paths[0], out, at_prometheus),
    ):
        asked = Asked(at_prometheus, session)
        await asked.ready()
        await Asked(at_alertmanager, session).ready()
        async with Program(demo, tmp_path / "demo.log") as running:
            begun, alert = await webhook.until(lambda one: is_about(one, "PeglineDepeg", token), 150)
            ended, _ = await webhook.until(
                lambda one: is_about(one, "PeglineDepeg", token) and one["status"] == "resolved", 100
            )
            assert running.process is not None and running.process.returncode is None, running.said
            start = begun - 120
            (series,) = await asked.spans(f'pegline_token_state{{token="{token}",state="depegged"}}', start, ended)
            # A score stands on half a day of history in the same kind of session: on the weekend from hour 25 on.
            empty = set(expressions())
            async with asyncio.timeout(WITHIN_S):
                while empty:
                    empty = {expr for expr in empty if not await asked.spans(expr, start, ended + WITHIN_S)}
                    await sleep(0.5)
        alarm = float(series["values"][0][0])
    with capsys.disabled():
        print(f" alarm to webhook {begun - alarm:.1f} s, resolved after {ended - alarm:.1f} s", end="")
    assert begun - alarm < WITHIN_S
    assert "firing" == alert["status"] and "token" == alert["annotations"]["cause"]
    text = alert["annotations"]["description"]
    assert f"{token} is depegged as a whole, since 2026-09-0" in text and "cause: token." in text
    for part in ("bps", "sigmas", "expected false alarms per month: 0."):
        assert part in text
    delivered = {(one["labels"]["alertname"], one["labels"].get("token")) for _, one in webhook.heard}
    assert {token} == {name for alert, name in delivered if alert not in ("PeglineDown", "PeglineWatchdog")}
