import pytest

from gateway.config.redis_url import redis_address


@pytest.mark.parametrize("key", ["token", "password"])
@pytest.mark.parametrize("secret", ["undefined", "null", "", "  "])
def test_the_output_of_a_broken_script_is_not_a_secret(refused, key: str, secret: str):
    problems = refused(f'{{gateway:{{auth:{{mode:"{key}",{key}:"{secret}"}}}}}}')
    assert problems == (
        f"gateway.auth.{key}: is blank or the word undefined or null; set a real secret or remove the key",
    )


def test_such_a_word_in_the_environment_is_refused_as_well(refused):
    (problem,) = refused("{}", {"OPENCLAW_GATEWAY_TOKEN": "undefined"})
    assert problem.startswith("gateway.auth.token: ")


@pytest.mark.parametrize("env", [{}, {"OPENCLAW_GATEWAY_PASSWORD": "b"}])
def test_two_secrets_need_a_mode(refused, env: dict[str, str]):
    password = "" if env else ',password:"b"'
    (problem,) = refused(f'{{gateway:{{auth:{{token:"a"{password}}}}}}}', env)
    assert problem.startswith("gateway.auth.mode: is missing, while a token and a password are both set")


@pytest.mark.parametrize("mode", ["token", "password"])
def test_two_secrets_with_a_mode_are_fine(loaded, mode: str):
    config = loaded(f'{{gateway:{{auth:{{mode:"{mode}",token:"a",password:"b"}}}}}}').config
    assert config.gateway.auth.mode == mode


def test_password_mode_without_a_password_is_refused(refused):
    (problem,) = refused('{gateway:{auth:{mode:"password"}}}')
    assert problem.startswith("gateway.auth.password: is missing")


PROXY = '{mode:"trusted-proxy",trustedProxy:{userHeader:"x-forwarded-user"}'


def test_a_trusted_proxy_with_address_and_header_is_fine_and_may_have_a_password(loaded):
    text = f'{{gateway:{{trustedProxies:["127.0.0.1"],auth:{PROXY},password:"hunter22"}}}}}}'
    assert loaded(text).config.gateway.auth.mode == "trusted-proxy"


def test_a_trusted_proxy_without_an_address_is_refused(refused):
    (problem,) = refused(f"{{gateway:{{auth:{PROXY}}}}}}}")
    assert problem.startswith("gateway.trustedProxies: is empty")


def test_a_trusted_proxy_without_the_user_header_is_refused(refused):
    text = '{gateway:{trustedProxies:["127.0.0.1"],auth:{mode:"trusted-proxy",trustedProxy:{userHeader:""}}}}'
    (problem,) = refused(text)
    assert problem.startswith("gateway.auth.trustedProxy.userHeader: is empty")


def test_a_misspelt_scope_is_refused_where_scopes_count(loaded, refused):
    scopes = 'identityScopes:{"ann@x":["operator.read","operator.wirte"],bob:["*"]}'
    text = f'{{gateway:{{trustedProxies:["127.0.0.1"],auth:{PROXY},{scopes}{{}}}}}}}}'
    first, second = refused(text.replace("{}", ",identityScopesApplyToHttp:true"))
    assert first.startswith("gateway.auth.identityScopes")
    assert "[1]" in first
    assert "'operator.wirte' is not a scope; did you mean 'operator.write'?" in first
    assert "'*' is not a scope; known are operator.admin, " in second
    assert loaded(text.replace("{}", "")).config.gateway.auth.identity_scopes["bob"] == ("*",)


@pytest.mark.parametrize("env", [{}, {"OPENCLAW_GATEWAY_TOKEN": "t"}])
def test_a_trusted_proxy_beside_a_token_is_refused(refused, env: dict[str, str]):
    token = "" if env else ',token:"t"'
    (problem,) = refused(f'{{gateway:{{trustedProxies:["127.0.0.1"],auth:{PROXY}{token}}}}}}}', env)
    assert problem.startswith("gateway.auth.token: is set, while auth mode is")


@pytest.mark.parametrize("where", ['bind:"lan"', 'bind:"auto"', 'bind:"custom",customBindHost:"10.0.0.1"'])
def test_other_machines_need_a_credential(refused, where: str):
    (problem,) = refused(f'{{gateway:{{{where},auth:{{mode:"none"}}}}}}')
    assert problem.startswith('gateway.auth.mode: is "none", while bind is ')


@pytest.mark.parametrize("where", ['bind:"loopback"', 'bind:"custom",customBindHost:"127.0.0.5"'])
def test_without_a_credential_this_machine_may_call(loaded, where: str):
    assert loaded(f'{{gateway:{{{where},auth:{{mode:"none"}}}}}}').config.gateway.auth.mode == "none"


