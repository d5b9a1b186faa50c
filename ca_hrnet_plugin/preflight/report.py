"""What ``python -m ca_hrnet_plugin check CONFIG`` looks at."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """What was looked at and what is wrong with it, each in a line."""

    notes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
