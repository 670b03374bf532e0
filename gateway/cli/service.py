"""`openclaw-gateway service install`: write a systemd unit that starts the gateway at boot, with few rights.

It does not start again after a bad configuration (exit status 78), because that does not mend itself.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.main import COMMANDS, EXIT_CONFIG, PROGRAM, config_option

if TYPE_CHECKING:
    from gateway.cli.main import Subparsers

UNIT = Path(f"/etc/systemd/system/{PROGRAM}.service")
_HIDDEN = "which the service can't read"
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))

_TEMPLATE = f"""\
[Unit]
Description={PROGRAM}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={{program}} serve
ExecReload=/bin/kill -HUP $MAINPID
Environment=OPENCLAW_STATE_DIR=/var/lib/{PROGRAM}
{{variables}}EnvironmentFile=-/etc/{PROGRAM}.env
DynamicUser=yes
StateDirectory={PROGRAM}
StateDirectoryMode=0700
UMask=0077
LimitNOFILE=65536
KillMode=mixed
TimeoutStopSec=75
Restart=on-failure
RestartSec=2
RestartPreventExitStatus={EXIT_CONFIG}
# The gateway needs the network, its state directory, and nothing else of this machine.
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def add_parser(sub: "Subparsers") -> None:
    """`service install [--config FILE] [--program FILE] [--print]`."""
    parser = sub.add_parser("service", help=COMMANDS["service"], description=__doc__)
    config_option(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    install = actions.add_parser("install", help=f"write {UNIT}")
    config_option(install, of_action=True)
    install.add_argument("--program", metavar="FILE", help=f"the {PROGRAM} to run (default: this one)")
    install.add_argument("--print", action="store_true", help="print the unit instead of writing it")


def run(args: argparse.Namespace) -> int:
    """0 when the unit is written or printed, 1 when it can't be, 2 for a program that a service can't run."""
    program = Path(args.program) if args.program else Path(sys.executable).with_name(PROGRAM)
    config = Path(args.config).absolute() if args.config else None
    for path, problem in ((program, _problem_of(program)), (config, config and _problem_of_path(config))):
        if problem:
            print(f"{path}: {problem}", file=sys.stderr)
            return 2
    text = unit(program, config)
    if args.print:
        print(text, end="")
        return 0
    try:
        UNIT.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{UNIT}: can't be written ({error.strerror}); run the command as root, or use --print", file=sys.stderr)
        return 1
    file = config or f"/var/lib/{PROGRAM}/openclaw.json"
    print(f"Wrote {UNIT}. Next: write the configuration, {file}, and secrets to /etc/{PROGRAM}.env, and run")
    print(f"systemctl daemon-reload && systemctl enable --now {PROGRAM}")
    return 0


def unit(program: Path, config: Path | None = None) -> str:
    """The unit that runs this program, with this configuration file instead of that in the state directory."""
    variables = "" if config is None else f"Environment=OPENCLAW_CONFIG_PATH={_escaped(config)}\n"
    return _TEMPLATE.format(program=_escaped(program), variables=variables)


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _problem_of(program: Path) -> str | None:
    """Why a service can't run the program."""
    if problem := _problem_of_path(program):
        return problem
    if not os.access(program, os.X_OK):
        return "is no program; install the gateway, or name it with --program"
    resolved = (Path(os.path.realpath(program)), Path(os.path.realpath(program.with_name("python"))))
    if any(path.is_relative_to(home) for path in resolved for home in _HOMES):
        return f"runs from a home directory, {_HIDDEN}; install it below /opt, or use --program"
    return None


def _problem_of_path(path: Path) -> str | None:
    """Why a unit can't name the path."""
    if not path.is_absolute() or any(character in str(path) for character in " \t\n\"'\\$;"):
        return "must be an absolute path without spaces or quotes"
    if any(path.is_relative_to(home) for home in _HOMES):
        return f"is in a home directory, {_HIDDEN}; use one below /etc or /opt"
    return None
