"""Hostile strings and secret-bearing lines, for every test that shows or uses text from outside."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import uuid
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
BASE32 = string.ascii_uppercase + "234567"
WORD = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Line:
    """One line, and the secrets that were planted in it; none in a look-alike."""

    text: str
    secrets: tuple[str, ...] = ()


def hostile() -> list[str]:
    """Every hostile string: control sequences, markup and actions, shell, options, SQL, paths, odd Unicode."""
    return [json.loads(line) for line in (FOLDER / "hostile.txt").read_text().splitlines()]


def secret_lines(seed: int = 7) -> tuple[list[Line], list[Line]]:
    """150 lines with planted secrets, and 150 look-alikes, the same for the same seed."""
    planted, lookalikes = [], []
    for turn in range(2):
        rng = random.Random(seed * 1000 + turn)
        lines = (FOLDER / "secrets.txt").read_text().splitlines()
        for template in (line for line in lines if not line.startswith("#")):
            fills = _fills(rng)
            used = re.findall(r"(?<!\{)\{(\w+)\}", template)
            line = Line(template[2:].format(**fills), tuple(fills[name] for name in used))
            if template.startswith("+ "):
                planted.append(line)
            elif template.startswith("- "):
                lookalikes.append(Line(line.text))
    return planted, lookalikes


def known_secrets(seed: int = 7) -> list[str]:
    """150 values such as operators choose: words with digits, random text, umlauts, quotes, blanks, keys."""
    rng = random.Random(seed)
    alphabets = (WORD, WORD + string.punctuation, string.ascii_lowercase, "äöüß€漢字" + WORD, WORD + " '\"\\&=%+/")
    return [_some(rng, alphabets[n % len(alphabets)], rng.randint(9, 40)).strip().ljust(9, "k") for n in range(150)]


def _fills(rng: random.Random) -> dict[str, str]:
    password = _some(rng, WORD + "_.~!*^", rng.randint(8, 20))
    return {
        "password": f"{password}9",
        "spaced": f"{_some(rng, WORD, 6)} {_some(rng, WORD + '!#?', 8)}x",
        "odd": f"{_some(rng, WORD, 3)}$!{_some(rng, WORD, 6)}1",
        "mixed": f"S{_some(rng, string.ascii_lowercase, 5)}{_some(rng, string.digits, 2)}",
        "token": _some(rng, WORD + "-_", 43) + "7",
        "token24": _some(rng, WORD, 24),
        "hex": _some(rng, "0123456789abcdef", 32),
        "hex2": _some(rng, "0123456789abcdef", 32),
        "uuid": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "basic": base64.b64encode(f"bob:{password}".encode()).decode(),
        "jwt": ".".join(f"eyJ{_some(rng, WORD, 20)}" for _ in range(2)) + f".{_some(rng, WORD + '-_', 43)}",
        "vault": f"hvs.{_some(rng, WORD + '_-', 90)}",
        "telegram": f"{rng.randint(10**9, 10**10 - 1)}:AA{_some(rng, WORD + '-_', 33)}",
        "aws": f"AKIA{_some(rng, BASE32, 16)}",
        "aws40": _some(rng, WORD + "+/", 40),
        "github": f"ghp_{_some(rng, WORD, 36)}",
        "gitlab": f"glpat-{_some(rng, WORD + '-_', 20)}",
        "slack": f"xoxb-{_some(rng, string.digits, 12)}-{_some(rng, WORD, 24)}",
        "alnum": _some(rng, WORD, 24),
        "alnum2": _some(rng, WORD, 24),
        "alnum36": _some(rng, WORD, 36),
        "g35": _some(rng, WORD + "-_", 35),
        "wireguard": base64.b64encode(rng.randbytes(32)).decode(),
        "sha256": _some(rng, "0123456789abcdef", 64),
        "sha1": _some(rng, "0123456789abcdef", 40),
        "short": _some(rng, "0123456789abcdef", 12),
        "short8": _some(rng, "0123456789ABCDEF", 8),
        "pid": str(rng.randint(1000, 99999)),
        "digits": str(rng.randint(10**17, 10**18)),
        "base64": base64.b64encode(rng.randbytes(48)).decode(),
    }


def _some(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))
