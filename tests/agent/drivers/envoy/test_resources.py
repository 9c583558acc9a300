"""Specs as Envoy resources: names, order, rewrites, refusals. Pure."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.drivers.base import PinnedSpec, Refused
from agent.drivers.envoy import resources
from agent.drivers.envoy.entries import parts_of, publish_in, shown_by
from agent.drivers.envoy.messages import content_hash
from agent.protocol.spec import ApiKey, Auth, AuthMode, Route, Service, Spec
from tests.agent.doubles import absent, live, make_service, withdrawn
from tests.agent.gateway import hold

ID = UUID(int=1)


def route(path: str, *methods: str, strip: bool = False) -> Route:
    return Route(id=uuid4(), path=path, methods=methods, strip_path=strip)


def with_upstream(service: Service, **change: Any) -> Service:
    return service.model_copy(update={"upstream": service.upstream.model_copy(update=change)})


def routes_of(spec: Spec) -> list[dict[str, Any]]:
    scope: Any = resources.scope(hold(spec))
    (host,) = scope["route_configuration"]["virtual_hosts"]
    return list(host["routes"])


def of_service(*routes: Route, **upstream: Any) -> Spec:
    return live(ID, services=(make_service(8080, routes=routes, **upstream),))


def with_tokens(*scopes: str) -> Spec:
    return live(
        ID,
        auth=Auth(
            mode=AuthMode.OAUTH2,
            issuer="https://issuer.example",
            audience="payment-api",
            scopes=scopes,
            jwks=({},),
        ),
    )


def with_keys(*keys: ApiKey) -> Spec:
    return live(ID, auth=Auth(mode=AuthMode.API_KEY, key_header="apikey", keys=keys))


def test_a_scope_s_version_tells_generation_and_digest() -> None:
    spec = live(ID, generation=7)
    scope = parts_of(hold(spec)).scope
    assert scope
    assert scope.name == f"imp:{ID}"
    assert (shown_by(scope.version).generation, shown_by(scope.version).digest) == (7, spec.digest)


@pytest.mark.parametrize("version", ["", "7", "x:y:z", "-1:a:b", f"{'9' * 5000}::", "1:<script>:"])
def test_a_version_of_somebody_else_tells_nothing_odd(version: str) -> None:
    shown = shown_by(version)
    assert 0 <= shown.generation < 2**63
    assert shown.digest == ""


@pytest.mark.parametrize("name", ["", "imp", "imp:", "imp:nobody", f"other:{ID}", str(ID)])
def test_names_that_are_not_ours_are_nobody_s(name: str) -> None:
    assert publish_in(name) is None


def test_longer_paths_come_first_then_those_with_methods_and_404_is_last() -> None:
    spec = of_service(route("/"), route("/a"), route("/a/b"), route("/a", "GET"))
    matches = [entry["match"] for entry in routes_of(spec)]
    assert [
        match.get("path") or match.get("path_separated_prefix") or match["prefix"] for match in matches
    ] == [
        f"/.well-known/imp/{ID}/1",
        f"/.well-known/imp/{ID}",
        "/a/b",
        "/a",
        "/a",
        "/",
        "/",
    ]
    assert "headers" in matches[3]
    assert "headers" not in matches[4]
    assert routes_of(spec)[-1]["direct_response"]["status"] == 404


@pytest.mark.parametrize(
    ("path", "strip", "base", "expected"),
    [
        ("/", False, "", {}),
        ("/", True, "", {}),
        ("/", False, "/base", {"prefix_rewrite": "/base/"}),
        ("/billing", False, "", {}),
        ("/billing/", False, "/base/", {"prefix_rewrite": "/base/billing"}),
        ("/billing", True, "/base", {"prefix_rewrite": "/base"}),
        ("/billing", True, "", {"regex_rewrite": {"pattern": {"regex": "^/billing/?"}, "substitution": "/"}}),
        (
            "/v1.0/a+b",
            True,
            "",
            {"regex_rewrite": {"pattern": {"regex": r"^/v1\.0/a\+b/?"}, "substitution": "/"}},
        ),
    ],
)
def test_paths_are_rewritten(path: str, strip: bool, base: str, expected: dict[str, Any]) -> None:
    action = routes_of(of_service(route(path, strip=strip), path=base))[2]["route"]
    assert {
        key: value for key, value in action.items() if "rewrite" in key and key != "host_rewrite_literal"
    } == expected


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority"),
    [
        ("http", "up.example", 80, "up.example"),
        ("http", "up.example", 8080, "up.example:8080"),
        ("https", "up.example", 443, "up.example"),
        ("http", "fd00::1", 80, "[fd00::1]"),
    ],
)
def test_the_upstream_is_called_by_its_own_name(scheme: str, host: str, port: int, authority: str) -> None:
    service = make_service(port, scheme=scheme, host=host)
    assert routes_of(live(ID, services=(service,)))[2]["route"]["host_rewrite_literal"] == authority


def test_a_changed_upstream_or_address_is_a_new_cluster() -> None:
    service = make_service(8080)
    pinned_spec = hold(live(ID, services=(service,)))
    slower = pinned_spec.model_copy(
        update={"spec": live(ID, services=(with_upstream(service, timeout_ms=1),))}
    )
    moved = pinned_spec.model_copy(update={"addresses": {"127.0.0.1:8080": ("127.0.0.9",)}})
    names = {str(resources.clusters(candidate)[0]["name"]) for candidate in (pinned_spec, slower, moved)}
    assert len(names) == 3
    assert all(name.startswith(f"imp:{ID}:{service.id}:") for name in names)


def test_without_certificate_authorities_an_https_upstream_is_refused_not_trusted_blindly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "CA_FILES", ("/no/such/file",))
    service = make_service(443, scheme="https", host="up.example")
    with pytest.raises(Refused) as refusal:
        resources.clusters(hold(live(ID, services=(service,))))
    assert (refusal.value.code, refusal.value.entity, refusal.value.field) == (
        "no_certificate_authorities",
        f"service {service.id}",
        "scheme",
    )


def test_https_upstreams_are_checked_by_name() -> None:
    service = make_service(443, scheme="https", host="up.example")
    (cluster,) = resources.clusters(
        PinnedSpec(spec=live(services=(service,)), addresses={"up.example:443": ("10.0.0.1",)})
    )
    text = json.dumps(cluster)
    assert '"sni": "up.example"' in text
    assert '"exact": "up.example"' in text
    assert '"address": "10.0.0.1"' in text


def test_withdrawn_is_one_route_and_absent_is_none() -> None:
    (catch_all,) = routes_of(withdrawn(live(ID), generation=2))
    assert catch_all["match"] == {"prefix": "/"}
    assert catch_all["direct_response"]["status"] == 410
    assert json.loads(catch_all["direct_response"]["body"]["inline_string"]) == {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "code": "withdrawn",
        "detail": "이 API는 제공이 중단되었습니다. / This API has been withdrawn.",
    }
    assert resources.scope(hold(absent(live(ID), generation=2))) is None
    assert resources.clusters(hold(withdrawn(live(ID), generation=2))) == []


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        (live(ID, auth=Auth(mode=AuthMode.API_KEY)), "invalid", "key_header"),
        (live(ID, auth=Auth(mode=AuthMode.API_KEY, key_header="a b")), "invalid", "key_header"),
        (with_keys(ApiKey(id=ID, consumer="one", fingerprint="f")), "invalid", "secret"),
        (with_keys(ApiKey(id=ID, consumer="one", fingerprint="f", secret="a\nb")), "invalid", "secret"),
        (with_keys(ApiKey(id=ID, consumer="o e", fingerprint="f", secret="a")), "invalid", "consumer"),
        (
            with_keys(*[ApiKey(id=ID, consumer=name, fingerprint=name, secret="a") for name in "bc"]),
            "invalid",
            "keys",
        ),
        (live(ID, auth=Auth(mode=AuthMode.OAUTH2, audience="a", jwks=({},))), "invalid", "issuer"),
        (live(ID, auth=Auth(mode=AuthMode.OAUTH2, issuer="i", jwks=({},))), "invalid", "audience"),
        (live(ID, auth=Auth(mode=AuthMode.OAUTH2, issuer="i", audience="a")), "invalid", "jwks"),
        (live(ID).model_copy(update={"host": ""}), "invalid", "host"),
        (of_service(route("billing")), "invalid", "path"),
        (of_service(route("/a", "GET|POST")), "invalid", "methods"),
        (of_service(route("/a", "get")), "invalid", "methods"),
        (live(ID, services=(with_upstream(make_service(80), scheme="ftp"),)), "invalid", "scheme"),
    ],
)
def test_what_envoy_cannot_serve_is_refused_with_the_guilty_field(spec: Spec, code: str, field: str) -> None:
    with pytest.raises(Refused) as caught:
        parts_of(hold(spec))
    assert (caught.value.code, caught.value.field) == (code, field)


def test_the_content_s_hash_changes_with_the_content_alone() -> None:
    resource: dict[str, object] = {"name": "a", "routes": [{"path": "/x"}]}
    assert content_hash(resource) == content_hash(dict(reversed(resource.items())))
    assert content_hash(resource) != content_hash({**resource, "routes": [{"path": "/y"}]})


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        (live(ID), 1_500),
        (with_keys(ApiKey(id=ID, consumer="one", fingerprint="f", secret="s" * 47)), 2_400),
        (with_tokens(), 2_900),
        (with_tokens("read", "write"), 3_200),
    ],
)
def test_one_publish_with_one_service_stays_small(spec: Spec, most: int) -> None:
    size = sum(len(entry.body) for entry in parts_of(hold(spec)).entries)
    assert most - 300 < size <= most
