"""OpenAPI documents: what is read of them, how paths become routes, what an import would change, and what is refused with its place."""

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.problems import ChangedMeanwhile, Forbidden, Invalid
from products import api_services
from products.forms import checked_service, overlap
from products.models import ApiService
from products.openapi.document import ApiPath, read
from products.openapi.plan import Difference, carry_out, plan
from products.openapi.routes import collapse, static_start
from products.openapi.text import MAX_BYTES, DocumentRefused, decoded, load
from products.upstream_urls import UpstreamUrl
from tests.documents import LEDGER, LEDGER_AGAIN
from tests.world import World

SMALL = {"openapi": "3.0.3", "info": {"title": "Small", "version": "1"}, "servers": [{"url": "http://small"}], "paths": {"/a": {"get": {}}}}


def small(**changes: Any) -> str:
    return json.dumps(SMALL | changes)


def complaints(text: str) -> list[str]:
    with pytest.raises(DocumentRefused) as refused:
        read(load(text))
    assert list(refused.value.fields) == ["document"]
    return [str(one) for one in refused.value.fields["document"]]


def collapsed(*paths: tuple[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.path, one.methods) for one in collapse(ApiPath(path=path, methods=tuple(methods.split())) for path, methods in paths)]


def test_title_version_servers_and_paths_are_read() -> None:
    api = read(load(LEDGER))
    assert (api.title, api.version, api.description) == ("Ledger", "1.4", "Accounts and their postings.")
    assert api.servers == ("http://ledger-upstream:8080/v1", "https://kr.ledger.example.com")
    assert [(one.path, one.methods) for one in api.paths] == [
        ("/accounts", ("GET", "POST")),
        ("/accounts/{id}", ("GET", "DELETE")),
        ("/accounts/{id}/postings", ("GET",)),
        ("/health", ("GET",)),
    ]
    assert [str(note) for note in api.notes] == [
        "servers (line 6) → 3: /relative was left out. Begin with http:// or https://, as in http://billing-upstream:8080.",
        "paths → /health (line 21): trace is no method that a route can name.",
    ]


def test_json_and_yaml_say_the_same() -> None:
    from_yaml, from_json = read(load(LEDGER)), read(load("\ufeff" + json.dumps(yaml.safe_load(LEDGER))))
    assert (from_yaml.title, from_yaml.servers, from_yaml.paths) == (from_json.title, from_json.servers, from_json.paths)


@pytest.mark.parametrize(
    ("paths", "routes"),
    [
        ([("/pets", "GET POST"), ("/pets/{id}", "GET PUT"), ("/pets/{id}/photos/{n}", "DELETE")], [("/pets", ("GET", "POST", "PUT", "DELETE"))]),
        ([("/pets", "GET POST"), ("/pets/find", "GET")], [("/pets", ("GET", "POST"))]),
        ([("/pets", "GET"), ("/pets/upload", "POST")], [("/pets", ("GET",)), ("/pets/upload", ("POST",))]),
        ([("/pets", "GET"), ("/petshop", "GET")], [("/pets", ("GET",)), ("/petshop", ("GET",))]),
        ([("/pets/", "GET"), ("/pets", "PUT")], [("/pets", ("GET", "PUT"))]),
        ([("/files/report.{format}", "GET")], [("/files", ("GET",))]),
        ([("/{tenant}/things", "GET"), ("/health", "GET")], [("/", ("GET",))]),
        ([("/{tenant}/things", "GET"), ("/things", "POST")], [("/", ("GET",)), ("/things", ("POST",))]),
        ([("/", "GET")], [("/", ("GET",))]),
    ],
)
def test_paths_are_cut_before_their_first_parameter_and_joined(paths: list[tuple[str, str]], routes: list[tuple[str, tuple[str, ...]]]) -> None:
    assert collapsed(*paths) == routes


