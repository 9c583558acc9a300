"""What pages say while agents are silent, are not believed, or are ahead of us: never more than is known."""

from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agent.protocol.signing import ClockRefused
from clusters.liveness import record_refusal
from clusters.models import AgentEvent, AgentLiveness, Cluster
from publishes.models import ProductPublish
from tests.pages import signed_in, text_of
from tests.publishes.pages.test_keys import url
from tests.world import World

PROVED = "Gateway verified after"
UNKNOWN = "Whether callers there are served is not known."


def silence(world: World, *names: str) -> None:
    AgentLiveness.objects.filter(agent__name__in=names).update(
        last_seen_at=timezone.now() - timedelta(minutes=5)
    )


def board(client: Client, world: World) -> str:
    return text_of(client.get(reverse("products:detail", args=[world.product.pk])))


def test_what_nobody_hears_of_is_not_said_to_be_proved(world: World) -> None:
    publish, client = world.published(), signed_in(world.user)
    assert PROVED in text_of(client.get(url(publish, "live")))
    assert "Agent not heard of" not in board(client, world)
    silence(world, "busan-1", "busan-2")
    page = text_of(client.get(url(publish, "live")))
    assert PROVED not in page
    assert f"Not heard of now: busan-1, busan-2. {UNKNOWN}" in page
    assert "Agent not heard of" in board(client, world)
    tiles = text_of(client.get(reverse("overview:list")))
    assert "1 Agent not heard of" in tiles
    AgentLiveness.objects.update(last_seen_at=timezone.now())
    assert PROVED in text_of(client.get(url(publish, "live")))


def test_a_page_shows_the_addresses_that_answer_and_no_listener_that_nobody_opened(world: World) -> None:
    publish, client = world.published(), signed_in(world.user)
    world.gateway.listeners.create(name="tls", port=8443, protocol="HTTPS")
    for voice, port in zip(world.agents, (8080, 8081), strict=True):
        AgentLiveness.objects.filter(agent=voice.agent).update(proxy_url=f"http://10.0.0.5:{port}")
    silence(world, "busan-2")
    page = text_of(client.get(url(publish)))
    assert ("http://10.0.0.5:8080" in page, "10.0.0.5:8081" in page, "8443" in page) == (True, False, False)
    template = text_of(client.get(reverse("gateways:detail", args=[world.gateway.pk])))
    assert "agents do not open these ports" in template


def test_a_live_page_advises_what_is_not_refused(world: World) -> None:
    publish, client = world.published(), signed_in(world.user)
    page = text_of(client.get(url(publish)))
    assert "A new publish with other settings needs a hostname of its own" in page
    assert "Make a new publish" not in page


def test_the_deactivation_s_dialog_names_what_is_live(world: World) -> None:
    client, ask = signed_in(world.user), reverse("products:deactivate", args=[world.product.pk])
    assert "This is refused while it is live" not in text_of(client.get(ask))
    world.published()
    page = text_of(client.get(ask))
    assert (
        "This is refused while it is live: Payment API v2.0 · Development · acme-kr. Withdraw it first."
        in page
    )


def test_the_activation_promises_no_consumers(world: World) -> None:
    world.product.status = "draft"
    world.product.save()
    page = text_of(signed_in(world.user).get(reverse("products:activate", args=[world.product.pk])))
    assert ("It can be published." in page, "Consumers" in page) == (True, False)


def test_the_withdrawal_s_dialog_promises_nothing_of_a_silent_agent_and_names_maintenance(
    world: World,
) -> None:
    publish, client = world.published(), signed_in(world.user)
    still, maintenance = (
        "Not heard of now: busan-2. Callers there may still be served until it is back.",
        "until that is over it cannot be published again",
    )
    form = text_of(client.get(url(publish, "withdraw")))
    assert (still in form, maintenance in form) == (False, False)
    silence(world, "busan-2")
    Cluster.objects.update(maintenance=True)
    for page in (client.get(url(publish, "withdraw")), client.get(url(publish))):
        assert (still in text_of(page), maintenance in text_of(page)) == (True, True)


def test_a_provider_reads_that_a_clock_is_off_and_not_only_that_nobody_answers(world: World) -> None:
    publish, client = world.published(), signed_in(world.user)
    silence(world, "busan-1")
    message = str(ClockRefused("The sender's clock is 300 s ahead of ours; set both clocks by NTP."))
    record_refusal(world.agents[0].agent, message)
    page = text_of(client.get(url(publish)))
    assert "busan-1 is not believed" in page
    assert "clock is 300 s ahead of ours" in page
    AgentLiveness.objects.update(last_seen_at=timezone.now())
    silence(world, "busan-1")
    AgentEvent.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    assert "clock is 300 s" not in text_of(client.get(url(publish)))


def test_what_is_frozen_says_so_on_board_overview_and_api(world: World) -> None:
    publish, client = world.published(), signed_in(world.user)
    api = f"/api/v1/provider/product-publishes/{publish.pk}"
    assert client.get(api).json()["frozen_at"] is None
    ProductPublish.objects.update(frozen_at=timezone.now())
    assert client.get(api).json()["frozen_at"] is not None
    (row,) = client.get("/api/v1/provider/product-publishes?condition=frozen").json()
    assert (row["id"], row["conditions"], row["frozen_at"] is not None) == (str(publish.pk), ["frozen"], True)
    assert "Frozen" in board(client, world)
    assert "1 Frozen" in text_of(client.get(reverse("overview:list")))
