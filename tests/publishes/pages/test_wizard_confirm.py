"""The wizard's last step: what it shows, and what it says when the world changed meanwhile."""

from datetime import timedelta

from django.utils import timezone

from clusters.models import AgentLiveness, Cluster
from products.models import ApiService
from publishes.models import ProductPublish
from tests.pages import text_of
from tests.publishes.pages.run import Run
from tests.world import World, add_service


def test_confirm_shows_every_choice_with_a_way_back_and_what_goes_where(run: Run, world: World) -> None:
    run.choose(environment="prod")
    response = run.get("confirm")
    page, text = response.content.decode(), text_of(response)
    for step in ("cluster", "gateway", "settings"):
        assert f'href="{run.url(step)}"' in page
    for shown in (world.cluster.name, world.gateway.name, "Production", "None", "Public", "Needed"):
        assert shown in text
    assert "payment-api.prod.kr-seoul.localhost/billing/* → 127.0.0.1:8081 GET POST PUT DELETE" in text
    assert "What will be published (3)" in text
    assert "What does not go along" not in text
    assert "nothing is deployed yet" in text


def test_confirm_says_what_will_not_go_and_why(run: Run, world: World) -> None:
    add_service(world.product, "Asleep", "/asleep", [], active=False)
    add_service(world.product, "Pathless", None, [])
    run.choose()
    text = text_of(run.get("confirm"))
    assert (
        "What does not go along Asleep — The service is inactive. Pathless — The service has no active route."
        in text
    )
    assert "/asleep" not in text


def test_with_nothing_to_deploy_a_draft_can_still_be_made_and_the_page_says_so(
    run: Run, world: World
) -> None:
    ApiService.objects.update(status=ApiService.Status.INACTIVE)
    run.choose()
    page = text_of(run.client.get(run.url("confirm"), {"check": ""}))
    assert "Nothing yet: no linked service is active" in page
    assert "Blocks publishing" in page
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.count() == 1


def test_a_cluster_that_went_into_maintenance_meanwhile_is_refused_at_the_end_in_words(
    run: Run, world: World
) -> None:
    run.choose()
    key = run.key()
    Cluster.objects.filter(pk=world.cluster.pk).update(maintenance=True)
    refused = run.post("confirm", run_key=key)
    assert refused.headers["Location"] == run.url("cluster")
    assert "This cluster is in maintenance; choose another one." in text_of(
        run.client.get(refused.headers["Location"])
    )
    assert not ProductPublish.objects.exists()


def test_agents_that_went_away_meanwhile_do_not_prevent_a_draft(run: Run) -> None:
    run.choose()
    AgentLiveness.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.count() == 1


def test_a_suggested_hostname_taken_meanwhile_is_shown_again_before_anything_is_made(
    run: Run, world: World
) -> None:
    run.choose()
    key = run.key()
    world.draft(hostname_base="payment-api.dev.kr-seoul.localhost")
    moved = run.post("confirm", run_key=key)
    assert moved.headers["Location"] == run.url("confirm")
    assert ProductPublish.objects.count() == 1
    page = text_of(run.get("confirm"))
    assert "payment-api-2.dev.kr-seoul.localhost" in page
    assert "The suggested hostname was taken in the meantime." in page
    assert run.confirm().status_code == 302
    assert ProductPublish.objects.filter(hostname_base="payment-api-2.dev.kr-seoul.localhost").count() == 1


def test_a_typed_hostname_taken_meanwhile_leads_back_to_the_settings(run: Run, world: World) -> None:
    run.choose(hostname_base="mine.localhost")
    key = run.key()
    world.published(hostname_base="mine.localhost")
    moved = run.post("confirm", run_key=key)
    assert moved.headers["Location"] == run.url("settings")
    assert "mine-2.localhost is free" in text_of(run.get("settings"))
    assert ProductPublish.objects.count() == 1
