"""What the catalog knows of prompts, as objects of the wire."""

from api.wire.prompts import Prompt, PromptChange, PromptTest, PromptTestReport, PromptVersion, PromptVersionSummary
from generation import prompt_version
from generation.prompt_version import Purpose
from indexes.catalog import prompt_tables


def version(name: str, row: prompt_tables.PromptText) -> PromptVersion:
    """A version with its text."""
    return PromptVersion.model_validate({**dict(version_summary(name, row)), "text": row.text})


def version_summary(name: str, row: prompt_tables.PromptText) -> PromptVersionSummary:
    """A version without its text."""
    return PromptVersionSummary(
        id=row.id,
        prompt=name,
        version=row.number,
        label=prompt_version.PromptVersion(name, row.text).label,
        sha256=row.sha256,
        actor=row.actor,
        reason=row.reason,
        created_at=int(row.created_at),
    )


def prompt(
    row: prompt_tables.Prompt, newest: prompt_tables.PromptText, live: prompt_tables.PromptText | None
) -> Prompt:
    """A prompt with its newest version, and the one that is in force."""
    return Prompt(
        id=row.id,
        name=row.name,
        purpose=Purpose.of(row.name),
        newest=version_summary(row.name, newest),
        live=version_summary(row.name, live) if live else None,
        tests=[PromptTest.model_validate(test) for test in row.tests],
        created_at=int(row.created_at),
    )


def change(name: str, row: prompt_tables.PromptChange, live: prompt_tables.PromptText | None) -> PromptChange:
    """A line of the history, with the version that it put in force."""
    return PromptChange(
        id=row.id,
        prompt=name,
        vector_store_id=row.store_id,
        kind=row.kind.value,
        live=version_summary(name, live) if live else None,
        actor=row.actor,
        reason=row.reason,
        forced=row.forced,
        report=PromptTestReport.model_validate(row.report) if row.report else None,
        created_at=int(row.created_at),
    )
