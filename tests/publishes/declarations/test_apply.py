"""`apply`, `export` and `publish_status`: a file is done once, and prunes only what carries its label."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from core.models import Label
from core.problems import ChangedMeanwhile
from gateways.models import Gateway
from products.catalogue import products
from products.catalogue.products import ProductFields
from products.models import ApiService, Product
from publishes.declarations.files import load
from publishes.declarations.plan import plan
from publishes.models import Observation, Operation, ProductPublish
from tests.world import World

FILE: dict[str, Any] = {
    "namespace": "ledger",
    "services": [
        {
            "name": "Ledger Service",
            "upstream_url": "http://127.0.0.1:8081",
            "routes": [{"path": "/ledger", "methods": ["POST", "GET"]}],
        }
    ],
    "products": [{"name": "Ledger API", "version": "1.0", "services": ["Ledger Service"]}],
    "gateways": [
        {"name": "edge", "listeners": [{"port": 8443, "protocol": "HTTPS"}], "clusters": ["acme-kr"]}
    ],
    "publishes": [
        {
            "name": "ledger-dev",
            "product": "Ledger API 1.0",
            "cluster": "acme-kr",
            "gateway": "edge",
            "hostname": "ledger.localhost",
        }
    ],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workspace.yaml"


def run(*arguments: Any) -> tuple[int, str]:
    """Exit code, and what was printed."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*[str(argument) for argument in arguments], stdout=out, stderr=err)
    except CommandError as refusal:
        return refusal.returncode, out.getvalue() + err.getvalue() + str(refusal)
    return 0, out.getvalue() + err.getvalue()


def apply(path: Path, *arguments: str, **changes: Any) -> tuple[int, str]:
    path.write_text(yaml.safe_dump(FILE | changes))
    return run("apply", "--tenant", "acme", "-f", path, *arguments)


def everything() -> tuple[int, ...]:
    return tuple(
        model.objects.count() for model in (ApiService, Product, Gateway, ProductPublish, Operation, Label)
    )


def test_a_dry_run_prints_the_plan_exits_2_and_does_nothing(world: World, path: Path) -> None:
    before = everything()
    code, output = apply(path, "--dry-run")
    assert code == 2
    assert [line.split()[:2] for line in output.splitlines()[:5]] == [
        *(["create", "service"], ["create", "product"], ["create", "gateway"], ["create", "publish"]),
        ["publish", "publish"],
    ]
    assert everything() == before


def test_the_second_time_nothing_is_left_to_do(world: World, path: Path) -> None:
    assert apply(path)[0] == 0
    world.everybody_confirms()
    publish = ProductPublish.objects.get(hostname_base="ledger.localhost")
    assert (publish.status, publish.product.name, publish.gateway.name, publish.product.status) == (
        "PUBLISHED",
        "Ledger API",
        "edge",
        "active",
    )
    before = everything()
    assert apply(path) == (0, "Nothing to do.\n")
    assert apply(path, "--dry-run") == (0, "Nothing to do.\n")
    assert everything() == before


def test_what_differs_is_changed_and_named(world: World, path: Path) -> None:
    apply(path)
    world.everybody_confirms()
    services = [
        FILE["services"][0] | {"routes": [{"path": "/ledger"}, {"path": "/more"}], "timeout_ms": 9000}
    ]
    code, output = apply(path, services=services)
    assert (code, output.splitlines()[0]) == (0, "change    service  Ledger Service  (timeout_ms, routes)")
    assert [route.path for route in ApiService.objects.get(name="Ledger Service").routes.all()] == [
        "/ledger",
        "/more",
    ]
    assert apply(path, services=services)[1] == "Nothing to do.\n"


def test_withdrawn_is_a_state_like_the_others_and_going_back_to_a_draft_is_refused(
    world: World, path: Path
) -> None:
    apply(path)
    world.everybody_confirms()
    publishes = [FILE["publishes"][0] | {"state": "withdrawn"}]
    assert apply(path, publishes=publishes)[0] == 0
    world.everybody_confirms()
    assert ProductPublish.objects.get().status == "WITHDRAWN"
    code, output = apply(path, publishes=[FILE["publishes"][0] | {"state": "draft"}])
    assert (code, "cannot become draft" in output) == (1, True)
    code, output = apply(
        path, publishes=[publishes[0] | {"environment": "prod", "hostname": "ledger.localhost"}]
    )
    assert (code, "only a draft can be changed" in output) == (1, True)


