"""Whether the time of a refusal reveals anything about the secret: Welch's t-test over guesses in random order.

    python bench/timing.py [--samples 200000] [--seed N]

Each row compares two classes of calls of the authenticator, in random order. Every call uses new objects, created by
the same steps in both classes, and the garbage collector is off, because with so many samples even the memory address
of an object would matter. |t| below 4.5 is the usual bound for "no difference found"
(https://github.com/oreparaz/dudect). `t` is over all samples, `t 99 %` without the slowest hundredth, which the
operating system has interrupted. The last row does leak, to show that the test finds a leak. The exit status is 1 if
another row reaches the bound, or if the last one does not.
"""

import argparse
import gc
import random
import string
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, median, variance
from time import perf_counter, perf_counter_ns

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access import modes
from gateway.access.bearer import bearer
from gateway.access.client import ClientAddress, ClientResolver
from gateway.access.client_keys import KeyReplica, KeyRing
from gateway.access.headers import Headers
from gateway.access.outcome import Outcome, Rejected
from gateway.access.shared_secret import SharedSecret
from gateway.core.client_key import LENGTH as KEY_LENGTH
from gateway.core.client_key import PREFIX, KeyRecord, digest_of

BOUND = 4.5
BATCH = 10_000  # guesses made ahead of their measurement
ALPHABET = string.ascii_letters + string.digits
CLIENT = ClientResolver(()).resolve("203.0.113.7", CIMultiDict())
LENGTH = 64
Judge = modes.Authenticator
Guess = tuple[Judge, CIMultiDictProxy[str]]


@dataclass(frozen=True)
class Comparison:
    """Two classes of guesses. `make` creates a guess of class 0 or 1: the authenticator and the request's headers."""

    name: str
    make: Callable[[int], Guess]
    leaks: bool = False


class Leaky:
    """Compares insecurely: it stops at the first wrong character."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def authenticate(self, _client: ClientAddress, headers: Headers) -> Outcome:
        for right, guessed in zip(self._secret, bearer(headers) or "", strict=False):
            if right != guessed:
                break
        return Rejected("wrong", "token")


def comparisons(chance: random.Random) -> Iterator[Comparison]:
    def word(length: int) -> str:
        return "".join(chance.choices(ALPHABET, k=length))

    def headers(text: str) -> CIMultiDictProxy[str]:
        return CIMultiDictProxy(CIMultiDict([("Host", "gateway"), ("Authorization", f"Bearer {text}")]))

    def partly_right(which: int, known: slice, judge: Callable[[str], Judge]) -> Guess:
        """Class 0 knows the secret at the indices of `known`, class 1 nothing."""
        secret, nothing, noise = list(word(LENGTH)), list(word(LENGTH)), list(word(LENGTH))
        noise[known] = (secret, nothing)[which][known]
        return judge("".join(secret)), headers("".join(noise))

    def as_long(which: int, other: int) -> Guess:
        """Class 0 guesses at a secret of the guess's length, class 1 at one of `other` characters."""
        secrets = {length: word(length) for length in (LENGTH, other)}
        judges = {length: token(secrets[length]) for length in chance.sample([LENGTH, other], 2)}
        return judges[(LENGTH, other)[which]], headers(word(LENGTH))

    def token(secret: str) -> Judge:
        return SharedSecret("token", secret)

    def partly_a_key(which: int) -> Guess:
        """Class 0 knows the first 40 characters of a client's key, class 1 of a key that does not exist."""
        replica = KeyReplica()
        replica.loaded = True
        keys = [PREFIX + word(KEY_LENGTH - len(PREFIX)) for _ in range(2)]
        replica.put(KeyRecord("client", digest_of(keys[0]).hex()))
        ring = KeyRing("token", (), replica, perf_counter)
        guess = keys[which][:40] + word(KEY_LENGTH - 40)
        return SharedSecret("token", word(LENGTH), ring), headers(guess)

    for known in (1, 32, 63):
        yield Comparison(
            f"the first {known} of {LENGTH} characters right / none",
            lambda which, known=known: partly_right(which, slice(known), token),
        )
    yield Comparison(
        f"the last 63 of {LENGTH} characters right / none", lambda which: partly_right(which, slice(1, None), token)
    )
    # The time may depend on the guess's length, which the attacker knows, but not on the secret's.
    yield Comparison("the secret as long as the guess / shorter", lambda which: as_long(which, 24))
    yield Comparison("the secret as long as the guess / longer", lambda which: as_long(which, 200))
    yield Comparison(f"the first 40 of {KEY_LENGTH} characters of a key right / none", partly_a_key)
    yield Comparison(
        f"control, leaks: the first 32 of {LENGTH} right / none",
        lambda which: partly_right(which, slice(32), Leaky),
        leaks=True,
    )


def measure(compared: Comparison, samples: int, chance: random.Random) -> tuple[list[int], list[int]]:
    """Nanoseconds of each call, by class; `samples` of each."""
    times: tuple[list[int], list[int]] = ([], [])
    order = [0, 1] * samples
    chance.shuffle(order)
    gc.disable()
    for start in range(0, len(order), BATCH):
        classes = order[start : start + BATCH]
        guesses = [compared.make(which) for which in classes]
        for which, (judge, headers) in zip(classes, guesses, strict=True):
            before = perf_counter_ns()
            outcome = judge.authenticate(CLIENT, headers)
            after = perf_counter_ns()
            if outcome != Rejected("wrong", "token"):
                continue  # the guess is the secret by chance
            times[which].append(after - before)
    gc.enable()
    return times


def welch(first: list[int], second: list[int]) -> float:
    spread = variance(first) / len(first) + variance(second) / len(second)
    return (fmean(first) - fmean(second)) / sqrt(spread) if spread else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200_000, help="of each class (default: 200000)")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    print(f"{'compared':<48} {'samples':>15} {'median ns':>11} {'mean ns':>15} {'t':>6} {'t 99 %':>7}")
    worst, seen = 0.0, True
    for compared in comparisons(chance):
        first, second = measure(compared, options.samples, chance)
        limit = sorted(first + second)[int(0.99 * len(first + second))]
        cut = [time for time in first if time <= limit], [time for time in second if time <= limit]
        values = welch(first, second), welch(*cut)
        largest = max(map(abs, values))
        if compared.leaks:
            seen = largest >= BOUND
        else:
            worst = max(worst, largest)
        counts = f"{len(first)}+{len(second)}"
        medians, means = f"{median(first):.0f}/{median(second):.0f}", f"{fmean(first):.1f}/{fmean(second):.1f}"
        print(
            f"{compared.name:<48} {counts:>15} {medians:>11} {means:>15} {values[0]:>6.2f} {values[1]:>7.2f}",
            flush=True,
        )
    print(f"largest |t| {worst:.2f}, bound {BOUND}; the control's leak was {'seen' if seen else 'NOT seen'}")
    return 0 if worst < BOUND and seen else 1


if __name__ == "__main__":
    sys.exit(main())
