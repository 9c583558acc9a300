"""What operators have: the admin, and whether the system is well."""

from django.apps import apps
from django.test import Client
from django.urls import reverse

from core import pulse
from tenants.models import User
from tests.web.browser import signed_in
from tests.world import World


def test_every_stored_thing_can_be_looked_at_in_the_operators_admin_and_states_not_changed(world: World) -> None:
    publish = world.published()
    operator = signed_in(User.objects.create_superuser("operator"))
    index = operator.get("/admin/").content.decode()
    for app in ("tenants", "products", "clusters", "gateways", "publishes"):
        for model in apps.get_app_config(app).get_models():
            path = f"/admin/{app}/{model._meta.model_name}/"
            assert path in index, path
            assert operator.get(path).status_code == 200
    change = reverse("admin:publishes_productpublish_change", args=[publish.pk])
    assert operator.get(change).status_code == 200
    assert operator.post(change, {"status": "DRAFT"}).status_code == 403
    publish.refresh_from_db()
    assert publish.status == "PUBLISHED"


def test_health_answers_without_anybody(db: None) -> None:
    assert Client().get("/livez").json() == {"status": "ok"}
    red = Client().get("/readyz")
    assert (red.status_code, red.json()["background"]) == (503, "silent: is one beat and at least one worker running?")
    pulse.beat()
    assert Client().get("/readyz").json() == {"status": "ok", "database": "ok", "background": "ok"}


def test_an_operator_can_remove_an_agent_and_make_a_code_and_move_neither_agent_nor_gateway_class(world: World) -> None:
    operator = signed_in(User.objects.create_superuser("operator"))
    world.published()
    agent = world.agents[0].agent
    made = operator.post("/admin/clusters/agent/", {"action": "make_enrolment_code", "index": 0, "_selected_action": [str(agent.pk)]}, follow=True)
    assert "One-time code for busan-1: ey" in made.content.decode()
    change = operator.get(f"/admin/clusters/agent/{agent.pk}/change/").content.decode()
    assert 'name="cluster"' not in change
    assert 'name="gateway_class"' not in operator.get(f"/admin/gateways/gateway/{world.gateway.pk}/change/").content.decode()
    assert operator.post(f"/admin/clusters/agent/{agent.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not type(agent).objects.filter(pk=agent.pk).exists()
