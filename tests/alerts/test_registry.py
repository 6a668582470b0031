"""The catalogue: alerts of the package, of a folder and of other packages side by side; what is wrong costs itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runbook.alerts import registry
from runbook.alerts.registry import SHIPPED, Catalogue
from runbook.config import settings
from runbook.config.schema import Environment
from runbook.config.settings import Settings
from runbook.errors import SettingsError, UsageError
from runbook.incident import Incident
from runbook.investigation.thresholds import Threshold
from tests.bare import TEXT

ALERT = """
from dataclasses import replace
from runbook.alerts.high_error_rate import ALERT as OTHER
from runbook.investigation.thresholds import Threshold
{more}
LIMIT = Threshold("{module}", 10, "jobs", "{name}")
ALERT = replace(OTHER, name="{name}", thresholds=(LIMIT,))
"""


def module(folder: Path, name: str = "QueueTooLong", file: str = "queue_too_long", more: str = "") -> Path:
    """A module that holds an alert of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file}.py"
    path.write_text(ALERT.format(name=name, module=file, more=more), encoding="utf-8")
    return path


def known(folder: Path, profile: str = "") -> Settings:
    """Settings that name the folder `mine` beside them."""
    file = folder / "runbook.toml"
    file.write_text(f'{TEXT}\n[service.shop.thresholds]\n{profile}\n[alerts]\nfolder = "mine"\n', encoding="utf-8")
    return settings.load(file)


def catalogue(folder: Path, profile: str = "") -> Catalogue:
    return registry.of(known(folder, profile))


@contextmanager
def installed(folder: Path, value: str, text: str = "") -> Iterator[None]:
    """A distribution whose entry point names that package."""
    site = folder / "site"
    about = site / "acme_runbooks-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-runbooks\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[runbook.alerts]\nacme = {value}\n")
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))


def test_the_three_places_have_equal_rights(tmp_path: Path):
    """Names, alerts, notebooks and recordings of each are found in the same way."""
    module(tmp_path / "mine")
    module(tmp_path / "site/acme_registry", "DiskTooFull", "disk_too_full")
    with installed(tmp_path, "acme_registry"):
        found = catalogue(tmp_path)
        assert set(found.names) == {*SHIPPED.names, "QueueTooLong", "DiskTooFull"}
        assert [found.load(name).name for name in found.names] == list(found.names)
    assert found.problems == ()
    assert found.notebook("QueueTooLong") == tmp_path / "mine/QueueTooLong.ipynb"
    assert found.notebook("DiskTooFull") == tmp_path / "site/acme_registry/DiskTooFull.ipynb"
    assert found.notebook("HighErrorRate") == SHIPPED.notebook("HighErrorRate")


def test_only_the_wanted_module_is_imported(tmp_path: Path):
    """Names are found by the text of the modules, and one alert needs no other."""
    module(tmp_path / "mine", "DiskTooFull", "disk_too_full", more=f"open({str(tmp_path / 'seen')!r}, 'w')")
    module(tmp_path / "mine")
    found = catalogue(tmp_path)
    assert {"DiskTooFull", "QueueTooLong"} <= set(found.names)
    found.load("QueueTooLong")
    assert not (tmp_path / "seen").exists()
    found.load("DiskTooFull")
    assert (tmp_path / "seen").exists()


def test_modules_of_a_folder_import_each_other_relatively(tmp_path: Path):
    """What several alerts share stands in a module beside them, or in the folder's `__init__`."""
    module(tmp_path / "mine", more="from . import WORDS\nfrom .shared import UNIT\nassert (WORDS, UNIT) == (3, 'jobs')")
    (tmp_path / "mine/shared.py").write_text("UNIT = 'jobs'\n")
    (tmp_path / "mine/__init__.py").write_text("WORDS = 3\n")
    assert catalogue(tmp_path).load("QueueTooLong").name == "QueueTooLong"
    assert "shared" not in sys.modules


def test_two_folders_may_have_alerts_of_one_name(tmp_path: Path):
    """Each settings' folder is a package of its own, also in one process."""
    for team, unit in (("a", "jobs"), ("b", "tasks")):
        module(tmp_path / team / "mine", more=f"from .shared import UNIT\nassert UNIT == {unit!r}")
        (tmp_path / team / "mine/shared.py").write_text(f"UNIT = {unit!r}\n")
        catalogue(tmp_path / team).load("QueueTooLong")


