"""``python -m fetaledge_runtimes``: predict, bench and verify on a device that has no more than this package."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fetaledge_runtimes.broken_pipe import ending_with_the_reader
from fetaledge_runtimes.errors import FetalEdgeError
from fetaledge_runtimes.quiet import quiet

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code of ``errors.py``, 130 after Ctrl-C, or 141 where nobody reads the output."""
    quiet()
    with ending_with_the_reader():
        options = _parser().parse_args(arguments)
        try:
            code: int = options.command(options)
            return code
        except FetalEdgeError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    from fetaledge_runtimes.frames.spacing import parse_pixel_mm
    from fetaledge_runtimes.tasks.task import ORIENTATIONS

    parser = argparse.ArgumentParser(prog="python -m fetaledge_runtimes", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="segment and measure frames")
    predict.set_defaults(command=_predict)
    predict.add_argument("bundle", type=Path, metavar="BUNDLE")
    predict.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="picture, video, DICOM file or folder")
    predict.add_argument("--out", type=Path, metavar="DIR", help="write masks, overlays and prediction.json here")
    predict.add_argument(
        "--pixel-mm",
        type=parse_pixel_mm,
        metavar="MM|ROW,COLUMN",
        help="millimetres per pixel, in place of those that a file states",
    )
    predict.add_argument("--region", type=int, metavar="N", help="B-mode region of DICOM files (default: all of them)")
    predict.add_argument("--ga-weeks", type=float, metavar="W", help="gestational age by dates, for the centile")
    predict.add_argument(
        "--orientation", choices=ORIENTATIONS, help="view of the frames, where the task has one (default: standard)"
    )
    predict.add_argument("--json", action="store_true", help="print the document, not lines")
    predict.add_argument("--force", action="store_true", help="replace an earlier DIR")

    bench = commands.add_parser("bench", help="time a variant; one JSON document on standard output")
    bench.set_defaults(command=_bench)
    bench.add_argument("bundle", type=Path, metavar="BUNDLE")
    bench.add_argument("--frames", type=Path, required=True, metavar="DIR", help="PNG frames, pixels.csv beside them")
    bench.add_argument("--samples", type=_count, default=50, metavar="K")
    bench.add_argument("--warmup", type=_count, default=5, metavar="W")
    bench.add_argument("--masks", type=Path, metavar="DIR", help="write each frame's mask here as <stem>.png")

    verify = commands.add_parser("verify", help="check hashes, and the golden frames in every engine installed")
    verify.set_defaults(command=_verify)
    verify.add_argument("bundle", type=Path, metavar="BUNDLE")
    verify.add_argument("--json", action="store_true", help="print one document, not lines")

    for command in (predict, bench, verify):
        command.add_argument("--variant", metavar="V", help="a variant's name in the bundle")
        command.add_argument("--threads", type=int, default=1, metavar="N")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _predict(options: argparse.Namespace) -> int:
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.predict_files import exit_code, one_line, predict_files
    from fetaledge_runtimes.predict_summary import summary_line
    from fetaledge_runtimes.predictor import Predictor

    predictor = Predictor(Bundle.open(options.bundle), options.variant, options.threads)
    document = predict_files(
        predictor,
        options.inputs,
        options.out,
        pixel_mm=options.pixel_mm,
        region=options.region,
        ga_weeks=options.ga_weeks,
        orientation=options.orientation,
        force=options.force,
        report=None if options.json else lambda entry: print(one_line(entry, predictor.task)),
    )
    for remark in filter(None, (predictor.view_remark, *document["remarks"])):
        print(remark, file=sys.stderr)
    if options.json:
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        for source in document["summary"]:
            if line := summary_line(source, predictor.task):
                print(line)
    return exit_code(document)


def _bench(options: argparse.Namespace) -> int:
    from fetaledge_runtimes.bench_worker import answer
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.predictor import Predictor

    bundle = Bundle.open(options.bundle, [options.variant] if options.variant else None)
    variant = bundle.variant(options.variant)
    files = [bundle.folder / stored.file for stored in variant.files]
    answer(options, lambda: (Predictor(bundle, variant.name, options.threads), files))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from fetaledge_runtimes.bundle import Bundle
    from fetaledge_runtimes.records import to_text
    from fetaledge_runtimes.selftest import exit_code, verify_bundle, verify_document

    bundle = Bundle.open(options.bundle)
    variants = (bundle.variant(options.variant),) if options.variant else bundle.manifest.variants
    results = verify_bundle(bundle, variants, options.threads)
    if options.json:
        print(to_text(verify_document(bundle, results)))
    else:
        for result in results:
            print("  ".join([result.variant, result.engine, result.result, *result.details]))
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
