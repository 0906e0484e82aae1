"""Profiles: one YAML file each, validated by frozen pydantic models; values are the paper's unless one says not."""

from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from halo_utils import profile as groups
from halo_utils.core.errors import SettingsError
from halo_utils.core.files import digest
from halo_utils.core.paths import PROFILES, REPOSITORY, RunPaths
from halo_utils.data.datasets import DATASETS
from halo_utils.data.tables import is_safe

# Parameters of single notebooks and the setting each replaces.
VARIATIONS = {
    "rounds": "pretrain.rounds",
    "epochs": "esm.epochs",
    "cutoff_angstrom": "gat.cutoff_angstrom",
    "weight_mode": "gat.weights.mode",
    "gate_confidence": "gate.confident",
    "gate_rule": "gate.rule",
}


class Settings(groups.Group):
    """Everything a run needs; a run writes it beside its results."""

    profile: str
    description: str
    seed: int = Field(7, ge=0, strict=True)
    data: groups.DataSettings
    backbone: groups.BackboneSettings
    esm: groups.EsmSettings = groups.EsmSettings()
    gat: groups.GatSettings = groups.GatSettings()
    gate: groups.GateSettings = groups.GateSettings()
    evaluation: groups.EvaluationSettings = groups.EvaluationSettings()
    compute: groups.ComputeSettings = groups.ComputeSettings()
    pretrain: groups.PretrainSettings = groups.PretrainSettings()
    datasets: dict[groups.DatasetName, dict[str, dict[str, Any]]] = Field({}, exclude=True)  # values for one data set
    run_name: str
    source_run: str

    @model_validator(mode="after")
    def _backbone_can_be_repeated(self) -> "Settings":
        source = self.backbone.source
        if source == "random" and self.backbone.random is None:
            raise ValueError("backbone.source 'random' needs backbone.random (a shape)")
        if source != "random" and self.backbone.revision is None and not (REPOSITORY / source).is_dir():
            raise ValueError(
                f"backbone.source {source!r} is not a directory, and as a hub id it needs backbone.revision (the 40 hex"
                " digits of a commit), so that results can be repeated"
            )
        return self

    @property
    def paths(self) -> RunPaths:
        """The folders this run writes to."""
        return RunPaths(self.run_name)

    @property
    def source(self) -> RunPaths:
        """The folders that earlier notebooks wrote to; those of the run itself unless it is a variation."""
        return RunPaths(self.source_run)

    @property
    def is_synthetic(self) -> bool:
        """Whether the proteins are made by ``data.synthetic``; every title and caption must then say so."""
        return self.data.dataset == "synthetic"

    @property
    def title(self) -> str:
        """Name of the data for titles and captions."""
        size = f", {self.data.max_proteins:,} proteins" if self.data.max_proteins else ""
        return DATASETS[self.data.dataset].title + size

    def hash(self) -> str:
        """Return 16 hex digits that change with any value of the profile."""
        return digest(self.model_dump(mode="json"))


def profile_names() -> list[str]:
    """Return the names of the profiles that ship with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def profile_path(profile: str) -> Path:
    """Return the YAML file of a profile name or of a path to one."""
    path = PROFILES / f"{profile}.yaml"
    path = path if path.exists() else Path(profile)
    if not (path.suffix in {".yaml", ".yml"} and path.is_file()):
        valid = ", ".join(profile_names())
        raise SettingsError(f"unknown profile {profile!r}: use one of {valid}, or the path of a YAML file")
    return path


def load_settings(
    profile: str = "demo", *, dataset: str = "", max_proteins: int = -1, seed: int = -1, **others: Any
) -> Settings:
    """Read a profile, by name or path, and apply overrides; an empty string, -1 or None leaves the profile's value.

    ``others`` are parameters of ``VARIATIONS``, or groups such as ``gate={"rule": "sequence_only"}`` whose values
    replace the profile's. A parameter that differs from the profile makes a variation of one notebook: it reads what
    the earlier notebooks of the run without it wrote (``source_run``) and writes under a name of its own
    (``run_name``), so that no later notebook takes it for the run. What shall reach every notebook belongs into a
    profile. A SettingsError lists every problem of the file.
    """
    path = profile_path(profile)
    raw = _read_profile(path)
    raw |= {"profile": path.stem, "run_name": path.stem, "source_run": path.stem}
    variation = _given({name: others.pop(name) for name in VARIATIONS if name in others})
    changes = _given({"data": {"dataset": dataset, "max_proteins": max_proteins}, "seed": seed, **others})
    try:
        settings = Settings.model_validate(deep_update(raw, changes))
        of_dataset = settings.datasets.get(settings.data.dataset, {})
        has_seed = settings.seed != raw.get("seed", Settings.model_fields["seed"].default)
        raw = deep_update(deep_update(raw, of_dataset), changes)
        settings, words = Settings.model_validate(raw), []
        for name, value in variation.items():
            if value != attrgetter(VARIATIONS[name])(settings):
                words.append(value if isinstance(value, str) else f"{name}{value:g}")
                for key in reversed(VARIATIONS[name].split(".")):
                    value = {key: value}
                raw = deep_update(raw, value)
        start = ["" if settings.is_synthetic else settings.data.dataset, path.stem, settings.data.max_proteins]
        ending = f"seed{seed}" if has_seed else ""
        parts = {"run_name": [*start, *words, ending], "source_run": [*start, ending]}
        names = {name: "-".join(str(part) for part in chosen if part) for name, chosen in parts.items()}
        return Settings.model_validate(raw | names)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']} (not {e['input']!r:.60})" for e in error.errors())
        raise SettingsError(f"profile {path.name} is not valid: {'; '.join(problems)}") from error


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that change something, groups included."""
    given = {key: _given(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in given.items() if value not in (None, "", -1)}


def deep_update(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with ``changes`` put in; where both hold a mapping, key by key."""
    inside = {key for key, value in changes.items() if isinstance(value, dict) and isinstance(values.get(key), dict)}
    return values | {key: deep_update(values[key], value) if key in inside else value for key, value in changes.items()}


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader that refuses a key written twice, of which YAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(key.value) for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.YAMLError(f"{', '.join(twice)} written twice")
        return super().construct_mapping(node, deep)


def _read_profile(path: Path) -> dict[str, Any]:
    """Read a profile file; refuse what is not YAML, not a mapping, or names itself."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"profile {path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise SettingsError(f"profile {path.name} is empty or not a mapping: start from {PROFILES.name}/demo.yaml")
    if names := sorted({"profile", "run_name", "source_run"} & set(raw)):
        raise SettingsError(f"profile {path.name} sets {names[0]}, which follows from the file's name: remove it")
    if not is_safe(path.stem):
        raise SettingsError(f"profile {path.name}: expected a file name of letters, digits, '-' and '_'; rename it")
    return raw
