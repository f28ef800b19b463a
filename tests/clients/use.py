"""Uses the generated client: there is a function for each operation, and what a server answers is read as the types say.

    use.py USHER SPEC
"""

import json
import pkgutil
import re
import subprocess
import sys

import usher_client.api
from usher_client import AuthenticatedClient, Client
from usher_client.api.audit import list_audit_events
from usher_client.api.authentication import get_me, login, logout, verify
from usher_client.api.invitations import create_invitation, list_invitations
from usher_client.api.sessions import list_own_sessions
from usher_client.api.users import create_user, get_user, list_users, update_user
from usher_client.models import Action, ErrorCode, ErrorResponse, Login, NewInvitation, NewUser, Role, UserUpdate

PASSWORD = "correct horse battery"


def missing(spec):
    """The operations of the document that the client has no function for."""
    found = {module.name.rpartition(".")[2] for module in pkgutil.walk_packages(usher_client.api.__path__, "usher_client.api.")}
    ids = [operation["operationId"] for path in spec["paths"].values() for operation in path.values()]
    return [name for name in ids if re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() not in found]


def start(usher):
    """A server on a free port, with an administrator, and where it is."""
    common = ["--database", "usher.db", "--allow-weak-passwords", "--argon2-memory", "64"]
    server = subprocess.Popen([usher, "serve", "--listen", "127.0.0.1:0", *common], stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        address = re.search(r"listening on (http://[0-9.:]+)", line)
        if address:
            break
    else:
        sys.exit("the server did not start")
    admin = [usher, "create-admin", "--username", "root", "--email", "root@example.com", "--password-stdin", *common]
    subprocess.run(admin, input=f"{PASSWORD}\n", text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server, address[1]


def signed_in(url, name):
    answer = login.sync(client=Client(base_url=url), body=Login(email=f"{name}@example.com", password=PASSWORD))
    return AuthenticatedClient(base_url=url, token=answer.token)


def use(url):
    """What used to be missing is here: whatever takes or answers with a role."""
    anyone, root = Client(base_url=url), signed_in(url, "root")

    invitation = create_invitation.sync(client=root, body=NewInvitation(role=Role.USER, email="ada@example.com"))
    assert invitation.role is Role.USER and invitation.created_by == 1, invitation
    listed = list_invitations.sync(client=root, limit=10)
    assert [each.id for each in listed.invitations] == [invitation.id], listed

    account = NewUser(username="ada", email="ada@example.com", password=PASSWORD, invitation=invitation.token)
    made = create_user.sync_detailed(client=anyone, body=account)
    assert made.status_code == 201 and made.parsed.email_verified and made.parsed.last_login_at is None, made

    changed = update_user.sync(made.parsed.id, client=root, body=UserUpdate(role=Role.ADMIN), if_match=made.headers["ETag"])
    assert changed.role is Role.ADMIN, changed
    late = update_user.sync(made.parsed.id, client=root, body=UserUpdate(role=Role.USER), if_match=made.headers["ETag"])
    assert isinstance(late, ErrorResponse) and late.error.code is ErrorCode.PRECONDITION_FAILED, late

    wrong = create_user.sync(client=anyone, body=NewUser(username="-", email="nobody", password="short"))
    assert wrong.error.code is ErrorCode.VALIDATION_FAILED, wrong
    assert set(wrong.error.details.additional_properties) == {"username", "email", "password"}, wrong

    ada = signed_in(url, "ada")
    assert get_me.sync(client=ada).id == get_user.sync(made.parsed.id, client=root).id
    assert [each.current for each in list_own_sessions.sync(client=ada).sessions] == [True]
    assert [each.username for each in list_users.sync(client=root, role=Role.ADMIN, count=True).users] == ["root", "ada"]
    events = list_audit_events.sync(client=root, action=Action.INVITATION_SPENT).events
    assert [each.subject for each in events] == [made.parsed.id], events
    assert verify.sync_detailed(client=ada, role=Role.ADMIN).headers["Remote-User"] == "ada"
    logout.sync(client=ada)
    assert get_me.sync(client=ada).error.code is ErrorCode.INVALID_TOKEN


def main(usher, spec):
    with open(spec) as document:
        lost = missing(json.load(document))
    if lost:
        sys.exit(f"the client has no function for {', '.join(lost)}")
    server, address = start(usher)
    try:
        use(f"{address}/api/v1")
    finally:
        server.kill()
        server.wait()


main(*sys.argv[1:])
