"""OpenAPI documents: reading, routes from paths, the plan of an import, and refusals with places."""

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.problems import ChangedMeanwhile, Forbidden, Invalid
from products.catalogue import api_services
from products.catalogue.upstream_urls import UpstreamUrl
from products.forms import checked_service, overlap
from products.models import ApiService
from products.openapi.budget import MAX_CHARACTERS, MAX_VALUES, Budget, DocumentRefused
from products.openapi.document import ApiPath, read
from products.openapi.plan import Chosen, Difference, carry_out, plan
from products.openapi.routes import collapse, static_start
from products.openapi.text import MAX_BYTES, decoded, load
from tests.documents import LEDGER, LEDGER_AGAIN
from tests.world import World

SMALL = {
    "openapi": "3.0.3",
    "info": {"title": "Small", "version": "1"},
    "servers": [{"url": "http://small"}],
    "paths": {"/a": {"get": {}}},
}


def small(**changes: Any) -> str:
    return json.dumps(SMALL | changes)


def complaints(text: str) -> list[str]:
    with pytest.raises(DocumentRefused) as refused:
        read(load(text))
    assert list(refused.value.fields) == ["document"]
    return [str(complaint) for complaint in refused.value.fields["document"]]


def collapsed(*paths: tuple[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (route.path, route.methods)
        for route in collapse(ApiPath(path=path, methods=tuple(methods.split())) for path, methods in paths)
    ]


def test_title_version_servers_and_paths_are_read() -> None:
    api = read(load(LEDGER))
    assert (api.title, api.version, api.description) == ("Ledger", "1.4", "Accounts and their postings.")
    assert api.servers == ("http://ledger-upstream:8080/v1", "https://kr.ledger.example.com")
    assert [(api_path.path, api_path.methods) for api_path in api.paths] == [
        ("/accounts", ("GET", "POST")),
        ("/accounts/{id}", ("GET", "DELETE")),
        ("/accounts/{id}/postings", ("GET",)),
        ("/health", ("GET",)),
    ]
    assert [str(note) for note in api.notes] == [
        "servers (line 6) → 3: /relative was left out. Start with http:// or https://, as in http://billing-upstream:8080.",
        "paths → /health (line 21): trace is not a method of routes.",
    ]


def test_json_and_yaml_say_the_same() -> None:
    from_yaml, from_json = read(load(LEDGER)), read(load("\ufeff" + json.dumps(yaml.safe_load(LEDGER))))
    assert (from_yaml.title, from_yaml.servers, from_yaml.paths) == (
        from_json.title,
        from_json.servers,
        from_json.paths,
    )


@pytest.mark.parametrize(
    ("paths", "routes"),
    [
        (
            [("/pets", "GET POST"), ("/pets/{id}", "GET PUT"), ("/pets/{id}/photos/{n}", "DELETE")],
            [("/pets", ("GET", "POST", "PUT", "DELETE"))],
        ),
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
def test_paths_are_cut_before_their_first_parameter_and_joined(
    paths: list[tuple[str, str]], routes: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert collapsed(*paths) == routes


def test_a_route_says_what_it_stands_for() -> None:
    first, second = collapse(
        [
            ApiPath(path="/pets/{id}", methods=("GET",)),
            ApiPath(path="/a", methods=("GET",)),
            ApiPath(path="/pets/find", methods=("GET",)),
        ]
    )
    assert (first.path, first.is_wider, second.path, second.sources, second.is_wider) == (
        "/a",
        False,
        "/pets",
        ("/pets/{id}", "/pets/find"),
        True,
    )
    (everything,) = collapse([ApiPath(path="/{any}", methods=("GET",))])
    assert everything.is_everything
    (root,) = collapse([ApiPath(path="/", methods=("GET",))])
    assert root.is_everything


SEGMENTS = st.sampled_from(["a", "b", "c", "{x}", "a{x}"])
PATHS = st.lists(
    st.tuples(st.lists(SEGMENTS, max_size=4), st.sets(st.sampled_from(["GET", "POST", "PUT"]), min_size=1)),
    min_size=1,
    max_size=12,
)


@given(PATHS)
def test_every_path_is_served_by_a_route_and_no_two_routes_overlap(
    given_paths: list[tuple[list[str], set[str]]],
) -> None:
    paths = [
        ApiPath(path="/" + "/".join(segments), methods=tuple(sorted(methods)))
        for segments, methods in given_paths
    ]
    routes = collapse(paths)
    for api_path in paths:
        for method in api_path.methods:
            start = static_start(api_path.path)
            assert any(
                method in route.methods and (route.path in {"/", start} or start.startswith(f"{route.path}/"))
                for route in routes
            )
    fields = [
        checked
        for route in routes
        for checked in [api_services.RouteFields(path=route.path, methods=route.methods)]
    ]
    assert not any(overlap(a, b) for number, a in enumerate(fields) for b in fields[:number])
    assert sorted(source for route in routes for source in route.sources) == sorted(
        api_path.path for api_path in paths
    )


OUTSIDE = "paths → /a (line 1): its $ref leads out of this document, or nowhere. Only this document is read."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Paste an OpenAPI document, or choose its file."),
        ("   \n", "Paste an OpenAPI document, or choose its file."),
        ("[1, 2]", "This is not an OpenAPI document: it must start with openapi: 3."),
        ("just words", "This is not an OpenAPI document: it must start with openapi: 3."),
        ("swagger: '2.0'", "This is Swagger 2.0. Convert it to OpenAPI 3 first (editor.swagger.io does)."),
        ("openapi: 2.0.0", "openapi: only version 3 is supported, as in openapi: 3.1.0."),
        (
            "openapi: 3.1.0\ninfo: {title: Ab}\n",
            "paths: no path has an operation, so there would be no route.",
        ),
        ('{\n  "openapi": oops}', "Invalid JSON at line 2, column 14."),
        ("openapi: 3.1.0\npaths: {\n", "Invalid YAML at line 3, column 1."),
        ("a: 1\na: 2\n", "Duplicate name: line 2, column 1."),
        ("1: a\n'1': b\n", "Duplicate name: line 2, column 1."),
        ("[a]: 1\n", "A name must be plain text: line 1, column 1."),
        ("a: *b\n", "Invalid YAML at line 1, column 4."),
        ('{"a": 1, "a": 2}', "Duplicate name: a."),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "Tags and merge keys are not supported: line 1, column 4. Write the value itself.",
        ),
        (
            "a: &a {b: 1}\nc:\n  <<: *a\n",
            "Tags and merge keys are not supported: line 3, column 3. Write the value itself.",
        ),
        ("a: \x01\n", "A value in the document cannot be read."),
        ("a: 1\n---\nb: 2\n", "Invalid YAML at line 2, column 1."),
        (
            small(info={"title": " x "}),
            "info → title (line 1): a title needs at least two characters.",
        ),
        (small(info=None), "info → title (line 1): a title needs at least two characters."),
        (
            small(paths={"a": {"get": {}}}),
            "paths → a (line 1): a path starts with / and has at most 500 characters.",
        ),
        (
            small(paths={"/a": {"$ref": "https://example.com/x.yaml"}}),
            OUTSIDE,
        ),
        (
            small(paths={"/a": {"$ref": "#/paths/~1a"}}),
            OUTSIDE,
        ),
        (
            small(paths={"/a": {"$ref": "#/nowhere"}}),
            OUTSIDE,
        ),
    ],
)
def test_what_is_refused_says_where_and_why(text: str, message: str) -> None:
    assert message in complaints(text)


def test_every_complaint_is_said_at_once_but_20_at_most() -> None:
    assert len(complaints(small(paths={f"no-slash-{number}": {} for number in range(30)}))) == 20
    assert len(complaints(small(info={}, paths={"a": {}, "b": {}}))) == 3


def test_a_reference_inside_the_document_is_followed() -> None:
    text = small(
        paths={"/a": {"$ref": "#/components/pathItems/things~1a"}},
        components={"pathItems": {"things/a": {"post": {}}}},
    )
    assert [api_path.methods for api_path in read(load(text)).paths] == [("POST",)]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(20)
        ),
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
    ids=[
        "laughs",
        "brackets",
        "json braces",
        "braces",
        "dashes",
        "digits",
        "json digits",
        "itself",
        "values",
        "paths",
        "segments",
    ],
)
def test_a_bomb_is_refused_within_moments(text: str) -> None:
    began = time.thread_time()
    complaints(text)
    assert time.thread_time() - began < 10


