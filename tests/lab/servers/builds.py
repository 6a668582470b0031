"""How each thing in the cache is built: Elasticsearch with Maven, Kubernetes, Prometheus 3 and `backfill` with Go."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.servers.cache import (
    BACKFILL_SOURCES,
    ELASTICSEARCH_SOURCES,
    HERE,
    KUBERNETES_SOURCES,
    PROMETHEUS3_VERSION,
    LabError,
    building,
    cache_directory,
    digest,
)

GO_NEEDED = (1, 26)
GO_MODULE = HERE / "kubernetes"
BACKFILL_MODULE = HERE / "backfill"
PROMETHEUS3 = f"github.com/prometheus/prometheus/cmd/prometheus@{PROMETHEUS3_VERSION}"
POM = HERE / "elasticsearch" / "pom.xml"
JAVA_SOURCES = HERE / "elasticsearch" / "java"
KWOK_CONFIG = "kwok.yaml"
KWOK_CRD = "logs-crd.yaml"
# Of kwok's own files: nodes that become ready and stay so, pods that start and end at once, and what `top` shows.
KWOK_PARTS = (
    "stage/node/fast/node-initialize.yaml",
    "stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "stage/pod/fast/pod-ready.yaml",
    "stage/pod/fast/pod-complete.yaml",
    "stage/pod/fast/pod-delete.yaml",
    "metrics/usage/usage-from-annotation.yaml",
    "metrics/resource/metrics-resource.yaml",
)


class BuildFailed(LabError):
    """A build, or a tool it needs, is not what it should be."""


def kubernetes_destination() -> Path:
    """Where the Kubernetes binary for these sources and this Go belongs."""
    return cache_directory() / f"kubernetes-{digest(KUBERNETES_SOURCES)}-{go_version()}"


def prometheus3_destination() -> Path:
    """Where Prometheus 3 built by this Go belongs."""
    return cache_directory() / f"prometheus-{PROMETHEUS3_VERSION}-{go_version()}"


def backfill_destination() -> Path:
    """Where `backfill` of these sources, built by this Go, belongs."""
    return cache_directory() / f"backfill-{digest(BACKFILL_SOURCES)}-{go_version()}"


def elasticsearch_destination() -> Path:
    """Where Elasticsearch's jars and our launcher belong."""
    return cache_directory() / f"elasticsearch-{digest(ELASTICSEARCH_SOURCES)}"


def build_kubernetes(destination: Path) -> None:
    """One binary of many programs, and kwok's configuration out of the very module it was built from."""
    kubernetes = _required_version("k8s.io/kubernetes")
    variables = ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion")
    linker = " ".join(["-s", "-w", *(f"-X {variable}={kubernetes}" for variable in variables)])
    with building(destination) as folder:
        _go(["build", "-mod=readonly", "-trimpath", f"-ldflags={linker}", "-o", str(folder / "k8slab"), "."])
        kwok = Path(_output(["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"])) / "kustomize"
        parts = [(kwok / part).read_text() for part in KWOK_PARTS]
        (folder / KWOK_CONFIG).write_text("\n---\n".join(parts))
        shutil.copyfile(kwok / "crd" / "bases" / "kwok.x-k8s.io_logs.yaml", folder / KWOK_CRD)


def build_prometheus3(destination: Path) -> None:
    """The server alone, without its web pages, which are built by other means."""
    with building(destination) as folder:
        _go(["install", PROMETHEUS3], {"GOBIN": str(folder)})


def build_backfill(destination: Path) -> None:
    """The writer of blocks; it is made of packages of Prometheus 3, which are compiled once for both."""
    with building(destination) as folder:
        _go(["build", "-C", str(BACKFILL_MODULE), "-mod=readonly", "-o", str(folder / "backfill"), "."])


def build_elasticsearch(destination: Path) -> None:
    """Elasticsearch's jars, and our launcher as one more."""
    with building(destination) as folder:
        library, compiler, classes = folder / "lib", folder / "compiler", folder / "classes"
        _maven("-DincludeScope=runtime", f"-DoutputDirectory={library}")
        _maven("-DincludeArtifactIds=ecj", f"-DoutputDirectory={compiler}")
        class_path = ":".join(str(jar) for jar in library.glob("*.jar"))
        (ecj,) = compiler.glob("ecj-*.jar")
        _run(["java", "-jar", str(ecj), "-17", "-cp", class_path, "-d", str(classes), str(JAVA_SOURCES)])
        with zipfile.ZipFile(
            library / "lab-node.jar", "w"
        ) as jar:  # a jar, for an AOT cache refuses folders of classes
            for file in sorted(classes.rglob("*.class")):
                jar.write(file, file.relative_to(classes))
        shutil.rmtree(compiler)
        shutil.rmtree(classes)


def go_version() -> str:
    """The Go that would build, as `go1.26.4`."""
    needed = f"Go >= {GO_NEEDED[0]}.{GO_NEEDED[1]} is needed to build Kubernetes and Prometheus 3"
    if shutil.which("go") is None:
        raise BuildFailed(
            f"{needed}, and there is no `go` on the PATH: install it from your package manager or Go's site."
        )
    asked = subprocess.run(["go", "env", "GOVERSION"], cwd=GO_MODULE, capture_output=True, text=True, check=False)
    found = re.fullmatch(r"go(\d+)\.(\d+)\S*", asked.stdout.strip())
    if found is None or (int(found[1]), int(found[2])) < GO_NEEDED:
        raise BuildFailed(f"{needed}; the `go` on the PATH says: {(asked.stdout + asked.stderr).strip()}")
    return found[0]


def _required_version(module: str) -> str:
    found = re.search(rf"^\s+{re.escape(module)} (v\S+)", (GO_MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildFailed(f"{GO_MODULE / 'go.mod'} does not require {module}.")
    return found[1]


def _go(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    _run(["go", *arguments], {"CGO_ENABLED": "0", **(environment or {})})


def _maven(*arguments: str) -> None:
    _run(["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", *arguments])


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=GO_MODULE, env={**os.environ, **(environment or {})}, check=False)
    except FileNotFoundError:
        raise BuildFailed(
            f"There is no `{command[0]}` on the PATH; on Debian, `make lab-setup` as root installs it."
        ) from None
    if done.returncode != 0:
        raise BuildFailed(f"`{' '.join(command)}` failed ({done.returncode}); what it said stands above.")


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, cwd=GO_MODULE, capture_output=True, text=True, check=True).stdout.strip()
