"""The count of tokens is near what OpenAI's own tokenizer counts, and loads nothing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiktoken

from cockpit.llm.texts import each_text, tokens_of
from cockpit.model import JSON

LOG = "\n".join(
    f"2026-11-27T16:39:{at % 60:02d}.{at * 37 % 1000:03d}Z postgres[12{at}]: FATAL: remaining connection slots are "
    f"reserved for roles with the SUPERUSER attribute pid={at * 91} db=app_{at % 7}"
    for at in range(200)
)
SAMPLES: JSON = [
    {"at": 1800000000.0 + at * 10, "name": "connections", "value": round(17.3 + at / 7, 2)} for at in range(150)
]


def texts() -> dict[str, str]:
    return {
        "prose": Path("README.md").read_text(),
        "runbooks": "".join(file.read_text() for file in sorted(Path("data/runbooks").glob("*.yaml"))[:8]),
        "schemas": json.dumps(json.loads(Path("data/openapi.json").read_text()), separators=(",", ":")),
        "log": LOG,
        "samples": json.dumps(SAMPLES),
    }


@pytest.mark.parametrize("name", texts())
def test_it_is_within_an_eighth_of_the_real_count(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = find_spec("litellm")
    assert litellm is not None and litellm.origin is not None
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(Path(litellm.origin).parent / "litellm_core_utils/tokenizers"))
    text = texts()[name]
    real, found = len(tiktoken.get_encoding("o200k_base").encode(text)), tokens_of(text)
    assert abs(found - real) <= real / 8, (found, real)


def test_texts_within_a_value_are_changed_and_keys_are_not() -> None:
    value: JSON = {"a": ["x", 1, None, {"a": "y"}], "b": True}
    assert each_text(value, str.upper) == {"a": ["X", 1, None, {"a": "Y"}], "b": True}


def test_a_value_without_a_bottom_is_cut_off() -> None:
    deep: JSON = "x"
    for _ in range(5000):
        deep = [deep]
    assert len(json.dumps(each_text(deep, str.upper))) < 200
