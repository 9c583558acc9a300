"""What the agent keeps on disk: whole after any crash, private, and clear about damage."""

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from agent import config, files
from agent.config import Identity, Settings
from agent.files import FileDamaged
from agent.protocol import signing
from agent.protocol.messages import Absence
from agent.work.state import OLD_STATE_FILE, STATE_FILE, Store
from tests.agent.doubles import absent, live
from tests.agent.gateway import hold

NETWORKS = ("127.0.0.0/8",)
PAGE_BYTES = 4096


def identity() -> Identity:
    settings = Settings(
        agent_id=str(uuid4()),
        name="seoul-1",
        cluster="kr-test",
        control_plane_url="https://cp.example",
        listen="127.0.0.1:9000",
        advertise="https://agent.example",
        driver="envoy",
        options={"proxy": "127.0.0.1:8080"},
    )
    return Identity(settings=settings, key=signing.new_key(), control_plane_keys=(signing.new_key(),))


def test_an_identity_survives_a_restart_and_only_the_owner_reads_its_key(tmp_path: Path) -> None:
    saved = identity()
    config.save(tmp_path, saved)
    loaded = config.load(tmp_path)
    assert loaded.settings == saved.settings
    assert signing.private_jwk(loaded.key) == signing.private_jwk(saved.key)
    assert [signing.public_jwk(key) for key in loaded.control_plane_keys] == [
        signing.public_jwk(key) for key in saved.control_plane_keys
    ]
    assert stat.S_IMODE((tmp_path / "key.json").stat().st_mode) == 0o600
    assert "d" not in json.loads((tmp_path / "control-plane.json").read_text())["keys"][0]
    assert signing.private_jwk(saved.key)["d"] not in (tmp_path / "agent.json").read_text()


@pytest.mark.parametrize("name", ["agent.json", "key.json", "control-plane.json"])
@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"keys": []}', '{"keys": [{}]}', "\udcff"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, text: str | None) -> None:
    config.save(tmp_path, identity())
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FileDamaged, match=name):
        config.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "nonsense" * 1000])
def test_a_damaged_state_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(FileDamaged, match=r"state\.sqlite3 is damaged"):
        Store(tmp_path)


@pytest.mark.parametrize("record", ["", "[]", '{"highest": "many"}', '{"highest": 1, "good": {}}'])
def test_a_damaged_row_stops_the_start(tmp_path: Path, record: str) -> None:
    Store(tmp_path)
    with closing(sqlite3.connect(tmp_path / STATE_FILE)) as database, database:
        database.execute("INSERT INTO publish VALUES (?, ?)", (str(uuid4()), record))
    with pytest.raises(FileDamaged, match=r"state\.sqlite3 is damaged"):
        Store(tmp_path)


def test_a_page_that_the_disk_lost_stops_the_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.accept([hold(live()) for _ in range(50)], refused_generations={}, networks=NETWORKS)
    store._database.close()
    path = tmp_path / STATE_FILE
    content = bytearray(path.read_bytes())
    content[2 * PAGE_BYTES : 3 * PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(content)
    with pytest.raises(FileDamaged, match=r"state\.sqlite3 is damaged"):
        Store(tmp_path)


def test_a_damaged_page_that_the_next_write_would_use_stops_the_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    specs = [live(generation=1) for _ in range(50)]
    removed = [hold(absent(spec, generation=2)) for spec in specs]
    store.accept([hold(spec) for spec in specs], refused_generations={}, networks=NETWORKS)
    store.accept(removed, refused_generations={}, networks=NETWORKS)
    store.settle(good=removed)
    store.forget([Absence(publish_id=spec.publish_id, generation=2) for spec in specs])
    store.close()
    path = tmp_path / STATE_FILE
    content = bytearray(path.read_bytes())
    # SQLite's header names the first page of its list of free pages. No read at the start meets that page.
    first_free = int.from_bytes(content[32:36], "big")
    assert first_free > 0
    content[(first_free - 1) * PAGE_BYTES : first_free * PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(content)
    with pytest.raises(FileDamaged, match=r"state\.sqlite3 is damaged"):
        Store(tmp_path)


def test_the_state_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    spec, removed = hold(live(generation=3)), hold(absent(live(), generation=5))
    publishes = {
        str(pinned_spec.publish_id): {
            "highest": pinned_spec.spec.generation,
            "good": pinned_spec.model_dump(mode="json"),
        }
        for pinned_spec in (spec, removed)
    }
    old = {"upstream_networks": NETWORKS, "reserved": ["cp.example:443"], "publishes": publishes}
    (tmp_path / OLD_STATE_FILE).write_text(json.dumps(old))
    for store in (Store(tmp_path), Store(tmp_path)):
        assert {publish: record.good for publish, record in store.records.items()} == {
            pinned_spec.publish_id: pinned_spec for pinned_spec in (spec, removed)
        }
        assert (store.networks, store.reserved) == (NETWORKS, ("cp.example:443",))
    assert not (tmp_path / OLD_STATE_FILE).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"publishes": {"x": 1}}'])
def test_a_damaged_state_of_an_earlier_version_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / OLD_STATE_FILE).write_text(text)
    with pytest.raises(FileDamaged, match=r"publishes\.json is damaged"):
        Store(tmp_path)