def test_a_route_says_what_it_stands_for() -> None:
    one, other = collapse([ApiPath(path="/pets/{id}", methods=("GET",)), ApiPath(path="/a", methods=("GET",)), ApiPath(path="/pets/find", methods=("GET",))])
    assert (one.path, one.is_wider, other.path, other.sources, other.is_wider) == ("/a", False, "/pets", ("/pets/{id}", "/pets/find"), True)
    (everything,) = collapse([ApiPath(path="/{any}", methods=("GET",))])
    assert everything.is_everything
    (root,) = collapse([ApiPath(path="/", methods=("GET",))])
    assert not root.is_everything


SEGMENTS = st.sampled_from(["a", "b", "c", "{x}", "a{x}"])
PATHS = st.lists(st.tuples(st.lists(SEGMENTS, max_size=4), st.sets(st.sampled_from(["GET", "POST", "PUT"]), min_size=1)), min_size=1, max_size=12)


@given(PATHS)
def test_every_path_is_served_by_a_route_and_no_two_routes_overlap(given_paths: list[tuple[list[str], set[str]]]) -> None:
    paths = [ApiPath(path="/" + "/".join(segments), methods=tuple(sorted(methods))) for segments, methods in given_paths]
    routes = collapse(paths)
    for one in paths:
        for method in one.methods:
            start = static_start(one.path)
            assert any(method in route.methods and (route.path in {"/", start} or start.startswith(f"{route.path}/")) for route in routes)
    kept = [checked for route in routes for checked in [api_services.RouteFields(path=route.path, methods=route.methods)]]
    assert not any(overlap(a, b) for number, a in enumerate(kept) for b in kept[:number])
    assert sorted(source for route in routes for source in route.sources) == sorted(one.path for one in paths)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Paste an OpenAPI document, or choose its file."),
        ("   \n", "Paste an OpenAPI document, or choose its file."),
        ("[1, 2]", "This is no OpenAPI document: it should begin with openapi: 3."),
        ("just words", "This is no OpenAPI document: it should begin with openapi: 3."),
        ("swagger: '2.0'", "This is Swagger 2.0. Convert it to OpenAPI 3 first (editor.swagger.io does)."),
        ("openapi: 2.0.0", "openapi: only version 3 is taken, as in openapi: 3.1.0."),
        ("openapi: 3.1.0\ninfo: {title: Ab}\n", "paths: there is no path with an operation, so there would be no route."),
        ('{\n  "openapi": oops}', "This is no JSON: it cannot be read at line 2, column 14."),
        ("openapi: 3.1.0\npaths: {\n", "This is no YAML: it cannot be read at line 3, column 1."),
        ("a: 1\na: 2\n", "A name stands twice in one place, at line 2, column 1."),
        ('{"a": 1, "a": 2}', "a stands twice in one place."),
        ("a: !!python/object/apply:os.system [ls]\n", "Tags and merge keys are not taken: line 1, column 4. Write the value itself."),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", "Tags and merge keys are not taken: line 3, column 3. Write the value itself."),
        ("a: 2024-99-99\n", "A value in the document cannot be read."),
        ("a: \x01\n", "A value in the document cannot be read."),
        ("a: 1\n---\nb: 2\n", "This is no YAML: it cannot be read at line 2, column 1."),
        (small(info={"title": " x "}), "info → title (line 1): the API needs a title of at least two characters."),
        (small(info=None), "info → title (line 1): the API needs a title of at least two characters."),
        (small(paths={"a": {"get": {}}}), "paths → a (line 1): a path starts with / and has 500 characters at most."),
        (
            small(paths={"/a": {"$ref": "https://example.com/x.yaml"}}),
            "paths → /a (line 1): its $ref leads elsewhere or nowhere. Only what stands in this document is read.",
        ),
        (small(paths={"/a": {"$ref": "#/paths/~1a"}}), "paths → /a (line 1): its $ref leads elsewhere or nowhere. Only what stands in this document is read."),
        (small(paths={"/a": {"$ref": "#/nowhere"}}), "paths → /a (line 1): its $ref leads elsewhere or nowhere. Only what stands in this document is read."),
    ],
)
def test_what_is_refused_says_where_and_why(text: str, words: str) -> None:
    assert words in complaints(text)


