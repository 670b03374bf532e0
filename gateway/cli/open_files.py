"""The limit of open files, raised to what the system allows: shells start programs with a soft limit of 1024."""

import resource

MAX_OPEN_FILES = 65_536


def raise_limit() -> None:
    """Raise the soft limit of this process and its children up to the hard limit, 65,536 at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
