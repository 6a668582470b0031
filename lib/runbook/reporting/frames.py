"""What a check found as DataFrames, for questions of one's own in a notebook.

pandas takes half a second to import: on first use only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runbook.errors import UsageError
from runbook.model import Chart, Finding, Series
from runbook.text.escape import plain_text
from runbook.text.suggest import hint

if TYPE_CHECKING:
    import pandas as pd


def series(found: Finding) -> pd.DataFrame:
    """Every line of the check's charts: a column for each, named by its label, over UTC times.

    Times are those of any line, NaN where a line has no value. A label that several lines have gets its chart's title
    in brackets, and a number where that is not enough. `attrs` holds `title` and `unit`; of several charts all of them,
    separated by "; ", and `units` the unit of each column.
    """
    import pandas as pd

    charts = found.result.charts
    if not charts:
        raise UsageError(f"The check {found.check} has no chart; its tables: {', '.join(_tables(found)) or 'none'}.")
    named = list(_named(charts))
    columns = {name: _column(line) for name, _, line in named}
    frame = pd.concat(columns, axis=1, sort=True) if columns else pd.DataFrame(index=_index(()))
    frame.index.name = "time"
    frame.attrs = {
        "title": "; ".join(dict.fromkeys(chart.title for chart in charts)),
        "unit": "; ".join(dict.fromkeys(chart.unit for chart in charts)),
        "units": {name: chart.unit for name, chart, _ in named},
    }
    return frame


def table(found: Finding, name: str) -> pd.DataFrame:
    """A table of the check, its columns and rows as they are in data/; `attrs` holds its name as `title`."""
    import pandas as pd

    one = next((one for one in found.result.tables if one.name == name), None)
    if one is None:
        raise UsageError(f"The check {found.check} has no table {plain_text(name, 80)!r}; {hint(name, _tables(found))}")
    frame = pd.DataFrame(list(one.rows), columns=list(one.columns))
    frame.attrs = {"title": one.name}
    return frame


def _tables(found: Finding) -> list[str]:
    return sorted(table.name for table in found.result.tables)


def _named(charts: tuple[Chart, ...]) -> Iterator[tuple[str, Chart, Series]]:
    """Each line with a name that no other one has."""
    labels = Counter(line.label for chart in charts for line in chart.series)
    taken: Counter[str] = Counter()
    for chart in charts:
        for line in chart.series:
            name = line.label if labels[line.label] == 1 else f"{line.label} ({chart.title})"
            taken[name] += 1
            yield name if taken[name] == 1 else f"{name} {taken[name]}", chart, line


def _column(line: Series) -> pd.Series[float]:
    import pandas as pd

    column = pd.Series([float(value) for value in line.values], index=_index(line.times), dtype="float64")
    return column[~column.index.duplicated(keep="last")]


def _index(times: object) -> pd.DatetimeIndex:
    import numpy as np
    import pandas as pd

    milliseconds = np.rint(np.asarray(times, dtype=np.float64) * 1000).astype("datetime64[ms]")
    return pd.DatetimeIndex(milliseconds.astype("datetime64[ns]"), tz="UTC", name="time")
