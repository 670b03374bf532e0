"""deploy/kubernetes agrees with the program, the image and itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.gateway import GatewayConfig
from gateway.metrics.catalog import IN_FLIGHT
from gateway.validation import validated
from scripts.check_kubernetes import problems_of

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
SECRETS = {
    "OPENCLAW_GATEWAY_TOKEN": "the-token-of-callers",
    "OPENCLAW_REDIS_URL": "redis://redis:6379/0",
    "OPENAI_API_KEY": "a-key",
}


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """The objects of the files by kind."""
    return {one["kind"]: one for file in FILES for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))}


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
    port = valid.loaded.config.gateway.metrics.port
    pod = objects["Deployment"]["spec"]["template"]
    assert {"name": "metrics", "containerPort": port} in pod["spec"]["containers"][0]["ports"]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port)


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
    assert container["ports"][0] == {"name": "http", "containerPort": GatewayConfig().port}
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


def test_gateways_are_added_by_a_metric_that_the_gateway_has(objects):
    scaler = objects["HorizontalPodAutoscaler"]["spec"]
    target, deployment = scaler["scaleTargetRef"], objects["Deployment"]
    assert (target["apiVersion"], target["kind"], target["name"]) == (
        deployment["apiVersion"],
        deployment["kind"],
        deployment["metadata"]["name"],
    )
    assert scaler["minReplicas"] > objects["PodDisruptionBudget"]["spec"]["minAvailable"]
    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] == IN_FLIGHT.name
    comment = next(file for file in FILES if file.name == "autoscaling.yaml").read_text(encoding="utf-8")
    lines = [line.removeprefix("# ") for line in comment.splitlines() if line.startswith("# ")]
    (rule,) = yaml.safe_load("\n".join(lines[lines.index("rules:") :]))["rules"]["custom"]
    assert rule["name"] == {"as": IN_FLIGHT.name}
    assert rule["seriesQuery"].startswith(f"{IN_FLIGHT.name}{{")
    assert "endpoint" in IN_FLIGHT.labels


def test_the_files_have_no_problems():
    assert [problem for file in FILES for problem in problems_of(file.read_text(encoding="utf-8"))] == []


WRONG = {
    "spec.replicas: 'two'": ("replicas: 2", "replicas: two"),
    "'replica' was unexpected": ("replicas: 2", "replica: 2"),
    "'selector' is a required property": (
        "selector: { matchLabels: { app: openclaw-gateway } }\n  strategy",
        "strategy",
    ),
    "Kubernetes has no Deployment in apps/v2": ("apps/v1", "apps/v2"),
    "a key stands twice": ("replicas: 2", "replicas: 2\n  replicas: 2"),
    "metadata.name: is missing": ("metadata: { name: openclaw-gateway, ", "metadata: { "),
}


@pytest.mark.parametrize("problem", WRONG)
def test_a_wrong_manifest_is_refused(problem):
    text = (ROOT / "deploy" / "kubernetes" / "gateway.yaml").read_text(encoding="utf-8")
    right, wrong = WRONG[problem]
    assert right in text
    assert any(problem in one for one in problems_of(text.replace(right, wrong)))
