"""fetaledge's folder on a device: what lies there, bringing what is missing, switching over, tidying up.

    store/SHA256         files by their content: those of bundles, and of the native runner
    site/NAME-VERSION-…  an unpacked wheel each
    releases/ID/         bundle/ (links into the store), run (starts the worker; not on Android), needs, release.json
    current              the release in use: a link, or on Android a file with its name

Nothing is ever changed in place: a file or folder gets its final name when it is whole and its hash was compared.
"""

from __future__ import annotations

import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetaledge_devices.targets.base import Completed
from fetaledge_devices.targets.remote import RemoteTarget
from fetaledge_runtimes.errors import TargetError

STORE_TIMEOUT_S = 1800.0
MARGIN_MB = 50
LEFT_OUT = "tests"  # folders of a wheel that no program needs
SUMS = "fetaledge-crc32.json"  # in an unpacked wheel: path -> CRC-32 of its content

INVENTORY = r"""
for f in site/* releases/*; do [ -d "$f" ] && echo "$f"; done
for f in releases/*/key; do [ -f "$f" ] && echo "key $f $(cat "$f")"; done
for f in current previous; do
  if [ -h $f ]; then echo "$f $(readlink $f)"; elif [ -f $f ]; then echo "$f $(cat $f)"; fi
done
"""

UNPACK = f"""
import json, os, shutil, sys, zipfile
os.chdir(sys.argv[1])
os.makedirs("site", exist_ok=True)
for wheel, place in zip(sys.argv[3::2], sys.argv[4::2]):
    partial = place + "." + sys.argv[2] + ".partial"
    for old in (partial, place):
        shutil.rmtree(old, ignore_errors=True)
    sums = {{}}
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = entry.filename.split("/")
            if parts[0].endswith(".data"):
                parts = parts[2:] if parts[1] in ("purelib", "platlib") else []
            if not parts or not parts[-1] or ".." in parts or {LEFT_OUT!r} in parts or os.path.isabs(entry.filename):
                continue
            path = os.path.join(partial, *parts)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(entry) as source, open(path, "wb") as written:
                shutil.copyfileobj(source, written, 1 << 20)
            sums["/".join(parts)] = entry.CRC
    with open(os.path.join(partial, {SUMS!r}), "w") as written:
        json.dump(sums, written)
    os.sync()
    os.rename(partial, place)
    os.remove(wheel)
"""

# What Python compiled there is in no wheel: it is deleted, and compiled anew.
CHECK = f"""
import json, os, shutil, sys, zlib
os.chdir(sys.argv[1])
for place in sys.argv[2:]:
    for folder, names, _ in os.walk(place):
        if "__pycache__" in names:
            shutil.rmtree(os.path.join(folder, "__pycache__"), ignore_errors=True)
    try:
        with open(os.path.join(place, {SUMS!r})) as file:
            sums = json.load(file)
        for name, right in sums.items():
            found = 0
            with open(os.path.join(place, name), "rb") as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    found = zlib.crc32(piece, found)
            if found != right:
                raise ValueError(name)
    except (OSError, ValueError, AttributeError):
        print(place)
"""

PRUNE = r"""
for r in releases/*; do case " $KEEP " in *" ${r#releases/} "*) ;; *) rm -rf "$r" ;; esac; done
for f in store/* site/*; do
  [ -e "$f" ] || continue
  grep -qxF "$f" releases/*/needs 2>/dev/null || rm -rf "$f"
done
"""


@dataclass(frozen=True)
class Inventory:
    """``sites`` and ``releases`` by name, ``keys`` of releases, the ``current`` release and the one before."""

    sites: frozenset[str]
    releases: frozenset[str]
    keys: dict[str, str]
    current: str | None
    previous: str | None


