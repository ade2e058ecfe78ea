"""The instruction classes and sizes of the counting plugin, against a disassembler and against words known by hand."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from fetaledge_benchmarks.cost import qemu_plugin
from fetaledge_runtimes.errors import TargetError

pytestmark = pytest.mark.integration

# From an assembler's listing: word, class, bytes loaded, bytes stored.
KNOWN = (
    (0x4E22CC20, "vector_fma", 0, 0),  # fmla v0.4s, v1.4s, v2.4s
    (0x4F821020, "vector_fma", 0, 0),  # fmla v0.4s, v1.4s, v2.s[0]
    (0x0E22CC20, "vector_fma_64", 0, 0),  # fmla v0.2s, v1.2s, v2.2s
    (0x4E829420, "dot_product", 0, 0),  # sdot v0.4s, v1.16b, v2.16b
    (0x4F82E020, "dot_product", 0, 0),  # sdot v0.4s, v1.16b, v2.4b[0]
    (0x0E228020, "vector_multiply", 0, 0),  # smlal v0.8h, v1.8b, v2.8b
    (0x4E22D420, "vector_float", 0, 0),  # fadd v0.4s, v1.4s, v2.4s
    (0x4E228420, "vector_integer", 0, 0),  # add v0.16b, v1.16b, v2.16b
    (0x4F3F0420, "vector_shift", 0, 0),  # sshr v0.4s, v1.4s, #1
    (0x1E220820, "scalar_float", 0, 0),  # fmul s0, s1, s2
    (0x1E260020, "transfer", 0, 0),  # fmov w0, s1
    (0x4E040C20, "transfer", 0, 0),  # dup v0.4s, w1
    (0x8B020020, "integer", 0, 0),  # add x0, x1, x2
    (0x9B027C20, "integer_multiply", 0, 0),  # mul x0, x1, x2
    (0x9AC20820, "integer_multiply", 0, 0),  # udiv x0, x1, x2
    (0x54000020, "branch", 0, 0),  # b.eq
    (0xD4000001, "system", 0, 0),  # svc #0
    (0xF9400020, "load", 8, 0),  # ldr x0, [x1]
    (0x39400020, "load", 1, 0),  # ldrb w0, [x1]
    (0xA9400821, "load", 16, 0),  # ldp x1, x2, [x1]
    (0xF9800020, "load", 0, 0),  # prfm pldl1keep, [x1]
    (0x3DC00020, "vector_load", 16, 0),  # ldr q0, [x1]
    (0xAD400420, "vector_load", 32, 0),  # ldp q0, q1, [x1]
    (0x4C402020, "vector_load", 64, 0),  # ld1 {v0.16b-v3.16b}, [x1]
    (0x4D40C820, "vector_load", 4, 0),  # ld1r {v0.4s}, [x1]
    (0xAD000420, "vector_store", 0, 32),  # stp q0, q1, [x1]
    (0xB9000020, "store", 0, 4),  # str w0, [x1]
    (0xF8220020, "atomic", 8, 8),  # ldadd x2, x0, [x1]
    (0x88E07C41, "atomic", 4, 4),  # casa w0, w1, [x2]
)
REGISTER_BYTES = {"b": 1, "h": 2, "s": 4, "d": 8, "q": 16, "w": 4, "x": 8}
LONG_NAMES = {"sp": 8, "lr": 8, "fp": 8, "wsp": 4}
PAIRS = ("ldp", "ldnp", "ldpsw", "ldxp", "ldaxp", "stp", "stnp", "stxp", "stlxp")
ATOMIC = re.compile(r"(ld|st)(add|clr|eor|set|smax|smin|umax|umin)(a|l|al)?([bh])?|(swp|cas)(a|l|al)?([bh])?")
PREFETCHES = ("prfm", "prfum")
# In the same space of encodings and on neither core: memory tagging, copies and 64 bytes by one instruction.
NOT_HERE = re.compile(r"ldg|stg|stzg|stz2g|st2g|cpy|set|(ld|st)64b")
BY_NAME = {
    "vector_multiply": r"(s|u)?q?r?d?ml[as]l?h?2?|mul|p?mull2?|pmul|sqr?dmulh|(s|u|sqd)mull2?|sqrdml[as]h",
    "vector_shift": r"u?s?q?r?shr?u?n?2?|[su]?q?r?shlu?|shll2?|[su]shll2?|s[lr]i|[su]r?sra|sq?r?shru?n2?|[su]qr?shrn2?",
    "dot_product": r"[su]+dot|bfdot",
    "matrix_multiply": r"(s|u|us|bf)mmla",
}
FMA = re.compile(r"fml[as]l?2?|bfmlal[bt]")
MULTIPLIES = re.compile(r"[su]?m(add|sub|neg|ul)[lh]?|[su]mnegl|mneg|[su]div|[su]mulh")
Classified = Callable[[Iterable[int]], list[tuple[str, int, int]]]


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Classified:
    """What the C code makes of each word."""
    program = tmp_path_factory.mktemp("classifier") / "classifier"
    options = ("-O2", "-std=c11", "-Wall", "-Wextra", "-DCLASSIFIER_ONLY")
    subprocess.run([*qemu_plugin.compiler(), *options, "-o", program, qemu_plugin.SOURCE], check=True)

    def classify(words: Iterable[int]) -> list[tuple[str, int, int]]:
        text = " ".join(f"{word:x}" for word in words)
        done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        return [(name, int(loaded), int(stored)) for _, name, loaded, stored in lines]

    return classify


def test_known_words(classified: Classified) -> None:
    assert classified(word for word, *_ in KNOWN) == [(name, loaded, stored) for _, name, loaded, stored in KNOWN]


def register_bytes(name: str) -> int:
    return LONG_NAMES.get(name) or REGISTER_BYTES[name[0]]


def structure_bytes(name: str, operands: str) -> int:
    """Bytes of ``ld1 {v0.4s, v1.4s}, [x0]`` and its relatives."""
    listed = re.match(r"\{(.*?)\}(\[.*?\])?", operands)
    assert listed is not None
    lane = re.search(r"\.(\d*)([bhsd])", listed.group(1))
    assert lane is not None
    registers = len(listed.group(1).split(","))
    if listed.group(2) or name.endswith("r"):
        return registers * REGISTER_BYTES[lane.group(2)]
    return registers * int(lane.group(1)) * REGISTER_BYTES[lane.group(2)]


def memory_by_text(name: str, operands: str) -> tuple[str, int, int]:
    """Class and bytes of a load or store from its disassembly: its name and its registers, not its encoding."""
    if re.fullmatch(r"(ld|st)[1-4]r?", name):
        size = structure_bytes(name, operands)
        return ("vector_load", size, 0) if name[0] == "l" else ("vector_store", 0, size)
    if name in PREFETCHES:
        return "load", 0, 0
    if name in ("ldraa", "ldrab"):
        return "load", 8, 0
    registers = [part.strip() for part in operands.split(",")]
    if name.startswith("casp"):
        return "atomic", 2 * register_bytes(registers[0]), 2 * register_bytes(registers[0])
    atomic = ATOMIC.fullmatch(name)
    if atomic is not None:
        suffix = atomic.group(4) or atomic.group(7)
        size = REGISTER_BYTES[suffix] if suffix else register_bytes(registers[0])
        return "atomic", size, size
    register = registers[1 if name.startswith(("stx", "stlx")) else 0]
    narrow = re.search(r"(s?b|s?h|sw)$", name) if name not in ("ldaprh", "ldaprb") else re.search("[bh]$", name)
    size = {"b": 1, "h": 2, "w": 4}[narrow.group()[-1]] if narrow else register_bytes(register)
    size *= 2 if name in PAIRS else 1
    kind = "vector_" if register[0] in "bhsdq" and register != "sp" else ""
    return (f"{kind}load", size, 0) if name[0] == "l" else (f"{kind}store", 0, size)


def random_words(count: int, seed: int, mask: int, value: int) -> list[int]:
    rng = random.Random(seed)
    return [(rng.getrandbits(32) & ~mask) | value for _ in range(count)]


def disassembled(words: Iterable[int]) -> list[tuple[int, str, str]]:
    """Word, mnemonic and operands of those that are instructions of neither SVE nor SME."""
    capstone = pytest.importorskip("capstone", reason="capstone, which disassembles, is not installed")
    machine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    found = []
    for word in words:
        for one in machine.disasm(word.to_bytes(4, "little"), 0):
            if not re.search(r"\b(z|p|za)\d", one.op_str):
                found.append((word, one.mnemonic, one.op_str))
    return found


def test_loads_and_stores_against_a_disassembler(classified: Classified) -> None:
    """100000 random words of the encoding's group "Loads and stores": the class, and the bytes to the last one."""
    instructions = [
        one for one in disassembled(random_words(100_000, 1, 0x0A000000, 0x08000000)) if not NOT_HERE.match(one[1])
    ]
    assert len({name for _, name, _ in instructions}) > 150
    given = classified(word for word, _, _ in instructions)
    wrong = {
        name: (hex(word), operands, got)
        for (word, name, operands), got in zip(instructions, given, strict=True)
        if got != memory_by_text(name, operands)
    }
    assert wrong == {}


