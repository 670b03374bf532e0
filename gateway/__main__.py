"""`python -m gateway` and the console script: checks the installation, then hands over to the command line."""

import sys

from gateway.cli.requirements import missing_requirement


def main() -> int:
    """Run the command line; the exit status is returned, 1 if the installation can't carry the gateway."""
    problem = missing_requirement()
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
        return 1
    try:
        from gateway.cli.main import main as command_line  # noqa: PLC0415 - it may import what was just checked
    except KeyboardInterrupt:
        return 130
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
