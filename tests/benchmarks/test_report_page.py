from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest
import typer
from msgspec.structs import replace
from typer.testing import CliRunner

from fetaledge.cli.benchmark import benchmark
from fetaledge_benchmarks import BenchmarkRecord, table_header, table_rows, write_report
from fetaledge_benchmarks.record import Sustained, ToolTimes
from fetaledge_benchmarks.report.notes import remarks
from fetaledge_runtimes.errors import InvalidMeasurement, OutputError
from fetaledge_runtimes.records import to_text


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def folder(record: BenchmarkRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "report"
    write_report(record, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_files_of_a_report(folder: Path, record: BenchmarkRecord) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"report.html", "latency_dice.png", "latency_distributions.png", "benchmark.json"}
    assert json.loads((folder / "benchmark.json").read_text()) == json.loads(to_text(record))


@pytest.mark.parametrize("name", ["latency_dice.png", "latency_distributions.png"])
def test_the_pictures_show_something(folder: Path, name: str) -> None:
    picture = cv2.imread(str(folder / name))
    assert picture is not None and min(picture.shape[:2]) > 400
    colours = {tuple(int(value) for value in pixel) for row in picture[::2] for pixel in row[::2]}
    assert (0xB2, 0x72, 0x00) in colours or any(abs(b - 0xB2) < 30 and r < 40 and 90 < g < 150 for b, g, r in colours)
    assert (picture < 128).any(axis=2).mean() > 0.005


def test_the_page_stands_alone(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.links) == 2 and all(link.startswith("data:image/png;base64,") for link in parsed.links)
    assert not {"script", "link", "iframe"} & set(parsed.tags)
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_says_what_must_be_said(page: str, record: BenchmarkRecord) -> None:
    text = re.sub(r"\s+", " ", page)
    assert "Research software, not a medical device." in text
    assert "Synthetic data:" in text and "say nothing about clinical accuracy" in text
    assert "Apache-2.0" in text and record.host.cpu in text
    assert "<dt>Before</dt>" in text and "<dt>After</dt>" in text
    assert "predicts each of 8 frames of the data set once, warms up with 5 more" in text
    assert "ΔHC is against torch-fp32, frame by frame" in text
    for row in table_rows(record):
        assert all(f">{cell}</td>" in text for cell in row)
    for entry in record.results:
        assert all(reason in text for reason in entry.reasons)


def test_a_record_of_failures_only_is_still_a_page(record: BenchmarkRecord, tmp_path: Path) -> None:
    killed = Sustained(started_at_c=None, moments=(), failure="the worker was killed by SIGKILL")
    nothing = dict.fromkeys(
        ("latency_ms", "accuracy", "against_fp32", "load_ms", "peak_rss_mb", "engine_version", "speedup_over_torch")
    )
    results = tuple(
        replace(entry, valid=False, reasons=("<b>killed</b>",), sustained=killed, **nothing) for entry in record.results
    )
    failed = replace(record, results=results, frames=replace(record.frames, note=None), attribution="We 2026 <CC0>")
    write_report(failed, tmp_path / "report")
    text = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;killed&lt;/b&gt;" in text and "Not all rows are valid" in text
    assert "Synthetic" not in text and "Data: We 2026 &lt;CC0&gt;." in text
    assert text.count("1 thread: it ended early: the worker was killed by SIGKILL</p>") == 4
    assert not list((tmp_path / "report").glob("*.png"))


def test_the_terminal_says_what_the_page_says(record: BenchmarkRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    from fetaledge.workflows import benchmark as benchmarking

    killed = Sustained(started_at_c=None, moments=(), failure="the worker was killed by SIGKILL")
    tool = ToolTimes(mean_ms=20.04, runs=50)
    first = replace(record.results[0], notes=("restart it",), sustained=killed, benchmark_model=tool)
    second = replace(record.results[1], valid=False, reasons=("unsteady",))
    local = replace(record.devices["local"], interruptions=1)
    told = replace(record, results=(first, second, *record.results[2:]), devices={"local": local})
    monkeypatch.setattr(benchmarking, "benchmark_bundle", lambda *_, **__: told)
    app = typer.Typer()
    app.command()(benchmark)
    result = CliRunner().invoke(app, ["bundle", "--data", "frames"])
    assert isinstance(result.exception, InvalidMeasurement) and "Δ is against torch-fp32" in result.stdout
    for remark in remarks(told, "local"):
        assert f"local: {remark}\n" in result.stderr
    assert "not valid: onnx-fp32, 1 thread: unsteady" in result.stderr
    assert len(remarks(told, "local")) == 4


def test_a_report_replaces_only_a_report_and_only_when_told(record: BenchmarkRecord, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(OutputError, match="thesis"):
            write_report(record, tmp_path / "thesis", force=force)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_table_cells(record: BenchmarkRecord) -> None:
    rows = table_rows(record)
    assert len(rows) == 4 and all(len(row) == len(table_header(record)) for row in rows)
    assert rows[0][0] == "torch-fp32" and rows[0][table_header(record).index("speed-up over torch")] == "1.00×"
    assert rows[0][table_header(record).index("total misses")] == "0"
    assert all(re.fullmatch(r"0\.\d{4} \(10\)", row[table_header(record).index("Dice (n)")]) for row in rows)


def test_nothing_is_written_under_the_home_folder(folder: Path, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    script = (
        "import pathlib, sys\n"
        "from fetaledge_benchmarks import BenchmarkRecord, write_report\n"
        "from fetaledge_runtimes.records import read_document\n"
        "write_report(read_document(sys.argv[1], BenchmarkRecord, 'benchmark'), pathlib.Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(folder / "benchmark.json"), str(tmp_path / "report")]
    kept = {k: v for k, v in os.environ.items() if k not in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    subprocess.run(command, check=True, env=kept | {"HOME": str(home), "TMPDIR": str(temporary)})
    assert (tmp_path / "report" / "report.html").is_file()
    assert list(home.iterdir()) == []
    assert [path.name.rpartition("-")[0] for path in temporary.iterdir()] == ["fetaledge-matplotlib"]
