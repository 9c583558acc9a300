"""All URLs: pages, the JSON API, the agents' door, the operators' admin, health."""

from django.contrib import admin
from django.urls import include, path

from agent.protocol.messages import PATH_ENROL
from agent.protocol.version import PROGRAM_VERSION
from clusters.agent_door import enroll
from config.api import api
from config.health import livez, readyz
from core.pages.frame import set_theme
from core.pulse import banner
from publishes.pages.upstream_views import check as check_upstream
from tenants.pages.account_views import home
from tenants.pages.sign_in import admin_sign_in

admin.site.site_header = f"imp-gateway {PROGRAM_VERSION}"

urlpatterns = [
    path("", home, name="home"),
    path("livez", livez),
    path("readyz", readyz),
    path("admin/login/", admin_sign_in),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("theme", set_theme, name="set-theme"),
    path("system", banner, name="system"),
    path("", include("tenants.pages.sign_in_urls")),
    path("account", include("tenants.pages.account_urls")),
    path("provider/products", include("products.pages.product_urls")),
    path("provider/products/", include("publishes.pages.publish_urls")),
    path("provider/publishes", include("publishes.pages.overview_urls")),
    path("provider/clusters", include("publishes.pages.cluster_urls")),
    path("provider/api-services/upstream", check_upstream, name="upstream-check"),
    path("provider/api-services", include("products.pages.service_urls")),
    path("provider/gateways", include("gateways.urls")),
    path("api/v1/", api.urls),
    path(PATH_ENROL.removeprefix("/"), enroll, name="agent-enroll"),
    path("", include("publishes.agent_api.urls")),
]

handler400 = "core.problem_responses.bad_request"
handler403 = "core.problem_responses.permission_denied"
handler404 = "core.problem_responses.not_found"
handler500 = "core.problem_responses.server_error"
