"""Puts the daemon among systemd's services, takes it away again, and says how it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit.cli import output
from cockpit.cli.exits import FAILED, OK
from cockpit.cli.opening import log_of, settings_of
from cockpit.files import data_file
from cockpit.model import CockpitError, Denied, Unreachable
from cockpit.settings.values import config_home

UNIT = "cockpit.service"
SYSTEM_UNITS = Path("/etc/systemd/system")
ACCOUNT = Path("/etc/sysusers.d/cockpit.conf")
OF_PACKAGES = (Path("/usr/lib/systemd/system") / UNIT, Path("/lib/systemd/system") / UNIT)
"""Where a package of the distribution would keep a unit of that name; there is another program called cockpit."""
PLACE = "@COCKPIT@"
SECONDS = 60.0


@dataclass(frozen=True)
class Step:
    """One thing that installing does."""

    told: str
    does: Callable[[], None]


def install(arguments: Namespace) -> int:
    """Write the unit file and start the service, anew where it runs; says each thing it does."""
    settings_of(arguments)
    unit, manager = _place(arguments.system), _manager(arguments.system)
    _refuse_foreign(unit)
    template = data_file("systemd") / (UNIT if arguments.system else "cockpit-user.service")
    steps = [_write(unit, template.read_text().replace(PLACE, _command(arguments)))]
    if arguments.system:
        account = _write(ACCOUNT, (data_file("systemd") / "cockpit.sysusers").read_text())
        steps = [account, _run(["systemd-sysusers", str(ACCOUNT)]), *steps]
    # `restart` also starts what does not run; `enable --now` would leave one that runs with the unit it had.
    steps += [_run([*manager, *step]) for step in (["daemon-reload"], ["enable", UNIT], ["restart", UNIT])]
    return _carry_out(steps, arguments)


def uninstall(arguments: Namespace) -> int:
    """Stop the service and remove its unit file; the config, the change log and the account stay."""
    unit, manager = _place(arguments.system), _manager(arguments.system)
    if not unit.exists():
        raise CockpitError(f"There is no {unit}.", "It was not installed here, or with --system.")
    _refuse_foreign(unit)
    steps = [_run([*manager, "disable", "--now", UNIT]), _remove(unit), _run([*manager, "daemon-reload"])]
    return _carry_out(steps, arguments)


def status(arguments: Namespace) -> int:
    """Say whether it is installed, and who acts on the change log; status 1 when nobody does."""
    from cockpit.lock import is_free, lock_holder

    settings, unit = settings_of(arguments), _place(arguments.system)
    output.line(f"{unit} is {'there' if unit.exists() else 'not installed'}.")
    if not log_of(settings).exists():
        output.line(f"Nothing was ever recorded at {log_of(settings)}.")
        return FAILED
    if is_free(settings):
        output.line(f"Nobody acts on {log_of(settings)}.")
        return FAILED
    output.line(f"Process {lock_holder(settings)} acts on {log_of(settings)}.")
    return OK


def _place(system: bool) -> Path:
    home = config_home(os.environ).parent
    return SYSTEM_UNITS / UNIT if system else home / "systemd/user" / UNIT


def _manager(system: bool) -> list[str]:
    return ["systemctl"] if system else ["systemctl", "--user"]


def _refuse_foreign(unit: Path) -> None:
    """Raise CockpitError where the name belongs to another program."""
    foreign = [file for file in OF_PACKAGES if unit.parent == SYSTEM_UNITS and file.exists()]
    if unit.exists() and "--daemon" not in unit.read_text(errors="replace"):
        foreign.append(unit)
    if foreign:
        raise CockpitError(
            f"{foreign[0]} belongs to another program of the same name.",
            "Install cockpit as a service of your account instead, without --system.",
        )


def _command(arguments: Namespace) -> str:
    """The command line of the unit: this very installation, with the config that was named, as systemd quotes it."""
    words = [str(Path(sys.executable).with_name("cockpit"))]
    if config := getattr(arguments, "config", None):
        words += ["--config", str(Path(config).absolute())]
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if not word.isprintable():
        raise CockpitError("The path of cockpit or of its config holds a control character.", "Rename that folder.")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if " " in word or escaped != word else word


def _carry_out(steps: Sequence[Step], arguments: Namespace) -> int:
    if arguments.system and not arguments.plan_only and os.geteuid() != 0:
        raise Denied("The machine's services are changed by root only.", "Type it after sudo, or leave --system out.")
    for step in steps:
        output.line(f"would {step.told}" if arguments.plan_only else step.told)
        if not arguments.plan_only:
            step.does()
    return OK


def _write(file: Path, content: str) -> Step:
    def write() -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
            file.chmod(0o644)
        except OSError as error:
            raise Denied(f"{file} cannot be written: {error.strerror}.", "Check its folder.") from None

    return Step(f"write {file}", write)


def _remove(file: Path) -> Step:
    return Step(f"remove {file}", lambda: file.unlink(missing_ok=True))


def _run(argv: Sequence[str]) -> Step:
    def run() -> None:
        program = shutil.which(argv[0])
        if program is None:
            raise Unreachable(
                f"There is no {argv[0]} here.",
                "Let what starts services here run `cockpit --daemon`, or use a container.",
            )
        try:
            done = subprocess.run(  # noqa: S603  argv is our own
                [program, *argv[1:]], capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unreachable(f"{argv[0]} did not answer for {SECONDS:.0f} s.", "Look at: systemctl status") from None
        if done.returncode:
            raise Unreachable(f"{' '.join(argv)} failed: {_reason(done.stderr or done.stdout)}", _advice(argv))

    return Step(f"run {' '.join(argv)}", run)


def _reason(said: str) -> str:
    """The first line that is not about what went well."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(("Created ", "Removed "))]
    return lines[0] if lines else "no reason given"


def _advice(argv: Sequence[str]) -> str:
    if "--user" in argv:
        return "Be logged in as that account itself, not through su or sudo. Look at: journalctl --user -u cockpit"
    return "Look at: journalctl -u cockpit"
