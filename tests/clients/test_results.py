"""An interrupted run of `make clients` goes on where it stopped."""

from tests.clients.results import PASSED, UNABLE, Cell, Result, Results, counts, row_of

TEXT = Cell("codex", "1.0", "text", "openai-completions")
EDIT = Cell("codex", "1.0", "edit", "openai-completions")


def test_a_resumed_run_repeats_what_failed_and_what_is_new(tmp_path):
    file = tmp_path / "results.jsonl"
    first = Results(file, resume=False)
    first.add(Result(TEXT, PASSED))
    first.add(Result(EDIT, "no such tool"))
    resumed = Results(file, resume=True)
    assert resumed.done(TEXT) == Result(TEXT, PASSED)
    assert resumed.done(EDIT) is None
    assert resumed.done(Cell("codex", "1.1", "text", "openai-completions")) is None
    resumed.add(Result(EDIT, UNABLE))
    assert Results(file, resume=True).done(EDIT) == Result(EDIT, UNABLE)


def test_a_new_run_repeats_everything(tmp_path):
    file = tmp_path / "results.jsonl"
    Results(file, resume=False).add(Result(TEXT, PASSED))
    assert Results(file, resume=False).done(TEXT) is None


def test_a_line_that_a_killed_run_has_begun_is_removed(tmp_path):
    file = tmp_path / "results.jsonl"
    Results(file, resume=False).add(Result(TEXT, PASSED))
    file.write_bytes(file.read_bytes() + b'{"cell": {"cli')
    resumed = Results(file, resume=True)
    resumed.add(Result(EDIT, UNABLE))
    assert [Results(file, resume=True).done(cell).outcome for cell in (TEXT, EDIT)] == [PASSED, UNABLE]


def test_a_row_names_failures_only_and_they_are_counted():
    results = [Result(TEXT, PASSED), Result(TEXT, UNABLE), Result(EDIT, "no such tool\n| at line 1")]
    assert row_of("text", [result.outcome for result in results]) == "| text | ok | - | FAILED |"
    assert counts(results) == {"passed": 1, "the client's own limits": 1, "failed": 1}