def test_the_same_alert_in_two_places_names_both(tmp_path: Path):
    """Which one is meant is not guessed; the others remain usable."""
    mine = module(tmp_path / "mine", "HighErrorRate", "high_error_rate")
    found = catalogue(tmp_path)
    with pytest.raises(
        UsageError, match=r"^There are 2 alerts HighErrorRate: [^\n]*; rename all but one\.\Z"
    ) as caught:
        found.load("HighErrorRate")
    assert "in the package runbook" in str(caught.value)
    assert str(mine) in str(caught.value)
    loaded, problems = found.load_all()
    assert {alert.name for alert in loaded} == {*SHIPPED.names} - {"HighErrorRate"}
    assert problems == (str(caught.value),)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("import nowhere_to_be_found", "mine/queue_too_long.py:5: ModuleNotFoundError: No module named 'nowhere_to"),
        ("1 / 0", "mine/queue_too_long.py:5: ZeroDivisionError: division by zero; correct it there."),
        ("def (", "mine/queue_too_long.py:5: SyntaxError: "),
        ("raise SystemExit(3)", "mine/queue_too_long.py:5: SystemExit: 3; correct it there."),
        ("from .shared import X", "mine/shared.py:2: NameError: name 'y' is not defined; correct it there."),
        ("OTHER = replace(OTHER, checks=())", "its first check must say whether the alert is real"),
        ("OTHER = 5\nreplace = lambda *_, **__: 5", "is a int, not the alert QueueTooLong; name file and alert alike."),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_sentence(tmp_path: Path, more: str, told: str):
    """File, line and error are named, and it costs that alert alone."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/shared.py").write_text("\nX = y\n")
    module(tmp_path / "mine", more=more)
    found = catalogue(tmp_path)
    with pytest.raises(UsageError) as caught:
        found.load("QueueTooLong")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    loaded, problems = found.load_all()
    assert {alert.name for alert in loaded} == set(SHIPPED.names)
    assert problems == (str(caught.value),)


def test_file_and_alert_have_one_name(tmp_path: Path):
    """An alert that is called otherwise than its file would be found by neither name."""
    module(tmp_path / "mine", name="QueueLong")
    with pytest.raises(UsageError, match=r"is the alert QueueLong, not the alert QueueTooLong; name file and alert"):
        catalogue(tmp_path).load("QueueTooLong")


def test_what_is_no_module_is_no_alert(tmp_path: Path):
    """Notes, copies and folders beside the modules do not disturb."""
    for name in ("queue copy.py", ".#queue_a_b.py"):
        module(tmp_path / "mine").rename(tmp_path / "mine" / name)
    (tmp_path / "mine/folder_of_notes.py").mkdir()
    (tmp_path / "mine/bytes_only.py").write_bytes(b"\xff\xfe")
    (tmp_path / "mine/shared.py").write_text("# no ALERT\n")
    assert catalogue(tmp_path).names == SHIPPED.names


def test_a_folder_that_is_not_there_is_told_with_whatever_is_missing(tmp_path: Path):
    """A typing error in its name is no end of the shipped alerts, and explains why another one is unknown."""
    found = catalogue(tmp_path)
    assert found.names == SHIPPED.names
    with pytest.raises(UsageError, match=r"no alert 'QueueTooLong'.* The folder .*mine.* does not exist"):
        found.load("QueueTooLong")


def test_a_package_that_is_gone_costs_its_own_alerts(tmp_path: Path):
    """An entry point that leads nowhere, or to a plain module, is a sentence; the shipped alerts remain."""
    (tmp_path / "mine").mkdir()
    for number, value in enumerate(("acme_gone", "acme_gone.alerts", "json.tool")):
        with installed(tmp_path / str(number), value):
            found = catalogue(tmp_path)
        assert found.names == SHIPPED.names
        (problem,) = found.problems
        assert f"The alerts of the package {value} of acme-runbooks cannot be found" in problem


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("queue_too_lang = 5", "is a threshold of no alert; did you mean queue_too_long?"),
        ("error_ratoi = 0.1", "is a threshold of no alert; did you mean error_ratio?"),
        ("error_ratio = 1", "error_ratio` should be a number above 0 and below 1 (share of all requests)."),
        ("memory_bytes = 1.5", "memory_bytes` should be a whole number (bytes)."),
    ],
)
def test_a_threshold_that_nothing_reads_is_refused(tmp_path: Path, profile: str, told: str):
    """A slip in a profile would leave the alert at its default: file, key and the nearest name are told."""
    module(tmp_path / "mine")
    found = known(tmp_path, profile)
    for alert in ("HighErrorRate", "QueueTooLong"):
        with pytest.raises(SettingsError) as caught:
            registry.of(found).ready(alert, found, found.environment("bare"))
        assert told in str(caught.value)
        assert f"{found.path}: `service.shop.thresholds." in str(caught.value)


def test_the_threshold_of_any_alert_may_stand_in_a_profile(tmp_path: Path):
    """Also that of one which cannot be loaded at the moment: its fault costs the others nothing."""
    module(tmp_path / "mine")
    found = known(tmp_path, "queue_too_long = 5\nerror_ratio = 0.5")
    registry.of(found).ready("HighErrorRate", found, found.environment("bare"))
    module(tmp_path / "other/mine", more="1 / 0")
    broken = known(tmp_path / "other", "queue_too_long = 5")
    registry.of(broken).ready("HighErrorRate", broken, broken.environment("bare"))


def test_the_demonstration_of_an_alert_is_its_pack_s(tmp_path: Path):
    """Each pack has its own recordings; one that is not there yet is told with what to do."""
    module(tmp_path / "mine")
    found = known(tmp_path)
    alerts, demo = registry.of(found), found.environment("demo")
    with pytest.raises(UsageError, match=r"no recording of QueueTooLong yet: run it .* copy recording\.jsonl\.gz"):
        alerts.replayed("QueueTooLong", demo)
    own = tmp_path / "mine/recordings/QueueTooLong.jsonl.gz"
    own.parent.mkdir()
    own.touch()
    assert alerts.replayed("QueueTooLong", demo) == own
    assert alerts.replayed("HighErrorRate", demo) == SHIPPED.replayed("HighErrorRate", demo)
    assert alerts.replayed("HighErrorRate", found.environment("bare")) is None
    named = Environment(service="shop", recording="/kept/{alert}.gz")
    assert alerts.replayed("QueueTooLong", named) == Path("/kept/QueueTooLong.gz")


def test_a_replay_needs_the_settings_for_an_alert_of_one_s_own_alone(tmp_path: Path):
    """A shipped alert's recording replays under any settings; of another one it is said which are needed."""
    module(tmp_path / "mine")
    with_it, without = known(tmp_path), settings.load(settings.shipped())
    assert registry.recorded("HighErrorRate", with_it).name == "HighErrorRate"
    assert registry.recorded("QueueTooLong", with_it).name == "QueueTooLong"
    with pytest.raises(
        UsageError, match=r"recording is of the alert 'QueueTooLong', .*runbook\.toml .*RUNBOOK_SETTINGS"
    ):
        registry.recorded("QueueTooLong", without)


