"""`check` and `serve` come to the same verdict about a configuration, with the same problems."""

import os
import signal
from pathlib import Path

import pytest

from gateway.cli.main import EXIT_CONFIG, main
from gateway.upstream.embedded import MODEL
from tests.e2e.process import started
from tests.process import free_port

TOKEN = "gateway:{auth:{token:'a-token'},drain:{noticeMs:0}}"
OWN = "models:{providers:{own:{baseUrl:'http://127.0.0.1:9/v1'}}}"
AGENT = "agents:{defaults:{model:'own/m'}}"


def own(row: str, model: str = "'own/m'") -> str:
    return f"{{{TOKEN},models:{{providers:{{own:{row}}}}},agents:{{defaults:{{model:{model}}}}}}}"


GOOD = {
    "an unknown fallback": own("{baseUrl:'http://h/v1'}", "{primary:'own/m',fallbacks:['ghost/m']}"),
    "one provider": f"{{{TOKEN},{OWN},{AGENT}}}",
    "the embedded model": f"{{{TOKEN},agents:{{defaults:{{model:'local/{MODEL.chat_model}'}}}}}}",
    "a built-in provider without a key": f"{{{TOKEN},agents:{{defaults:{{model:'groq/x'}}}}}}",
    "keys without effect and other sections": (
        f"{{{TOKEN},{OWN},channels:{{}},session:{{reset:{{}}}},agents:{{defaults:{{model:'own/m',heartbeat:{{}}}}}}}}"
    ),
    "several agents without a default one": (
        f"{{{TOKEN},{OWN},agents:{{defaults:{{model:'own/m'}},entries:{{a:{{}},b:{{}}}}}}}}"
    ),
    "no token": f"{{{OWN},{AGENT}}}",
    "keys that this machine does not have, other ids, an endpoint of embeddings, settings of the runtime": (
        f"{{{TOKEN},models:{{providers:{{own:{{baseUrl:'http://127.0.0.1:9/v1',apiKey:'OWN_API_KEY'}},"
        "openai:{apiKey:'${ABSENT_VARIABLE}'},zai:{baseUrl:'http://127.0.0.1:9/v1',apiKey:'k'}}},"
        "agents:{defaults:{model:{primary:'own/m',fallbacks:['z.ai/m']},params:{cacheRetention:'long',fastMode:true},"
        "memorySearch:{provider:'gemini',remote:{baseUrl:'http://127.0.0.1:9',apiKey:'${ABSENT_VARIABLE}'}}}}}"
    ),
}
BROKEN = {
    "no JSON5": "{gateway:",
    "an unknown key": f"{{{TOKEN},{OWN},{AGENT},tools:{{alow:[]}}}}",
    "a value of a wrong type": f"{{{TOKEN},{OWN},{AGENT},session:{{maxBytes:'big'}}}}",
    "a variable that is not set": own("{baseUrl:'http://127.0.0.1:9/v1',apiKey:'${ABSENT_VARIABLE}'}"),
    "a token in the form of another program's reference": (
        f"{{gateway:{{auth:{{token:'${{env:ABSENT_VARIABLE}}'}}}},{OWN},{AGENT}}}"
    ),
    "an address that still has to be filled in": own("{baseUrl:'https://<workspace>.example/v1'}"),
    "no model that could be assumed": f"{{{TOKEN},models:{{mode:'replace'}}}}",
    "an unknown provider": f"{{{TOKEN},{OWN},agents:{{defaults:{{model:'ghost/m'}}}}}}",
    "a wire format that is not served": own("{baseUrl:'http://h',api:'pi-messages'}"),
    "a model's wire format that is not served": own("{baseUrl:'http://h',models:[{id:'m',api:'pi-messages'}]}"),
    "a built-in name with a wire format that is not served": (
        f"{{{TOKEN},models:{{providers:{{ollama:{{baseUrl:'http://h',api:'pi-messages'}}}}}},"
        f"agents:{{defaults:{{model:'ollama/m'}}}}}}"
    ),
    "an unused provider that can't be called": (
        f"{{{TOKEN},models:{{providers:{{own:{{baseUrl:'http://h/v1'}},p:{{baseUrl:'http://h',api:'pi-messages'}}}}}},"
        f"{AGENT}}}"
    ),
    "a provider with a login of its vendor": f"{{{TOKEN},agents:{{defaults:{{model:'claude-cli/opus'}}}}}}",
    "a fallback with a login of its vendor": own("{baseUrl:'http://h'}", "{primary:'own/m',fallbacks:['codex/m']}"),
    "an agent with an OAuth profile only": (
        f"{{{TOKEN},auth:{{profiles:{{p:{{provider:'groq',mode:'oauth'}}}}}},agents:{{defaults:{{model:'groq/m'}}}}}}"
    ),
    "a provider with an address of each customer": (
        f"{{{TOKEN},agents:{{defaults:{{model:'cloudflare-ai-gateway/m'}}}}}}"
    ),
    "a token of a Claude subscription": own("{baseUrl:'http://h',apiKey:'sk-ant-oat01-x'}"),
    "an OAuth login": own("{baseUrl:'http://h',auth:'oauth'}"),
    "an address without a host": own("{baseUrl:'http://'}"),
    "a header that can't be sent": own("{baseUrl:'http://h',headers:{'a b':'c'}}"),
    "a model that the embedded provider does not have": f"{{{TOKEN},agents:{{defaults:{{model:'local/another'}}}}}}",
    "a tailnet address": f"{{gateway:{{bind:'tailnet',auth:{{token:'t'}}}},{OWN},{AGENT}}}",
    "TLS": f"{{gateway:{{tls:{{enabled:true}},auth:{{token:'t'}}}},{OWN},{AGENT}}}",
    "no credential beyond this machine": f"{{gateway:{{bind:'lan',auth:{{mode:'none'}}}},{OWN},{AGENT}}}",
    "a proxy mode without proxies": f"{{gateway:{{auth:{{mode:'trusted-proxy'}}}},{OWN},{AGENT}}}",
    "a Redis URL that is none": f"{{gateway:{{redis:{{url:'http://h'}},auth:{{token:'t'}}}},{OWN},{AGENT}}}",
    "a tool server without a command": f"{{{TOKEN},{OWN},{AGENT},mcp:{{servers:{{s:{{}}}}}}}}",
    "several problems": (
        "{gateway:{zzz:1,bind:'tailnet'},models:{providers:{p:{},q:{baseUrl:'http://h',api:'pi-messages'}}},"
        "agents:{defaults:{model:'ghost/m'}}}"
    ),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("OPENCLAW_") or name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    return tmp_path / "openclaw.json"


def verdict(command: str, file: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    status = main([command, "--config", str(file), *options])
    return status, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("name", BROKEN)
def test_what_check_refuses_serve_refuses_for_the_same_reasons(file: Path, name: str, capsys):
    file.write_text(BROKEN[name], encoding="utf-8")
    status, problems = verdict("serve", file, capsys)
    assert status == EXIT_CONFIG
    assert problems
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}; the gateway would not start"
    assert verdict("check", file, capsys) == (1, [*problems, count])


def test_workers_without_redis_are_refused_by_both(file: Path, capsys):
    file.write_text(GOOD["one provider"], encoding="utf-8")
    status, problems = verdict("serve", file, capsys, "--workers", "2")
    assert status == EXIT_CONFIG
    assert verdict("check", file, capsys, "--workers", "2") == (
        1,
        [*problems, "1 problem; the gateway would not start"],
    )


@pytest.mark.parametrize("name", GOOD)
async def test_what_check_accepts_serves_and_both_name_the_same_keys_without_effect(file: Path, name: str, capsys):
    file.write_text(GOOD[name], encoding="utf-8")
    assert main(["check", "--config", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    async with started("serve", "--config", str(file), "--port", str(free_port()), state=file.parent) as process:
        await process.wait_for_output("Listening")
        os.kill(process.pid, signal.SIGTERM)
        await process.ended()
    for line in printed.out.splitlines():
        if line.startswith(("accepted, has no effect: ", "not served here and ignored: ")):
            assert line.partition(": ")[2] in process.errors
