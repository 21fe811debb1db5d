"""`vidagg alert test`."""

import subprocess
import sys
from pathlib import Path

from vidagg_dagster_tests.support.receivers import http_receiver


def command(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "alert", "test", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_tries_every_channel_and_says_what_came_of_it(tmp_path: Path) -> None:
    with http_receiver() as http, http_receiver(404) as gone:
        code, out, err = command(
            tmp_path,
            VIDAGG_ALERT_WEBHOOK=http.address,
            VIDAGG_ALERT_SLACK_WEBHOOK=gone.address,
        )
        assert code == 1
        assert out == "log: delivered\nslack: not delivered, HTTP 404\nwebhook: delivered\n"
        assert "secret-token" not in out + err
        assert "Test message" in err, "the log"
        [body] = http.taken
        assert body["cause"] == "test"
        one = command(tmp_path, "--channel", "webhook", VIDAGG_ALERT_WEBHOOK=http.address)
        assert one[:2] == (0, "webhook: delivered\n")


def test_the_command_names_what_is_not_configured(tmp_path: Path) -> None:
    code, _, err = command(tmp_path, "--channel", "teams")
    assert code == 2
    assert err.startswith("vidagg alert test: teams is not configured (there are: log)")
    code, out, _ = command(tmp_path)
    assert (code, out.splitlines()[-1][:35]) == (0, "No other channel is configured. Ale")