def test_a_replay_does_not_depend_on_today_s_thresholds(tmp_path: Path):
    """The recording keeps what held, the defaults included, so that a changed default or profile changes no replay."""
    module(tmp_path / "mine")
    given = {"environment": "bare", "incident_id": "INC-2026-01-15-01", "started_at": "2026-01-15T10:47:00Z"}
    then = known(tmp_path, "error_ratio = 0.25")
    live = Incident.open("QueueTooLong", then, **given, lookback="1h", ended_at="2026-01-15T11:12:00Z")
    live.record()
    (bundle,) = (tmp_path / "evidence").glob("*/QueueTooLong-*")
    replayed = Incident.replay(bundle, known(tmp_path, "error_ratio = 0.75")).investigation().context.service.thresholds
    assert replayed == live.investigation().context.service.thresholds
    assert (replayed["queue_too_long"], replayed["error_ratio"], replayed["latency_p95_seconds"]) == (10, 0.25, 2.0)
    assert Threshold("queue_too_long", 99, "jobs", "another default").of(replayed) == 10


def test_a_shipped_threshold_s_name_is_not_taken(tmp_path: Path) -> None:
    """An own threshold of a shipped one's name would move the limit of both: the alert is refused."""
    text = ALERT.format(name="QueueTooLong", module="error_ratio", more="")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/queue_too_long.py").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="the threshold error_ratio is the package's"):
        catalogue(tmp_path).load("QueueTooLong")


def test_words_that_fail_cost_their_alert_alone(tmp_path: Path) -> None:
    """A meaning that raises is found when the alert is loaded, and the list goes on."""
    more = "OTHER = replace(OTHER, meaning=lambda limits: limits['queue'])"
    module(tmp_path / "mine", more=more)
    loaded, problems = catalogue(tmp_path).load_all()
    assert "QueueTooLong" not in {alert.name for alert in loaded} and "HighErrorRate" in {a.name for a in loaded}
    assert any("QueueTooLong cannot be loaded" in one for one in problems)


def test_a_misspelled_threshold_is_refused_beside_a_broken_alert(tmp_path: Path) -> None:
    """What is near to a known name is a typing error, also where another alert cannot be loaded."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/queue_too_long.py").write_text("ALERT = nothing\n", encoding="utf-8")
    settings_ = known(tmp_path, "error_ratoi = 0.5")
    environment = next(iter(settings_.environments.values()))
    with pytest.raises(UsageError, match="did you mean error_ratio"):
        registry.of(settings_).check(settings_.service(environment.service), settings_.path)
