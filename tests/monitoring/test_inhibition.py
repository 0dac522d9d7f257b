"""What a real Alertmanager holds back, and what it does not."""

from __future__ import annotations

from pathlib import Path

from aiohttp import ClientSession

from bot.cli import main
from tests.conftest import program
from tests.servers.alerts import Asked, alertmanager, alertmanager_name, free_ports


async def test_one_trouble_is_told_once(tmp_path: Path) -> None:
    """
    A venue's deviation is held back while its token, its coin or its share has an alert of its own; what has nothing to
    do with them is not, nor is a token's depeg ever, but by the death of pegline.
    """
    path = program(alertmanager_name())
    assert 0 == main(["dashboards", "--out", str(tmp_path)])
    quiet = [{"token": "a"}, {"token": "b", "stablecoin": "USDC"}, {"token": "c", "underlying": "C"}]
    loud = [{"token": "d", "stablecoin": "USDT", "underlying": "D"}, {"token": "e"}]
    sent = [{"alertname": "PeglinePegDeviation", **labels} for labels in (*quiet, *loud)]
    sent += [
        {"alertname": "PeglineDepeg", "token": "a"},
        {"alertname": "PeglineStablecoinDepeg", "stablecoin": "USDC"},
        {"alertname": "PeglineReferenceRefused", "underlying": "C"},
    ]
    (port,) = free_ports(1)
    async with ClientSession() as session, alertmanager(path, tmp_path, port):
        await Asked(port, session).ready()
        assert quiet == await held_back(session, port, sent)
        down = await held_back(session, port, [{"alertname": "PeglineDown"}])
        assert 8 == len(down) and {"token": "a"} in down


async def held_back(session: ClientSession, port: int, sent: list[dict[str, str]]) -> list[dict[str, str]]:
    """Posts alerts; labels of those that are held back now, without their names, by token."""
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    async with session.post(url, json=[{"labels": labels} for labels in sent]) as answer:
        assert 200 == answer.status
    async with session.get(url) as answer:
        found = [one["labels"] for one in await answer.json() if one["status"]["inhibitedBy"]]
    return sorted(
        ({key: value for key, value in labels.items() if key != "alertname"} for labels in found),
        key=lambda labels: labels.get("token", "~"),
    )
