"""Object storage on this machine, and the variables that name it: S3, Azure's and Google's.

S3 is moto's server, and Azure's storage is Azurite, Microsoft's own emulator. No emulator of
Google's that can be installed here speaks the XML interface, which `deltalake` uses. It is that of
S3 but for the names of two headers, so moto's server answers it, too.
"""

import base64
import hashlib
import hmac
import json
import logging
import re
import subprocess
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from vidagg_dagster_tests.support.npm import npm_package

Wsgi: TypeAlias = Callable[..., Any]

AZURITE: Final = "3.37.0"
_ACCOUNT: Final = "devstoreaccount1"
_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The account that every Azurite has; its documentation names both."""

_GOOGLE_NAMES: Final = {
    "HTTP_X_GOOG_COPY_SOURCE": "HTTP_X_AMZ_COPY_SOURCE",
    "HTTP_X_GOOG_IF_GENERATION_MATCH": "HTTP_IF_NONE_MATCH",
}
_NOT_THERE_YET: Final = {"0": "*"}
"""A put of an object that must not exist: how Google says it, and how S3 does."""
_SOMEBODY: Final = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"
"""Without a name moto lets only public objects be read. It verifies no signature."""


@contextmanager
def s3() -> Iterator[str]:
    """The address of a new bucket, which all processes of the test can write to."""
    bucket = f"tables-{uuid.uuid4().hex}"
    with _moto() as url:
        variables = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
        }
        with _set(variables):
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
            yield f"s3://{bucket}"


@contextmanager
def azure() -> Iterator[str]:
    """The address of a new container of Azurite, which all processes of the test can write to."""
    node = which("node")
    if node is None:
        pytest.skip("Azurite: there is no node here")
    program = npm_package("azurite", AZURITE) / "dist" / "src" / "blob" / "main.js"
    options = ("--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--silent")
    server = subprocess.Popen(
        [node, str(program), *options, "--disableTelemetry", "--skipApiVersionCheck"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = _listening(server)
        container = f"tables-{uuid.uuid4().hex}"
        _make_container(url, container)
        variables = {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": url,
            "AZURE_ALLOW_HTTP": "true",
        }
        with _set(variables):
            yield f"abfss://{container}@{_ACCOUNT}.dfs.core.windows.net"
    finally:
        server.terminate()
        server.wait(timeout=60)


def _listening(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"listens on (http://\S+)", line)
        if found:
            return found[1]
    raise RuntimeError(f"Azurite ended with code {server.wait()}")


def _make_container(url: str, name: str) -> None:
    """By a request that the account's key signs."""
    headers = {
        "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "x-ms-version": "2021-08-06",
    }
    said = "".join(f"{key}:{value}\n" for key, value in headers.items())
    signed = "PUT" + "\n" * 12 + f"{said}/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
    digest = hmac.digest(base64.b64decode(_KEY), signed.encode(), hashlib.sha256)
    signature = base64.b64encode(digest).decode()
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{signature}"
    address = f"{url}/{_ACCOUNT}/{name}?restype=container"
    with urllib.request.urlopen(urllib.request.Request(address, method="PUT", headers=headers)):
        pass


@contextmanager
def google(folder: Path) -> Iterator[str]:
    """The address of a new bucket; `folder` is for the file of the account."""
    bucket = f"tables-{uuid.uuid4().hex}"
    account = folder / "account.json"
    with _moto(_named_by_google) as url:
        said = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": ""}
        account.write_text(json.dumps({**said, "private_key_id": ""}), encoding="utf-8")
        with _set({"GOOGLE_SERVICE_ACCOUNT": str(account), "GOOGLE_ALLOW_HTTP": "true"}):
            made = urllib.request.Request(f"{url}/{bucket}", method="PUT")
            with urllib.request.urlopen(made):
                pass
            yield f"gs://{bucket}"


@contextmanager
def _moto(translated: Callable[[Wsgi], Wsgi] = lambda application: application) -> Iterator[str]:
    """The address of a server of moto."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    dispatcher: Any = DomainDispatcherApplication
    application = _one_put_at_a_time(translated(dispatcher(create_backend_app)))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(timeout=60)
        server.server_close()


def _one_put_at_a_time(application: Wsgi) -> Wsgi:
    """moto looks whether an object is there, then writes it: two puts that both require that it is
    not there succeeded both, one time in some hundreds. In S3 such a put is one step.
    """
    putting = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["REQUEST_METHOD"] != "PUT":
            return application(environ, start_response)
        with putting:
            return application(environ, start_response)

    return answer


def _named_by_google(application: Wsgi) -> Wsgi:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["HTTP_AUTHORIZATION"] = _SOMEBODY
        # A slash is escaped, too, and moto takes addresses as they were sent.
        said = f"{quote(environ['PATH_INFO'])}?{environ.get('QUERY_STRING', '')}"
        environ["RAW_URI"] = environ["REQUEST_URI"] = said.rstrip("?")
        for name, ours in _GOOGLE_NAMES.items():
            if name in environ:
                value = environ.pop(name)
                environ[ours] = _NOT_THERE_YET.get(value, value)
        return application(environ, start_response)

    return answer


def object_storage(scheme: str, folder: Path) -> AbstractContextManager[str]:
    """The address of a new bucket, or container, of the storage that `scheme` stands for."""
    storages: Mapping[str, Callable[[], AbstractContextManager[str]]] = {
        "s3": s3,
        "abfss": azure,
        "gs": lambda: google(folder),
    }
    return storages[scheme]()


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        yield
