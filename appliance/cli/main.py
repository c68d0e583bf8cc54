"""The program `tidegate`: which commands there are, and how an error becomes a message and an exit status.

A command's module is imported when it is called: `tidegate run` must not wait for what only `tidegate lab` needs.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from appliance import __version__
from appliance.errors import CannotRun, TidegateError

# Command → what it does. The module of the same name in this package, with _ for -, has it as `command`.
COMMANDS = {
    "run": "Run the box in the foreground; SIGHUP reloads, SIGTERM ends.",
    "check": "Validate, compile and verify a configuration or a rule set; warn of rules that decide nothing.",
    "compile": "Compile a rule set to a portable eBPF object.",
    "verify": "Verify the programs of eBPF objects.",
    "explain": "Print what a kind of rejection means, with a bad and a fixed program.",
    "inspect": "Show what an object holds, or what an approval says and whether it holds.",
    "keygen": "Make a key that approves code.",
    "approve": "Verify, compile and sign an object, so that other boxes run it.",
    "disasm": "List the instructions of an object with their source lines.",
    "exec": "Run raw bytecode once and print r0 (for testing engines).",
    "replay": "Send every frame of a capture through a program, without a network.",
    "diff": "List the frames of captures whose verdict another rule set changes, by the rules that decide.",
    "test-run": "Run a program of an object on one frame and print what comes of it.",
    "guard": "Run a command, and all that it starts, under the socket hooks of an object.",
    "lab": "Run the box between attackers, clients and a server in a private network.",
}

# Python looks for garbage after so many new objects, and not after 700: what a start makes (modules, instructions,
# states of a proof) mostly stays, and to go through it again and again was a tenth of the start.
YOUNG_OBJECTS = 50_000


class LazyCommands(click.Group):
    """A command group that imports a command when it is called. Any thread."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"appliance.cli.commands.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 the input was refused, 2 wrong usage or this machine can't do it."""
    collect_rarely()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may hold what the terminal can't write
    group = LazyCommands("tidegate", help="A network box that runs verified eBPF filters on every frame.")
    group = click.version_option(__version__, prog_name="tidegate")(group)
    status = _run(group, sys.argv[1:] if arguments is None else list(arguments))
    _flush_messages()
    sys.exit(status)


def collect_rarely() -> None:
    """Have the whole process look for garbage only after YOUNG_OBJECTS."""
    gc.set_threshold(YOUNG_OBJECTS)


def _open_closed_streams() -> None:
    """Python has None where a stream was closed before it began (`>&-`): what is written there goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))


def _run(group: click.Group, arguments: list[str]) -> int:
    try:
        status = group.main(arguments, prog_name="tidegate", standalone_mode=False)
        sys.stdout.flush()
    except TidegateError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as ended:  # click makes one with status 1 of a reader that left, and SIGTERM one with 143
        return _reader_left() if ended.code == 1 else int(ended.code or 0)
    except OSError as error:
        _discard_output()
        print(f"tidegate: {error.strerror or error}", file=sys.stderr)
        return CannotRun.exit_status
    return status if isinstance(status, int) else 0


def _flush_messages() -> None:
    """Nobody may read the messages any more: that does not change how the command ended (Python would say 120)."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _reader_left() -> int:
    """The reader had enough (`… | head`), and that is no failure."""
    _discard_output()
    return 0


def _discard_output() -> None:
    """Let what is still to be written to standard output go nowhere, so that the interpreter's end is quiet."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
