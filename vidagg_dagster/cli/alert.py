"""The command `vidagg alert test`."""

import argparse
from typing import TYPE_CHECKING, Any

from vidagg_dagster.cli.arguments import add_command
from vidagg_dagster.cli.exit_codes import FAILED
from vidagg_dagster.core.errors import BadInputError

if TYPE_CHECKING:
    from vidagg_dagster.alerts.message import Alert


def add_alert(commands: Any) -> None:
    """Add `alert test` to the subcommands of `vidagg`."""
    group = commands.add_parser(
        "alert",
        help="try the channels of alerts",
        description="Alerts go to the log and to the channels that VIDAGG_ALERT_* name.",
        allow_abbrev=False,
    )
    actions = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    test = add_command(
        actions,
        "test",
        help="send a test message",
        description="Send a test message to every configured channel, once, and say what came of "
        "it. Settings come from where Dagster takes them.",
        examples=("vidagg alert test", "vidagg alert test --channel slack"),
    )
    test.add_argument(
        "--channel",
        choices=("log", "slack", "teams", "email", "webhook"),
        help="this one only",
    )
    test.set_defaults(run=_test)


def _test(options: argparse.Namespace) -> int:
    from vidagg_dagster.alerts.channels import channels
    from vidagg_dagster.core.errors import DeliveryError
    from vidagg_dagster.settings import load_settings

    settings = load_settings()
    configured = channels(settings)
    wanted = [c for c in configured if options.channel in (None, c.name)]
    if not wanted:
        names = ", ".join(channel.name for channel in configured)
        raise BadInputError(
            f"{options.channel} is not configured (there are: {names}); docs/settings.md names its "
            "settings"
        )
    failed = False
    for channel in wanted:
        try:
            channel.send(_message(settings.operations.ui_url))
        except DeliveryError as error:
            failed = True
            print(f"{channel.name}: not delivered, {error}")
        else:
            print(f"{channel.name}: delivered")
    if len(configured) == 1:
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
