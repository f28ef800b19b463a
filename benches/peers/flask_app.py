"""An account service in the size of a tutorial: Flask, sqlite3 and argon2-cffi, with tokens in the database.

Run by gunicorn. DATABASE names the SQLite file. It answers the operations that `side_by_side` measures, under our paths.
"""

import functools
import hashlib
import os
import secrets
import sqlite3
import threading

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from flask import Flask, abort, g, request

app = Flask(__name__)
# The default cost of usher.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
per_thread = threading.local()


def database():
    if not hasattr(per_thread, "connection"):
        connection = sqlite3.connect(os.environ["DATABASE"], timeout=10, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.row_factory = sqlite3.Row
        per_thread.connection = connection
    return per_thread.connection


def digest(token):
    return hashlib.sha256(token.encode()).digest()


def shown(user):
    return {name: user[name] for name in ("id", "username", "email", "role", "created_at")}


def signed_in(view):
    @functools.wraps(view)
    def checked(**arguments):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        found = database().execute(
            "SELECT users.* FROM sessions JOIN users ON users.id = sessions.user_id"
            " WHERE token_hash = ? AND expires_at > datetime('now')",
            (digest(token),),
        )
        g.caller = found.fetchone() if scheme == "Bearer" else None
        return view(**arguments) if g.caller else abort(401)

    return checked


@app.get("/healthz")
def health():
    return {"status": "ok"}


@app.post("/api/v1/users")
def register():
    new = request.get_json()
    if len(new["password"]) < 8 or "@" not in new["email"]:
        abort(400)
    try:
        made = database().execute(
            "INSERT INTO users (username, email, password_hash) VALUES (?, ?, ?) RETURNING *",
            (new["username"], new["email"], hasher.hash(new["password"])),
        )
        return shown(made.fetchall()[0]), 201
    except sqlite3.IntegrityError:
        abort(409)


@app.post("/api/v1/auth/login")
def sign_in():
    typed = request.get_json()
    user = database().execute("SELECT * FROM users WHERE email = ?", (typed["email"],)).fetchone() or abort(401)
    try:
        hasher.verify(user["password_hash"], typed["password"])
    except VerifyMismatchError:
        abort(401)
    token = secrets.token_urlsafe(32)
    database().execute(
        "INSERT INTO sessions VALUES (?, ?, datetime('now', '+30 days'))", (digest(token), user["id"])
    )
    return {"token": token, "user": shown(user)}


@app.get("/api/v1/users/<int:user_id>")
@signed_in
def read(user_id):
    if g.caller["id"] != user_id and g.caller["role"] != "admin":
        abort(404)
    user = database().execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone() or abort(404)
    return shown(user)


@app.put("/api/v1/users/<int:user_id>")
@signed_in
def update(user_id):
    if g.caller["id"] != user_id and g.caller["role"] != "admin":
        abort(404)
    try:
        changed = database().execute(
            "UPDATE users SET username = ? WHERE id = ? RETURNING *", (request.get_json()["username"], user_id)
        )
        return shown(changed.fetchall()[0])
    except sqlite3.IntegrityError:
        abort(409)


# Once, before gunicorn forks its workers (--preload).
database().executescript(
    """
    CREATE TABLE IF NOT EXISTS users (
        id INTEGER PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        email TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        role TEXT NOT NULL DEFAULT 'user',
        created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE IF NOT EXISTS sessions (
        token_hash BLOB PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users (id),
        expires_at TEXT NOT NULL
    ) WITHOUT ROWID;
    """
)
# A connection does not survive the fork.
per_thread.connection.close()
del per_thread.connection
