"""Private addresses and names do not leave, and come back where a model uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.llm.veil import Veil, names_of
from cockpit.model import Service
from cockpit.settings.values import Settings

BOTH = ("addresses", "names")
PRIVATE = [
    "10.1.2.3",
    "172.16.0.9",
    "192.168.178.20",
    "169.254.1.1",
    "100.64.3.4",
    "fd12:3456::1",
    "fe80::1ff:fe23:4567",
]
PUBLIC = ["127.0.0.1", "0.0.0.0", "8.8.8.8", "1.2.3.4.5", "10.0.0.300", "v10.0.0", "::1", "2001:4860::8888", "12:34:56"]


def test_each_value_has_one_placeholder_whatever_it_stands_in() -> None:
    veil = Veil(BOTH, ["nas.ada.example", "nas", "ada"])
    text = "nas (10.0.0.5) asks nas.ada.example at 10.0.0.5:5432; nas2 and adamant stay, NAS and ada do not."
    covered = veil.cover(text)
    assert covered == (
        "hidden-name-1 (hidden-address-2) asks hidden-name-3 at hidden-address-2:5432; nas2 and adamant stay, "
        "hidden-name-1 and hidden-name-4 do not."
    )
    assert veil.lift(covered) == text.replace("NAS", "nas")


@pytest.mark.parametrize("private", PRIVATE)
def test_private_addresses_are_hidden(private: str) -> None:
    for text in (private, f"[{private}]:80", f"at {private}.", f"{private}/24", f"host={private},", f'"{private}"'):
        assert private not in Veil(("addresses",)).cover(text)


@pytest.mark.parametrize("public", PUBLIC)
def test_what_tells_nothing_private_stays(public: str) -> None:
    assert Veil(("addresses",)).cover(f"at {public} it ended") == f"at {public} it ended"


def test_only_what_the_config_names_is_hidden() -> None:
    text = "nas at 10.0.0.5"
    assert Veil((), ["nas"]).cover(text) == text
    assert Veil(("names",), ["nas"]).cover(text) == "hidden-name-1 at 10.0.0.5"
    assert Veil(("addresses",), ["nas"]).cover(text) == "nas at hidden-address-1"


@given(st.lists(st.one_of(st.ip_addresses(v=4).map(str), st.sampled_from(["nas", "Ada", "hidden-name-1", "-", "x.y"]))))
def test_what_is_covered_can_be_lifted_again(parts: list[str]) -> None:
    veil, text = Veil(BOTH, ["nas", "Ada"]), " ".join(parts)
    if "hidden-name-1" not in parts:
        assert veil.lift(veil.cover(text)) == text
    assert veil.cover(veil.cover(text)) == veil.cover(text)


def test_the_names_are_those_of_hosts_of_this_machine_and_of_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "bridge.home.example")
    services = (
        Service("postgres/main", options={"host": "db7.home.example", "port": 5432, "user": "postgres"}),
        Service("redis/cache", options={"host": "redis"}),
        Service("caddy/front", options={"admin": "http://proxy3:2019/"}),
    )
    names = set(names_of(Settings(data_folder=Path("x"), services=services, operator="ada")))
    assert {"bridge", "bridge.home.example", "db7", "db7.home.example", "proxy3", "ada"} <= names
    assert "redis" not in names  # a kind of service tells nothing, and hiding it would hide what is asked