def simd_by_text(name: str, operands: str) -> set[str]:
    """The classes that an Advanced SIMD instruction on vectors may be of, by its name."""
    half = bool(re.match(r"v\d+\.(8b|4h|2s|1d|2h)\b", operands)) and not name.endswith("2")
    for group, pattern in BY_NAME.items():
        if re.fullmatch(pattern, name):
            return {group}
    if FMA.fullmatch(name):
        return {"vector_fma", "vector_fma_64"}
    if name == "fmov" or name.startswith(("mov", "dup", "ins", "smov", "umov")):
        return {"vector_integer", "transfer"}
    if name.startswith("f") or name in ("scvtf", "ucvtf", "urecpe", "ursqrte", "bfcvtn", "bfcvtn2"):
        return {"vector_float_64"} if half else {"vector_float", "vector_float_64"}
    return {"vector_integer"}


def test_vectors_against_a_disassembler(classified: Classified) -> None:
    """100000 random words of Advanced SIMD: multiply-adds, dot products, multiplies, shifts, float, the rest."""
    words = random_words(100_000, 2, 0x9E000000, 0x0E000000)
    instructions = [one for one in disassembled(words) if one[2].startswith("v")]
    assert len({name for _, name, _ in instructions}) > 250
    given = classified(word for word, _, _ in instructions)
    wrong = {
        name: (hex(word), operands, got)
        for (word, name, operands), (got, _, _) in zip(instructions, given, strict=True)
        if got not in simd_by_text(name, operands)
    }
    assert wrong == {}


