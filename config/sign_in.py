"""Settings of the sign-in: passwords, second step, identity providers, lock-outs; for `config.settings`."""

import environ

env = environ.Env()

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "tenants.people.account_forms.NotLikeTheAccount"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
WORKSPACE_HOME_URL = "products:list"  # where `home` leads members of a workspace
LOGOUT_REDIRECT_URL = "sign-in"
ACCOUNT_ADAPTER = "tenants.people.sign_in_rules.PeopleRules"
SOCIALACCOUNT_ADAPTER = "tenants.people.sign_in_rules.ProviderRules"
MFA_ADAPTER = "tenants.people.sign_in_rules.SecondStepRules"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
TWO_STEP = env.bool("TWO_STEP", default=False)  # people may add an authenticator app to their sign-in
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "imp-gateway"
MFA_TOTP_PERIOD = 30  # s
MFA_TOTP_TOLERANCE = 1  # periods, for slow typing and inexact clocks
MFA_FORMS = {
    "authenticate": "tenants.people.second_step_forms.AuthenticateForm",
    "reauthenticate": "tenants.people.second_step_forms.ReauthenticateForm",
}
OIDC_ISSUER = env.str("OIDC_ISSUER", default="").rstrip("/")  # empty: no sign-in by an identity provider
OIDC_NAME = env.str("OIDC_NAME", default="SSO")
OIDC = {
    "provider_id": "oidc",
    "name": OIDC_NAME,
    "client_id": env.str("OIDC_CLIENT_ID", default=""),
    "secret": env.str("OIDC_CLIENT_SECRET", default=""),
    "settings": {"server_url": OIDC_ISSUER},
}
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {"APPS": [OIDC] if OIDC_ISSUER else [], "OAUTH_PKCE_ENABLED": True}
}
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # it only grows; sessions and agents' events have the history
AXES_LOCKOUT_CALLABLE = "core.problem_responses.locked_out"
AXES_CLIENT_IP_CALLABLE = "tenants.people.sign_in_rules.address_of"
