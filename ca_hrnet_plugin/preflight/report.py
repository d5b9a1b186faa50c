"""What ``python -m ca_hrnet_plugin check CONFIG`` prints."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """What was checked, and what is wrong with it: a line each."""

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
