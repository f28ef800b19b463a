#!/usr/bin/env python3
"""Notes that only their author can read: an app that lets usher say who is calling.

    notes.py serve --usher URL --listen HOST:PORT    POST /notes {"text": "..."} and GET /notes, kept in memory
    notes.py demo --usher URL --notes URL            two people use it; fails where something is not as it should be

The app knows no passwords and no sessions. It passes the Authorization header of each request on to usher, which
answers whose it is, or 401. Needs Python 3.11 and its standard library.
"""

import argparse
import json
import secrets
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# ---- HTTP, for both the app and the demo


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the address it is meant for, and to no other that an answer names."""

    def redirect_request(self, *_):
        return None


CLIENT = urllib.request.build_opener(NoRedirects)


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self):
        return json.loads(self.body)


def send(method: str, url: str, authorization: str | None = None, body: object = None) -> Answer:
    """Sends a request, and returns the answer whatever its status. OSError or HTTPException where there is none."""
    request = urllib.request.Request(url, method=method)
    if authorization is not None:
        request.add_header("Authorization", authorization)
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with CLIENT.open(request, timeout=10) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as answer:
        with answer:
            return Answer(answer.code, answer.headers, answer.read())


# ---- The app


class Refusal(Exception):
    """Why a request is not served."""

    def __init__(self, status: int, body: bytes, challenge: str | None = None):
        self.status, self.body, self.challenge = status, body, challenge


def refusal(status: int, message: str) -> Refusal:
    return Refusal(status, json.dumps({"error": message}).encode())


def caller_id(usher: str, authorization: str | None) -> int:
    """Asks usher who is calling.

    The answer has the account's name and address too, but only the id is its own for ever: the others can be changed,
    and then somebody else can take them.
    """
    try:
        answer = send("GET", f"{usher}/api/v1/auth/me", authorization)
        if answer.status == 401:
            raise Refusal(401, answer.body, answer.headers["WWW-Authenticate"])
        if answer.status == 200:
            return int(answer.json()["id"])
        print(f"usher answered {answer.status}", file=sys.stderr)
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        print(f"usher gave no useful answer: {error}", file=sys.stderr)
    # Without usher, callers can't be identified, so nobody is let in.
    raise refusal(503, "who is calling can't be found out now; try again later")


class NotesHandler(BaseHTTPRequestHandler):
    usher: str  # set by serve()
    notes: dict[int, list[str]] = defaultdict(list)  # by the id of the account
    timeout = 10  # seconds to wait for the rest of a request

    def do_GET(self):
        self.serve(self.list_notes)

    def do_POST(self):
        self.serve(self.add_note)

    def serve(self, action):
        try:
            if self.path != "/notes":
                raise refusal(404, "there is only /notes")
            body = self.read_body()  # also where it is not needed: bytes left unread would tear the answer
            status, answer = action(caller_id(self.usher, self.headers["Authorization"]), body)
            self.answer(status, json.dumps(answer).encode())
        except Refusal as refused:
            self.answer(refused.status, refused.body, refused.challenge)

    def list_notes(self, user_id: int, _body: bytes):
        return 200, {"notes": self.notes[user_id]}

    def add_note(self, user_id: int, body: bytes):
        try:
            note = json.loads(body)
        except (ValueError, RecursionError):
            note = None
        if not isinstance(note, dict) or not isinstance(note.get("text"), str):
            raise refusal(400, 'a note looks like {"text": "..."}')
        self.notes[user_id].append(note["text"])
        return 201, {"text": note["text"]}

    def read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and int(length) <= 64 * 1024):
            raise refusal(413, "the body may have 65536 bytes at most")
        return self.rfile.read(int(length))

    def answer(self, status: int, body: bytes, challenge: str | None = None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if challenge is not None:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)


def serve(usher: str, listen: str):
    host, _, port = listen.rpartition(":")
    NotesHandler.usher = usher
    with ThreadingHTTPServer((host, int(port)), NotesHandler) as server:
        print("listening on http://{}:{}".format(*server.server_address), file=sys.stderr, flush=True)
        server.serve_forever()


# ---- The demo


def check(fact: str, actual: object, expected: object):
    if actual != expected:
        sys.exit(f"notes: not so: {fact}: expected {expected}, got {actual}")
    print(fact)


class Person:
    """Somebody with an account at usher, who is signed in and takes notes."""

    def __init__(self, usher: str, notes: str, name: str):
        self.usher, self.notes = f"{usher}/api/v1", f"{notes}/notes"
        self.name, self.password = name, secrets.token_urlsafe(16)
        account = {"username": name, "email": f"{name}@example.com", "password": self.password}
        answer = send("POST", f"{self.usher}/users", body=account)
        check(f"{name} registers", answer.status, 201)
        self.id = answer.json()["id"]
        self.sign_in()

    def sign_in(self):
        credentials = {"email": f"{self.name}@example.com", "password": self.password}
        answer = send("POST", f"{self.usher}/auth/login", body=credentials)
        check(f"{self.name} signs in", answer.status, 200)
        self.authorization = f"Bearer {answer.json()['token']}"

    def sign_out(self):
        answer = send("POST", f"{self.usher}/auth/logout", self.authorization)
        check(f"{self.name} signs out", answer.status, 200)

    def delete_account(self):
        answer = send("DELETE", f"{self.usher}/users/{self.id}", self.authorization)
        check(f"{self.name} deletes the account", answer.status, 204)

    def write(self, text: str):
        answer = send("POST", self.notes, self.authorization, {"text": text})
        check(f"{self.name} writes: {text}", answer.status, 201)

    def sees(self, expected: list[str]):
        answer = send("GET", self.notes, self.authorization)
        seen = answer.json()["notes"] if answer.status == 200 else answer.status
        check(f"{self.name} sees {json.dumps(expected)}", seen, expected)

    def is_refused(self):
        answer = send("GET", self.notes, self.authorization)
        check(f"{self.name}'s token is refused", answer.status, 401)


def demo(usher: str, notes: str):
    answer = send("GET", f"{notes}/notes")
    challenge = (answer.status, answer.headers["WWW-Authenticate"])
    check("without a token nobody is let in", challenge, (401, "Bearer"))

    ada_name = f"ada-{secrets.token_hex(4)}"
    ada = Person(usher, notes, ada_name)
    ben = Person(usher, notes, f"ben-{secrets.token_hex(4)}")
    ada.write("buy figs")
    ben.write("call home")
    ada.sees(["buy figs"])
    ben.sees(["call home"])

    ada.sign_out()
    ada.is_refused()
    ada.sign_in()
    ada.sees(["buy figs"])

    ada.delete_account()
    ada.is_refused()
    heir = Person(usher, notes, ada_name)  # the name is free again, its notes are not
    heir.sees([])

    heir.delete_account()
    ben.delete_account()


def main():
    parser = argparse.ArgumentParser(description="Notes that only their author can read, behind usher")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve the app")
    serving.add_argument("--usher", required=True, metavar="URL", help="where usher is, such as http://127.0.0.1:8080")
    serving.add_argument("--listen", default="127.0.0.1:8081", metavar="HOST:PORT", help="default: %(default)s")
    demonstrating = commands.add_parser("demo", help="let two people use it")
    demonstrating.add_argument("--usher", required=True, metavar="URL")
    demonstrating.add_argument("--notes", required=True, metavar="URL", help="where the app is")
    arguments = parser.parse_args()
    try:
        if arguments.command == "serve":
            serve(arguments.usher.rstrip("/"), arguments.listen)
        else:
            demo(arguments.usher.rstrip("/"), arguments.notes.rstrip("/"))
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, HTTPException, ValueError) as error:
        sys.exit(f"notes: {error}")


if __name__ == "__main__":
    main()
