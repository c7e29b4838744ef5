"""What a search did and what it cost, stage by stage: noted always, shown by `explain`."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a search. Stages may run beside each other, so their times do not add up."""

    name: str
    ms: float
    detail: str = ""


@dataclass(slots=True)
class Explanation:
    """The stages in the order in which they ended, and what went wrong without being fatal.

    A search with a problem is partial: its hits are right, and others may be missing or out of order.
    """

    stages: list[Stage] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, name: str, began: float, detail: str = "") -> None:
        """A stage that began at `began`, by `time.perf_counter()`, ends now."""
        self.stages.append(Stage(name, (time.perf_counter() - began) * 1000, detail))

    def ms(self, *names: str) -> float:
        """What the stages of these names took together."""
        return sum(stage.ms for stage in self.stages if stage.name in names)
