"""The service itself: its paths answer."""

from __future__ import annotations

from runbook.config.schema import Service
from runbook.doctor.line import Diagnosis, ask_all, failed
from runbook.model import Answer, Source
from runbook.sources.probe import http as probe


def look(source: Source, service: Service) -> list[Diagnosis]:
    """A line for each path."""
    answers = ask_all(source, (probe.get(path) for path in dict.fromkeys((service.health_path, service.probe_path))))
    return [_path(answer) for answer in answers]


def _path(answer: Answer) -> Diagnosis:
    if answer.completeness == "failed":
        return failed(answer, answer.query.text)
    status, error = answer.data["status"], answer.data["error"]
    if status is None:
        return Diagnosis(
            "probe", answer.query.text, "failed", f"{error}: correct base_url in runbook.toml, or look at the service"
        )
    if status >= 400:
        return Diagnosis(
            "probe",
            answer.query.text,
            "failed",
            f"answers {status}: correct its path in runbook.toml, or look at the service",
        )
    return Diagnosis("probe", answer.query.text, "ok", f"answers {status}")
