"""Labels of events above a chart: none covers another, and what has no room is counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from runbook.model import Event
from runbook.reporting.charts import event_labels
from tests.reporting.test_charts import CHART, EVENTS, TIMES, planned

EVENT_LISTS = st.lists(
    st.builds(
        Event,
        st.floats(0, 5400),
        st.sampled_from(["restart", "revision 14", "alert", "a rather long label of an event"]),
        st.sampled_from(["rollout", "restart", "onset", "alert", "mitigation"]),
    ),
    max_size=25,
)


@given(EVENT_LISTS)
def test_event_labels_never_overlap(events: list[Event]):
    """No label covers another or the line of another, none leaves the paper, and every event is accounted for."""
    wide, ends = 373.0, (-31.0, 424.0)
    placed, unmarked = event_labels.place(
        events, (0.0, 5400.0), wide=wide, paper=ends, width=lambda text: 5.0 * len(text)
    )
    assert unmarked <= len(events)
    boxes = []
    for mark in placed:
        x, size = mark.time / 5400 * wide, 5.0 * len(mark.text)
        left = x + event_labels.CLEAR if mark.side == "right" else x - event_labels.CLEAR - size
        boxes.append((mark.row, x, left, left + size))
        assert ends[0] <= left
        assert left + size <= ends[1]
        assert mark.row < event_labels.ROWS
    for a, b in combinations(boxes, 2):
        assert a[0] != b[0] or a[3] <= b[2] or b[3] <= a[2]
        for (row, _, left, right), (other, line, _, _) in ((a, b), (b, a)):
            assert other < row or not left < line < right


def test_labels_of_the_usual_events_say_when():
    """Rollout, onset and alert minutes apart all get their label, with the time, in two rows."""
    drawn = planned(CHART)
    assert [mark.text for mark in drawn.marks] == ["10:37 revision 14", "10:40 onset", "10:47 alert"]
    assert max(mark.row for mark in drawn.marks) == 1
    assert drawn.more == ""


def test_many_events_stay_readable():
    """Restarts within a minute share a label; two dozen rollouts become a few; what has no room is counted."""
    restarts = tuple(Event(TIMES[237] + 9 * k, "restart", "restart") for k in range(6))
    assert "10:41–10:42 6× restart" in [m.text for m in planned(replace(CHART, events=(*EVENTS, *restarts))).marks]
    rollouts = tuple(Event(TIMES[10 + 14 * k], f"revision {k}", "rollout") for k in range(24))
    crowded = planned(replace(CHART, events=(*EVENTS[1:], *rollouts)))
    assert {"onset", "alert", "rollout"} <= {m.kind for m in crowded.marks}
    assert crowded.more == ""
    assert planned(replace(CHART, events=(*EVENTS, Event(TIMES[0] - 60, "early", "rollout")))).more == "+1 more event"
