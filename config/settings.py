"""Settings, all from the environment: a missing required value stops the start with its name. docs/operations.md lists them."""

from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import environ
import structlog
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config import logs
from fence import endpoints_of

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
django_stubs_ext.monkeypatch()  # lets Django's generic classes be subscripted, as the type annotations do

# --- who we are -------------------------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
PUBLIC_URL = env.str("PUBLIC_URL").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname or "localhost"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SIGNING_KEY_FILE = Path(env.str("SIGNING_KEY_FILE"))
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")  # name:key pairs; the first encrypts, all decrypt
DEMO = env.bool("DEMO", default=False)

# --- numbers of the engine, in seconds (docs/architecture.md tells why) ----------------------------------------------
HEARTBEAT_S = env.float("HEARTBEAT_S", default=10.0)
MISSED_HEARTBEATS = 3
LEASE_S = env.float("LEASE_S", default=8.0)
SEND_DEADLINE_S = env.float("SEND_DEADLINE_S", default=6.0)
SWEEP_S = env.float("SWEEP_S", default=2.0)
DEADLINE_S = env.float("DEADLINE_S", default=120.0)
SILENT_S = env.float("SILENT_S", default=15.0)
HURRY_S = env.float("HURRY_S", default=2.0)
AGENT_KEY_DAYS = env.int("AGENT_KEY_DAYS", default=90)
DRAFT_HOST_DAYS = env.float(
    "DRAFT_HOST_DAYS", default=14.0
)  # how long after its last change a draft keeps its hostname from other tenants
HOST_QUARANTINE_H = env.float(
    "HOST_QUARANTINE_H", default=24.0
)  # how long after a deletion nobody else takes the hostname
ABSENCE_KEPT_DAYS = env.int("ABSENCE_KEPT_DAYS", default=90)
ISSUER_REFRESH_S = env.float("ISSUER_REFRESH_S", default=300.0)

# --- the JSON API ------------------------------------------------------------------------------------------------------
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=6_000)  # per token

# --- fences -----------------------------------------------------------------------------------------------------------
AGENT_NETWORKS = env.list(
    "AGENT_NETWORKS", default=["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
)
RESERVED_ENDPOINTS = [
    *env.list("RESERVED_ENDPOINTS", default=[]),  # besides our own, which nobody has to remember
    *endpoints_of(env.str("DATABASE_URL"), port=5432),
    *endpoints_of(env.str("REDIS_URL"), port=6379),
    *endpoints_of(PUBLIC_URL, port=443 if PUBLIC_URL.startswith("https:") else 80),
]
OUTBOUND_NETWORKS = env.list(
    "OUTBOUND_NETWORKS", default=[]
)  # besides public addresses, where issuers may be; by plain http too

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "tenants.people.noted_sessions.NotedSessionsConfig",
    "axes",
    "core",
    "csp",
    "django_htmx",
    "django_structlog",
    "ninja",
    "tenants",
    "products",
    "clusters",
    "gateways",
    "publishes",
    *(["demo"] if DEMO else []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "core.security.headers.HeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.logs.RequestLog",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.security.sessions.IdleLimit",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "core.api.limits.RateLimitMiddleware",
    "core.api.idempotency.IdempotencyMiddleware",
    "core.problem_answers.ProblemMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["tenants.templatetags.workspace_forms"],
        },
    },
]

