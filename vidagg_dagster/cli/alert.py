"""The `vidagg alert` commands."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidagg_dagster.alerts.message import Alert

FAILED = 1
BAD_INPUT = 2


def add_commands(commands: Any) -> None:
    """Add `alert test` to the subcommands of `vidagg`."""
    group = commands.add_parser(
        "alert",
        help="try the channels of alerts",
        description="Alerts go to the log and to the channels that VIDAGG_ALERT_* name.",
        allow_abbrev=False,
    )
    actions = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    test = actions.add_parser(
        "test",
        help="send a test message",
        description="Send a test message to every configured channel, once, and say what came of "
        "it. Settings come from where Dagster takes them.",
        allow_abbrev=False,
    )
    test.add_argument(
        "--channel",
        choices=("log", "slack", "teams", "email", "webhook"),
        help="this one only",
    )
    test.set_defaults(run=_test)


def _test(options: argparse.Namespace) -> int:
    from vidagg_dagster.alerts.channels import channels
    from vidagg_dagster.core.errors import DeliveryError, SettingsError
    from vidagg_dagster.settings.model import load_settings

    try:
        settings = load_settings()
        places = channels(settings)
    except SettingsError as error:
        return _refuse(str(error))
    wanted = [c for c in places if options.channel in (None, c.name)]
    if not wanted:
        have = ", ".join(channel.name for channel in places)
        return _refuse(
            f"{options.channel} is not configured (there are: {have}); docs/settings.md names its "
            "settings"
        )
    failed = 0
    for channel in wanted:
        try:
            channel.send(_message(settings.ui_url))
        except DeliveryError as error:
            failed += 1
            print(f"{channel.name}: not delivered, {error}")
        else:
            print(f"{channel.name}: delivered")
    if len(places) == 1:
        print("No other channel is configured. Alerts go to the log alone.")
    return FAILED if failed else 0


def _message(ui_url: str) -> "Alert":
    from vidagg_dagster.alerts.message import Alert, Cause
    from vidagg_dagster.core.contract import Severity

    return Alert(
        cause=Cause.TEST,
        severity=Severity.WARN,
        title="Test message: alerts of vidagg arrive here",
        what_to_do="Nothing has happened, and there is nothing to do.",
        link=ui_url,
    )


def _refuse(reason: str) -> int:
    print(f"vidagg alert test: {reason}", file=sys.stderr)
    return BAD_INPUT
