"""Prints password hashes made by Django, passlib, Werkzeug, argon2-cffi and bcrypt, one JSON object a line: what made
it (`by`), the password (null: there is none), and the hash. The ones in hashes.jsonl are those of one run; salts are drawn again each time.
"""

import json

import argon2
import bcrypt
import django.conf
from django.contrib.auth import hashers
from passlib import hash as passlib
from werkzeug.security import generate_password_hash

PASSWORD = "correct horse battery"
UNICODE = "пароль, mot de passe et 密码 🔑"
# bcrypt reads the first 72 bytes of it.
LONG = "a rather long sentence that somebody uses as a password, though no form asked for one"
# The 72nd byte is within a character.
LONG_UNICODE = "1" + "ключ" * 10


def with_django():
    names = ["PBKDF2", "Scrypt", "BCryptSHA256", "BCrypt", "Argon2"]
    paths = [f"django.contrib.auth.hashers.{name}PasswordHasher" for name in names]
    django.conf.settings.configure(PASSWORD_HASHERS=paths)
    for name in ["pbkdf2_sha256", "scrypt", "bcrypt_sha256", "bcrypt", "argon2"]:
        yield f"Django {name}", PASSWORD, hashers.make_password(PASSWORD, hasher=name)
    yield "Django without a password", None, hashers.make_password(None)
    # Cheaper ones, for tests that need many.
    for hasher, password, iterations in [
        (hashers.PBKDF2PasswordHasher(), PASSWORD, 1),
        (hashers.PBKDF2PasswordHasher(), UNICODE, 1000),
        (hashers.PBKDF2SHA1PasswordHasher(), PASSWORD, 1000),
    ]:
        yield f"Django {hasher.algorithm}", password, hasher.encode(password, "NaCl", iterations)
    for hasher in [hashers.BCryptSHA256PasswordHasher(), hashers.BCryptPasswordHasher()]:
        yield f"Django {hasher.algorithm}", LONG, hasher.encode(LONG, bcrypt.gensalt(4))


def with_passlib():
    for name in ["pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512", "scrypt", "argon2", "bcrypt"]:
        yield f"passlib {name}", PASSWORD, getattr(passlib, name).hash(PASSWORD)
    for ident in ["2a", "2b", "2y"]:
        yield f"passlib bcrypt {ident}", LONG, passlib.bcrypt.using(ident=ident, rounds=4).hash(LONG)
    yield "passlib pbkdf2_sha256", UNICODE, passlib.pbkdf2_sha256.using(salt_size=64).hash(UNICODE)
    yield "passlib scrypt", UNICODE, passlib.scrypt.using(rounds=10, block_size=4, parallelism=3).hash(UNICODE)


def with_werkzeug():
    for method in ["scrypt", "pbkdf2:sha256:10000", "pbkdf2:sha1:1000", "pbkdf2:sha512:1000", "scrypt:1024:8:16"]:
        yield f"Werkzeug {method}", PASSWORD, generate_password_hash(PASSWORD, method)
    yield "Werkzeug scrypt", UNICODE, generate_password_hash(UNICODE, "scrypt:1024:8:1", salt_length=40)


def with_others():
    for kind in argon2.Type:
        hasher = argon2.PasswordHasher(time_cost=1, memory_cost=256, parallelism=4, hash_len=20, type=kind)
        yield f"argon2-cffi {kind.name}", PASSWORD, hasher.hash(PASSWORD)
    old = argon2.low_level.hash_secret(PASSWORD.encode(), b"NaClNaCl", 1, 64, 1, 32, argon2.Type.I, version=16)
    yield "argon2-cffi version 16", PASSWORD, old.decode()
    for password in [LONG_UNICODE, LONG[:72], LONG[:71]]:
        yield "bcrypt", password, bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


for make in [with_django, with_passlib, with_werkzeug, with_others]:
    for by, password, made in make():
        print(json.dumps({"by": by, "password": password, "hash": made}))