def test_a_custom_bind_needs_an_address(refused):
    assert refused('{gateway:{bind:"custom"}}') == (
        'gateway.customBindHost: is missing, while bind is "custom"; set the address to listen on',
    )
    assert refused('{gateway:{bind:"custom",customBindHost:"myhost"}}') == (
        "gateway.customBindHost: is not an IP address; write one such as 192.168.1.10",
    )


def test_a_tailnet_is_named_by_its_address(refused):
    assert refused('{gateway:{bind:"tailnet"}}') == (
        'gateway.bind: is "tailnet", which is not supported; use "custom" and set customBindHost to its address',
    )


def test_proxies_may_be_addresses_and_networks(loaded):
    loaded('{gateway:{trustedProxies:["10.0.0.1","10.0.0.5/8"," ::1 ","fd00::/8"]}}')


def test_a_mistyped_network_is_refused(refused):
    problems = refused('{gateway:{trustedProxies:["10.0.0.1","10.0.0.0/33","proxy.local"]}}')
    assert [problem.partition(":")[0] for problem in problems] == [
        "gateway.trustedProxies[1]",
        "gateway.trustedProxies[2]",
    ]


def test_the_client_mode_is_refused(refused):
    assert refused('{gateway:{mode:"remote"}}')[0].startswith('gateway.mode: is "remote"')


def test_roles_are_refused_rather_than_ignored(refused):
    assert refused("{gateway:{roles:{default:'guest'}}}")[0].startswith("gateway.roles: named roles are not enforced")


def test_tls_needs_a_certificate_and_a_key(refused):
    problems = refused("{gateway:{tls:{enabled:true}}}")
    assert [problem.partition(":")[0] for problem in problems] == ["gateway.tls.certPath", "gateway.tls.keyPath"]


def test_allowed_hosts_are_names_without_scheme_and_port(loaded, refused):
    loaded('{gateway:{http:{allowedHosts:["gw.example.com","*.example.com","192.0.2.1","[2001:db8::1]","localhost"]}}}')
    problems = refused('{gateway:{http:{allowedHosts:["https://gw.example.com","gw:443","*","a/b"]}}}')
    assert [problem.partition(":")[0] for problem in problems] == [
        f"gateway.http.allowedHosts[{index}]" for index in range(4)
    ]


def test_keys_without_effect_are_named(loaded):
    text = '{gateway:{reload:{debounceMs:5}},agents:{entries:{main:{models:{"p/m":{params:{a:1,fastMode:true}}}}}}}'
    assert loaded(text).inert == ("gateway.reload.debounceMs", 'agents.entries.main.models["p/m"].params.fastMode')


@pytest.mark.parametrize(
    ("server", "good"),
    [
        ("command:'x'", True),
        ("url:'http://h'", True),
        ("command:'x',url:'http://h'", False),
        ("", False),
        ("enabled:false", True),
    ],
)
def test_a_tool_server_is_started_or_called(loaded, refused, server: str, good: bool):
    text = f"{{mcp:{{servers:{{s:{{{server}}}}}}}}}"
    if good:
        assert loaded(text).config.mcp.servers
    else:
        assert refused(text) == ("mcp.servers.s: needs either a command to start or a url to call",)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("a b", "A-b"), "mcp.servers.A-b: has the same tool prefix 'a-b' as server 'a b'; rename one"),
        (("__",), "mcp.servers.__: has no letter or digit in its name, which its tools need as a prefix; rename it"),
    ],
)
def test_tool_servers_whose_tools_would_share_a_prefix_are_refused(refused, names, problem):
    servers = ",".join(f"'{name}':{{command:'c'}}" for name in names)
    assert refused(f"{{mcp:{{servers:{{{servers}}}}}}}") == (problem,)


SENTINEL = "redis+sentinel://:of-redis@h/service"


def test_sentinels_may_have_a_credential_of_their_own(loaded):
    redis = f'url:"{SENTINEL}",sentinelUsername:"app",sentinelPassword:"of-sentinel"'
    config = loaded(f'{{gateway:{{auth:{{token:"a-token"}},redis:{{{redis}}}}}}}').config
    address = redis_address(config.gateway.redis)
    assert (address.password, address.sentinel_username, address.sentinel_password) == (
        "of-redis",
        "app",
        "of-sentinel",
    )
    assert "of-" not in repr(address) + repr(config.gateway.redis)


@pytest.mark.parametrize(
    ("redis", "problem"),
    [
        (
            'url:"redis://h",sentinelPassword:"pw"',
            "gateway.redis.sentinelPassword: has no effect, because `url` names no",
        ),
        ('sentinelPassword:"pw"', "gateway.redis.sentinelPassword: has no effect"),
        (f'url:"{SENTINEL}",sentinelUsername:"app"', "gateway.redis.sentinelUsername: needs `sentinelPassword`"),
    ],
)
def test_a_credential_that_no_sentinel_would_get_is_refused(refused, redis: str, problem: str):
    (text,) = refused(f'{{gateway:{{auth:{{token:"a-token"}},redis:{{{redis}}}}}}}')
    assert text.startswith(problem)
