"""The questions that can be asked of Kubernetes, each with the command that a person would paste instead."""

from __future__ import annotations

from runbook.config.types import is_file_path, is_namespace, is_object
from runbook.errors import UsageError
from runbook.model import Query


def deployment(namespace: str, name: str) -> Query:
    """A deployment and its revisions; see `revisions` and `deployment_of`."""
    return _about(
        namespace,
        name,
        "deployment",
        "kubectl -n {0} get deployment/{1} -o wide && kubectl -n {0} rollout history deployment/{1}",
    )


def pods(namespace: str, deployment: str) -> Query:
    """The pods of a deployment, with the revision each belongs to; see `pods_of`. Empty if there is none."""
    return _about(namespace, deployment, "pods", "kubectl -n {0} get pods -o wide | grep '^{1}-'")


def events(namespace: str, deployment: str) -> Query:
    """The events of a deployment, its ReplicaSets and their pods, gone ones too; see `events_of`."""
    return _about(namespace, deployment, "events", "kubectl -n {0} get events --sort-by=.lastTimestamp | grep '/{1}'")


def usage(namespace: str, deployment: str) -> Query:
    """CPU and memory that a deployment's pods use now; see `usage_of`. Empty until metrics-server measured once."""
    return _about(namespace, deployment, "usage", "kubectl -n {0} top pods | grep '^{1}-'")


def previous_logs(namespace: str, deployment: str) -> Query:
    """What containers that ended said last; see `previous_logs_of`. Empty if none ever started again."""
    return _about(
        namespace, deployment, "previous_logs", "kubectl -n {0} logs deployment/{1} --all-pods --previous --tail=40"
    )


def nodes(namespace: str, deployment: str) -> Query:
    """The nodes that the pods of a deployment are or were placed on; see `nodes_of`. Empty if there is none."""
    return _about(
        namespace, deployment, "nodes", "kubectl -n {0} get pods -o wide | grep '^{1}-' && kubectl describe nodes"
    )


def policies(namespace: str, deployment: str) -> Query:
    """The network policies of a namespace; see `policies_of` and `labels_of`. Empty if there is none."""
    return _about(
        namespace,
        deployment,
        "policies",
        "kubectl -n {0} get deployment/{1} --show-labels && kubectl -n {0} describe networkpolicies",
    )


def secrets(namespace: str, deployment: str) -> Query:
    """Which Secrets and ConfigMaps a deployment refers to and which there are, by name; see `secrets_of`."""
    return _about(
        namespace,
        deployment,
        "secrets",
        "kubectl -n {0} get secrets,configmaps && kubectl -n {0} describe deployment/{1}",
    )


def public_key(namespace: str, deployment: str, path: str, container: str = "") -> Query:
    """The first lines of a public key file in a running pod; see `public_key_of`. Only where `exec` is allowed.

    `container`: the pod's first one, if not named. Empty if no pod runs.
    """
    if not is_file_path(path):
        raise UsageError(
            f"{path[:80]!r} is not the absolute path of a file; "
            "correct `jwt_public_key_path` of the service in runbook.toml."
        )
    command = f"kubectl -n {{0}} exec deployment/{{1}}{_in(container)} -- head -n 3 {path}"
    return _about(namespace, deployment, "public_key", command, path=path, container=container)


def clock(namespace: str, deployment: str, container: str = "") -> Query:
    """How far the clocks of a deployment's pods are from ours; see `clocks_of`. Only where `exec` is allowed.

    `container`: a pod's first one, if not named. Empty if no pod runs.
    """
    command = f"kubectl -n {{0}} exec deployment/{{1}}{_in(container)} -- date -u +%s.%N && date -u +%s.%N"
    return _about(namespace, deployment, "clock", command, container=container)


def access(namespace: str, deployment: str) -> Query:
    """Which of the things that the other questions need may be read, by trying."""
    return _about(namespace, deployment, "access", "kubectl -n {0} auth can-i --list")


def version() -> Query:
    """What the API server says it is; see `version_of`."""
    return Query("kubernetes", "version", "kubectl version")


def _in(container: str) -> str:
    if container and not is_object(container):
        raise UsageError(
            f"{container[:80]!r} is not the name of a container; correct `container` of the service in runbook.toml."
        )
    return f" -c {container}" if container else ""


def _about(namespace: str, name: str, kind: str, command: str, **more: str) -> Query:
    if not is_namespace(namespace):
        raise UsageError(
            f"{namespace[:80]!r} is not the name of a namespace; correct `namespace` of the service in runbook.toml."
        )
    if not is_object(name):
        raise UsageError(
            f"{name[:80]!r} is not the name of a deployment; correct `deployment` of the service in runbook.toml."
        )
    params = {"namespace": namespace, "deployment": name, **more}
    return Query("kubernetes", kind, command.format(namespace, name), params)
