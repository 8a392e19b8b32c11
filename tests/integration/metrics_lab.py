"""A running engine whose metrics are served, and a real Prometheus that scrapes them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cockpit.engine import Engine
from cockpit.files import data_file
from cockpit.lab import ports
from cockpit.serve.metrics import LogCollector, add_metrics
from tests.unit.store_examples import Log

Series: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
MISSING = [program for program in ("prometheus", "promtool") if shutil.which(program) is None]
KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}
GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
NASTY = 'x"} 1\nfake_metric{a="b'
"""What would make a series of its own where a label is not quoted."""
VARIABLES = {"$__rate_interval": "1m", "$__range": "10m", "$service": ".*", "$tool": ".*"}


def application(engine: Engine) -> web.Application:
    """Metrics, and a stand-in for what takes alerts in."""
    app = web.Application()

    async def take_in(request: web.Request) -> web.Response:
        return web.Response(status=int((await request.text()) or 200))

    app.router.add_post("/api/v1/alerts", take_in)
    add_metrics(app, engine)
    return app


class Served:
    """The application of an engine on a loopback port, in a thread of its own."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.port = port
        self._engine = engine
        self._ready: Future[None] = Future()
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.result(10)

    async def _serve(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(ended.set)
        runner = web.AppRunner(application(self._engine))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._ready.set_result(None)
        await ended.wait()
        await runner.cleanup()

    def stop(self) -> None:
        """End it; safe to call twice."""
        if self._thread.is_alive():
            self._stop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def post(self, answer: int) -> None:
        """Post an alert that is answered like that."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/alerts", str(answer).encode())
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except urllib.error.HTTPError as error:
            error.close()


class Prometheus:
    """A Prometheus of its own that scrapes one port twice a second, with the rules that are shipped."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = ports.kept(folder / "prometheus.port")
        settings = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(data_file("alerts") / "*.rules.yaml")],
            "scrape_configs": [{"job_name": "cockpit", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
        command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API. Raises ValueError for a wrong query, URLError before it is up."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 503:
                    raise
                raise ValueError(json.load(error)["error"]) from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The value of an expression with one series at the most."""
        found = self.query(expression)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def names(self) -> set[str]:
        """Every metric it has seen."""
        return set(self.ask("label/__name__/values"))


def until(what: Callable[[], object], within: float = 60.0, every: float = 0.1) -> None:
    """Wait for something to be true; an answer that is not there yet is none."""
    deadline = time.monotonic() + within
    while True:
        try:
            if what():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        assert time.monotonic() < deadline
        time.sleep(every)


def metric_names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = GROUPING.sub(" ", bare)
    words = re.findall(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])", bare)
    return {word for word in words if word not in KEYWORDS}


def unknown_names(expressions: Iterable[str], known: set[str]) -> set[str]:
    """The metrics that some expression names and nobody has seen."""
    return {name for expression in expressions for name in metric_names(expression)} - known


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards that are shipped, by name of their file."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(data_file("dashboards").glob("*.json"))}


def expressions_of(dashboard: dict[str, Any]) -> dict[str, str]:
    """Each query of a dashboard by its panel and letter, with its variables filled in."""
    found = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found[f"{panel['title']}: {target['refId']}"] = expression
    return found


def rules() -> list[dict[str, Any]]:
    """Every rule that is shipped."""
    files = sorted(data_file("alerts").glob("*.rules.yaml"))
    return [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def exposed(collector: LogCollector) -> str:
    """What a scrape of a collector answers."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def values(exposition: str) -> dict[Series, float]:
    """Every series of a scrape with its value."""
    families = text_string_to_metric_families(exposition)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def totals(exposition: str) -> dict[Series, float]:
    """The series of a scrape that may only grow."""
    growing = ("_total", "_bucket", "_count", "_sum")
    return {series: value for series, value in values(exposition).items() if series[0].endswith(growing)}


def collector(log: Log) -> LogCollector:
    """What a scrape reads, by the clock of the log."""
    return LogCollector(log.store.reader, clock=log.clock)


def one(exposition: str, name: str, **labels: str) -> float:
    """The value of the one series with these labels."""
    return values(exposition)[name, tuple(sorted(labels.items()))]
