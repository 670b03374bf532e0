"""Names and texts use the standard terms of the field. The words that these terms replaced must not come back."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.syntax import syntax_tree

ROOT = Path(__file__).parents[1]

NEVER_COVERED = {
    "CHANGELOG.md": "the history of releases keeps its words",
    "tests/test_words.py": "names the words",
}

# (path, word): why the word stays.
ALLOWED = {
    ("docs/sessions.md", "kept"): "a field of stored transcripts",
    ("gateway/conversations/transcript.py", "kept"): "a field of stored transcripts",
    ("gateway/state/events/sqlite.py", "standing"): "a column of the SQLite file",
    ("gateway/state/schema.py", "standing"): "a column of the SQLite file",
}

# The whole identifier, without leading underscores → the term.
NAMES = {
    "AskedRun|Running|RecordedRun|KeptRun|MeteredRun": "AnswerStream, SessionRecorder, ResponseRecorder, UsageMeter",
    "Caller": "ProviderClient; a caller or client is only who calls the gateway",
    "Cut|Shape|Written|read_exact": "RawFields, StructDecoder, RawText, decode_strict",
    "Dispatch|Incoming|Offer": "RunContext, BoundedReader, OfferedTools",
    "Joined|Past|Tries|marks": "MergedHistory, HistoryWindow, Retries, trim_points",
    "LAST_CALL|LOOK|LOOK_EVERY": "shutdown_timeout, poll_interval",
    "LONGEST|MOST|most": "say of what: MAX_TOOL_CALLS, max_runs",
    "RedisLink|RedisScript": "RedisClient, Script",
    "Stage|Verified|Visible": "EventFilter, ToolChoiceGuard, ReasoningFilter",
    "Standing|standings?": "LeaseState, LimitStatus",
    "Link": "ReplicationLink",
    "Told|Trail": "EventPage, RunTrace",
    "begun|elsewhere|shut": "started, background_jobs, closed",
    "bury": "fail_orphan",
    "listed": "content_is_array, list_…",
    "opened": "open_…",
    "places?": "index, slot, cursor",
    "rests?": "cooldown",
    "take_unshared|void": "pop_unsynced, cleared_until",
}
# A part of an identifier between underscores → the term.
PARTS = {
    "LONGEST|longest": "say of what: max_backoff",
    "MOST": "say of what: MAX_TOOL_CALLS",
    "PATIENCE|patience": "max_wait, timeout",
    "told|said": "sent, rendered, value, raw",
    "crossing|farewell": "stale keep-alive, stale_window",
    "hopeless|resting": "is_permanent, cooling down",
    "hurry|hurried": "force",
    "[Dd]ebts?|owe|owed": "defer, pending",
    "newcomers?|speechless|strangers?|turnstile": "new connections, agents without a callable model, "
    "unauthenticated clients, keyed queue",
}
# The beginning of an identifier → the term.
PREFIXES = {"found|kept": "result, stored"}
# Words and phrases in comments, docstrings, texts and pages → the term.
PHRASES = {
    r"\btold\b|\bsaid\b": "sends, logs, returns",
    r"\bkept\b": "stores, reuses, keeps",
    r"\brest(?:s|ed|ing)\b(?! on\b)": "cools down, is idle",
    r"\bpatience\b|\bhurr(?:y|ied)\b|\bturnstiles?\b": "timeout, max_wait, force, queue",
    r"\bfarewells?\b|\bspeechless\b": "stale keep-alive, agents without a callable model",
    r"\bnewcomers?\b|\bstrangers?\b": "new connections, unauthenticated clients",
    r"\bthe business of\b": "say who does it",
    r"\bwhoever\b": "name the actor",
    r"(?:^|[.:;(] )Who (?:asks|can|comes|does|gives|has|holds|is|keeps|leaves|looks|waits|was)\b": "name the actor",
}

Problem = tuple[int, str, str]


def tracked(*suffixes: str) -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listing.splitlines() if path.endswith(suffixes) and path not in NEVER_COVERED]


def whole(table: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(rf"_*(?:{words})"), term) for words, term in table.items()]


_NAMES, _PARTS = whole(NAMES), whole(PARTS)
_PREFIXES = [(re.compile(rf"_*(?:{words})(?:_.*)?"), term) for words, term in PREFIXES.items()]
_PHRASES = [(re.compile(pattern, re.MULTILINE), term) for pattern, term in PHRASES.items()]
_ANY_PHRASE = re.compile("|".join(PHRASES), re.MULTILINE)


@cache
def problem_of_name(name: str) -> str | None:
    """The term to use in place of a retired identifier; None for any other."""
    for pattern, term in (*_NAMES, *_PREFIXES):
        if pattern.fullmatch(name):
            return term
    return next((term for part in name.split("_") for pattern, term in _PARTS if pattern.fullmatch(part)), None)


def phrases_in(text: str, first_line: int = 1) -> Iterator[Problem]:
    if _ANY_PHRASE.search(text) is None:  # as in nearly every text
        return
    for pattern, term in _PHRASES:
        for match in pattern.finditer(text):
            yield first_line + text.count("\n", 0, match.start()), match[0].lstrip(".:;( "), term


def words_in_python(source: str) -> Iterator[Problem]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        match token.type:
            case tokenize.NAME:
                if (term := problem_of_name(token.string)) is not None:
                    yield token.start[0], token.string, term
            case tokenize.COMMENT | tokenize.STRING:
                yield from phrases_in(token.string.lstrip("#rbf\"' "), token.start[0])
            case kind if tokenize.tok_name[kind] == "FSTRING_MIDDLE":  # Python 3.12 and newer
                yield from phrases_in(token.string, token.start[0])
            case _:
                pass


def words_in_lua(source: str) -> Iterator[Problem]:
    for number, line in enumerate(source.splitlines(), 1):
        code, _, comment = line.partition("--")
        yield from phrases_in(comment.strip(), number)
        for name in re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", code)):
            if (term := problem_of_name(name)) is not None:
                yield number, name, term


READERS = {".py": words_in_python, ".lua": words_in_lua, ".md": phrases_in}


# One test for all files, as for the log events below: a test for each would cost more than reading it.
def test_no_retired_word_is_in_use():
    paths = tracked(".py", ".lua", ".md")
    assert len(paths) > 1000
    assert [
        f"{path}:{line}: '{word}': use {term}"
        for path in paths
        for line, word, term in READERS[Path(path).suffix]((ROOT / path).read_text(encoding="utf-8"))
        if (path, word) not in ALLOWED
    ] == []


@pytest.mark.parametrize("path", sorted({path for path, _ in ALLOWED}))
def test_every_exception_is_needed(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    words = {word for _, word, _ in READERS[Path(path).suffix](text)} | set(re.findall(r"\w+", text))
    assert {word for allowed, word in ALLOWED if allowed == path} <= words


def log_events(source: str) -> Iterator[str]:
    """The fixed texts of log lines, and their keys as `key=`."""
    for node in ast.walk(syntax_tree(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="log" | "_log"), attr="debug" | "info" | "warning" | "error" | "exception"
                )
            ):
                yield from (each.value for each in node.args if isinstance(each, ast.Constant))
                yield from (f"{keyword.arg}=" for keyword in node.keywords if keyword.arg is not None)
            case _:
                pass


def test_log_events_are_sentences_and_their_keys_are_snake_case():
    events = [
        (path, event)
        for path in tracked(".py")
        if path.startswith("gateway/")
        for event in log_events((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert len(events) > 100
    form = re.compile(r"[a-z][a-z0-9_]*=|[A-Z].* .*[^.!? ]|Draining|Listening")
    assert [f"{path}: {event}" for path, event in events if not form.fullmatch(event)] == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("_MOST = 8\n", ["_MOST"]),
        ("def test_a_caller_is_told_so(): pass\n", ["test_a_caller_is_told_so"]),
        ("kept_sessions = found\n", ["kept_sessions", "found"]),
        ("run(hurry=True)\n", ["hurry"]),
        ("x = 1  # who asks is told\n", ["told"]),
        ('"""Who is no admin finds nothing."""\n', ["Who is"]),
        ("profound = foundation = outermost = almost = placement = restart = 1\n", []),
        ("# The rest of the data rests on the disk.\n", []),
    ],
)
def test_retired_words_are_found_in_python(source, words):
    assert [word for _, word, _ in words_in_python(source)] == words


def test_retired_words_are_found_in_lua():
    source = "local place = 1 -- whoever asks\nreturn redis.call('SET', 'rests', place)\n"
    assert [word for _, word, _ in words_in_lua(source)] == ["whoever", "place", "place"]


def test_log_lines_of_any_other_form_are_found():
    assert list(log_events('log.info("Redis is in use", limit_s=1)')) == ["Redis is in use", "limit_s="]
