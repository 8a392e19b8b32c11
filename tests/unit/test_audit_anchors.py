"""The chain's key and its anchors: what a whole file swapped for another does not get past."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit.agent.housekeeping import Housekeeping
from cockpit.model import CockpitError
from cockpit.store.anchors import Anchors, line, read
from cockpit.store.audit import verify
from cockpit.store.chain import Head
from cockpit.store.store import Store
from tests.unit.store_examples import Kept, Log, live


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A log in which six incidents were lived through."""
    return live(tmp_path_factory.mktemp("kept") / "data")


def test_an_older_copy_of_the_whole_file_is_found_through_the_anchor(tmp_path: Path) -> None:
    log = Log(tmp_path / "data")
    log.lived_through("redis/main")
    log.store.close()
    shutil.copy(log.path, tmp_path / "backup.db")
    again = Store.open(log.path)
    again.note("ann", "note", "something to hide")
    again.close()
    shutil.copy(tmp_path / "backup.db", log.path)
    [problem] = Kept(log.folder).problems()
    assert "cut off" in problem.what


def test_a_log_that_was_put_back_does_not_overwrite_the_anchor_that_shows_it(tmp_path: Path) -> None:
    kept = live(tmp_path / "data")
    shutil.copy(kept.path, tmp_path / "backup.db")
    with Store.open(kept.path) as store:
        store.note("ann", "note", "something to hide")
    shutil.copy(tmp_path / "backup.db", kept.path)
    before = kept.anchor.read_text()
    with Store.open(kept.path) as store:
        for number in range(5):
            store.freeze(str(number))
        assert "does not hold" in store.anchors.troubles[kept.anchor]
    assert kept.anchor.read_text() == before
    assert [problem.what.partition(":")[0] for problem in kept.problems()] == ["rebuilt"]


@pytest.mark.parametrize(
    "statement",
    [
        "drop trigger event_is_fixed",
        "drop index proposal_pending",
        "create trigger quiet after insert on event begin delete from run; end",
        "create table hidden (id integer)",
    ],
)
def test_a_changed_structure_is_found(kept: Kept, tmp_path: Path, statement: str) -> None:
    copy = kept.copy(tmp_path / "copy")
    raw = sqlite3.connect(copy.path)
    raw.execute(statement)
    raw.close()
    [problem] = copy.problems()
    assert "not as cockpit made it" in problem.what


def test_a_missing_anchor_is_a_problem_and_so_is_one_that_is_damaged(kept: Kept, tmp_path: Path) -> None:
    copy = kept.copy(tmp_path / "copy")
    copy.anchor.write_text("12 nonsense\n")
    assert [problem.row for problem in copy.problems()] == [str(copy.anchor)]
    copy.anchor.unlink()
    assert ["missing" in problem.what for problem in copy.problems()] == [True]


def test_without_its_key_a_log_is_neither_verified_nor_continued(kept: Kept, tmp_path: Path) -> None:
    copy = kept.copy(tmp_path / "copy")
    copy.key.unlink()
    for look in (copy.problems, lambda: Store.open(copy.path)):
        with pytest.raises(CockpitError, match=r"key .* cannot be read"):
            look()
    assert not copy.key.exists()


@pytest.mark.parametrize("content", ["", "zz" * 32, "ab" * 16])
def test_a_damaged_key_is_refused(kept: Kept, tmp_path: Path, content: str) -> None:
    copy = kept.copy(tmp_path / "copy")
    copy.key.write_text(content)
    with pytest.raises(CockpitError, match="not 64 hex digits"):
        copy.problems()


def test_a_key_that_others_may_read_or_that_is_a_link_is_refused(kept: Kept, tmp_path: Path) -> None:
    copy = kept.copy(tmp_path / "copy")
    copy.key.chmod(0o640)
    with pytest.raises(CockpitError, match="may be read by other users"):
        copy.problems()
    copy.key.rename(tmp_path / "elsewhere")
    copy.key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CockpitError, match="is a link"):
        copy.problems()


