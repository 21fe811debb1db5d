"""S3 on this machine, by moto's server, and the variables that name it."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto.server import ThreadedMotoServer


@contextmanager
def object_storage() -> Iterator[str]:
    """The address of a new bucket, which all processes of the test can write to."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    bucket = f"tables-{uuid.uuid4().hex}"
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
        }.items():
            environment.setenv(name, value)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
        try:
            yield f"s3://{bucket}"
        finally:
            server.stop()
