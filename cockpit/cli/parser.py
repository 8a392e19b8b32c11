"""Every command with its arguments; what carries one out is named, and loaded when it is called."""

from __future__ import annotations

import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cockpit import __version__
from cockpit.cli.exits import EPILOG

if TYPE_CHECKING:
    from argparse import _SubParsersAction

Commands: TypeAlias = "_SubParsersAction[ArgumentParser]"

VALUED = ("--config", "--log-format", "--chaos")
"""Options before a command that take a value."""
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parser(argv: Sequence[str] | None = None) -> ArgumentParser:
    """The parser of the whole command line; given `argv`, of what can be meant by that.

    Building all of it takes as long as reading the log does.
    """
    top = ArgumentParser(
        "cockpit",
        description="Sees what broke, finds out why, shows the change and the way back. Without a command: the screen.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    top.set_defaults(does="screen:show")
    top.add_argument("--version", action="version", version=f"cockpit {__version__}")
    _config(top)
    top.add_argument("--demo", action="store_true", help="start a small homelab of real servers, and watch over it")
    top.add_argument(
        "--daemon", action="store_const", dest="does", const="serving:daemon", help="work without a screen, until ended"
    )
    top.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="with --daemon: how its log lines are written"
    )
    top.add_argument("--chaos", type=seconds, metavar="EVERY", help="with --demo: a random fault every 60s, 5m, …")
    top.add_argument("--dry-run", action="store_true", dest="dry", help="plan and show changes, never apply one")
    top.add_argument("--readonly", action="store_true", help="show what is recorded; look at nothing, change nothing")
    commands = top.add_subparsers(metavar="COMMAND", title="commands")
    meant = COMMANDS if argv is None else _meant(argv)
    for add, names in GROUPS:
        if not meant.isdisjoint(names):
            add(commands)
    return top


def _meant(argv: Sequence[str]) -> frozenset[str]:
    """The commands whose arguments are needed: all, where help or an error lists them; none for the screen."""
    words = [
        word
        for before, word in zip(("", *argv), argv, strict=False)
        if not word.startswith("-") and before not in VALUED
    ]
    if words and words[0] in COMMANDS:
        return COMMANDS.intersection(argv)
    return COMMANDS if words or any(word.startswith(("-h", "--h")) for word in argv) else frozenset()


def seconds(text: str) -> float:
    """A duration such as 90, 60s, 5m, 1h or 365d, in seconds. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not match or float(match[1]) <= 0:
        raise ArgumentTypeError(f"'{text}' is no duration; write 60s, 5m, 1h or 2d")
    return float(match[1]) * UNITS[match[2]]


def number(text: str) -> int:
    """An id as it is shown: 7 or #7. Raises ArgumentTypeError."""
    match = re.fullmatch(r"#?([0-9]{1,18})", text)
    if not match:
        raise ArgumentTypeError(f"'{text}' is no id; write a number")
    return int(match[1])


def _config(command: ArgumentParser) -> None:
    command.add_argument("--config", type=Path, default=SUPPRESS, metavar="FILE", help="read this config file alone")


def _add(commands: Commands, name: str, does: str, help: str, *, json: bool = False) -> ArgumentParser:
    command = commands.add_parser(name, help=help, description=help)
    command.set_defaults(does=does)
    _config(command)
    if json:
        command.add_argument("--json", action="store_true", help="print JSON with a schema_version")
    return command


def _group(commands: Commands, name: str, help: str) -> Commands:
    return commands.add_parser(name, help=help, description=help).add_subparsers(metavar="COMMAND", required=True)


