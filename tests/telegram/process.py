"""An engine's Telegram channel in a process of its own: `python -m tests.telegram.process DATA WORLD URL [PORT]`.

With a port, updates are brought to it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cockpit.engine import Engine
from cockpit.serve.telegram import serve
from cockpit.settings import Settings
from cockpit.settings.daemon import TelegramSettings, WebhookSettings
from cockpit.settings.tables import Secret
from cockpit.settings.values import Origin
from cockpit.text import Redactor
from tests.faults import world
from tests.telegram.bot_api import TOKEN
from tests.telegram.scene import FAST, PUBLIC, USERS


def main(data: Path, folder: Path, url: str, port: int = 0) -> None:
    secret = Secret("telegram.token", "", TOKEN, Origin("the test"))
    webhook = WebhookSettings(PUBLIC, port=port) if port else None
    telegram = TelegramSettings(secret, -77, USERS, url, storm_per_minute=100_000, webhook=webhook)
    settings = Settings(data_folder=data, services=(world.service(folder),), telegram=telegram, operator="tester")
    with Engine(settings, world.registry(), Redactor()) as engine:
        asyncio.run(serve(engine, settings, FAST))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
