"""Addresses for people never carry credentials, and nothing else of a text changes."""

import pytest

from vidagg_dagster.core.text import has_credentials, without_credentials


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:pass@host/x", "https://(not shown)@host/x"),
        ("see s3://KEY:SECRET@bucket/a now", "see s3://(not shown)@bucket/a now"),
        ("abfss://box:pass@host/x", "abfss://(not shown)@host/x"),
        (
            "sc://host:15002/;use_ssl=true;token=abc",
            "sc://host:15002/;use_ssl=true;token=(not shown)",
        ),
        ("https://h/c?sv=1&sig=a%2Fb&se=2", "https://h/c?sv=1&sig=(not shown)&se=2"),
        ("https://h/c?X-Amz-Signature=ab", "https://h/c?X-Amz-Signature=(not shown)"),
    ],
)
def test_credentials_of_an_address_are_replaced(address: str, shown: str) -> None:
    assert without_credentials(address) == shown
    assert has_credentials(address)


@pytest.mark.parametrize(
    "address",
    [
        "abfss://container@account.dfs.core.windows.net/x",
        "/data/a@b/events",
        "https://host/a@b?day=1",
        "main.raw.player_events",
        "sc://host:15002",
    ],
)
def test_what_is_no_credential_stays(address: str) -> None:
    assert without_credentials(address) == address
    assert not has_credentials(address)
