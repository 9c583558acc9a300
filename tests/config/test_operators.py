"""The operators' pages: the admin, and the state of the system."""

import re
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.translation import override

from agent.protocol.bounds import GENERATION_MAX
from agent.protocol.messages import Carried
from agent.protocol.spec import State
from agent.protocol.version import PROGRAM_VERSION
from clusters.models import AgentEvent, EnrolmentCode
from core import pulse
from core.admin import CONFIRMED
from publishes import sweeping
from publishes.choices import AlarmKind
from publishes.engine import adoption, settlement
from publishes.models import Alarm
from tenants.models import User
from tests.core.pages.test_languages import HANGUL
from tests.pages import signed_in, text_of
from tests.world import World, nobody_knows

PASSWORDS = {"password1", "password2", "usable_password"}
OUR_APPS = ("tenants", "products", "clusters", "gateways", "publishes")


def test_every_stored_thing_can_be_looked_at_in_the_operators_admin_and_states_not_changed(
    world: World,
) -> None:
    publish = world.published()
    operator = signed_in(User.objects.create_superuser("operator"))
    index = operator.get("/admin/").content.decode()
    for app in OUR_APPS:
        for model in apps.get_app_config(app).get_models():
            path = f"/admin/{app}/{model._meta.model_name}/"
            assert path in index, path
            assert operator.get(path).status_code == 200
    change = reverse("admin:publishes_productpublish_change", args=[publish.pk])
    assert operator.get(change).status_code == 200
    assert operator.post(change, {"status": "DRAFT"}).status_code == 403
    publish.refresh_from_db()
    assert publish.status == "PUBLISHED"


@pytest.mark.django_db
def test_operators_read_which_version_runs() -> None:
    index = signed_in(User.objects.create_superuser("operator")).get("/admin/").content.decode()
    assert f">imp-gateway {PROGRAM_VERSION}<" in index


@pytest.mark.filterwarnings("ignore:The default scheme")  # of URL fields in the admin's own forms
def test_every_column_and_field_of_ours_has_a_korean_name_in_the_admin(rf: RequestFactory) -> None:
    request, unnamed = rf.get("/admin/"), set[str]()
    request.user = User(is_superuser=True, is_staff=True)
    with override("ko"):
        for model, its in admin.site._registry.items():
            if model._meta.app_label not in OUR_APPS:
                continue
            for part in (its, *its.get_inline_instances(request)):
                names = {
                    *flatten_fieldsets(part.get_fieldsets(request)),
                    *(its.get_list_display(request) if part is its else ()),
                } - PASSWORDS
                form = its.get_form(request).base_fields if part is its else {}
                unnamed |= {
                    str(form[name].label if name in form else label_for_field(name, part.model, part))
                    for name in names
                }
    assert {text for text in unnamed if not HANGUL.search(text)} == {
        "API Service",
        "Gateway",
        "Hostname",
        "Issuer URL",
    }


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_list_of_the_admin_has_two_columns_of_one_name(language: str) -> None:
    doubled = set()
    with override(language):
        for model, its in admin.site._registry.items():
            names = [str(label_for_field(name, model, its)) for name in its.list_display]
            doubled |= {f"{model._meta.label}: {name}" for name in names if names.count(name) > 1}
    assert doubled == set()


def test_the_admins_messages_keep_names_as_they_are(world: World) -> None:
    agent = world.agents[0].agent
    operator = signed_in(User.objects.create_superuser("operator"))
    deleted = operator.post(f"/admin/clusters/agent/{agent.pk}/delete/", {"post": "yes"}, follow=True)
    assert "The agent “busan-1” was deleted successfully." in text_of(deleted)
    owner = world.user.memberships.get()
    form = {"action": "expel", "index": 0, "confirmed": "yes", "_selected_action": [str(owner.pk)]}
    refused = operator.post("/admin/tenants/membership/", form, follow=True)
    assert '"error">acme-owner · Acme · owner: This is the only owner.' in refused.content.decode()


def test_no_korean_text_of_the_admin_offers_two_particles_to_choose_from(world: World) -> None:
    operator = signed_in(User.objects.create_superuser("operator"))
    agent = world.agents[0].agent
    pages = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]
    pages += [
        f"/admin/clusters/agent/{agent.pk}/delete/",
        f"/admin/tenants/tenant/{world.tenant.pk}/delete/",
        f"/admin/clusters/agent/{nobody_knows()}/change/",
    ]
    shown = {
        path: text_of(operator.get(path, headers={"Accept-Language": "ko"}, follow=True)) for path in pages
    }
    pairs = re.compile(r"을/를|이/가|은/는|와/과|를\(을\)|을\(를\)|\(으\)로|\(이/가\)")
    assert {
        path: both_particles for path, text in shown.items() if (both_particles := pairs.findall(text))
    } == {}


