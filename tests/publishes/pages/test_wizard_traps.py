"""The seven traps of formtools, each shown closed, and what two tabs, two clicks and a lost session do."""

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.urls import reverse

from core.pages.wizards import RUNS_KEPT
from products.models import Product, ProductService
from publishes.models import ProductPublish, PublishEvent
from publishes.verbs import drafts
from tests.pages import signed_in, text_of
from tests.publishes.pages.run import STEPS, Run
from tests.world import World, make_world


def second_product(run: Run) -> Run:
    """The same browser in the wizard of another product."""
    product = Product.objects.create(
        tenant=run.world.tenant, name="Ledger API", version="1.0", status=Product.Status.ACTIVE
    )
    ProductService.objects.create(
        tenant=run.world.tenant, product=product, service=run.world.product.services.all()[0]
    )
    return Run(World(**(vars(run.world) | {"product": product})), run.client)


def session_data(run: Run) -> dict[str, Any]:
    """What the session keeps of the run; empty when there is none."""
    data: dict[str, Any] = run.client.session.get(f"wizard_publishes:create-step:{run.world.product.pk}", {})
    return data


def test_trap_1_two_products_in_one_session_do_not_mix(run: Run) -> None:
    ledger = second_product(run)
    run.choose(environment="prod")
    assert ledger.get("gateway").headers["Location"] == ledger.url("cluster")
    ledger.choose(environment="stage")
    assert "payment-api.prod." in text_of(run.get("confirm"))
    assert "payment-api.stage." not in text_of(run.get("confirm"))
    assert ledger.confirm().status_code == 302
    assert run.confirm().status_code == 302
    environments = {publish.product_id: publish.environment for publish in ProductPublish.objects.all()}
    assert environments == {run.world.product.pk: "prod", ledger.world.product.pk: "stage"}


def test_trap_1_two_runs_have_different_keys(run: Run) -> None:
    ledger = second_product(run)
    run.choose()
    ledger.choose()
    assert run.key() != ledger.key()
    assert ledger.post("confirm", run_key=run.key()).status_code == 422
    assert not ProductPublish.objects.exists()


def test_trap_2_get_resets_nothing_and_writes_nothing(run: Run) -> None:
    run.choose()
    data = session_data(run)
    for step in (*STEPS, *reversed(STEPS)):
        assert run.get(step).status_code == 200
    run.client.get(reverse("publishes:create", args=[run.world.product.pk]))
    assert session_data(run) == data


def test_trap_3_only_a_post_finishes(run: Run) -> None:
    run.choose()
    key = run.key()
    for path in (
        run.url("confirm"),
        f"{run.url('confirm')}?confirm-run_key={key}",
        f"{run.url('confirm')}?check",
    ):
        assert run.client.get(path).status_code == 200
        assert run.client.head(path).status_code == 200
    assert run.get("done").status_code == 404
    assert not ProductPublish.objects.exists()


def test_trap_4_only_a_steps_own_fields_are_kept(run: Run) -> None:
    run.choose(upto="gateway")
    run.post("gateway", gateway=run.world.gateway.pk, password="hunter2")
    run.client.post(
        run.url("settings"),
        {f"settings-{name}": value for name, value in run.settings().items()}
        | {"csrfmiddlewaretoken": "t", "card": "4111"},
    )
    run.client.post(
        run.url("settings"), {"settings-hostname_base": "back", "card": "4111", "wizard_goto_step": "gateway"}
    )
    assert set(session_data(run)) == {"step_data", "extra_data"}
    assert session_data(run)["step_data"] == {
        "cluster": {"cluster-cluster": [str(run.world.cluster.pk)]},
        "gateway": {"gateway-gateway": [str(run.world.gateway.pk)]},
        "settings": {
            "settings-hostname_base": ["back"],
            "settings-hostname_cluster": [str(run.world.cluster.pk)],
        },
    }


@pytest.mark.parametrize("step", ["nothing", "done", "Cluster", "cluster-cluster", "%00"])
def test_trap_5_an_unknown_step_is_404(run: Run, step: str) -> None:
    run.choose()
    url = run.url("cluster").replace("cluster", step)
    assert run.client.get(url).status_code == 404
    assert run.client.post(url, {"cluster-cluster": run.world.cluster.pk}).status_code == 404


@pytest.mark.parametrize(
    ("done_steps", "requested_step", "first_missing"), [(0, 1, 0), (0, 3, 0), (1, 2, 1), (1, 3, 1), (2, 3, 2)]
)
def test_trap_6_no_step_is_skipped_by_its_url(
    run: Run, done_steps: int, requested_step: int, first_missing: int
) -> None:
    run.choose(upto=STEPS[done_steps])
    data = session_data(run)
    for answer in (
        run.get(STEPS[requested_step]),
        run.post(STEPS[requested_step], run_key=uuid4(), gateway=run.world.gateway.pk),
    ):
        assert answer.status_code == 302
        assert answer.headers["Location"] == run.url(STEPS[first_missing])
    assert session_data(run) == data
    assert not ProductPublish.objects.exists()


