"""What schemathesis can't know from the spec: who signs in, and with what.

The requests that it makes up are sent by an administrator, and may end that administrator's session, change the password
or the role, disable the account or delete it. So the token is tried before each use, and where it is no good any more
the command line makes another administrator.
"""

import itertools
import json
import os
import subprocess
import time
import zlib

import requests
import schemathesis
from schemathesis.specs.openapi.checks import use_after_free

USHER = os.environ["USHER_BINARY"]
API = os.environ["USHER_API"]
PASSWORD = "not a secret, 64 KiB"
# Changing one's own password needs a sign-in younger than --reauthenticate-after (15 minutes).
FRESH_SECONDS = 600

# A file of accounts is sent as it is.
schemathesis.serializer.alias(["application/x-ndjson", "application/jsonl"], "text/plain")

numbers = itertools.count(1)
http = requests.Session()


def credentials(kind):
    name = f"{kind}-{next(numbers)}"
    return name, f"{name}@schemathesis.example"


def sign_in(email):
    answer = http.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD})
    answer.raise_for_status()
    return answer.json()["token"]


def register(kind):
    """Registers an account that nobody else uses."""
    name, email = credentials(kind)
    made = http.post(f"{API}/users", json={"username": name, "email": email, "password": PASSWORD})
    made.raise_for_status()
    return made.json()


def new_user():
    """The e-mail address of a new account."""
    return register("user")["email"]


def reset_token():
    """A token that sets the password of an account that nobody else uses."""
    user = register("forgetful")
    issued = http.post(f"{API}/users/{user['id']}/password-reset", headers=bearer(admin.token()))
    issued.raise_for_status()
    return issued.json()["token"]


def new_admin():
    """Makes an administrator, and returns a token."""
    name, email = credentials("admin")
    command = [USHER, "create-admin", "--username", name, "--email", email, "--password-stdin"]
    made = subprocess.run(command, input=f"{PASSWORD}\n", text=True, capture_output=True)
    if made.returncode != 0:
        raise RuntimeError(f"no administrator could be made: {made.stderr.strip()}")
    return sign_in(email)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Admin:
    """An administrator's token that is good now."""

    def __init__(self):
        self._token = None
        self._since = 0.0

    def token(self):
        if not self._is_good():
            self._token, self._since = new_admin(), time.monotonic()
        return self._token

    def id(self):
        return http.get(f"{API}/auth/me", headers=bearer(self.token())).json()["id"]

    def _is_good(self):
        if self._token is None or time.monotonic() - self._since > FRESH_SECONDS:
            return False
        answer = http.get(f"{API}/auth/me", headers=bearer(self._token))
        return answer.status_code == 200 and answer.json()["role"] == "admin"


admin = Admin()


def new_app():
    """The id of an app that administrators may enter."""
    content = {"name": "app", "url": f"http://door{next(numbers)}.schemathesis.example", "access": "admins"}
    made = http.post(f"{API}/apps", json=content, headers=bearer(admin.token()))
    made.raise_for_status()
    return made.json()["id"]


@schemathesis.auth(refresh_interval=None)
class Token:
    def get(self, case, context):
        # Signing out ends the session that asks for it.
        if context.operation.label == "POST /auth/logout":
            return sign_in(new_user())
        return admin.token()

    def set(self, case, data, context):
        case.headers.update(bearer(data))


@schemathesis.check
def no_use_of_what_is_gone(ctx, response, case):
    """The tool's own check, but for lists: when all sessions have ended, there is still a list of them."""
    return None if case.path.endswith("/sessions") else use_after_free(ctx, response, case)


def tell_apart(body):
    """Makes a valid name, e-mail address or host new, whatever else they are made of."""
    mark = f"-{next(numbers)}"
    if "username" in body:
        body["username"] = body["username"][: 64 - len(mark)] + mark
    if "name" in body and set(body) == {"name"}:  # a group's
        body["name"] = body["name"][: 64 - len(mark)] + mark
    if "url" in body:
        body["url"] = f"https://app{mark}.schemathesis.example"
    if "access" in body or "groups" in body:  # groups would have to exist
        body["access"] = "admins"
        body.pop("groups", None)
    if "email" in body:
        local, _, domain = body["email"].partition("@")
        email = f"{local[: 64 - len(mark)]}{mark}@{domain}"
        body["email"] = email if len(email) <= 254 else body["email"]


# Requests with a name, an e-mail address or a host that must be free.
WITH_NAMES = (
    "POST /users",
    "PUT /users/{user_id}",
    "POST /groups",
    "PUT /groups/{group_id}",
    "POST /apps",
    "PUT /apps/{app_id}",
)


def some(body, one_in):
    """The same answer for the same body, or a scenario could not be played again."""
    return zlib.crc32(json.dumps(body, sort_keys=True).encode()) % one_in == 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes valid bodies of some requests more useful: names that are free, and sign-ins of accounts that exist.

    In scenarios names are always free, because Hypothesis gives up on one that goes another way when it is repeated.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    request = f"{case.method} {case.path}"
    is_scenario = case.meta.phase.name.value == "stateful"
    if request == "PUT /groups/{group_id}/members/{user_id}" and is_scenario:
        # An account that others use, too, is in as many groups as it may be at some time.
        case.path_parameters["user_id"] = register("member")["id"]
    if not isinstance(case.body, dict):
        return
    if request == "POST /auth/login" and some(case.body, 3):
        case.body = {"email": new_user(), "password": PASSWORD}
    elif request == "POST /auth/password-reset" and some(case.body, 3):
        case.body = {"token": reset_token(), "password": PASSWORD}
    elif request == "POST /users/{user_id}/app-tokens" and not is_scenario and some(case.body, 3):
        # Only its owner creates one, for an app that is there. In a scenario, the owner would be another one each time.
        case.path_parameters["user_id"] = admin.id()
        case.body = {**case.body, "app_id": new_app()}
    elif request in WITH_NAMES:
        if is_scenario or not some(case.body, 4):
            case.body = dict(case.body)
            case.body.pop("invitation", None)
            tell_apart(case.body)