def test_health_answers_without_anybody(db: None) -> None:
    assert Client().get("/livez").json() == {"status": "ok"}
    red = Client().get("/readyz")
    assert (red.status_code, red.json()["background"]) == (
        503,
        "silent: are beat and at least one worker running?",
    )
    pulse.beat()
    assert Client().get("/readyz").json() == {"status": "ok", "database": "ok", "background": "ok"}


def test_an_operator_can_remove_an_agent_and_make_a_code_and_move_neither_agent_nor_gateway_class(
    world: World,
) -> None:
    operator = signed_in(User.objects.create_superuser("operator"))
    world.published()
    agent = world.agents[0].agent
    answer = operator.post(
        "/admin/clusters/agent/",
        {"action": "make_enrolment_code", "index": 0, "_selected_action": [str(agent.pk)]},
        follow=True,
    )
    assert "<h2>busan-1</h2>\n<pre>ey" in answer.content.decode()
    change = operator.get(f"/admin/clusters/agent/{agent.pk}/change/").content.decode()
    assert 'name="cluster"' not in change
    assert operator.post(f"/admin/clusters/agent/{agent.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not type(agent).objects.filter(pk=agent.pk).exists()


def test_every_action_of_the_admin_needs_more_than_the_right_to_look() -> None:
    ours = [its for model, its in admin.site._registry.items() if model._meta.app_label in OUR_APPS]
    actions = {f"{its}.{name}": getattr(its, str(name)) for its in ours for name in its.actions or ()}
    assert len(actions) == 12
    assert [
        name for name, action in actions.items() if getattr(action, "allowed_permissions", []) != ["operate"]
    ] == []


def test_staff_who_may_only_look_do_nothing_and_with_the_right_to_change_they_do(world: World) -> None:
    staff, agent = User.objects.create_user("looker", is_staff=True), world.agents[0].agent
    alarm = Alarm.objects.create(
        kind=AlarmKind.UNKNOWN_PUBLISH, agent=agent, publish_ref=uuid4(), generation=3, state="live"
    )
    actions: list[tuple[Model, str]] = [
        (agent, "make_enrolment_code"),
        (agent, "block"),
        (agent, "ask_for_key"),
        (agent.keys.get(), "revoke"),
        (alarm, "take_off"),
    ]

    def ask(may: str) -> tuple[int, bool, bool, bool, bool]:
        staff.user_permissions.set(
            Permission.objects.filter(
                codename__in=[f"{may}_agent", f"{may}_agentkey", f"{may}_alarm", "view_agent"]
            )
        )
        for record, action in actions:
            path = f"/admin/{record._meta.app_label}/{record._meta.model_name}/"
            signed_in(staff).post(
                path, {"action": action, "index": 0, "confirmed": "yes", "_selected_action": [str(record.pk)]}
            )
        for record in {agent, alarm}:
            record.refresh_from_db()
        is_revoked = agent.keys.filter(revoked_at__isnull=False).exists()
        return (
            EnrolmentCode.objects.count(),
            agent.blocked_at is not None,
            agent.key_asked_at is not None,
            is_revoked,
            alarm.take_off_at is not None,
        )

    assert ask("view") == (0, False, False, False, False)
    assert ask("change") == (1, True, True, True, True)
    lines = AgentEvent.objects.order_by("id").values_list("kind", "by")
    assert list(lines) == [(kind, "looker") for kind in ("code_made", "blocked", "key_asked", "key_revoked")]


@pytest.mark.parametrize("action", ["adopt_as_known", "adopt_as_carried"])
def test_each_of_a_selection_is_adopted_by_itself_and_the_refused_ones_say_why(
    world: World, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = signed_in(User.objects.create_superuser("operator"))
    publishes = [world.published(hostname_base=f"n{number}.localhost") for number in range(4)]
    for publish, generation in zip(publishes, (7, GENERATION_MAX, 7, 7), strict=True):
        ahead = Carried(
            publish_id=publish.pk, generation=generation, digest="e" * 64, state=State.LIVE, verified=True
        )
        settlement.freeze(world.agents[0].agent, ahead)
    usual = adoption.adopt
    monkeypatch.setattr(
        adoption, "adopt", lambda pk, **options: 1 / 0 if pk == publishes[2].pk else usual(pk, **options)
    )
    alarms = [str(pk) for pk in Alarm.objects.values_list("pk", flat=True)]
    page = operator.post(
        "/admin/publishes/alarm/",
        {"action": action, "index": 0, "_selected_action": alarms, CONFIRMED: "1"},
        follow=True,
    ).content.decode()
    for publish in publishes:
        publish.refresh_from_db()
    assert [(publish.generation, publish.frozen_at is not None) for publish in publishes] == [
        (8, False),
        (1, True),
        (1, True),
        (8, False),
    ]
    assert page.count("as v8.") == 2
    assert f"{publishes[1]}: An agent says that it has v{GENERATION_MAX} of this publish" in page
    assert f"{publishes[2]}: Something went wrong on our side." in page
    world.agents.pop(0).agent.delete()
    sweeping.sweep()
    publishes[1].refresh_from_db()
    assert (publishes[1].generation, publishes[1].frozen_at) == (2, None)