def test_export_and_apply_are_a_round_trip(world: World, path: Path) -> None:
    world.gateway.listeners.create(name="http-80", port=80)
    world.published()
    world.draft(hostname_base="second.localhost")
    code, text = run("export", "--tenant", "acme", "--namespace", "mine", "--all")
    assert code == 0
    assert [publish["name"] for publish in yaml.safe_load(text)["publishes"]] == [
        "payment-api-dev-acme-kr",
        "payment-api-dev-acme-kr-2",
    ]
    path.write_text(text)
    before = everything()
    code, output = run("apply", "--tenant", "acme", "-f", path)
    assert (code, {line.split()[0] for line in output.splitlines()[:-1]}) == (0, {"adopt"})
    assert everything()[:5] == before[:5]
    assert run("apply", "--tenant", "acme", "-f", path)[1] == "Nothing to do.\n"
    assert run("export", "--tenant", "acme", "--namespace", "mine")[1] == text
    assert run("export", "--tenant", "acme", "--namespace", "other")[1] == "namespace: other\n"


def test_prune_takes_away_what_carries_the_label_and_nothing_else(world: World, path: Path) -> None:
    mine = world.published(hostname_base="mine.localhost")
    apply(path)
    world.everybody_confirms()
    empty: dict[str, Any] = {"services": [], "products": [], "gateways": [], "publishes": []}
    assert apply(path, **empty) == (0, "Nothing to do.\n")
    apply(path, "--prune", **empty)
    world.everybody_confirms()  # withdrawn
    apply(path, "--prune", **empty)
    world.everybody_confirms()  # deleted
    code, output = apply(path, "--prune", **empty)
    assert code in {0, 3, 4}, output
    assert not ProductPublish.objects.filter(hostname_base="ledger.localhost", deleted_at=None).exists()
    assert Product.objects.get(name="Ledger API").status == "archived"  # its history is kept
    mine.refresh_from_db()
    assert (mine.status, mine.deleted_at) == ("PUBLISHED", None)
    assert (world.product.services.count(), Gateway.objects.filter(name="dev-gateway").count()) == (3, 1)


def test_what_another_namespace_holds_is_not_taken_over(world: World, path: Path) -> None:
    apply(path)
    before = everything()
    code, output = apply(path, namespace="other")
    assert (code, "belongs to the namespace ledger" in output) == (1, True)
    assert everything() == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"namespace": "Not A Name"}, "namespace"),
        ({"tenants": []}, "tenants"),
        ({"services": [{"name": "x", "upstream_url": "http://x", "secret": "y"}]}, "secret"),
        ({"products": [FILE["products"][0]] * 2}, "stands there twice"),
        ({"publishes": [FILE["publishes"][0] | {"state": "gone"}]}, "state"),
    ],
)
def test_a_wrong_file_is_said_with_exit_code_1_and_nothing_is_done(
    world: World, path: Path, changes: dict[str, Any], reason: str
) -> None:
    before = everything()
    code, output = apply(path, **changes)
    assert (code, reason in output) == (1, True)
    assert everything() == before


def test_a_file_that_is_not_there_or_no_yaml_is_said(world: World, path: Path) -> None:
    assert run("apply", "--tenant", "acme", "-f", path)[0] == 1
    path.write_text("{")
    assert run("apply", "--tenant", "acme", "-f", path)[0] == 1
    assert run("apply", "--tenant", "nobody", "-f", path)[0] == 1


def test_what_fails_does_not_keep_the_rest_from_being_done(world: World, path: Path) -> None:
    code, output = apply(path, services=[*FILE["services"], {"name": "Bad", "upstream_url": "ftp://x"}])
    assert (code, "create service Bad: " in output) == (3, True)
    assert ProductPublish.objects.filter(hostname_base="ledger.localhost").exists()


def test_wait_says_how_it_ended(world: World, path: Path) -> None:
    assert apply(path, "--wait", "--timeout", "0.2")[0] == 5
    assert Operation.objects.get().phase == "QUEUED"


def test_the_example_in_the_docs_is_one_that_apply_takes(world: World, path: Path) -> None:
    example = (Path(__file__).resolve().parents[3] / "docs" / "workspace.yaml").read_text()
    path.write_text(example.replace("kr-dev", "acme-kr").replace("ledger-upstream", "127.0.0.1"))
    assert run("apply", "--tenant", "acme", "-f", path)[0] == 0
    world.everybody_confirms()
    assert ProductPublish.objects.get(status="PUBLISHED").hostname_base == "ledger.dev.localhost"
    assert run("apply", "--tenant", "acme", "-f", path)[1] == "Nothing to do.\n"


