"""``fetaledge deploy``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fetaledge.cli.options import (
    ADDRESS,
    DEVICES,
    MODEL,
    EnginesOption,
    ForceOption,
    IgnoreMemoryOption,
    JsonOption,
    OutFileOption,
)
from fetaledge.cli.output import check_out, deliver, print_table, say

if TYPE_CHECKING:
    from fetaledge_devices.deploy import Deployment


def deploy(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="BUNDLE", help="Bundle to deploy; leave it out with --remove.")
    ] = None,
    *,
    target: Annotated[
        list[str],
        typer.Option(help=f"Device to deploy to: {ADDRESS}. Repeat it for several.", rich_help_panel=DEVICES),
    ],
    engine: EnginesOption = None,
    remove: Annotated[
        bool,
        typer.Option(
            "--remove",
            help="Delete fetaledge's folder there, and nothing else. Forget a device that is gone.",
            rich_help_panel=DEVICES,
        ),
    ] = False,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Variant that must run there. Repeat it for several (default: all that can).", rich_help_panel=MODEL
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Repeat the self-test even if nothing changed, and replace damaged packages.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    ignore_memory: IgnoreMemoryOption = False,
    as_json: JsonOption = False,
    out: OutFileOption = None,
    force: ForceOption = False,
) -> None:
    """Send a bundle and its engines to a device, test them there with the golden frames, then switch over."""
    from fetaledge_devices.deploy import check_engines
    from fetaledge_devices.deploy import deploy as deploy_to
    from fetaledge_devices.deploy import remove as remove_from
    from fetaledge_devices.deploy.answer import DeployAnswer, TargetAnswer
    from fetaledge_devices.targets import open_target
    from fetaledge_runtimes.errors import FetalEdgeError, UsageError

    if remove == (bundle is not None):
        raise UsageError(
            "a bundle and --remove were given" if remove else "no bundle was given",
            "name the bundle to deploy, or --remove alone",
        )
    if remove and (variant or engine):
        raise UsageError("--variant or --engine were given with --remove", "--remove deletes all of it")
    engine = engine or []
    check_engines(engine, target)
    check_out(out, force)
    targets = [open_target(address) for address in dict.fromkeys(target)]
    answers: list[TargetAnswer] = []
    errors: list[FetalEdgeError] = []
    for place in targets:
        with place:
            try:
                if bundle is None:
                    there = remove_from(place)
                    say(f"{place.name}: {'removed' if there else 'nothing was there'}")
                    answers.append(TargetAnswer(target=place.name, removed=there))
                    continue
                found = deploy_to(
                    bundle,
                    place,
                    variants=variant or None,
                    engines=engine,
                    again=again,
                    ignore_memory=ignore_memory,
                    progress=partial(_say, place.name),
                )
            except FetalEdgeError as error:
                errors.append(error)
                answers.append(TargetAnswer(target=place.name, error=str(error)))
                if len(targets) > 1:
                    say(f"error: {error}")
                continue
        answers.append(TargetAnswer.of(found))
        if not as_json:
            _print(found)
    answer = DeployAnswer(bundle=None if bundle is None else str(bundle), targets=tuple(answers))
    deliver(answer, out, as_json)
    if len(errors) == 1 and len(targets) == 1:
        raise errors[0]
    if errors:
        names = ", ".join(one.target for one in answers if one.error)
        failed = FetalEdgeError(
            f"{len(errors)} of {len(targets)} targets failed: {names}", f"the first error: {errors[0]}"
        )
        failed.exit_code = errors[0].exit_code
        raise failed


def _say(target: str, line: str) -> None:
    say(f"{target}: {line}")


def _print(found: Deployment) -> None:
    notes = {name: "; ".join(texts) for name, texts in found.notes.items()}
    rows = [(name, "passed" if found.tested else "passed earlier", notes.get(name, "")) for name in found.variants]
    if found.target.is_local:
        rows = [(name, "installed", "") for name in found.variants]
    rows += [(name, "refused", reason) for name, reason in found.refused.items()]
    print_table(("variant", "self-test", "details"), rows)
    engines = ", ".join(f"{package} {version}" for package, version in found.versions.items())
    say(f"{found.target.name}: {engines}; sent {found.sent_mb:.1f} MB; in use from {found.place}")
