"""deploy/kubernetes agrees with the program, the image and itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.gateway import GatewayConfig
from gateway.validation import validated

ROOT = Path(__file__).parents[1]
SECRETS = {
    "OPENCLAW_GATEWAY_TOKEN": "the-token-of-callers",
    "OPENCLAW_REDIS_URL": "redis://redis:6379/0",
    "OPENAI_API_KEY": "a-key",
}


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """The objects of the file by kind."""
    text = (ROOT / "deploy" / "kubernetes" / "gateway.yaml").read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def pod(objects) -> dict[str, Any]:
    return objects["Deployment"]["spec"]["template"]


def test_the_configuration_starts_with_the_secrets_of_the_page(objects, tmp_path):
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert set(SECRETS) == set(re.findall(r"--from-literal=([A-Z_]+)=", page))
    file = tmp_path / "openclaw.json5"
    file.write_text(objects["ConfigMap"]["data"]["openclaw.json5"], encoding="utf-8")
    valid = validated(file, {"OPENCLAW_STATE_DIR": str(tmp_path), **SECRETS})
    assert (valid.loaded.ignored, valid.loaded.inert, valid.warnings) == ((), (), ())


def test_the_pod_ends_after_the_drain_and_the_probes_are_routes(pod):
    drain = GatewayConfig().drain
    assert pod["spec"]["terminationGracePeriodSeconds"] * 1000 > drain.notice_ms + drain.timeout_ms
    (container,) = pod["spec"]["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/startupz", "readiness": "/readyz", "liveness": "/healthz"}
    routes = (ROOT / "gateway" / "routes.py").read_text(encoding="utf-8")
    assert all(f'"{path}"' in routes for path in probes.values())


def test_the_pod_runs_as_the_images_user_on_the_gateways_port_with_few_rights(pod):
    (container,) = pod["spec"]["containers"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    user = pod["spec"]["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in dockerfile
    assert container["ports"] == [{"name": "http", "containerPort": GatewayConfig().port}]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "/var/lib/openclaw-gateway" in mounts
    assert container["env"][0]["value"].rpartition("/")[0] in mounts


def test_every_selector_selects_the_pods(objects, pod):
    labels = pod["metadata"]["labels"]
    selectors = (
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    )
    assert all(selector == labels for selector in selectors)
    assert objects["PodDisruptionBudget"]["spec"]["minAvailable"] < objects["Deployment"]["spec"]["replicas"]