def test_every_complaint_is_said_at_once_but_20_at_most() -> None:
    assert len(complaints(small(paths={f"no-slash-{number}": {} for number in range(30)}))) == 20
    assert len(complaints(small(info={}, paths={"a": {}, "b": {}}))) == 3


def test_a_reference_inside_the_document_is_followed() -> None:
    text = small(paths={"/a": {"$ref": "#/components/pathItems/things~1a"}}, components={"pathItems": {"things/a": {"post": {}}}})
    assert [one.methods for one in read(load(text)).paths] == [("POST",)]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(20)),
        "[" * 100_000,
        '{"a":' * 100_000,
        "{a: " * 5_000,
        "- " * 50_000,
        "a: " + "9" * 100_000,
        '{"a": ' + "9" * 100_000 + "}",
        "&a [*a]",
        "a: [" + "1," * 490_000 + "]",
        small(paths={f"/{number}": {} for number in range(2_001)}),
        small(paths={"/a" * 200_000: {"get": {}}}),
    ],
    ids=["laughs", "brackets", "json braces", "braces", "dashes", "digits", "json digits", "itself", "values", "paths", "segments"],
)
def test_a_bomb_is_refused_within_moments(text: str) -> None:
    began = time.monotonic()
    complaints(text)
    assert time.monotonic() - began < 10


