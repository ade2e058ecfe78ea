"""``fetaledge devices``."""

from __future__ import annotations

import typer

from fetaledge.cli.output import print_json, print_table, say


def devices(
    target: list[str] = typer.Option(
        [], help="Device to ask as well: ssh://[user@]host[:port] or adb://SERIAL. Repeat it for several."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one document."),
) -> None:
    """List the phones that adb sees and the devices with a deployment, with their state."""
    from fetaledge_devices.device_list import NOTHING_YET, devices_document, devices_table, list_devices
    from fetaledge_runtimes.errors import TargetError
    from fetaledge_runtimes.records import to_json

    found, trouble = list_devices(target)
    if as_json:
        print_json(to_json(devices_document(found)))
    elif found:
        print_table(*devices_table(found))
    if trouble:
        say(f"phones were not looked for: {trouble}")
    if not found:
        say(NOTHING_YET)
    if target and not any(device.reached for device in found):
        reasons = "; ".join(f"{device.target}: {device.state}" for device in found)
        raise TargetError(f"no device can be reached: {reasons}")