def test_the_size_is_capped() -> None:
    assert "larger than 1 MB" in complaints("#" * (MAX_BYTES + 1))[0]
    assert "larger than 1 MB" in complaints("가" * (MAX_BYTES // 3 + 1))[0]
    with pytest.raises(DocumentRefused, match="openapi"):
        decoded("openapi: 3".encode("utf-16"))


REPEATED = "".join(f"&a{n} [{','.join([f'*a{n - 1}'] * 9) if n else 'x'}]," for n in range(8))
OF_INFO = "openapi: 3.1.0\ninfo: {title: Small, %s}\npaths: {/a: {get: {}}}\n"
ALIASES = {
    "description": OF_INFO % f"description: [{REPEATED}]",
    "openapi": f"openapi: [{REPEATED}]\n",
    "summary": OF_INFO % f"summary: {{x: [{REPEATED}]}}",
    "characters": f"a: &a {'x' * 50_000}\nb: [{','.join(['*a'] * 100)}]\n",
    "names": f"a: &a {'x' * 50_000}\nb: [{','.join(['{*a : 1}'] * 100)}]\n",
}


@pytest.mark.parametrize("text", ALIASES.values(), ids=ALIASES)
def test_an_alias_costs_as_much_as_what_it_repeats(text: str) -> None:
    budget = Budget()
    with pytest.raises(DocumentRefused) as refused:
        read(load(text, budget))
    assert "aliases included" in str(refused.value.fields["document"][0])
    assert len(text) < 60_000


def test_aliases_do_not_nest_deeper_than_a_document_may() -> None:
    chain = "".join(f"a{n}: &a{n} {'[' * 30}{f'*a{n - 1}' if n else ''}{']' * 30}\n" for n in range(4))
    assert complaints(chain) == ["The document is nested too deeply."]
    assert load("a: &a [x]\nb: [*a, *a]\n").data == {"a": ["x"], "b": [["x"], ["x"]]}


@pytest.mark.parametrize("reference", ["#/" + "a/" * 400_000, "#/" + "a" * 2_000, "#/" + "/" * 30])
def test_a_reference_has_a_bound_of_length_and_segments(reference: str) -> None:
    document = load(small(paths={"/a": {"$ref": reference}, "/b": {"get": {}}}))
    assert [path.path for path in read(document).paths] == ["/b"]
    assert document.budget.values < 100


def test_what_many_references_share_costs_each_time() -> None:
    shared = {f"x-{number}": 0 for number in range(10_000)}
    paths = {f"/{number}": {"$ref": "#/components/pathItems/shared"} for number in range(100)}
    assert (
        "too many values" in complaints(small(paths=paths, components={"pathItems": {"shared": shared}}))[0]
    )


def test_a_document_that_takes_too_long_is_refused_in_words() -> None:
    class Spent(Budget):
        def __init__(self) -> None:
            super().__init__()
            self._ends = time.monotonic() - 1

    for text in (small(), LEDGER):
        with pytest.raises(DocumentRefused) as refused:
            load(text, Spent())
        assert "takes longer than 10 seconds" in str(refused.value.fields["document"][0])


VERSION = (
    "openapi: 3.0.3\ninfo: {title: No, version: 1.10}\npaths:\n"
    "  /numbers: {get: {operationId: 010, responses: {200: {description: ok}}}}\n"
)
STRUCTURE = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ": ",
    "- ",
    "\n",
    "  ",
    "? ",
    "---\n",
    "...\n",
    "|\n",
    '"',
    "&a ",
    "*a",
    "&b ",
    "*b",
    "<<: ",
    "!!x ",
    "'1'",
    "~",
]
FRAGMENTS = [
    "openapi: 3.1.0\n",
    "info: {title: Ab}\n",
    "paths:\n",
    "  /a: ",
    "servers: ",
    "get: {}",
    "$ref: '#/paths'",
    "%YAML 1.1\n",
    "\\ud800",
]
PIECES = st.sampled_from(STRUCTURE + FRAGMENTS)


@given(st.binary(max_size=2_000) | st.lists(PIECES, max_size=60).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_get_an_answer_or_a_refusal_and_cost_a_bounded_number_of_values(raw: bytes) -> None:
    budget = Budget()
    try:
        assert read(load(decoded(raw), budget)).paths
    except DocumentRefused as refused:
        assert refused.fields["document"]
    assert budget.values <= 2 * MAX_VALUES
    assert budget.characters <= 2 * MAX_CHARACTERS


@pytest.mark.parametrize(
    "document",
    [VERSION, '{"openapi":"3.0.3","info":{"title":"No","version":1.10},"paths":{"/numbers":{"get":{}}}}'],
)
def test_values_are_the_texts_that_were_written(document: str) -> None:
    api = read(load(document))
    assert (api.title, api.version, [path.path for path in api.paths]) == ("No", "1.10", ["/numbers"])


def test_a_date_that_no_calendar_has_is_a_text() -> None:
    assert load("a: 2026-02-31\nb: 0000-00-00\nc: 0o17\nd: ~\ne: 'null'\n").data == {
        "a": "2026-02-31",
        "b": "0000-00-00",
        "c": "0o17",
        "d": None,
        "e": "null",
    }


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
    planned = plan(world.actor, LEDGER)
    assert planned.service is None
    assert [(change.label, change.before, change.after) for change in planned.changes] == [
        ("Name", "", "Ledger"),
        ("Version", "", "1.4"),
        ("Description", "", "Accounts and their postings."),
    ]
    assert planned.upstreams == ("http://ledger-upstream:8080/v1", "https://kr.ledger.example.com")
    assert [
        (change.difference, change.path, change.methods, change.sources) for change in planned.routes
    ] == [
        (
            Difference.ADDED,
            "/accounts",
            ("GET", "POST", "DELETE"),
            ("/accounts", "/accounts/{id}", "/accounts/{id}/postings"),
        ),
        (Difference.ADDED, "/health", ("GET",), ()),
    ]
    assert not ApiService.objects.filter(name="Ledger").exists()
    service = carry_out(world.actor, planned)
    assert (service.tenant, service.name, service.version, service.status) == (
        world.tenant,
        "Ledger",
        "1.4",
        "active",
    )
    assert str(UpstreamUrl.of(service)) == "http://ledger-upstream:8080/v1"
    assert [(route.path, route.methods) for route in service.routes.all()] == [
        ("/accounts", ["GET", "POST", "DELETE"]),
        ("/health", ["GET"]),
    ]


def test_importing_again_changes_the_service_in_place(world: World) -> None:
    service = carry_out(world.actor, plan(world.actor, LEDGER))
    assert plan(world.actor, LEDGER).is_nothing
    ids = dict(service.routes.values_list("path", "pk"))
    stripped = [
        {
            "id": str(ids["/accounts"]),
            "path": "/accounts",
            "methods": ["GET", "POST", "DELETE"],
            "strip_path": True,
            "is_active": False,
        }
    ]
    rows = [*stripped, {"path": "/health", "methods": ["GET"]}, {"path": "/old"}]
    changed = checked_service(
        world.actor, {"routes": rows, "status": "inactive", "timeout_ms": 9_000}, service=service
    )
    service = api_services.update_service(world.actor, service.pk, fields=changed)
    again = plan(world.actor, LEDGER_AGAIN)
    assert again.service == service
    assert [(change.label, change.before, change.after) for change in again.changes] == [
        ("Version", "1.4", "1.5")
    ]
    assert [(change.difference, change.path) for change in again.routes] == [
        (Difference.CHANGED, "/accounts"),
        (Difference.ADDED, "/reports"),
        (Difference.REMOVED, "/health"),
        (Difference.REMOVED, "/old"),
    ]
    assert (again.routes[0].before, again.routes[0].methods) == (
        ("GET", "POST", "DELETE"),
        ("GET", "POST", "PATCH"),
    )
    imported = carry_out(world.actor, again, revision=service.revision)
    imported.refresh_from_db()
    assert (imported.pk, imported.status, imported.timeout_ms, imported.version) == (
        service.pk,
        "inactive",
        9_000,
        "1.5",
    )
    assert [(r.path, r.methods, r.strip_path, r.status) for r in imported.routes.all()] == [
        ("/accounts", ["GET", "POST", "PATCH"], True, "inactive"),
        ("/reports", ["GET"], False, "active"),
    ]
    assert imported.routes.get(path="/accounts").pk == ids["/accounts"]
    with pytest.raises(ChangedMeanwhile):
        carry_out(world.actor, again, revision=service.revision)


def test_a_service_of_its_own_page_keeps_its_name(world: World) -> None:
    billing = ApiService.objects.get(name="Billing Service")
    planned = plan(world.actor, LEDGER, service=billing)
    assert carry_out(world.actor, planned).name == "Billing Service"
    assert not ApiService.objects.filter(name="Ledger").exists()


def test_the_upstream_is_the_chosen_one_the_documents_or_the_one_that_is_there(world: World) -> None:
    assert plan(world.actor, LEDGER, chosen=Chosen(upstream="http://mine:1")).upstream == "http://mine:1"
    with pytest.raises(Invalid) as nothing:
        plan(world.actor, small(servers=[{"url": "/v1"}]))
    assert list(nothing.value.fields) == ["upstream_url"]
    with pytest.raises(Invalid) as wrong:
        plan(world.actor, LEDGER, chosen=Chosen(upstream="gopher://mine"))
    assert list(wrong.value.fields) == ["upstream_url"]
    service = carry_out(world.actor, plan(world.actor, small(), chosen=Chosen(upstream="http://mine:1")))
    planned = plan(world.actor, small(servers=[]))
    assert (planned.upstream, planned.service) == ("http://mine:1", service)
    assert plan(world.actor, small()).upstreams == ("http://mine:1", "http://small")
    assert plan(world.actor, small()).is_nothing


def test_a_path_that_no_route_can_have_is_left_out_with_its_place_and_the_rest_is_taken(world: World) -> None:
    odd = LEDGER.replace("/health:", "/he%20alth:").replace(
        "/accounts/{id}/postings:", "/.well-known/imp/{x}:"
    )
    planned = plan(world.actor, odd)
    assert [route.path for route in planned.routes] == ["/accounts"]
    assert [str(note).split(":")[0] for note in planned.notes[:2]] == [
        "paths → /.well-known/imp/{x} (line 19)",
        "paths → /he%20alth (line 21)",
    ]
    with pytest.raises(DocumentRefused) as refused:
        plan(world.actor, small(paths={"/a%20b": {"get": {}}, "/결제": {"get": {}}}))
    assert len(refused.value.fields["document"]) == 2


def test_one_odd_path_is_left_out_and_the_others_are_read() -> None:
    api = read(
        load(
            small(
                paths={
                    "/" + "x" * 600: {"get": {}},
                    "no-slash": {"get": {}},
                    "/b": {"$ref": "other.yaml"},
                    "/a": {"get": {}},
                }
            )
        )
    )
    assert [path.path for path in api.paths] == ["/a"]
    assert [str(note).rpartition("(line 1): ")[2] for note in api.notes] == [
        "a path starts with / and has at most 500 characters.",
        "a path starts with / and has at most 500 characters.",
        "its $ref leads out of this document, or nowhere. Only this document is read.",
    ]


def test_a_path_ends_before_its_query_or_fragment(world: World) -> None:
    text = small(
        paths={"/token": {"get": {}}, "/token#refresh": {"post": {}}, "/responses?beta=true": {"get": {}}}
    )
    planned = plan(world.actor, text)
    assert [(route.path, route.methods) for route in planned.routes] == [
        ("/responses", ("GET",)),
        ("/token", ("GET", "POST")),
    ]
    assert [str(note) for note in planned.notes] == [
        "paths → /token#refresh (line 1): a path ends before ? or #. Read as /token.",
        "paths → /responses?beta=true (line 1): a path ends before ? or #. Read as /responses.",
    ]


def test_servers_of_paths_and_operations_and_what_stands_beside_a_reference_are_named() -> None:
    own = [{"url": "https://own.example.com"}]
    paths = {
        "/a": {"servers": own, "get": {}},
        "/b": {"post": {"servers": own}, "get": {}},
        "/c": {"$ref": "#/components/pathItems/c", "delete": {}, "servers": own},
    }
    api = read(load(small(paths=paths, components={"pathItems": {"c": {"get": {}}}})))
    assert [(path.path, path.methods) for path in api.paths] == [
        ("/a", ("GET",)),
        ("/b", ("GET", "POST")),
        ("/c", ("GET",)),
    ]
    assert [str(note) for note in api.notes] == [
        "paths → /a (line 1): its own servers are not read; a service has one upstream.",
        "paths → /b (line 1): the servers of POST are not read; a service has one upstream.",
        "paths → /c (line 1): delete, servers beside its $ref is not read.",
    ]


def test_a_document_with_more_routes_than_a_service_has_is_refused_in_our_words(world: World) -> None:
    with pytest.raises(DocumentRefused) as refused:
        plan(world.actor, small(paths={f"/p{number}": {"get": {}} for number in range(201)}))
    message = "The document needs 201 routes; a service has at most 200. Split it into several documents."
    assert refused.value.fields == {"document": [message]}
    rows = [{"path": f"/p{number}"} for number in range(201)]
    with pytest.raises(Invalid) as too_many:
        checked_service(
            world.actor, {"name": "Many", "status": "active", "upstream_url": "http://a", "routes": rows}
        )
    assert too_many.value.fields == {"routes": ["200 rows at most. Remove the others."]}


@pytest.mark.parametrize("path", ["/", "/{tenant}/things"])
def test_a_plan_that_opens_everything_says_so_as_long_as_it_is_new(world: World, path: str) -> None:
    planned = plan(world.actor, small(paths={path: {"get": {}}}))
    assert planned.opens_everything
    carry_out(world.actor, planned)
    assert not plan(world.actor, small(paths={path: {"get": {}}})).opens_everything
    assert plan(world.actor, small(paths={path: {"get": {}, "post": {}}})).opens_everything
    assert not plan(world.actor, LEDGER).opens_everything


def test_a_document_of_a_known_title_changes_that_service_or_becomes_a_new_one(world: World) -> None:
    ledger = carry_out(world.actor, plan(world.actor, LEDGER))
    planned = plan(world.actor, LEDGER_AGAIN, chosen=Chosen(is_new=True))
    assert (planned.service, planned.namesake, planned.fields.name) == (None, ledger, "Ledger 1.5")
    carry_out(world.actor, planned)
    assert plan(world.actor, LEDGER_AGAIN, chosen=Chosen(is_new=True)).fields.name == "Ledger 2"
    mine = carry_out(world.actor, plan(world.actor, LEDGER_AGAIN, chosen=Chosen(is_new=True, name="Mine")))
    assert (mine.name, mine.pk != ledger.pk) == ("Mine", True)
    with pytest.raises(Invalid) as refused:
        plan(world.actor, LEDGER, chosen=Chosen(is_new=True, name="Ledger"))
    assert list(refused.value.fields) == ["name"]


def test_another_tenants_service_of_that_title_is_not_touched_and_a_viewer_imports_nothing(
    world: World, other: World
) -> None:
    theirs = carry_out(other.actor, plan(other.actor, LEDGER))
    mine = carry_out(world.actor, plan(world.actor, LEDGER_AGAIN))
    theirs.refresh_from_db()
    assert (mine.pk != theirs.pk, theirs.version) == (True, "1.4")
    with pytest.raises(Forbidden):
        carry_out(world.viewer, plan(world.viewer, LEDGER))
