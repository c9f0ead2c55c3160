"""What one run of the clean plate works with: its options, its device and its flow."""

from __future__ import annotations

from dataclasses import dataclass

from genai_fill_server.engines.cleanplate.description import CleanPlateOptions
from genai_fill_server.engines.cleanplate.device import Device
from genai_fill_server.engines.cleanplate.flow import Flow


@dataclass(frozen=True)
class Kit:
    """The means of one run. Every frame of it is made with the same ones."""

    options: CleanPlateOptions
    device: Device
    flow: Flow

    def release(self) -> None:
        """Give back what device and flow hold of memory."""
        self.flow.release()
        self.device.release()