def test_accepted_is_pending_until_it_is_settled_also_after_a_restart(tmp_path: Path) -> None:
    pinned_spec = hold(live(generation=3))
    Store(tmp_path).accept([pinned_spec], refused_generations={}, networks=NETWORKS)
    again = Store(tmp_path)
    assert (again.pending(), again.networks) == ([pinned_spec], NETWORKS)
    again.settle(good=[pinned_spec])
    last = Store(tmp_path)
    assert last.pending() == []
    record = last.records[pinned_spec.publish_id]
    assert (record.highest, record.good, record.pending) == (3, pinned_spec, None)


def test_the_highest_generation_stays_after_removal_and_never_goes_down(tmp_path: Path) -> None:
    spec = live(generation=7)
    store = Store(tmp_path)
    store.accept([hold(spec)], refused_generations={}, networks=NETWORKS)
    absent_spec = hold(absent(spec, generation=8))
    store.accept([absent_spec], refused_generations={}, networks=NETWORKS)
    store.settle(good=[absent_spec])
    store.accept([], refused_generations={spec.publish_id: 5}, networks=NETWORKS)
    assert Store(tmp_path).records[spec.publish_id].highest == 8


def test_an_absence_is_forgotten_at_its_own_generation_and_never_when_something_newer_was_heard_of(
    tmp_path: Path,
) -> None:
    old, newer, raised, standing = (live(generation=7) for _ in range(4))
    store = Store(tmp_path)
    removed = [hold(absent(spec, generation=8)) for spec in (old, newer, raised)]
    store.accept([*removed, hold(standing)], refused_generations={}, networks=NETWORKS)
    store.settle(good=[*removed, hold(standing)])
    store.accept(
        [hold(live(newer.publish_id, generation=9))],
        refused_generations={raised.publish_id: 9},
        networks=NETWORKS,
    )
    store.forget([Absence(publish_id=spec.publish_id, generation=8) for spec in (old, newer, raised)])
    store.forget(
        [Absence(publish_id=standing.publish_id, generation=7), Absence(publish_id=uuid4(), generation=8)]
    )
    assert set(Store(tmp_path).records) == {newer.publish_id, raised.publish_id, standing.publish_id}


def test_a_dropped_spec_leaves_the_good_one(tmp_path: Path) -> None:
    first = hold(live(generation=1))
    second = hold(live(first.spec.publish_id, generation=2))
    store = Store(tmp_path)
    store.accept([first], refused_generations={}, networks=NETWORKS)
    store.settle(good=[first])
    store.accept([second], refused_generations={}, networks=NETWORKS)
    assert store.desired()[0].wanted == second
    assert store.desired()[0].fallback == first
    store.settle(dropped=[first.spec.publish_id])
    record = Store(tmp_path).records[first.spec.publish_id]
    assert (record.highest, record.desired) == (2, first)


def test_accepting_what_is_good_already_writes_nothing(tmp_path: Path) -> None:
    pinned_spec = hold(live())
    store = Store(tmp_path)
    store.accept([pinned_spec], refused_generations={}, networks=NETWORKS)
    store.settle(good=[pinned_spec])
    before = store._database.total_changes
    store.accept([pinned_spec], refused_generations={}, networks=NETWORKS)
    assert store.pending() == []
    assert store._database.total_changes == before


def test_new_addresses_do_not_reach_a_spec_with_other_upstreams(tmp_path: Path) -> None:
    pinned_spec = hold(live())
    publish = pinned_spec.publish_id
    store = Store(tmp_path)
    store.accept([pinned_spec], refused_generations={}, networks=NETWORKS)
    store.settle(good=[pinned_spec])
    store.repin({publish: {"other.example:80": ("10.0.0.1",)}})
    assert store.records[publish].good == pinned_spec
    store.repin({publish: {"127.0.0.1:9": ("127.0.0.7",)}})
    good = Store(tmp_path).records[publish].good
    assert good is not None
    assert good.addresses == {"127.0.0.1:9": ("127.0.0.7",)}
    assert good.spec == pinned_spec.spec


@pytest.mark.parametrize("point", ["fsync", "rename"])
def test_a_write_that_breaks_off_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    path = tmp_path / "file.json"
    files.write_durably(path, "old")

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os if point == "fsync" else Path, "fsync" if point == "fsync" else "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        files.write_durably(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]
