"""The last runs of this process, for operators."""

from collections import OrderedDict

from gateway.runs.run_record import RunRecord, decode_record, encode_record
from gateway.runs.trace import RunFinished, RunTrace

MAX_RUNS = 1000


class RecentRuns:
    """The last `max_runs` runs by request id, without prompts and answers.

    A client may choose its request ids, so each `user` (the verified identity, None without one) has ids of its own.
    A run that has ended is held as bytes: a thousand graphs of objects that outlive their requests would make every
    request use memory that no cache of the processor holds.
    """

    def __init__(self, max_runs: int = MAX_RUNS) -> None:
        self._max_runs = max_runs
        self._runs: OrderedDict[tuple[str | None, str], RunTrace | bytes] = OrderedDict()

    def put(self, trace: RunTrace) -> None:
        """Add a run that begins. A later one of the same user with the same id replaces it."""
        key = trace.origin.user, trace.origin.request
        self._runs[key] = trace
        self._runs.move_to_end(key)  # a dict leaves a replaced one at its old position
        if len(self._runs) > self._max_runs:
            self._runs.popitem(last=False)

    def ended(self, finished: RunFinished) -> None:
        """A run has ended; see Observer. Runs that were not added, such as those for summaries, are ignored."""
        trace = finished.trace
        key = trace.origin.user, trace.origin.request
        if self._runs.get(key) is trace:
            self._runs[key] = encode_record(trace.record())

    def get(self, user: str | None, request_id: str, *, everybody: bool = False) -> RunRecord | None:
        """The user's run; None if unknown. With `everybody`, else the latest one of another user."""
        run = self._runs.get((user, request_id))
        if run is None and everybody:
            others = (run for (_, known), run in reversed(self._runs.items()) if known == request_id)
            run = next(others, None)
        return decode_record(run) if isinstance(run, bytes) else None if run is None else run.record()
