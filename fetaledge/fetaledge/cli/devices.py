"""``fetaledge devices``."""

from __future__ import annotations

from typing import Annotated

import typer

from fetaledge.cli.options import DEVICES, ForceOption, JsonOption, OutFileOption
from fetaledge.cli.output import check_out, deliver, print_table, say


def devices(
    target: Annotated[
        list[str] | None,
        typer.Option(
            help=r"Device to ask as well: ssh://\[user@]host[:port] or adb://SERIAL. Repeat it for several.",
            rich_help_panel=DEVICES,
        ),
    ] = None,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    force: ForceOption = False,
) -> None:
    """List the phones that adb sees and the devices with a deployment, with their state."""
    from fetaledge_devices.device_list import NOTHING_YET, devices_document, devices_table, list_devices
    from fetaledge_runtimes.errors import TargetError

    check_out(out, force)
    found, trouble = list_devices(target or [])
    if found and not as_json:
        print_table(*devices_table(found))
    deliver(devices_document(found), out, as_json)
    if trouble:
        say(f"phones were not looked for: {trouble}")
    if not found:
        say(NOTHING_YET)
    if target and not any(device.reached for device in found):
        reasons = "; ".join(f"{device.target}: {device.state}" for device in found)
        raise TargetError(f"no device can be reached: {reasons}")
