"""Runs the Dockerfile's own steps in directories, by chroot, where there is no Docker engine. By hand, as root:

    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm BASE
    python -m tests.deploy.try_in_chroot BASE WORK [--node NODE] [--env NAME=VALUE]... [--copy /etc/...]...

BASE stands for the Python image and NODE (with node under /usr/local) for the Node image; without NODE the stages that
need it are left out. Afterwards WORK/bot and WORK/worker hold what the images would. Instructions that only describe an
image (EXPOSE, ENTRYPOINT, ...) are not run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from tests.deploy.dockerfile import ROOT, Dockerfile, Instruction, Stage, is_ignored, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--node", type=Path)
    parser.add_argument("--env", action="append", default=[], help="for every RUN, as a builder's proxy settings are")
    parser.add_argument("--copy", action="append", default=[], type=Path, help="a file of this machine for each base")
    options = parser.parse_args()
    dockerfile = read()
    for stage in dockerfile.stages.values():
        began = time.monotonic()
        base = options.work / stage.base if stage.base in dockerfile.stages else None
        if base is None:
            base = options.node if "node:" in stage.base else options.base
        if base is None:
            print(f"{stage.name}: left out, there is nothing that stands for {stage.base}")
            continue
        root = options.work / stage.name
        subprocess.run(["cp", "--archive", "--reflink=auto", f"{base}/.", str(root)], check=True)
        if stage.base not in dockerfile.stages:
            for path in options.copy:
                subprocess.run(["cp", "-L", str(path), f"{root}{path}"], check=True)
        build(dockerfile, stage, root, options.work, dict(pair.split("=", 1) for pair in options.env))
        size = subprocess.run(["du", "-sm", str(root)], capture_output=True, text=True, check=True).stdout.split()[0]
        grown = int(size) - int(
            subprocess.run(["du", "-sm", str(base)], capture_output=True, text=True, check=True).stdout.split()[0]
        )
        print(f"{stage.name}: {time.monotonic() - began:.0f} s, {size} MB, {grown} MB more than its base", flush=True)


def build(dockerfile: Dockerfile, stage: Stage, root: Path, work: Path, given: dict[str, str]) -> None:
    """All steps of one stage, in `root`."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **given}
    directory = "/"
    for inherited in dockerfile.lineage(stage.name):
        for instruction in inherited.instructions:
            if instruction.name == "ENV":
                environment |= dict(pair.split("=", 1) for pair in shlex.split(instruction.text))
            elif instruction.name == "ARG":
                name, _, value = instruction.text.partition("=")
                environment.setdefault(name, value.strip('"'))
            elif instruction.name == "WORKDIR":
                directory = instruction.text
                (root / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif inherited is stage and instruction.name == "RUN":
                (root / "proc").mkdir(exist_ok=True)
                # A builder's steps have it, and some programs do not start without.
                subprocess.run(["mount", "--bind", "/proc", str(root / "proc")], check=True)
                inside = f"cd {shlex.quote(directory)} && {instruction.text}"
                try:
                    subprocess.run(["chroot", str(root), "/bin/sh", "-c", inside], env=environment, check=True)
                finally:
                    subprocess.run(["umount", "--lazy", str(root / "proc")], check=True)
            elif inherited is stage and instruction.name == "COPY":
                copy(instruction, root, directory, work)


def copy(instruction: Instruction, root: Path, directory: str, work: Path) -> None:
    *sources, target = instruction.arguments
    place = root / os.path.normpath(os.path.join(directory, target)).lstrip("/")
    origin = work / instruction.flags["from"] if "from" in instruction.flags else None
    for source in sources:
        at = (origin or ROOT) / source.lstrip("/")
        to = place / at.name if target.endswith("/") else place
        if at.is_dir():
            shutil.copytree(at, to, symlinks=True, dirs_exist_ok=True, ignore=None if origin else ignore)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(at, to)


def ignore(directory: str, names: list[str]) -> set[str]:
    """What .dockerignore keeps back, as copytree wants to know it."""
    here = Path(directory).relative_to(ROOT)
    return {name for name in names if is_ignored((here / name).as_posix())}


if __name__ == "__main__":
    main()
