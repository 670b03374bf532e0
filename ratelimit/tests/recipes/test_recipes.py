"""The recipes in their frameworks: alone, over a real Redis, and as three processes on one."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest_asyncio
from fastapi.testclient import TestClient

from support.process import free_port, running
from support.servers import redis_server

RECIPES = Path(__file__).parents[2] / "recipes"
WRONG, RIGHT = {"password": "wrong"}, {"password": "right"}
LOCKED = ["401", "401", "401", "429", "429"]


def recipe(name):
    """The recipe's module, made anew, as a server makes it once per process."""
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest_asyncio.fixture(params=["alone", "over Redis"], autouse=True)
async def storage(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1 10.0.0.0/8")
    if request.param == "alone":
        monkeypatch.delenv("REDIS_URL", raising=False)
        yield None
        return
    async with redis_server(tmp_path) as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        yield server


def check(ask, address="203.0.113.1"):
    """`ask(form, address)` gives status and headers."""
    assert [str(ask(WRONG, address)[0]) for _ in range(5)] == LOCKED
    status, headers = ask(RIGHT, address)
    assert status == 429
    assert 298 <= int(headers["Retry-After"]) <= 300
    status, headers = ask(RIGHT, "203.0.113.2")
    assert status == 200
    assert headers["RateLimit-Policy"] == '"address";q=20;w=60'
    assert headers["RateLimit"].startswith('"address";r=19;t=')
    # An IPv6 network of 64 bits is one client.
    network = [str(ask(WRONG, f"2001:db8::{number}")[0]) for number in range(1, 6)]
    assert network == LOCKED
    assert ask(RIGHT, "2001:db8:0:1::1")[0] == 200
    statuses = Counter(ask(RIGHT, "203.0.113.3")[0] for _ in range(30))
    assert statuses == {200: 20, 429: 10}
    status, headers = ask(RIGHT, "203.0.113.3")
    assert status == 429
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert headers["RateLimit"].startswith('"address";r=0;t=')


async def test_aiohttp(aiohttp_client):
    client = await aiohttp_client(recipe("aiohttp_app").create_app())
    loop = asyncio.get_running_loop()

    async def post(form, address):
        async with client.post("/login", data=form, headers={"X-Forwarded-For": f"1.1.1.1, {address}"}) as response:
            return response.status, response.headers

    await asyncio.to_thread(
        check, lambda form, address: asyncio.run_coroutine_threadsafe(post(form, address), loop).result()
    )


async def test_fastapi():
    module = recipe("fastapi_app")

    def visit():
        with TestClient(module.app, client=("127.0.0.1", 5000)) as client:

            def ask(form, address):
                response = client.post("/login", data=form, headers={"X-Forwarded-For": f"1.1.1.1, {address}"})
                return response.status_code, response.headers

            check(ask)

    await asyncio.to_thread(visit)


async def test_flask():
    app = recipe("flask_app").create_app()
    client = app.test_client()

    def ask(form, address):
        response = client.post("/login", data=form, headers={"X-Forwarded-For": f"1.1.1.1, {address}"})
        return response.status_code, response.headers

    await asyncio.to_thread(check, ask)
    await asyncio.to_thread(app.extensions["limits"].close)


DJANGO = """
import sys, os, json
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

sys.path.insert(0, os.environ["PROJECT"])
settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    AUTHENTICATION_BACKENDS=["recipes.django_app.LockoutBackend", "django.contrib.auth.backends.ModelBackend"],
    MIDDLEWARE=["recipes.django_app.LimitsMiddleware"],
)
django.setup()
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
User.objects.create_user("owner", password="right")

def login(request):
    user = authenticate(request, username="owner", password=request.POST["password"])
    return HttpResponse("welcome") if user else HttpResponse(status=401)

urlpatterns = [path("login", login)]
client = Client()
for line in sys.stdin:
    form, address = json.loads(line)
    forwarded = {"HTTP_X_FORWARDED_FOR": f"1.1.1.1, {address}"}
    response = client.post("/login", form, **forwarded)
    print(json.dumps([response.status_code, dict(response.headers)]), flush=True)
import recipes.django_app
recipes.django_app.THREAD.close()
"""


async def test_django():
    environment = {**os.environ, "PROJECT": str(RECIPES.parent)}

    def visit():
        with subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-c", DJANGO],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program:

            def ask(form, address):
                program.stdin.write(json.dumps([form, address]) + "\n")
                program.stdin.flush()
                return json.loads(program.stdout.readline())

            check(ask)
            program.stdin.close()
            assert program.wait(20) == 0

    await asyncio.to_thread(visit)


@asynccontextmanager
async def served():
    """The aiohttp recipe in a process of its own; its address."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port)}
    async with running([sys.executable, str(RECIPES / "aiohttp_app.py")], environment=environment) as process:
        await process.said("Running on")
        yield f"http://127.0.0.1:{port}/login"


async def test_three_processes_on_one_redis_are_one_and_without_redis_three(storage):
    async with served() as one, served() as two, served() as three, aiohttp.ClientSession() as session:

        async def post(url):
            headers = {"X-Forwarded-For": "203.0.113.1"}
            async with session.post(url, data=WRONG, headers=headers) as response:
                return response.status

        statuses = Counter(await asyncio.gather(*(post(url) for url in (one, two, three) * 6)))
        assert statuses == ({401: 9, 429: 9} if storage is None else {401: 3, 429: 15})
