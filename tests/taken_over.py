"""Task definitions of services that exist, and what a stack file says of them."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).with_name("task_definitions")
WINDOWS = "windows"
REGISTERED = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
"""The task definitions by their names."""
REACHED = {
    "x-ray-daemon": ("orders", 8080),
    "datadog-agent": ("checkout", 3000),
    "efs-with-access-point": ("uploads", 80),
    "firelens": ("search", 9000),
    "envoy-in-a-mesh": ("colors", 9080),
    "several-ports-on-instances": ("wildfly", 8080),
    "bridge-with-dynamic-ports": ("web", 80),
    "host-network": ("discovery", 8500),
    "one-port-for-two-protocols": ("emitter", 5000),
    "gpu": ("model", 8501),
    "docker-volumes": ("reports", 8000),
    "secrets-and-private-registry": ("billing", 8443),
    "proxy-in-front": ("nginx", 80),
    WINDOWS: ("intranet", 80),
}
"""The container and the port that users reach; a worker has none."""
DELIVERED = {"proxy-in-front": "django", "linux-parameters": "worker"}
"""The container whose image is delivered, where it is another one."""


def container_of(name: str) -> str:
    """The container whose image is delivered."""
    return DELIVERED.get(name) or REACHED[name][0]


def variables_of(name: str) -> dict[str, str]:
    """What the stack file would say of the container."""
    platform = REGISTERED[name].get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
    return {
        "CONTAINER_NAME": container_of(name),
        "CONTAINER_PORT": str(REACHED.get(name, ("", 8080))[1]),
        "IMAGE_PLATFORM": "linux/arm64" if platform == "ARM64" else "linux/amd64",
    }
