"""A log, models configured on it, and the worker, which a module starts once: litellm takes seconds to import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cockpit.llm.conversation import Message, Offer, Prompt, Reply, Speaker
from cockpit.llm.models import Models
from cockpit.llm.process import Worker
from cockpit.model import Severity, Tier
from cockpit.model.inquiries import Inquiry, ModelCall
from cockpit.settings.models import Model, ModelsSettings
from cockpit.settings.tables import Secret
from cockpit.settings.values import Origin
from cockpit.store.store import Store
from cockpit.text import Redactor
from tests.models.scene import Scene
from tests.models.scripted import Scripted

LOOK = Offer("look", "Look at a service.", {"type": "object", "properties": {"service": {"type": "string"}}})


def prompt(text: str = "Why is it down?", *more: Message, offers: tuple[Offer, ...] = (), **schema: object) -> Prompt:
    return Prompt((Message(Speaker.USER, text), *more), offers, schema)


def model(name: str, server: Scripted, tier: Tier = Tier.FAST, **more: object) -> Model:
    """A model of a scripted server, at the prices of gpt-4o-mini."""
    key = Secret(f"models.{name}.key", "", server.key, Origin("a test"))
    values = {"timeout": 5.0, "input_price": 0.15, "output_price": 0.6, **more}
    return Model(name, f"openai/{name}", tier, key, server.url, **values)  # type: ignore[arg-type]  # keywords of a model


@dataclass
class Desk:
    """Models on a log of their own."""

    folder: Path
    worker: Worker
    redactor: Redactor = field(default_factory=Redactor)

    def __post_init__(self) -> None:
        self.store = Store.open(self.folder / "cockpit.db", scrub=self.redactor.scrub)
        self.inquiry = self.inquire()

    def inquire(self, incident: int | None = None) -> Inquiry:
        return self.store.inquiries.ask(incident, "", "Why?", "ada", estimate=None, wait=False)

    def models(self, *configured: Model, names: tuple[str, ...] = (), **settings: object) -> Models:
        wanted = ModelsSettings(configured, **{"month": 100.0, "day": 100.0, "incident": 100.0, **settings})  # type: ignore[arg-type]  # keywords of the settings
        return Models(wanted, self.store, self.redactor, names=names, worker=self.worker)

    async def ask(self, models: Models, asked: Prompt | None = None, **more: object) -> Reply:
        wanted = {"inquiry": self.inquiry, "severity": Severity.WARNING, "hard": False, **more}
        return await models.ask(asked or prompt(), **wanted)  # type: ignore[arg-type]  # keywords as they are given

    @property
    def calls(self) -> list[ModelCall]:
        return self.store.reader.asked.calls(self.inquiry.id)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(call.model, call.outcome.value) for call in self.calls]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[Worker]:
    worker = Worker(idle=600)
    yield worker
    await worker.close()


@pytest.fixture
def desk(tmp_path: Path, worker: Worker) -> Iterator[Desk]:
    found = Desk(tmp_path, worker)
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """A scripted server that all scenes of a file share, each at an address of its own."""
    with Scripted([]) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm(worker: Worker) -> Worker:
    """The worker, ready for a question."""
    await worker.warm()
    return worker


@pytest.fixture
def scene(tmp_path: Path, provider: Scripted, warm: Worker) -> Iterator[Callable[..., Scene]]:
    """Makes a scene whose models answer by a script, and closes it after the test."""
    made: list[Scene] = []

    def make(script: Any, **more: Any) -> Scene:
        provider.play_for_another(script)
        made.append(Scene(tmp_path, provider, warm, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
