"""What differs between two specs: the publish itself first, then services and routes by their ids."""

from typing import Any
from uuid import uuid4

from agent.protocol.spec import ApiKey, Auth, AuthMode, Route, Service, Spec, State, Upstream
from publishes.reading.detail.differences import Change, Group, differences


def billing(**changes: Any) -> Service:
    values: dict[str, Any] = {
        "name": "Billing",
        "upstream": Upstream(scheme="http", host="billing", port=80),
        "routes": (),
    }
    return Service(id=uuid4(), **(values | changes))


def spec(**changes: Any) -> Spec:
    return Spec(
        **({"publish_id": uuid4(), "generation": 1, "state": State.LIVE, "host": "a.localhost"} | changes)
    )


def as_text(groups: tuple[Group, ...]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [
        (group.name, [(str(change.label), str(change.old), str(change.new)) for change in group.changes])
        for group in groups
    ]


def test_two_specs_that_want_the_same_differ_in_nothing() -> None:
    same = spec(services=(billing(),))
    assert differences(same, same.model_copy(update={"generation": 9})) == ()


def test_the_publish_itself_comes_first_and_keys_are_told_by_fingerprint_alone() -> None:
    key = ApiKey(id=uuid4(), consumer="shop", fingerprint="f" * 64, secret="never-shown")
    renewed = key.model_copy(update={"fingerprint": "e" * 64})
    old = spec(auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=(key,)), services=(billing(),))
    new = spec(host="b.localhost", auth=Auth(mode=AuthMode.API_KEY, key_header="x-key", keys=(renewed,)))
    groups = as_text(differences(old, new))
    assert groups[0] == (
        "",
        [
            ("Hostname", "a.localhost", "b.localhost"),
            ("Key header", "apikey", "x-key"),
            ("Key", f"shop · {'f' * 12}…", f"shop · {'e' * 12}…"),
        ],
    )
    assert [name for name, _ in groups] == ["", "Billing"]
    assert "never-shown" not in str(groups)


def test_a_withdrawal_is_no_change_of_who_is_let_in() -> None:
    live_spec = spec(
        auth=Auth(
            mode=AuthMode.API_KEY,
            key_header="apikey",
            keys=(ApiKey(id=uuid4(), consumer="shop", fingerprint="f" * 64),),
        )
    )
    withdrawn = Spec(
        publish_id=live_spec.publish_id, generation=2, state=State.WITHDRAWN, host=live_spec.host
    )
    assert [label for label, _old, _new in as_text(differences(live_spec, withdrawn))[0][1]] == ["State"]


def test_a_service_is_followed_by_its_id_and_a_route_by_its_own() -> None:
    route = Route(id=uuid4(), path="/billing", methods=("GET",))
    old = billing(routes=(route, Route(id=uuid4(), path="/gone")))
    moved = route.model_copy(update={"path": "/bills", "methods": ("GET", "POST"), "strip_path": True})
    upstream = Upstream(scheme="https", host="billing", port=443, path="/v2", timeout_ms=5)
    new = Service(id=old.id, name="Bills", upstream=upstream, routes=(moved,))
    assert as_text(differences(spec(services=(old,)), spec(services=(new,)))) == [
        (
            "Bills",
            [
                ("Name", "Billing", "Bills"),
                ("Upstream", "http://billing:80", "https://billing:443/v2"),
                ("Time to answer", "60000 ms", "5 ms"),
                ("Route", "GET /billing/*", "GET, POST /bills/* → /"),
                ("Route", "all methods /gone/*", ""),
            ],
        )
    ]


def test_services_that_came_or_went_are_told_whole() -> None:
    billing_a, billing_b = billing(name="A"), billing(name="B")
    removed, added = differences(spec(services=(billing_a,)), spec(services=(billing_b,)))
    assert (removed.name, removed.is_removed, removed.is_new, added.name, added.is_removed, added.is_new) == (
        "A",
        True,
        False,
        "B",
        False,
        True,
    )
    assert added.changes[0] == Change(label=added.changes[0].label, new="http://billing:80")
