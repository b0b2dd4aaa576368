"""`devflow run | worker | sandbox | check | create-table`: reads the command line, then hands over to a room.

Exit status: 0 all went well, 1 something failed and said so, 2 the command line or the settings are wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from slackbot import __version__
from slackbot.core.errors import ConfigError, DevflowError

STOP_SECONDS = 24.0
"""After SIGTERM `devflow run` has ended by then, whatever hangs; ECS kills after 30 s."""


def main(arguments: list[str] | None = None) -> int:
    """The console script `devflow`."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.call(options))
    except ConfigError as error:
        print("The settings are not complete:", file=sys.stderr)
        for fault in error.faults:
            print(f"  - {fault}", file=sys.stderr)
        return 2
    except DevflowError as error:
        print(f"{error.summary} {error.remedy}".strip(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devflow", description="Turns a Slack thread into a development session.")
    parser.add_argument("--version", action="version", version=f"DevFlow {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="the bot, against the systems the environment names")
    run.set_defaults(call=_run)

    check = commands.add_parser("check", help="asks Slack, the store, the tasks and GitHub whether all is set up right")
    check.add_argument("--sessions", action="store_true", help="also compare sessions, tasks, branches and threads")
    check.add_argument("--fix", action="store_true", help="with --sessions: mend what does not agree")
    check.add_argument("--json", action="store_true", help="print a list of {part, ok, summary, remedy}")
    check.set_defaults(call=_check)

    worker = commands.add_parser("worker", help="what runs inside a task; started by the bot, not by hand")
    worker.set_defaults(call=_worker)

    sandbox = commands.add_parser("sandbox", help="everything on this machine, with no account anywhere")
    sandbox.add_argument("--repo", action="append", type=Path, default=[], metavar="PATH", help="offer a git "
                         "repository of yours as local/NAME; it is copied, never written")  # fmt: skip
    sandbox.add_argument("--port", type=int, metavar="N", help="the page's port; N+1 and N+2 are used as well "
                         "(default 8400, or what this state used before)")  # fmt: skip
    sandbox.add_argument("--state", type=Path, metavar="DIR", help="where everything is kept (default .devflow)")
    sandbox.add_argument("--json", action="store_true", help="print the addresses as one line of JSON when ready")
    sandbox.add_argument("--once", metavar="PROMPT", help="run the main job once in this terminal, then end")
    sandbox.set_defaults(call=_sandbox)

    create_table = commands.add_parser("create-table", help="the DynamoDB table, its index and its TTL; safe to repeat")
    create_table.add_argument("--table", metavar="NAME", help="default: DEVFLOW_TABLE, or devflow-sessions")
    create_table.add_argument("--point-in-time-recovery", action="store_true", help="let AWS keep every state of the "
                              "last 35 days, prompts and answers included (off by default)")  # fmt: skip
    create_table.set_defaults(call=_create_table)
    return parser


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """For imports that stay for as long as the process: they are not looked through for garbage.

    That would take a good part of the time of a start, and again of an end.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(options: argparse.Namespace) -> int:
    with _importing():
        from slackbot.app import run_bot
        from slackbot.config import load_settings
        from slackbot.logs import configure_logs

    settings = load_settings(os.environ)
    configure_logs(settings.DEVFLOW_LOG_FORMAT, settings.secrets())

    async def until_told() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        running = loop.create_task(run_bot(settings, stop=stop, on_ready=lambda _: ready.set()))

        def end() -> None:
            if not stop.is_set():
                stop.set()
                # A thread in a call that hangs cannot be ended, and must not hold up the whole process.
                watchdog = threading.Timer(STOP_SECONDS, _end_at_once)
                watchdog.daemon = True
                watchdog.start()
            if not ready.is_set():
                # It still asks who it is, or waits for Slack: nothing was taken on yet.
                running.cancel()

        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, end)
        try:
            await running
        except asyncio.CancelledError:
            if not stop.is_set():
                raise

    asyncio.run(until_told())
    return 0


def _end_at_once() -> None:
    import structlog

    structlog.get_logger().error("stop_took_too_long", seconds=STOP_SECONDS, remedy="Nothing stored is lost.")
    sys.stdout.flush()
    os._exit(1)


def _check(options: argparse.Namespace) -> int:
    if options.fix and not options.sessions:
        print("--fix mends sessions: use it with --sessions.", file=sys.stderr)
        return 2
    with _importing():
        from slackbot import check
        from slackbot.config import load_settings
        from slackbot.logs import configure_logs

    def show(findings: list[check.Finding]) -> None:
        print(check.as_json(findings) if options.json else "\n".join(check.render(findings)), flush=True)

    try:
        settings = load_settings(os.environ)
    except ConfigError as error:
        show(check.of_settings(error))
        return 2
    configure_logs(settings.DEVFLOW_LOG_FORMAT, settings.secrets())
    # What is wrong is told in a line of its own; the adapters' words on it would be another.
    logging.getLogger().setLevel(logging.CRITICAL)

    async def ask() -> int:
        found = await check.check_setup(settings)
        if options.sessions:
            from slackbot.check_sessions import check_sessions

            found += await check_sessions(settings, fix=options.fix)
        show(found)
        status = 0 if all(finding.ok for finding in found) else 1
        if len(asyncio.all_tasks()) > 1:
            # A system that does not answer must not hold the prompt; whoever waits for it waits in vain.
            os._exit(status)
        return status

    return asyncio.run(ask())


def _worker(options: argparse.Namespace) -> int:
    with _importing():
        from slackbot.worker.main import run

    return run()


def _sandbox(options: argparse.Namespace) -> int:
    with _importing():
        from slackbot.sandbox.main import SandboxOptions, run_sandbox

    return run_sandbox(
        SandboxOptions(
            repositories=tuple(options.repo),
            port=options.port,
            state_dir=options.state,
            as_json=options.json,
            once=options.once,
        )
    )


def _create_table(options: argparse.Namespace) -> int:
    from slackbot.adapters.dynamodb_calls import make_client
    from slackbot.adapters.dynamodb_create import create_table
    from slackbot.config import Settings

    default = Settings.model_fields["DEVFLOW_TABLE"].default
    table = options.table or os.environ.get("DEVFLOW_TABLE", "").strip() or default
    client = make_client(attempts=4)
    try:
        for line in create_table(client, table, point_in_time_recovery=options.point_in_time_recovery):
            print(line)
    finally:
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