def test_trap_6_nor_by_a_made_up_way_back(run: Run) -> None:
    run.choose(upto="gateway")
    forward = run.post("gateway", wizard_goto_step="confirm")
    assert forward.status_code == 422
    assert run.post("gateway", wizard_goto_step="nothing").status_code == 422


def test_trap_7_a_second_click_lands_on_the_same_draft(run: Run) -> None:
    run.choose()
    key = run.key()
    first, second = run.post("confirm", run_key=key), run.post("confirm", run_key=key)
    (publish,) = ProductPublish.objects.all()
    assert publish.run_key == UUID(key)
    assert (
        first.headers["Location"]
        == second.headers["Location"]
        == reverse("publishes:detail", args=[publish.product_id, publish.pk])
    )
    assert PublishEvent.objects.count() == 1
    assert session_data(run) == {}


@pytest.mark.django_db(transaction=True)
def test_trap_7_two_clicks_at_once_make_one_draft() -> None:
    world = make_world()
    world.add_agent("busan-1")
    run = Run(world, signed_in(world.user))
    run.choose()
    key, cookies = run.key(), run.client.cookies
    clicks = [Run(world, signed_in(world.user)) for _ in range(6)]
    barrier, answers = threading.Barrier(6), list[Any]()

    def click(run_of_click: Run) -> None:
        run_of_click.client.cookies = cookies
        barrier.wait()
        answers.append(run_of_click.post("confirm", run_key=key))
        connection.close()

    threads = [threading.Thread(target=click, args=(run_of_click,)) for run_of_click in clicks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (publish,) = ProductPublish.objects.all()
    assert {answer.headers["Location"] for answer in answers} == {
        reverse("publishes:detail", args=[publish.product_id, publish.pk])
    }
    assert PublishEvent.objects.count() == 1


def test_the_same_run_key_gives_the_same_draft_and_another_tenants_key_is_no_way_in(
    world: World, other: World
) -> None:
    key = uuid4()
    first = drafts.create_publish(world.actor, world.product, settings=world.settings(), run_key=key)
    again = drafts.create_publish(
        world.actor, world.product, settings=world.settings(environment="prod"), run_key=key
    )
    assert (again.pk, again.environment) == (first.pk, "dev")
    stranger = Run(other, signed_in(other.user))
    answer = stranger.post("confirm", run_key=key)
    assert answer.headers["Location"] == stranger.url("cluster")
    assert ProductPublish.objects.count() == 1


def test_a_page_that_shows_older_choices_confirms_nothing(run: Run) -> None:
    """Two tabs on one product: the first shows dev, the second chooses prod."""
    run.choose()
    shown = run.key()
    run.post("settings", **run.settings(environment="prod"))
    refused = run.post("confirm", run_key=shown)
    assert refused.status_code == 422
    assert "Your choices were changed in another tab." in text_of(refused)
    assert "payment-api.prod." in text_of(refused)
    assert not ProductPublish.objects.exists()
    assert f'value="{run.key()}"' in refused.content.decode()
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.get().environment == "prod"


def test_choosing_the_same_again_keeps_the_key(run: Run) -> None:
    run.choose()
    shown = run.key()
    run.post("cluster", cluster=run.world.cluster.pk)
    assert run.key() == shown


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_lost_session_starts_again_in_words(run: Run, step: str) -> None:
    run.choose()
    key = run.key()
    fresh = Run(run.world, signed_in(run.world.user))
    for ask in (fresh.get, lambda step: fresh.post(step, run_key=key)):
        answer = ask(step)
        assert answer.headers["Location"] == fresh.url("cluster")
        assert "There are no choices here. They end with the session" in (
            page := fresh.get("cluster").content.decode()
        )
        assert 'class="toast info"' in page
    assert not ProductPublish.objects.exists()


@pytest.mark.parametrize("key", ["", "x", "0199b0c4-8a54-7c31-9d2e-5f6a7b8c9d0e", "\x00"])
def test_a_confirmation_without_a_right_key_makes_nothing(run: Run, key: str) -> None:
    run.choose()
    assert run.post("confirm", run_key=key).status_code == 422
    assert not ProductPublish.objects.exists()


def test_nonsense_typed_before_going_back_breaks_nothing(run: Run) -> None:
    run.choose(upto="gateway")
    run.post("gateway", gateway="no id at all", wizard_goto_step="cluster")
    assert run.get("gateway").status_code == 200
    assert run.get("settings").headers["Location"] == run.url("gateway")


def test_a_session_keeps_the_last_runs_only(run: Run) -> None:
    run.choose(upto="gateway")
    session = run.client.session
    for number in range(30):
        session[f"wizard_other:{number}"] = {"step_data": {}, "extra_data": {}}
    session["cart"] = "stays"
    session.save()
    run.choose(upto="settings")
    names = [name for name in run.client.session.keys() if name.startswith("wizard_")]  # noqa: SIM118 - a session is no dict
    assert len(names) == RUNS_KEPT
    assert names[-1].endswith(str(run.world.product.pk))
    assert run.client.session["cart"] == "stays"