def test_status_is_a_table_or_json_and_2_when_something_differs(world: World, other: World) -> None:
    other.published(hostname_base="theirs.localhost")
    publish = world.published()
    code, output = run("publish_status", "--tenant", "acme")
    assert (code, output.splitlines()[0].split()) == (
        0,
        ["NAME", "ENVIRONMENT", "CLUSTER", "GATEWAY", "STATUS", "CONDITIONS", "HOSTNAME"],
    )
    assert len(output.splitlines()) == 2
    code, output = run("publish_status", "--tenant", "acme", "--json", "--status", "PUBLISHED")
    (row,) = json.loads(output)
    assert (code, row["id"], row["status"], row["conditions"]) == (0, str(publish.pk), "PUBLISHED", [])
    Observation.objects.filter(publish=publish).update(verified=False)
    code, output = run("publish_status", "--tenant", "acme")
    assert (code, "drift" in output) == (2, True)
    assert run("publish_status", "--tenant", "nobody")[0] == 1


def twin(world: World, *, status: str = "active") -> Product:
    """Another product of the name and version that the world's has: forms and API allow it."""
    return Product.objects.create(tenant=world.tenant, name="Payment API", version="2.0", status=status)


DECLARED = {
    "services": [],
    "gateways": [],
    "products": [
        {"name": "Payment API", "version": "2.0", "description": "Declared", "services": ["Billing Service"]}
    ],
}
PLACED = {
    "services": [],
    "gateways": [],
    "products": [],
    "publishes": [
        {"name": "p", "product": "Payment API 2.0", "cluster": "acme-kr", "gateway": "dev-gateway"}
    ],
}


@pytest.mark.parametrize("changes", [DECLARED | {"publishes": []}, PLACED], ids=["declared", "published"])
def test_a_product_whose_name_and_version_two_have_is_refused_in_words_and_nothing_is_done(
    world: World, path: Path, changes: dict[str, Any]
) -> None:
    twin(world, status="draft")
    before = everything()
    code, output = apply(path, **changes)
    assert code == 1
    reason = "2 have this name and version. Give all but one another version, or archive or delete them."
    assert f"product Payment API 2.0: {reason}" in output
    assert everything() == before
    assert not Product.objects.filter(description="Declared").exists()


@pytest.mark.parametrize("decided_by", ["label", "archived"])
def test_of_two_products_of_one_name_and_version_the_label_decides_or_that_one_is_archived(
    world: World, path: Path, decided_by: str
) -> None:
    changes = DECLARED | {"publishes": PLACED["publishes"]}
    if decided_by == "label":
        assert apply(path, **changes)[0] == 0
        other = twin(world)
    else:
        other = twin(world, status="archived")
        assert apply(path, **changes)[0] == 0
    world.everybody_confirms()
    assert apply(path, **changes) == (0, "Nothing to do.\n")
    world.product.refresh_from_db()
    other.refresh_from_db()
    assert (world.product.description, other.description) == ("Declared", "")
    assert ProductPublish.objects.get().product == world.product


def test_two_products_of_one_name_and_version_are_no_file_unless_one_is_archived(
    world: World, path: Path
) -> None:
    other = twin(world)
    code, output = run("export", "--tenant", "acme", "--all")
    assert (code, "product Payment API 2.0: 2 have this name and version." in output) == (1, True)
    other.status = Product.Status.ARCHIVED
    other.save(update_fields=["status", "updated_at"])
    code, output = run("export", "--tenant", "acme", "--all")
    assert code == 0
    assert [(product["name"], product["services"]) for product in yaml.safe_load(output)["products"]] == [
        ("Payment API", [s.name for s in world.product.services.order_by("name")])
    ]
    publish = world.draft()
    ProductPublish.objects.filter(pk=publish.pk).update(product=other)
    assert run("export", "--tenant", "acme", "--all")[0] == 1


def test_a_product_that_somebody_edited_after_the_plan_was_made_keeps_that_edit(
    world: World, path: Path
) -> None:
    apply(path)
    changed = FILE | {"products": [FILE["products"][0] | {"description": "Declared"}]}
    (step,) = [
        step for step in plan(world.actor, load(yaml.safe_dump(changed))) if step.name == "Ledger API 1.0"
    ]
    ledger = Product.objects.get(name="Ledger API")
    theirs = ProductFields(name="Ledger API", version="1.0", description="Theirs")
    products.update_product(world.actor, ledger.pk, fields=theirs)
    with pytest.raises(ChangedMeanwhile):
        step.run()
    ledger.refresh_from_db()
    assert (ledger.description, ledger.revision) == ("Theirs", 2)
