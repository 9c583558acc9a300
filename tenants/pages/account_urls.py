"""The account pages."""

from django.urls import path

from tenants.pages import account_views, workspace_views

app_name = "account"
urlpatterns = [
    path("", account_views.index, name="index"),
    path("/preferences", account_views.preferences, name="preferences"),
    path("/password", account_views.password, name="password"),
    path("/workspace", account_views.workspace, name="workspace"),
    path("/sessions/others/end", account_views.end_other_sessions, name="end-other-sessions"),
    path("/sessions/<int:session_id>/end", account_views.end_session, name="end-session"),
    path("/leave", workspace_views.leave, name="leave"),
    path("/invitations/<uuid:invitation_id>/accept", account_views.accept, name="invitation-accept"),
    path("/invitations/<uuid:invitation_id>/decline", account_views.decline, name="invitation-decline"),
    path(
        "/invitations/<uuid:invitation_id>/take-back", workspace_views.take_back, name="invitation-take-back"
    ),
    path("/members", workspace_views.people, name="members"),
    path("/members/<uuid:membership_id>/role", workspace_views.role, name="member-role"),
    path("/members/<uuid:membership_id>/remove", workspace_views.remove, name="member-remove"),
    path("/tokens", workspace_views.api_tokens, name="tokens"),
    path("/tokens/<uuid:token_id>/revoke", workspace_views.revoke, name="token-revoke"),
]