def test_the_size_is_capped() -> None:
    assert "larger than 1 MB" in complaints("#" * (MAX_BYTES + 1))[0]
    assert "larger than 1 MB" in complaints("가" * (MAX_BYTES // 3 + 1))[0]
    with pytest.raises(DocumentRefused, match="openapi"):
        decoded("openapi: 3".encode("utf-16"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    )
)
def test_no_shape_of_a_document_is_a_crash(shape: Any) -> None:
    for key in ("info", "servers", "paths", "components"):
        for value in (shape, [shape], {"/x": shape}, {"title": shape, "version": shape, "url": shape}):
            try:
                read(load(small(**{key: value})))
            except DocumentRefused as refused:
                assert refused.fields["document"]


def test_a_first_import_makes_an_active_service(world: World) -> None:
    made = plan(world.actor, LEDGER)
    assert made.service is None
    assert [(one.label, one.before, one.after) for one in made.changes] == [
        ("Name", "", "Ledger"),
        ("Version", "", "1.4"),
        ("Description", "", "Accounts and their postings."),
    ]
    assert made.upstreams == ("http://ledger-upstream:8080/v1", "https://kr.ledger.example.com")
    assert [(one.difference, one.path, one.methods, one.sources) for one in made.routes] == [
        (Difference.ADDED, "/accounts", ("GET", "POST", "DELETE"), ("/accounts", "/accounts/{id}", "/accounts/{id}/postings")),
        (Difference.ADDED, "/health", ("GET",), ()),
    ]
    assert not ApiService.objects.filter(name="Ledger").exists()
    service = carry_out(world.actor, made)
    assert (service.tenant, service.name, service.version, service.status) == (world.tenant, "Ledger", "1.4", "active")
    assert str(UpstreamUrl.of(service)) == "http://ledger-upstream:8080/v1"
    assert [(route.path, route.methods) for route in service.routes.all()] == [("/accounts", ["GET", "POST", "DELETE"]), ("/health", ["GET"])]


def test_importing_again_changes_the_service_in_place(world: World) -> None:
    service = carry_out(world.actor, plan(world.actor, LEDGER))
    assert plan(world.actor, LEDGER).is_nothing
    ids = dict(service.routes.values_list("path", "pk"))
    stripped = [{"id": str(ids["/accounts"]), "path": "/accounts", "methods": ["GET", "POST", "DELETE"], "strip_path": True, "is_active": False}]
    rows = [*stripped, {"path": "/health", "methods": ["GET"]}, {"path": "/old"}]
    changed = checked_service(world.actor, {"routes": rows, "status": "inactive", "timeout_ms": 9_000}, service=service)
    service = api_services.update_service(world.actor, service.pk, fields=changed)
    again = plan(world.actor, LEDGER_AGAIN)
    assert again.service == service
    assert [(one.label, one.before, one.after) for one in again.changes] == [("Version", "1.4", "1.5")]
    assert [(one.difference, one.path) for one in again.routes] == [
        (Difference.CHANGED, "/accounts"),
        (Difference.ADDED, "/reports"),
        (Difference.REMOVED, "/health"),
        (Difference.REMOVED, "/old"),
    ]
    assert (again.routes[0].before, again.routes[0].methods) == (("GET", "POST", "DELETE"), ("GET", "POST", "PATCH"))
    done = carry_out(world.actor, again, seen=service.updated_at)
    done.refresh_from_db()
    assert (done.pk, done.status, done.timeout_ms, done.version) == (service.pk, "inactive", 9_000, "1.5")
    assert [(r.path, r.methods, r.strip_path, r.status) for r in done.routes.all()] == [
        ("/accounts", ["GET", "POST", "PATCH"], True, "inactive"),
        ("/reports", ["GET"], False, "active"),
    ]
    assert done.routes.get(path="/accounts").pk == ids["/accounts"]
    with pytest.raises(ChangedMeanwhile):
        carry_out(world.actor, again, seen=service.updated_at)


def test_a_service_of_its_own_page_keeps_its_name(world: World) -> None:
    billing = ApiService.objects.get(name="Billing Service")
    made = plan(world.actor, LEDGER, service=billing)
    assert carry_out(world.actor, made).name == "Billing Service"
    assert not ApiService.objects.filter(name="Ledger").exists()


def test_the_upstream_is_the_chosen_one_the_documents_or_the_one_that_is_there(world: World) -> None:
    assert plan(world.actor, LEDGER, upstream="http://mine:1").upstream == "http://mine:1"
    with pytest.raises(Invalid) as nothing:
        plan(world.actor, small(servers=[{"url": "/v1"}]))
    assert list(nothing.value.fields) == ["upstream_url"]
    with pytest.raises(Invalid) as wrong:
        plan(world.actor, LEDGER, upstream="gopher://mine")
    assert list(wrong.value.fields) == ["upstream_url"]
    service = carry_out(world.actor, plan(world.actor, small(), upstream="http://mine:1"))
    kept = plan(world.actor, small(servers=[]))
    assert (kept.upstream, kept.service) == ("http://mine:1", service)
    assert plan(world.actor, small()).upstreams == ("http://small", "http://mine:1")


def test_a_path_that_no_route_can_have_is_refused_with_its_place(world: World) -> None:
    with pytest.raises(DocumentRefused) as refused:
        plan(world.actor, LEDGER.replace("/health:", "/he%20alth:").replace("/accounts/{id}/postings:", "/.well-known/imp/{x}:"))
    assert [str(one).split(":")[0] for one in refused.value.fields["document"]] == ["paths → /.well-known/imp/{x} (line 19)", "paths → /he%20alth (line 21)"]


def test_a_document_with_more_routes_than_a_service_has_is_refused(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        plan(world.actor, small(paths={f"/p{number}": {"get": {}} for number in range(201)}))
    assert list(refused.value.fields) == ["routes"]


def test_another_tenants_service_of_that_title_is_not_touched_and_a_viewer_imports_nothing(world: World, other: World) -> None:
    theirs = carry_out(other.actor, plan(other.actor, LEDGER))
    mine = carry_out(world.actor, plan(world.actor, LEDGER_AGAIN))
    theirs.refresh_from_db()
    assert (mine.pk != theirs.pk, theirs.version) == (True, "1.4")
    with pytest.raises(Forbidden):
        carry_out(world.viewer, plan(world.viewer, LEDGER))
