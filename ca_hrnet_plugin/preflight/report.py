"""The report that ``python -m ca_hrnet_plugin check CONFIG`` prints."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """Notes on what was checked, and problems, one line each."""

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