# --- database ---------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"] |= {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "ENGINE": "core.postgres",
    "OPTIONS": {
        "connect_timeout": 3,
        "options": "-c statement_timeout=15000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000",
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,  # ms
    },
}
DATABASE_DEADLINE_S = env.float(
    "DATABASE_DEADLINE_S", default=20.0
)  # above statement_timeout: for a server that stands still
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- broker: wake-ups only, never needed for an answer ----------------------------------------------------------------
CELERY_BROKER_URL = env.str("REDIS_URL")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "socket_timeout": env.float("BROKER_SOCKET_TIMEOUT_S", default=0.5),
    "socket_connect_timeout": 0.5,
    "health_check_interval": 15,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 0}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONSUMER = "config.consumer:Consumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_DB_REUSE_MAX = (
    1_000_000_000  # the tasks themselves check the connection first: closing it around each costs 5 ms
)
CELERY_TASK_DEFAULT_QUEUE = "deliver"
CELERY_TASK_ROUTES = {"publishes.sweep": {"queue": "sweep"}, "publishes.tidy": {"queue": "sweep"}}
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "publishes.sweep", "schedule": SWEEP_S, "options": {"expires": SWEEP_S}},
    "tidy": {"task": "publishes.tidy", "schedule": 60.0, "options": {"expires": 60.0}},
    "refresh-issuers": {
        "task": "publishes.refresh_issuers",
        "schedule": ISSUER_REFRESH_S,
        "options": {"expires": ISSUER_REFRESH_S},
    },
}

# --- sign-in ----------------------------------------------------------------------------------------------------------
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
LOGOUT_REDIRECT_URL = "sign-in"
ACCOUNT_ADAPTER = "tenants.people.sign_in_rules.PeopleRules"
SOCIALACCOUNT_ADAPTER = "tenants.people.sign_in_rules.ProviderRules"
MFA_ADAPTER = "tenants.people.sign_in_rules.SecondStepRules"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
TWO_STEP = env.bool("TWO_STEP", default=False)  # lets people protect their sign-in with an authenticator app
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "imp-gateway"
MFA_TOTP_PERIOD = 30  # s
MFA_TOTP_TOLERANCE = 1  # periods: for slow fingers and phones whose clock is a little off
MFA_FORMS = {
    "authenticate": "tenants.people.second_step_forms.AuthenticateForm",
    "reauthenticate": "tenants.people.second_step_forms.ReauthenticateForm",
}
# Codes that were taken and attempts that were counted, the same for every web process, whatever becomes of the broker.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
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
AXES_DISABLE_ACCESS_LOG = True  # it only grows; sessions and agents' events tell who was there
AXES_LOCKOUT_CALLABLE = "core.problem_pages.locked_out"
AXES_CLIENT_IP_CALLABLE = "tenants.people.sign_in_rules.address_of"

# --- browsers ---------------------------------------------------------------------------------------------------------
INSECURE_COOKIES = env.bool("INSECURE_COOKIES", default=False)  # plain http, for the demo and tests only
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not INSECURE_COOKIES
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
ALLAUTH_TRUSTED_PROXY_COUNT = (
    1 if BEHIND_TLS_PROXY else 0
)  # or everybody would share the proxy's address, and its lock-outs
SECURE_HSTS_SECONDS = 0 if INSECURE_COOKIES else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not INSECURE_COOKIES
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "core.security.sessions"
SESSION_COOKIE_AGE = env.int(
    "SESSION_IDLE_S", default=8 * 3600
)  # without use; core.sessions.IdleLimit moves the end
_HOST_ALONE = (
    "" if INSECURE_COOKIES else "__Host-"
)  # browsers take such a cookie only from this host, for all paths, over https
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_HOST_ALONE}sessionid", f"{_HOST_ALONE}csrftoken"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "core.problem_pages.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF, *([OIDC_ISSUER] if OIDC_ISSUER else [])],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

# --- languages and time: Korean first ---------------------------------------------------------------------------------
LANGUAGE_CODE = "ko"
LANGUAGES = [("ko", _("Korean")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = "Asia/Seoul"
USE_TZ = True

# --- static files -----------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / "static-root"))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.str(
            "STATICFILES_BACKEND", default="whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 3_000  # an API service's form: 200 routes, each with up to eleven fields
LOGGING = logs.config(level=env.str("LOG_LEVEL", default="INFO"))
structlog.configure(**logs.STRUCTLOG)
