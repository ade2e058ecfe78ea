"""What the kernel says of the processor on the boards that are emulated; engines choose threads and kernels by it."""

from __future__ import annotations

from dataclasses import dataclass

CORES = 4
ALL = f"0-{CORES - 1}"
ARM = 0x41


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi by its processor.

    Attributes:
        cpu: QEMU's name of the core.
        part, variant, revision: the core's identification.
        features: the instruction-set extensions that the kernel lists.
        model: the board's name in its device tree.
        min_khz, max_khz: lowest and highest clock of every core.
        caches: level, type, size and whether all cores share it.
    """

    cpu: str
    part: int
    variant: int
    revision: int
    features: str
    model: str
    min_khz: int
    max_khz: int
    caches: tuple[tuple[int, str, str, bool], ...]

    @property
    def midr(self) -> int:
        """The Main ID Register (Arm Architecture Reference Manual, MIDR_EL1)."""
        return ARM << 24 | self.variant << 20 | 0xF << 16 | self.part << 4 | self.revision

    def cpuinfo(self) -> str:
        """The text of ``/proc/cpuinfo``."""
        cores = (
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: {ARM:#x}\nCPU architecture: 8\nCPU variant\t: {self.variant:#x}\n"
            f"CPU part\t: {self.part:#x}\nCPU revision\t: {self.revision}\n"
            for core in range(CORES)
        )
        return "\n".join((*cores, f"Model\t\t: {self.model}\n"))

    def cpu_files(self) -> dict[str, str]:
        """What lies in ``/sys/devices/system/cpu``: path there, text. OpenVINO crashes where a core has no topology."""
        files: dict[str, str | int] = dict.fromkeys(("online", "possible", "present"), ALL)
        for core in range(CORES):
            files |= {f"cpu{core}/{name}": text for name, text in self._core_files(core).items()}
        return {name: f"{text}\n" for name, text in files.items()}

    def _core_files(self, core: int) -> dict[str, str | int]:
        own, every = f"{1 << core:x}", f"{(1 << CORES) - 1:x}"
        files: dict[str, str | int] = {
            "topology/core_id": core,
            "topology/physical_package_id": 0,
            "topology/cluster_id": 0,
            "cpufreq/scaling_governor": "ondemand",
            "cpufreq/scaling_driver": "cpufreq-dt",
            "regs/identification/midr_el1": f"{self.midr:#018x}",
        }
        files |= {f"topology/{name}": own for name in ("thread_siblings", "core_cpus")}
        files |= {f"topology/{name}_list": core for name in ("thread_siblings", "core_cpus")}
        files |= {f"topology/{name}": every for name in ("core_siblings", "package_cpus")}
        files |= {f"topology/{name}_list": ALL for name in ("core_siblings", "package_cpus")}
        files |= {f"cpufreq/{name}_min_freq": self.min_khz for name in ("cpuinfo", "scaling")}
        files |= {f"cpufreq/{name}_freq": self.max_khz for name in ("cpuinfo_max", "scaling_max", "scaling_cur")}
        for index, (level, kind, size, shared) in enumerate(self.caches):
            cache: dict[str, str | int] = {
                "level": level,
                "type": kind,
                "size": size,
                "shared_cpu_list": ALL if shared else core,
            }
            files |= {f"cache/index{index}/{name}": value for name, value in cache.items()}
        return files


BOARDS = {
    board.cpu: board
    for board in (
        Board(
            cpu="cortex-a72",
            part=0xD08,
            variant=0,
            revision=3,
            features="fp asimd evtstrm crc32 cpuid",
            model="Raspberry Pi 4 Model B Rev 1.5",
            min_khz=600_000,
            max_khz=1_800_000,
            caches=((1, "Data", "32K", False), (1, "Instruction", "48K", False), (2, "Unified", "1024K", True)),
        ),
        Board(
            cpu="cortex-a76",
            part=0xD0B,
            variant=4,
            revision=1,
            features=(
                "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
            ),
            model="Raspberry Pi 5 Model B Rev 1.0",
            min_khz=1_500_000,
            max_khz=2_400_000,
            caches=(
                (1, "Data", "64K", False),
                (1, "Instruction", "64K", False),
                (2, "Unified", "512K", False),
                (3, "Unified", "2048K", True),
            ),
        ),
    )
}
