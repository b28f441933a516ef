"""An OpenID Connect provider on a host: Canaille, which has pages for people and a file as its database."""

from __future__ import annotations

from dags import wait_for

FOLDER = "/opt/provider"
ENVIRONMENT = f"CANAILLE_CONFIG={FOLDER}/config.toml"
PORT = 9443
CLIENT, SECRET = "cwl", "of-the-client: 50 % $HOME"
PASSWORD = "of-the-provider"
SCOPES = ["openid", "profile", "email", "groups"]
CONFIG = f"""
SECRET_KEY = "of-canaille"
SERVER_NAME = "{{name}}:{PORT}"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{FOLDER}/people.sqlite"
[CANAILLE_OIDC]
TRUSTED_DOMAINS = ["{{name}}"]
"""
PROGRAM = """
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend

def save(made):
    Backend.instance.save(made)

def find(model, **by):
    return Backend.instance.get(model, **by)

def people(*names):
    return [find(models.User, user_name=name) for name in names]

with create_app().app_context(), Backend.instance.session():"""


def names(name):
    """Return the names of somebody, as arguments."""
    return f"user_name={name!r}, display_name={name!r}, family_name={name!r}, emails=['{name}@example.org']"


def client(site):
    """Return what the provider knows of the site."""
    return {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "client_name": "CWL",
        "client_uri": site,
        "redirect_uris": [f"{site}/auth/oauth-authorized/oidc"],
        "scope": SCOPES,
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }


class Provider:
    """A provider with people, one of whom is called as the site's administrator is."""

    def __init__(self, host):
        """Name the host."""
        self.host = host
        self.name = host.check_output("hostname")
        self.url = f"https://{self.name}:{PORT}"

    def set_members(self, group, *names):
        """Say who is in a group."""
        self.run(
            f"group = find(models.Group, display_name={group!r})", f"group.members = people(*{names})", "save(group)"
        )

    def run(self, *lines):
        """Run a program in it, whose commands take a second each."""
        program = "\n    ".join([PROGRAM, *lines])
        self.host.check_output(f"{ENVIRONMENT} {FOLDER}/bin/python -W ignore -c %s", program)

    def start(self, site):
        """Install and start it."""
        uv = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt $(ls -d /opt/airflow-releases/uv-*/bin/uv) --no-cache"
        what = "--exclude-newer 2026-11-25 canaille[front,oidc,server,sqlite]==0.3.6"
        self.host.check_output(f"{uv} venv --quiet --clear {FOLDER}")
        self.host.check_output(f"{uv} pip install --quiet --python {FOLDER}/bin/python {what}")
        self.host.check_output(f"echo %s > {FOLDER}/config.toml", CONFIG.format(name=self.name))
        # It makes itself a key, of which the file needs to know.
        self.host.check_output(
            f"{ENVIRONMENT} {FOLDER}/bin/canaille config dump 2> /dev/null | grep ^ACTIVE_JWKS >> {FOLDER}/config.toml"
        )
        self.host.check_output(f"{ENVIRONMENT} {FOLDER}/bin/canaille install")
        people = ("ann", "bea", "cid", "admin")
        self.run(
            *(f"save(models.User({names(name)}, password={PASSWORD!r}))" for name in people),
            "save(models.Group(display_name='admins', members=people('ann')))",
            "save(models.Group(display_name='viewers', members=people('bea')))",
            f"save(models.Client(**{client(site)}))",
        )
        certificate = "--certfile /etc/ssl/site/host.pem --keyfile /etc/ssl/site/host.key"
        run = f"{FOLDER}/bin/canaille run --bind 0.0.0.0:{PORT} {certificate}"
        self.host.check_output(f"systemd-run --unit=provider --setenv={ENVIRONMENT} {run}")
        described = f"{self.url}/.well-known/openid-configuration"
        wait_for("provider", lambda: self.host.run(f"curl --silent --fail {described}").succeeded, 30)

    def stop(self):
        """Remove it."""
        self.host.run(f"systemctl stop provider; rm -r {FOLDER}")