def test_a_dangling_link_in_the_keys_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "audit.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CockpitError, match="is a link"):
        Store.open(tmp_path / "cockpit.db")
    assert not (tmp_path / "elsewhere").exists()


def test_the_head_stands_in_every_anchor_after_a_decision_at_once(tmp_path: Path) -> None:
    elsewhere = tmp_path / "usb" / "head"
    elsewhere.parent.mkdir()
    log = Log(tmp_path / "data")
    log.store.close()
    with Store.open(log.path, anchors=[elsewhere], clock=log.clock) as log.store:
        log.approved()
        last = log.store.reader.last_event()
        assert [head.id for path in (elsewhere, tmp_path / "data" / "audit.head") for head in read(path)] == [
            last,
            last,
        ]
        for number in range(50):
            log.store.note("ann", "note", str(number))
        assert read(elsewhere)[0].id < last + 50, "notes alone are not worth a write each"
    assert read(elsewhere)[0].id == last + 50
    assert verify(log.path, tmp_path / "data" / "audit.key", [elsewhere]) == []


def test_an_anchor_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    gone = tmp_path / "unplugged" / "head"
    with Store.open(tmp_path / "cockpit.db", anchors=[gone]) as store:
        store.freeze("ann")
        assert store.anchors.troubles == {gone: "No such file or directory"}
        gone.parent.mkdir()
        store.freeze(None)
        assert store.anchors.troubles == {}
    assert read(gone)[0].id == 2


def test_the_operator_is_told_once_of_an_anchor_that_cannot_be_kept_and_once_that_it_is_again(tmp_path: Path) -> None:
    gone = tmp_path / "unplugged" / "head"
    with Store.open(tmp_path / "cockpit.db", anchors=[gone]) as store:
        housekeeping = Housekeeping(store)
        store.freeze("ann")
        for _ in range(2):
            housekeeping.turn()
        gone.parent.mkdir()
        store.freeze(None)
        for _ in range(2):
            housekeeping.turn()
        told = [event.text for event in store.reader.events() if event.kind == "note"]
    assert told == [
        f"The anchor {gone} cannot be kept: No such file or directory. "
        "It does not tell meanwhile if the log is cut off.",
        f"The anchor {gone} is kept again.",
    ]


def test_an_anchor_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "head").symlink_to(tmp_path / "victim")
    with Store.open(tmp_path / "cockpit.db", anchors=[tmp_path / "head"]) as store:
        store.freeze("ann")
        assert tmp_path / "head" in store.anchors.troubles
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket like the journal's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(60)
        yield listening


def test_the_head_goes_to_the_system_journal_and_an_extract_of_it_is_an_anchor(
    kept: Kept, journal: socket.socket, tmp_path: Path
) -> None:
    raw = sqlite3.connect(kept.path)
    heads = [Head(*row) for row in raw.execute("select id, mac from event where id in (3, 9)")]
    raw.close()
    anchors = Anchors([], tmp_path / "journal")
    extract = tmp_path / "extract"
    for head in heads:
        anchors.keep(head, lambda _: None, now=True)
        fields = dict(entry.split("=", 1) for entry in journal.recv(4096).decode().splitlines())
        assert fields["SYSLOG_IDENTIFIER"] == "cockpit-audit"
        with extract.open("a") as file:
            file.write(fields["MESSAGE"] + "\n")
    assert read(extract) == heads
    assert verify(kept.path, kept.key, [kept.anchor, extract]) == []
    extract.write_text(line(heads[0]) + line(Head(9, bytes(32))))
    assert [problem.row for problem in verify(kept.path, kept.key, [extract])] == ["event:9"]


def test_a_head_from_another_process_that_is_newer_is_left(tmp_path: Path) -> None:
    with Store.open(tmp_path / "cockpit.db") as store:
        store.note("ann", "note", "one")
        with Store.open(tmp_path / "cockpit.db") as other:
            other.freeze("bob")
        assert read(tmp_path / "audit.head")[0].id == 2
    assert read(tmp_path / "audit.head")[0].id == 2
    assert verify(tmp_path / "cockpit.db", tmp_path / "audit.key", [tmp_path / "audit.head"]) == []
