"""The memory of one device, shared by the versions that are searched."""

import logging
from collections.abc import Iterable

from indexes.engines.faiss_version import FaissVersion
from indexes.engines.gpu_device import Device, DeviceFailure
from indexes.engines.gpu_plan import Candidate, Placement, placements

log = logging.getLogger(__name__)


class DeviceMemory:
    """Moves main parts there and away, within a budget. Called by one thread."""

    def __init__(self, device: Device, budget_bytes: int) -> None:
        self._device = device
        self._budget_bytes = budget_bytes

    def arrange(self, versions: Iterable[FaissVersion]) -> None:
        """Put the parts where the plan has them; what the device refuses stays on the CPU."""
        parts = {version: version.part for version in versions}
        wanted = placements(
            [
                Candidate(one.version_id, part.rows, part.vectors.shape[1], one.used_s)
                for one, part in parts.items()
                if part
            ],
            self._budget_bytes,
            cuvs=self._device.cuvs,
        )
        ordered = sorted(parts, key=lambda one: wanted.get(one.version_id, Placement.CPU) is not Placement.CPU)
        for version in ordered:  # room is made before it is taken
            form, part = wanted.get(version.version_id, Placement.CPU), parts[version]
            if part is None or form is version.placement:
                continue
            if form is Placement.CPU:
                version.place(part, form, None)
                continue
            try:
                version.place(part, form, self._device.put(part.vectors, form))
            except DeviceFailure as error:
                log.warning("index version %s stays on the CPU: %s", version.version_id, error)
                version.place(part, form, None)
