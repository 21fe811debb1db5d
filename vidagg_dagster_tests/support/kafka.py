"""A broker of Kafka on this machine, from Maven Central: one process, KRaft, nothing installed."""

import base64
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyspark
import pytest

from vidagg_dagster_tests.support.dagster_ui import free_port

BROKER = ("org.apache.kafka", "kafka_2.13", "3.9.1")
SOURCE = ("org.apache.spark", "spark-sql-kafka-0-10_2.13", pyspark.__version__)
OF_SPARK = ("spark-sql-kafka", "spark-token-provider-kafka", "kafka-clients", "commons-pool2")
"""The jars of the source that Spark does not bring itself."""

_PROJECT = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>test</artifactId><version>1</version><dependencies><dependency>
<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency></dependencies>
</project>
"""

_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={protocol}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name={protocol}
controller.listener.names=CONTROLLER
listener.security.protocol.map={protocol}:{protocol},CONTROLLER:PLAINTEXT
log.dirs={logs}
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""

_PLAINTEXT: Final = "PLAINTEXT"
_SASL_SSL: Final = "SASL_SSL"
_PASSWORD: Final = "of-a-test"
_MODULE: Final = "org.apache.kafka.common.security.plain.PlainLoginModule required"

_SECURED: Final = """sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={password}
ssl.truststore.type=PEM
ssl.truststore.location={certificate}
listener.name.sasl_ssl.plain.sasl.jaas.config={module} \\
  username="{user}" password="{secret}" user_{user}="{secret}";
"""
_OF_CLIENT: Final = """security.protocol=SASL_SSL
sasl.mechanism=PLAIN
ssl.truststore.type=PEM
ssl.truststore.location={certificate}
sasl.jaas.config={module} username="{user}" password="{secret}";
"""


def jars_with_all_they_need(artifact: tuple[str, str, str], folder: Path) -> list[Path]:
    """An artifact and everything that it depends on. Skips where Maven cannot get them."""
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("Kafka: no Maven here to get it with")
    folder.mkdir(parents=True)
    (folder / "pom.xml").write_text(_PROJECT.format(*artifact))
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"]
    try:
        got = subprocess.run(
            [maven, "--batch-mode", "--quiet", *goal],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("Kafka: Maven gets no answer")
    if got.returncode:
        pytest.skip(f"Kafka: Maven cannot get {artifact[1]}")
    return sorted((folder / "jars").glob("*.jar"))


@dataclass(frozen=True)
class Broker:
    """A broker that runs."""

    servers: str
    jars: Path
    certificate: Path | None = None
    """Whom a client has to trust, where the broker asks for a login."""
    client: Path | None = None
    """A file of what a client of Kafka's own needs then."""

    def send(self, topic: str, lines: Sequence[str]) -> None:
        """Send each line as a message; they are there when this returns."""
        options = ["--bootstrap-server", self.servers, "--topic", topic, "--sync"]
        if self.client is not None:
            options += ["--producer.config", str(self.client)]
        subprocess.run(
            [*_java(self.jars), "kafka.tools.ConsoleProducer", *options],
            input="".join(f"{line}\n" for line in lines),
            text=True,
            capture_output=True,
            check=True,
            timeout=120,
        )


@dataclass(frozen=True)
class Login:
    """What a broker asks for: by SASL's PLAIN over TLS, as Event Hubs does."""

    user: str
    secret: str


@contextmanager
def running(folder: Path, login: Login | None = None) -> Iterator[Broker]:
    """A broker, as long as the block runs; with a login, nobody gets in without it."""
    jars_with_all_they_need(BROKER, folder / "broker")
    jars = folder / "broker" / "jars"
    port, controller = free_port(), free_port()
    settings = folder / "server.properties"
    protocol = _PLAINTEXT if login is None else _SASL_SSL
    own = _SETTINGS.format(
        protocol=protocol, port=port, controller=controller, logs=folder / "logs"
    )
    broker = Broker(f"127.0.0.1:{port}", jars)
    if login is not None:
        broker, secured = _with_login(broker, login, folder)
        own += secured
    settings.write_text(own)
    # By `=`, because an id may begin with a hyphen.
    format_ = [f"--cluster-id={_cluster_id()}", f"--config={settings}"]
    subprocess.run(
        [*_java(jars), "kafka.tools.StorageTool", "format", *format_],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with (folder / "broker.log").open("w") as log:
        process = subprocess.Popen(
            [*_java(jars), "kafka.Kafka", str(settings)], stdout=log, stderr=log
        )
    try:
        _wait_until_started(process, port, folder / "broker.log")
        yield broker
    finally:
        process.kill()
        process.wait()


def _with_login(broker: Broker, login: Login, folder: Path) -> tuple[Broker, str]:
    """The broker as clients reach it, and its further settings."""
    keystore, certificate = folder / "broker.p12", folder / "broker.pem"
    store = ["-keystore", str(keystore), "-storepass", _PASSWORD, "-alias", "broker"]
    key = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"]
    for asked in ([*key, *store], ["-exportcert", "-rfc", "-file", str(certificate), *store]):
        subprocess.run(["keytool", *asked], check=True, capture_output=True, timeout=60)
    said = {"module": _MODULE, "user": login.user, "secret": login.secret}
    client = folder / "client.properties"
    client.write_text(_OF_CLIENT.format(certificate=certificate, **said))
    secured = _SECURED.format(
        keystore=keystore, password=_PASSWORD, certificate=certificate, **said
    )
    return replace(broker, certificate=certificate, client=client), secured


def _java(jars: Path) -> list[str]:
    return ["java", "-Xmx512m", "-cp", f"{jars}/*"]


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _wait_until_started(broker: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert broker.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)
