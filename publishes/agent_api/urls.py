"""The agents' paths, as the protocol names them."""

from django.urls import path

from agent.protocol import messages
from publishes.agent_api import endpoints

urlpatterns = [
    path(messages.PATH_HEARTBEAT.removeprefix("/"), endpoints.heartbeat, name="agent-heartbeat"),
    path(messages.PATH_REPORT.removeprefix("/"), endpoints.report, name="agent-report"),
    path(messages.PATH_KEYS_LET_IN.removeprefix("/"), endpoints.keys_let_in, name="agent-keys-let-in"),
    path(messages.PATH_SPECS.removeprefix("/"), endpoints.specs, name="agent-specs"),
    path(messages.PATH_KEY.removeprefix("/"), endpoints.new_key, name="agent-key"),
    path(messages.PATH_RESULTS.removeprefix("/"), endpoints.results, name="agent-results"),
]
