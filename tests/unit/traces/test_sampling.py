import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.trace_context import TraceContext, read_traceparent
from gateway.traces.sampling import Sampler

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"


def headers(*pairs):
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "ff"])
def test_the_sampled_flag_is_the_lowest_bit(flags):
    sampled = int(flags, 16) % 2 == 1
    assert read_traceparent(f"00-{TRACE}-{SPAN}-{flags}") == (int(TRACE, 16), int(SPAN, 16), sampled)


def test_a_later_version_may_have_more_fields():
    assert read_traceparent(f"01-{TRACE}-{SPAN}-01-what-ever") == read_traceparent(VALID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        VALID.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
    ],
)
def test_what_is_no_traceparent_is_ignored(text):
    assert read_traceparent(text) is None


def test_a_context_writes_what_it_reads():
    trace_id, span_id, sampled = read_traceparent(VALID)
    assert TraceContext(trace_id, span_id, sampled).traceparent == VALID


def test_numbered_spans_differ_and_are_never_zero():
    context = TraceContext(1, 2**64 - 2, sampled=True)
    ids = [context.numbered(number).span_id for number in (1, 2, 3)]
    assert len(set(ids)) == 3
    assert all(0 < one < 2**64 for one in ids)


def test_two_traceparents_are_none():
    context = Sampler(1.0, accept=True).begin(headers(("traceparent", VALID), ("traceparent", VALID)))
    assert context.parent == 0


def test_several_tracestates_are_one_list_and_a_long_one_is_dropped():
    sampler = Sampler(1.0, accept=True)
    pairs = ("traceparent", VALID), ("tracestate", "a=1"), ("tracestate", "b=2")
    assert sampler.begin(headers(*pairs)).state == "a=1,b=2"
    assert sampler.begin(headers(("traceparent", VALID), ("tracestate", "a=" + "x" * 600))).state == ""


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_the_rate_is_the_part_of_new_traces_that_is_recorded(rate):
    sampler = Sampler(rate, accept=True)
    sampled = sum(sampler.begin(headers()).sampled for _ in range(4000))
    assert sampled / 4000 == pytest.approx(rate, abs=0.05 if 0 < rate < 1 else 0)


@pytest.mark.parametrize("sent", [True, False])
def test_the_clients_flag_wins_over_the_rate(sent):
    sampler = Sampler(0.0 if sent else 1.0, accept=True)
    flag = "01" if sent else "00"
    assert sampler.begin(headers(("traceparent", f"00-{TRACE}-{SPAN}-{flag}"))).sampled is sent