@dataclass(frozen=True)
class Folder:
    """A folder of a release: ``links`` into the store (name -> hex SHA-256) and small text files."""

    links: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Store:
    """The folder on one device. Every method raises TargetError where the device is lost or full."""

    target: RemoteTarget
    android: bool

    def script(self, text: str) -> str:
        """Run a script in the folder; its output. Raises TargetError where it fails."""
        root = shlex.quote(self.target.root)
        done = self.target.shell(f"umask 077\nmkdir -p {root} && cd {root} || exit 99\n{text}", STORE_TIMEOUT_S)
        return self._succeeded(done)

    def _succeeded(self, done: Completed) -> str:
        """What a command printed. Raises TargetError where it failed."""
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            hint = "free some space there" if "No space left" in done.stderr else f"look at {self.target.root} there"
            raise TargetError(f"{self.target.name} could not change fetaledge's folder: {said[-1]}", hint)
        return done.stdout

    def inventory(self) -> Inventory:
        lines = [line.split(" ") for line in self.script(INVENTORY).splitlines() if line.strip()]
        names = [line[0] for line in lines if len(line) == 1]
        marked = {line[0]: line[1].removeprefix("releases/") for line in lines if len(line) == 2}
        current = marked.get("current")
        keys = [(line[2], line[1].split("/")[1]) for line in lines if line[0] == "key" and len(line) == 3]
        return Inventory(
            sites=_below("site", names),
            releases=_below("releases", names),
            keys=dict(sorted(keys, key=lambda key: key[1] == current)),  # of two with one key, the current one
            current=current,
            previous=marked.get("previous"),
        )

    def missing(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Those of ``files`` (hex SHA-256 -> file here) that do not lie there unaltered."""
        there = self.target.hashes([f"store/{content}" for content in files])
        return {content: path for content, path in files.items() if there.get(f"store/{content}") != content}

    def send(self, files: Mapping[str, Path], expected_mb: float, free_mb: int | None) -> None:
        """Bring files into the store and compare their hashes; what arrived altered is sent once more.

        Args:
            expected_mb: of space that they and what is unpacked from them will take.
            free_mb: of space there, where that is known.
        """
        if not files:
            return
        if free_mb is not None and free_mb < expected_mb + MARGIN_MB:
            needed = f"about {expected_mb + MARGIN_MB:.0f} MB are needed"
            raise TargetError(
                f"{self.target.name} has {free_mb} MB of free space and {needed}",
                "free some space there; what is deployed keeps working",
            )
        wrong = dict(files)
        for _ in range(2):
            self.target.push({f"store/{content}": path for content, path in wrong.items()})
            wrong = self.missing(wrong)
            if not wrong:
                return
        names = ", ".join(path.name for path in wrong.values())
        raise TargetError(f"{names} arrived altered on {self.target.name}, twice", "check its disk and try again")

    def unpack(self, wheels: Mapping[str, str]) -> None:
        """Unpack wheels (hex SHA-256 in the store -> name in ``site``) with the device's own Python."""
        pairs = [word for content, name in wheels.items() for word in (f"store/{content}", f"site/{name}")]
        if pairs:
            self._python("unpacking", UNPACK, [self.target.token, *pairs])

    def damaged(self, sites: Sequence[str]) -> frozenset[str]:
        """Those of these unpacked wheels that are not as they were unpacked."""
        if not sites:
            return frozenset()
        return _below("site", self._python("checking", CHECK, [f"site/{name}" for name in sites]).splitlines())

    def _python(self, doing: str, script: str, words: Sequence[str]) -> str:
        """What a script for the device's own Python prints. It ends with this process and with the connection."""
        try:
            command = ["python3", "-I", "-S", "-c", script, self.target.root, *words]
            return self._succeeded(self.target.run(command, STORE_TIMEOUT_S))
        except TimeoutError as error:
            raise TargetError(f"{self.target.name}: {doing} {error}", "is its storage sound?") from None

    def begin(self, partial: str, folders: Mapping[str, Folder]) -> None:
        """Make the folders of a release that is to be tested; all of ``runner`` can be executed.

        What an interrupted deployment left is deleted.
        """
        made = [_made(f"releases/{partial}/{name}", folder) for name, folder in folders.items()]
        executable = [f"chmod 755 releases/{partial}/runner/*"] if "runner" in folders else []
        self.script("\n".join(["set -e", "rm -rf releases/*.partial", *made, *executable]))

    def finish(self, partial: str, release: str, bundle: Folder, texts: dict[str, str]) -> None:
        """Add what is used of a tested release, and give it its name when it is whole, and on the disk."""
        made = [_made(f"releases/{partial}/bundle", bundle), _made(f"releases/{partial}", Folder({}, texts))]
        executable = f"chmod 755 {partial}/run && " if "run" in texts else ""
        steps = f"rm -rf {partial}/tests && {executable}sync && mv {partial} {release}"
        self.script("\n".join(["set -e", *made, f"cd releases && {steps}"]))

    def switch(self, release: str, before: str | None) -> None:
        """Make a release the current one, in one step; remember the one before."""
        steps = []
        for name, value in (("previous", before), ("current", release)):
            if value is None:
                continue
            if self.android:  # whose mv may not know how to replace a link to a folder
                steps.append(f"echo releases/{value} >{name}.new && mv -f {name}.new {name}")
            else:
                steps.append(f"ln -sfn releases/{value} {name}.new && mv -fT {name}.new {name}")
        self.script(" && ".join(steps))

    def prune(self, keep: Sequence[str]) -> None:
        """Delete every release but these, and whatever no release needs."""
        self.script(f"KEEP={shlex.quote(' '.join(keep))}\n{PRUNE}")


def _made(place: str, folder: Folder) -> str:
    """A script that makes a folder with links into the store and small text files."""
    up = "../" * (place.count("/") + 1)
    lines = [f"mkdir -p {shlex.quote(place)}"]
    lines += [f"ln -sf {up}store/{content} {shlex.quote(f'{place}/{name}')}" for name, content in folder.links.items()]
    lines += [f"printf %s {shlex.quote(t)} >{shlex.quote(f'{place}/{name}')}" for name, t in folder.texts.items()]
    return "\n".join(lines)


def unpacked_mb(wheel: Path) -> float:
    """Megabytes (10⁶ bytes) that a wheel takes once it is unpacked."""
    with zipfile.ZipFile(wheel) as archive:
        kept = [entry for entry in archive.infolist() if LEFT_OUT not in entry.filename.split("/")]
        return sum(entry.file_size for entry in kept) / 1e6


def _below(folder: str, names: Sequence[str]) -> frozenset[str]:
    inside = [name.removeprefix(f"{folder}/") for name in names if name.startswith(f"{folder}/")]
    return frozenset(name for name in inside if not name.endswith(".partial"))