def _setting_up(commands: Commands) -> None:
    init = _add(commands, "init", "init:write", "find what runs on this machine, and write a config")
    init.add_argument("--no-input", action="store_true", help="take everything that was found, ask nothing")
    _add(
        commands,
        "doctor",
        "doctor:examine",
        "check config, log and each service; say how to mend what is wrong",
        json=True,
    )
    config = _group(commands, "config", "look at the settings")
    _add(config, "show", "configuring:show", "every setting, with the place it was set; secrets are hidden", json=True)
    completion = _add(commands, "completion", "configuring:completion", "print the completion script for a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _reading(commands: Commands) -> None:
    _add(commands, "services", "reading:services", "list services with the last that is known of each", json=True)
    incidents = _add(
        commands, "incidents", "reading:incidents", "list incidents, those that wait for a person first", json=True
    )
    incidents.add_argument("--all", action="store_true", help="resolved ones as well")
    changes = _add(
        commands, "changes", "reading:changes", "list proposals and what became of them, newest first", json=True
    )
    changes.add_argument("--limit", type=int, default=50, help="at most so many (50)")


def _looking_closer(commands: Commands) -> None:
    show = _add(
        commands, "show", "showing:show", "show an incident with its timeline, evidence and proposals", json=True
    )
    show.add_argument("id", type=number, help="the incident's id")
    which = show.add_mutually_exclusive_group()
    which.add_argument("--proposal", action="store_true", help="the id is a proposal's")
    which.add_argument("--sent", action="store_true", help="what was sent to models for it, exactly as it left")
    export = _add(commands, "export", "exporting:export", "print an incident as Markdown")
    export.add_argument("id", type=number, help="the incident's id")
    audit = _group(commands, "audit", "check the change log")
    verify = _add(audit, "verify", "auditing:verify", "find every edited, removed, inserted or cut-off row", json=True)
    verify.add_argument(
        "--anchor", type=Path, action="append", default=[], metavar="FILE", help="heads kept elsewhere, one a line"
    )


def _models(commands: Commands) -> None:
    ask = _add(commands, "ask", "asking:ask", "ask a model; it looks with diagnostics, and changes nothing", json=True)
    ask.add_argument("question")
    about = ask.add_mutually_exclusive_group()
    about.add_argument("--incident", type=number, metavar="ID", help="the question is about this incident")
    about.add_argument("--service", default="", metavar="NAME", help="the question is about this service")
    ask.add_argument("--yes", action="store_true", help="do not ask before a model is asked")
    allow = _add(commands, "allow", "asking:allow", "let a model be asked, where that waits for a yes")
    allow.add_argument("id", type=number, help="the inquiry's id, as incidents lists it")
    decline = _add(commands, "decline", "asking:decline", "let no model be asked, where that waits for a yes")
    decline.add_argument("id", type=number, help="the inquiry's id")
    _add(commands, "models", "models:models", "list the models: record, cost, budget left, last calls", json=True)


def _deciding(commands: Commands) -> None:
    approve = _add(commands, "approve", "deciding:approve", "approve a proposal as shown, and wait for its outcome")
    approve.add_argument("id", type=number, help="the proposal's id")
    approve.add_argument(
        "--digest", metavar="PREFIX", help="of the plan you saw, 8 digits or more; without it, it is shown"
    )
    approve.add_argument("--name", default="", help="the service's name, where a proposal asks for it")
    approve.add_argument("--wait", type=seconds, default=60.0, help="how long to wait for the outcome (60s)")
    deny = _add(commands, "deny", "deciding:deny", "deny a proposal")
    deny.add_argument("id", type=number, help="the proposal's id")
    deny.add_argument("--reason", default="", help="kept in the log")
    undo = _add(commands, "undo", "deciding:undo", "propose to put back what a proposal changed")
    undo.add_argument("id", type=number, help="the id of the proposal that was carried out")
    _add(commands, "freeze", "deciding:freeze", "stop all changes at once; looking goes on")
    _add(commands, "unfreeze", "deciding:unfreeze", "allow changes again")


def _learning(commands: Commands) -> None:
    learn = _add(commands, "learn", "learning:learn", "make a runbook of an incident that a model explained", json=True)
    learn.add_argument("id", type=number, nargs="?", help="the incident's id; without it, what was learned is listed")
    learn.add_argument("--list", action="store_true", help="list what was learned, and how often it worked")
    learn.add_argument("--confirm", action="store_true", help="the cause was right, and what was done helped")
    learn.add_argument("--draft", type=Path, metavar="FILE", help="take this draft, as it was reviewed")
    learn.add_argument(
        "--lab", nargs="?", const="", metavar="FAULT", help="try it on a lab of real servers that breaks that way"
    )


def _quieting(commands: Commands) -> None:
    mute = _add(commands, "mute", "quieting:mute", "tell nobody of a service, and change nothing on it unasked")
    mute.add_argument("service", help="KIND/NAME, tag:NAME, kind:NAME or host:NAME")
    mute.add_argument("time", type=seconds, nargs="?", help="how long, such as 2h")
    mute.add_argument("--why", default="", help="kept in the log")
    mute.add_argument("--until-healthy", action="store_true", help="end it once it was up for two probes")
    unmute = _add(commands, "unmute", "quieting:unmute", "tell of a service again")
    unmute.add_argument("service", help="as it was muted")
    _add(commands, "mutes", "quieting:mutes", "list what is muted", json=True)
    beat = _add(commands, "heartbeat", "quieting:heartbeat", "give the sign of life that cockpit waits for")
    beat.add_argument("name", help="of the [heartbeats.NAME] in the config")


def _tools(commands: Commands) -> None:
    tools = _add(commands, "tools", "catalogue:tools", "list tools, or show one with its arguments", json=True)
    tools.add_argument("tool", nargs="?", help="show this one")
    tools.add_argument("--all", action="store_true", help="also those of kinds that are not configured")
    tools.add_argument("--kinds", action="store_true", help="list kinds of service with their options")
    run = _add(commands, "run", "running:run", "run a diagnostic, or propose a remediation", json=True)
    run.add_argument("tool")
    run.add_argument("arguments", nargs="*", metavar="key=value")
    run.add_argument("--service", metavar="NAME", help="the service; needed where several are of the tool's kind")
    run.add_argument(
        "--dry-run", action="store_true", dest="plan_only", help="show what it would change; propose nothing"
    )
    run.add_argument("--reason", default="", help="kept with the proposal")


def _keeping(commands: Commands) -> None:
    backup = _add(
        commands, "backup", "backing:backup", "copy the change log and its key while in use, and check the copy"
    )
    backup.add_argument("file", type=Path, help="where to; the key goes to FILE.key")
    restore = _add(
        commands, "restore", "backing:restore", "put a copy in the change log's place, and keep what was there"
    )
    restore.add_argument("file", type=Path, help="the copy; its key is FILE.key")
    prune = _add(commands, "prune", "backing:prune", "remove what came to an end long ago; the rest stays provable")
    prune.add_argument(
        "--older", type=seconds, required=True, metavar="AGE", help="than this, such as 365d; 1d or more"
    )
    prune.add_argument("--dry-run", action="store_true", dest="plan_only", help="say what would go; remove nothing")
    prune.add_argument("--yes", action="store_true", help="do not ask")


def _telegram(commands: Commands) -> None:
    telegram = _group(commands, "telegram", "the people who are asked over Telegram")
    enrol = _add(telegram, "enrol", "enrolling:enrol", "print a code; whoever sends it to the bot is told by number")
    enrol.add_argument("name", help="what the person is called in the change log")
    enrol.add_argument("--wait", type=seconds, default=600.0, help="how long the code is good for (10m)")


def _service(commands: Commands) -> None:
    service = _group(commands, "service", "run cockpit in the background, by systemd")
    for verb, help in (
        ("install", "write the unit file, and start it"),
        ("uninstall", "stop it, and remove the unit file; the change log stays"),
        ("status", "say whether it is installed, and who acts on the change log"),
    ):
        command = _add(service, verb, f"installing:{verb}", help)
        command.add_argument("--system", action="store_true", help="the machine's service manager, not your own")
        if verb != "status":
            command.add_argument("--dry-run", action="store_true", dest="plan_only", help="print what it would do")


def _lab(commands: Commands) -> None:
    lab = _group(commands, "lab", "the homelab of the demo")
    _add(lab, "up", "laboratory:up", "start a lab without a screen, until interrupted")
    _add(lab, "faults", "laboratory:faults", "list what can go wrong", json=True)
    _add(lab, "status", "laboratory:status", "list the servers of the running lab", json=True)
    for verb, help in (("inject", "make a fault happen in the running lab"), ("clear", "take a fault away again")):
        _add(lab, verb, f"laboratory:{verb}", help).add_argument("fault")


GROUPS: tuple[tuple[Callable[[Commands], None], tuple[str, ...]], ...] = (
    (_reading, ("services", "incidents", "changes")),
    (_looking_closer, ("show", "export", "audit")),
    (_models, ("ask", "allow", "decline", "models")),
    (_deciding, ("approve", "deny", "undo", "freeze", "unfreeze")),
    (_learning, ("learn",)),
    (_quieting, ("mute", "unmute", "mutes", "heartbeat")),
    (_tools, ("tools", "run")),
    (_setting_up, ("init", "doctor", "config", "completion")),
    (_lab, ("lab",)),
    (_keeping, ("backup", "restore", "prune")),
    (_telegram, ("telegram",)),
    (_service, ("service",)),
)
COMMANDS = frozenset(name for _, names in GROUPS for name in names)
