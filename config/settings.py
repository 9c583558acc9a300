"""Settings from the environment; a missing required value stops the start. docs/operations.md lists them."""

from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
import environ
import structlog
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config import logs, navigation
from config.sign_in import *  # noqa: F403 - settings, each under its own name
from config.sign_in import OIDC_ISSUER
from fence import endpoints_of

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
django_stubs_ext.monkeypatch()  # lets Django's generic classes be subscripted, as the type annotations do

# --- who we are ---------------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
PUBLIC_URL = env.str("PUBLIC_URL").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname or "localhost"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SIGNING_KEY_FILE = Path(env.str("SIGNING_KEY_FILE"))
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")  # name:key pairs; the first encrypts, all decrypt
DEMO = env.bool("DEMO", default=False)

# --- numbers of the engine, in seconds (docs/architecture.md tells why) -------------------------------------
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
)  # a draft keeps its hostname since its last change
HOST_QUARANTINE_H = env.float("HOST_QUARANTINE_H", default=24.0)  # a deleted publish keeps its hostname
ABSENCE_KEPT_DAYS = env.int("ABSENCE_KEPT_DAYS", default=90)
ISSUER_REFRESH_S = env.float("ISSUER_REFRESH_S", default=300.0)

# --- the JSON API -------------------------------------------------------------------------------------------
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=6_000)  # per token

# --- fences -------------------------------------------------------------------------------------------------
AGENT_NETWORKS = env.list(
    "AGENT_NETWORKS", default=["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
)
RESERVED_ENDPOINTS = [
    *env.list("RESERVED_ENDPOINTS", default=[]),  # our own are added below
    *endpoints_of(env.str("DATABASE_URL"), port=5432),
    *endpoints_of(env.str("REDIS_URL"), port=6379),
    *endpoints_of(PUBLIC_URL, port=443 if PUBLIC_URL.startswith("https:") else 80),
]
OUTBOUND_NETWORKS = env.list(
    "OUTBOUND_NETWORKS", default=[]
)  # issuers' networks beside public ones, http too

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
    "core.problem_middleware.ProblemMiddleware",
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
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["core.pages.templates.Loader", "django.template.loaders.app_directories.Loader"],
                ),
            ],
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

# --- database -----------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"] |= {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "ENGINE": "core.postgres",
    "OPTIONS": {
        "connect_timeout": 3,
        "options": "-c statement_timeout=15000 -c lock_timeout=5000 "
        "-c idle_in_transaction_session_timeout=30000",
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,  # ms
    },
}
DATABASE_DEADLINE_S = env.float(
    "DATABASE_DEADLINE_S", default=20.0
)  # above statement_timeout: a frozen server
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- cache, in the database --------------------------------------------------------------------------------
# Used codes and counted attempts, shared by all web processes without the broker.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- broker: wake-ups only, never needed for an answer ------------------------------------------------------
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
CELERY_DB_REUSE_MAX = 1_000_000_000  # the tasks check the connection; closing it around each task costs 5 ms
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

# --- browsers -----------------------------------------------------------------------------------------------
INSECURE_COOKIES = env.bool("INSECURE_COOKIES", default=False)  # plain http, for the demo and tests only
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not INSECURE_COOKIES
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
ALLAUTH_TRUSTED_PROXY_COUNT = int(
    BEHIND_TLS_PROXY
)  # else all clients share the proxy's address and lock-outs
SECURE_HSTS_SECONDS = 0 if INSECURE_COOKIES else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not INSECURE_COOKIES
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "core.security.sessions"
SESSION_COOKIE_AGE = env.int("SESSION_IDLE_S", default=8 * 3600)  # unused; core.security.sessions prolongs it
_HOST_ONLY = (
    "" if INSECURE_COOKIES else "__Host-"
)  # browsers accept such a cookie from this host alone, over https
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_HOST_ONLY}sessionid", f"{_HOST_ONLY}csrftoken"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "core.problem_responses.csrf_failure"
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

# --- languages and time: Korean first -----------------------------------------------------------------------
LANGUAGE_CODE = "ko"
LANGUAGES = [("ko", _("Korean")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = "Asia/Seoul"
USE_TZ = True

# --- static files -------------------------------------------------------------------------------------------
NAVIGATION = navigation.ENTRIES
STATIC_URL = "static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / "static-root"))
STATICFILES_DIRS = [BASE_DIR / "static"]
_STATIC_STORAGE = "whitenoise.storage.CompressedManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": env.str("STATICFILES_BACKEND", default=_STATIC_STORAGE)},
}

DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 3_000  # an API service: 200 routes of up to 11 fields
LOGGING = logs.config(level=env.str("LOG_LEVEL", default="INFO"))
structlog.configure(**logs.STRUCTLOG)
