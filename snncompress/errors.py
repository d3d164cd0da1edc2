"""Every error that snncompress raises on purpose.

::

    SnncompressError                 anything a user can act on
    ├── InputError                   wrong input; the program exits with 2
    │   ├── PipelineError            one or more located problems in a pipeline
    │   ├── PluginError              a plugin is broken and strict mode is on
    │   ├── ModelError               a model, checkpoint or declaration cannot be used
    │   ├── DataError                a data set is missing or malformed
    │   └── ArtifactError            an artifact folder is missing, damaged or needs an import
    └── StepError                    a step failed while it ran; the program exits with 1
        ├── EditError                an edit does not fit the network
        ├── ProofError               two networks that must be equal are not, or nothing could be proved
        ├── CountError               operations cannot be counted exactly
        └── StateError               a stateful module has no owner
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class SnncompressError(Exception):
    """Tell a user what was wrong, where, and what to do."""


class InputError(SnncompressError):
    """Report wrong input: a file, a setting, a name."""


class PipelineError(InputError):
    """Report every problem of a pipeline at once, one line each."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class PluginError(InputError):
    """Report a broken plugin where strict mode makes that fatal."""


class ModelError(InputError):
    """Report a model, a checkpoint or a time declaration that cannot be used."""


class DataError(InputError):
    """Report data that is missing or malformed."""


class ArtifactError(InputError):
    """Report an artifact folder that cannot be read."""


class StepError(SnncompressError):
    """Report a step that failed while it ran."""


class EditError(StepError):
    """Report an edit that does not fit the network."""


class ProofError(StepError):
    """Report a failed proof, or one that would prove nothing."""


class CountError(StepError):
    """Report operations that cannot be counted exactly; a count that may be wrong is never given."""


class StateError(StepError):
    """Report a module that holds state and that no backend owns."""


def near(name: str, choices: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the choices that look like ``name``, best first."""
    return difflib.get_close_matches(name, sorted(set(choices)), n=most, cutoff=0.6)


def listed(items: Sequence[str], most: int) -> str:
    """Name the first ``most`` of several things, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Phrase a hint for an unknown name: a near one, or the list of all."""
    known = sorted(set(choices))
    if best := near(name, known, most=1):
        return f"did you mean {best[0]!r}?"
    return f"known: {', '.join(known)}" if known else "none is known"
