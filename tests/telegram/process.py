"""An engine's Telegram channel in a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cockpit.engine import Engine
from cockpit.serve.telegram import serve
from cockpit.settings import Settings
from cockpit.settings.daemon import TelegramSettings
from cockpit.settings.tables import Secret
from cockpit.settings.values import Origin
from cockpit.text import Redactor
from tests.faults import world
from tests.telegram.bot_api import TOKEN
from tests.telegram.scene import FAST, USERS


def main(data: Path, folder: Path, url: str) -> None:
    secret = Secret("telegram.token", "", TOKEN, Origin("the test"))
    telegram = TelegramSettings(secret, -77, USERS, url, storm_per_minute=100_000)
    settings = Settings(data_folder=data, services=(world.service(folder),), telegram=telegram, operator="tester")
    with Engine(settings, world.registry(), Redactor()) as engine:
        asyncio.run(serve(engine, settings, FAST))