def test_integers_and_branches_against_a_disassembler(classified: Classified) -> None:
    """30000 random words each of data processing with registers, with constants, and of branches."""
    for mask, value, plain in (
        (0x0E000000, 0x0A000000, "integer"),
        (0x1C000000, 0x10000000, "integer"),
        (0x1C000000, 0x14000000, "branch"),
    ):
        instructions = disassembled(random_words(30_000, value, mask, value))
        given = classified(word for word, _, _ in instructions)
        for (word, name, _), (got, _, _) in zip(instructions, given, strict=True):
            expected = "integer_multiply" if MULTIPLIES.fullmatch(name) else plain
            assert got == expected or (plain == "branch" and got == "system"), (hex(word), name, got)
            assert got != "system" or not re.match(r"(b|bl|br|blr|ret|cbn?z|tbn?z)(\.|$)", name), (hex(word), name)


def test_a_missing_compiler_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    monkeypatch.setattr(qemu_plugin.shutil, "which", lambda name: None)
    monkeypatch.setattr(qemu_plugin.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TargetError, match="no C compiler .* was found"):
        qemu_plugin.plugin_path()
    assert list((tmp_path / "cost").iterdir()) == []


def test_the_plugin_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FETALEDGE_CACHE", str(tmp_path))
    first = qemu_plugin.plugin_path()
    monkeypatch.setattr(qemu_plugin.shutil, "which", lambda name: None)
    assert qemu_plugin.plugin_path() == first
    assert first.read_bytes()[:4] == b"\x7fELF"
