"""The shapes that settings must have, as types, and the words for each when a value has another one."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import unquote

from msgspec import Meta

_URL: Final = r"^(https?://[^\s/@?#\\]+(/[^\s@?#\\]*)?)?\Z"
_VARIABLE: Final = r"^([A-Za-z_][A-Za-z0-9_]*)?\Z"
_METRIC_PREFIX: Final = r"^([a-zA-Z_:][a-zA-Z0-9_:]*)?\Z"
_LABEL: Final = r"^[a-zA-Z_][a-zA-Z0-9_]*\Z"
_PART: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE: Final = rf"^{_PART}\Z"
_OBJECT: Final = rf"^(?=.{{1,253}}\Z){_PART}(\.{_PART})*\Z"
_OBJECT_OR_NONE: Final = rf"^((?=.{{1,253}}\Z){_PART}(\.{_PART})*)?\Z"
_FIELD: Final = r"^[^\s\"'\\*]+\Z"
_HOST_PART: Final = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)"
_HOST: Final = r"^([A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)?\Z"
_ADDRESS: Final = rf"^({_HOST_PART}:[0-9]{{1,5}})?\Z"
_PATH: Final = r"^/[^\s\"'\\`$]*\Z"

_FILE: Final = r"^((/(?!\.\.?(/|\Z))[A-Za-z0-9_.@+-]+)+)?\Z"

Url = Annotated[str, Meta(pattern=_URL)]
Variable = Annotated[str, Meta(pattern=_VARIABLE)]
MetricPrefix = Annotated[str, Meta(pattern=_METRIC_PREFIX)]
LabelName = Annotated[str, Meta(pattern=_LABEL)]
Namespace = Annotated[str, Meta(pattern=_NAMESPACE)]
ObjectName = Annotated[str, Meta(pattern=_OBJECT)]
ObjectNameOrNone = Annotated[str, Meta(pattern=_OBJECT_OR_NONE)]
FieldName = Annotated[str, Meta(pattern=_FIELD)]
Host = Annotated[str, Meta(pattern=_HOST)]
Address = Annotated[str, Meta(pattern=_ADDRESS)]
UrlPath = Annotated[str, Meta(pattern=_PATH)]
FilePath = Annotated[str, Meta(pattern=_FILE)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(gt=0)]
Port = Annotated[int, Meta(gt=0, le=65535)]

WORDS: Final = {
    _URL: (
        "an address beginning with http:// or https://, "
        "without user and password (put those in `auth`) and without a query"
    ),
    _VARIABLE: "the name of an environment variable, never the secret itself",
    _METRIC_PREFIX: "the beginning of a metric name: letters, digits, _ and :",
    _LABEL: "a label name: letters, digits and _",
    _NAMESPACE: "the name of a Kubernetes namespace: small letters, digits and -, at most 63",
    _OBJECT: "the name of a Kubernetes object: small letters, digits, - and .",
    _OBJECT_OR_NONE: "the name of a Kubernetes object: small letters, digits, - and .",
    _FIELD: "the name of a field or index, without spaces and quotes",
    _HOST: "a host name or an address alone; the port has a key of its own",
    _ADDRESS: "a host and a port, like mysql-primary:3306",
    _PATH: "a path beginning with /",
    _FILE: "the absolute path of a file, of letters, digits and ._@+-, without ..",
}
KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "null": "nothing",
}
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f\\]")


def is_namespace(name: str) -> bool:
    """Whether Kubernetes would take this as the name of a namespace."""
    return bool(re.match(_NAMESPACE, name))


def is_object(name: str) -> bool:
    """Whether Kubernetes would take this as the name of a deployment."""
    return bool(re.match(_OBJECT, name))


def is_file_path(path: str) -> bool:
    """Whether this is the absolute path of a file that needs no quoting in any command."""
    return bool(path and re.match(_FILE, path))


def leaves(path: str) -> str:
    """How a path leaves the URL that it is put after, "" if it does not.

    %-escapes count as what they stand for, twice over.
    """
    if _UNSAFE.search(path) or "#" in path:
        return "holds a space, a control character, a backslash or #"
    for form in (path, unquote(path), unquote(unquote(path))):
        folders = form.partition("?")[0]
        if not folders.startswith("/") or "//" in folders:
            return "does not begin with a single /, or holds //"
        if ".." in folders.split("/") or _UNSAFE.search(folders.replace(" ", "")):
            return "holds .., a control character or a backslash"
    return ""
