"""Profiles: one YAML file each, validated by frozen pydantic models, read once per notebook.

``load_settings("demo", seed=3)`` reads ``halo_utils/profiles/demo.yaml`` and applies the overrides; a
path to a YAML file of your own works in the place of the name. Values come from the paper (sections
2.1-2.3) unless the profile says otherwise; the released code's constants are listed in README.

A notebook parameter that differs from the profile makes a variation of one notebook: it reads what the earlier
notebooks of the run without it wrote (``source_run``) and writes under a name of its own (``run_name``), so that no
later notebook takes it for the run. What shall reach every notebook belongs into a profile.
"""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import Field, ValidationError

from halo_utils.core.errors import SettingsError
from halo_utils.core.files import digest
from halo_utils.core.paths import PROFILES, REPOSITORY, RunPaths
from halo_utils.data.tables import is_safe
from halo_utils.profile import (
    BackboneSettings,
    Block,
    ComputeSettings,
    DataSettings,
    EsmSettings,
    EvaluationSettings,
    GateSettings,
    GatSettings,
    PretrainSettings,
)

# Parameters of single notebooks and the setting each replaces.
VARIATIONS = {
    "rounds": "pretrain.rounds",
    "epochs": "esm.epochs",
    "cutoff_angstrom": "gat.cutoff_angstrom",
    "weight_mode": "gat.weights.mode",
    "gate_confidence": "gate.confident",
    "gate_rule": "gate.rule",
}


class Settings(Block):
    """Everything a run needs; a run writes it beside its results."""

    profile: str
    description: str
    seed: int = Field(7, ge=0)
    data: DataSettings
    backbone: BackboneSettings
    esm: EsmSettings = EsmSettings()
    gat: GatSettings = GatSettings()
    gate: GateSettings = GateSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    compute: ComputeSettings = ComputeSettings()
    pretrain: PretrainSettings = PretrainSettings()
    run_name: str
    source_run: str

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
        """Whether the proteins are made by ``synthetic``; every title and caption must then say so."""
        return self.data.dataset == "synthetic"

    @property
    def title(self) -> str:
        """Name of the data for titles and captions."""
        names = {"synthetic": "synthetic demo proteome", "deeploc2": "DeepLoc 2.0", "luo2024": "luo2024"}
        size = f", {self.data.max_proteins:,} proteins" if self.data.max_proteins else ""
        return names[self.data.dataset] + size

    def hash(self) -> str:
        """Return 16 hex digits that change with any value of the profile."""
        return digest(self.model_dump(mode="json"))


def profile_names() -> list[str]:
    """Return the names of the profiles that ship with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def profile_path(profile: str) -> Path:
    """Return the YAML file of a profile name or of a path to one.

    Raises:
        SettingsError: if it is neither.
    """
    path = PROFILES / f"{profile}.yaml"
    if not path.exists():
        path = Path(profile)
    if not (path.suffix in {".yaml", ".yml"} and path.is_file()):
        valid = ", ".join(profile_names())
        raise SettingsError(f"unknown profile {profile!r}: use one of {valid}, or the path of a YAML file")
    return path


def load_settings(
    profile: str = "demo",
    *,
    dataset: str = "",
    max_proteins: int = -1,
    seed: int = -1,
    **others: Any,
) -> Settings:
    """Read a profile and apply overrides; an empty string, -1 or None leaves the profile's value.

    Args:
        profile: name of a shipped profile or path of a YAML file.
        dataset: data set to use instead of the profile's.
        max_proteins: size of the stratified subset instead of the profile's, 0 for all proteins.
        seed: seed instead of the profile's.
        **others: a parameter of ``VARIATIONS``, such as ``gate_rule="sequence_only"``, or a block,
            ``gate={"rule": "sequence_only"}``, whose values replace the profile's without another name.

    Returns:
        The validated settings; ``run_name`` is derived from data set, profile, size, variation and seed.

    Raises:
        SettingsError: if the file, a key or a value is not valid; the message lists every problem.
    """
    _check_overrides(dataset=(dataset, str), max_proteins=(max_proteins, int), seed=(seed, int))
    path = profile_path(profile)
    raw = _read_profile(path)
    _use_dataset_blocks(path, raw, dataset)
    varied = {name: others.pop(name) for name in VARIATIONS if name in others}
    chosen = {"dataset": dataset or None, "max_proteins": None if max_proteins < 0 else max_proteins}
    for name, values in {"data": chosen, **others}.items():
        raw[name] = {**raw.get(name, {}), **{key: v for key, v in values.items() if v not in (None, "")}}
    parts = [path.stem] if raw["data"].get("dataset") == "synthetic" else [raw["data"].get("dataset"), path.stem]
    if raw["data"].get("max_proteins"):
        parts.append(str(raw["data"]["max_proteins"]))
    own_seed = seed >= 0 and seed != raw.get("seed", 7)
    raw |= {"seed": seed} if own_seed else {}
    ending = [f"seed{seed}"] if own_seed else []
    plain = "-".join(str(part) for part in [*parts, *ending])
    settings = _validated(path, raw | {"profile": path.stem, "run_name": plain, "source_run": plain})
    if words := _vary(settings, raw, varied):
        name = "-".join(str(part) for part in [*parts, *words, *ending])
        settings = _validated(path, raw | {"profile": path.stem, "run_name": name, "source_run": plain})
    _check_backbone(path, settings.backbone)
    return settings


def _validated(path: Path, raw: dict[str, Any]) -> Settings:
    """Return the settings of a mapping, or refuse it with a list of every problem."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"profile {path.name} is not valid: {problems}") from error


def _vary(settings: Settings, raw: dict[str, Any], varied: dict[str, Any]) -> list[str]:
    """Put parameters of ``VARIATIONS`` into ``raw`` and return what they add to the run's name.

    An empty string, a number that is not positive, and the profile's own value change nothing.
    """
    words = []
    for name, value in varied.items():
        *blocks, key = VARIATIONS[name].split(".")
        own: Any = settings
        for block in blocks:
            own = getattr(own, block)
        if value in ("", getattr(own, key)) or (isinstance(value, int | float) and value <= 0):
            continue
        inner = raw
        for block in blocks:
            inner[block] = dict(inner.get(block, {}))
            inner = inner[block]
        inner[key] = value
        words.append(value if isinstance(value, str) else f"{name}{value:g}")
    return words


def _check_overrides(**values: tuple[object, type]) -> None:
    """Refuse a notebook parameter of the wrong type, such as ``seed="three"``."""
    for name, (value, kind) in values.items():
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = "a name" if kind is str else "a whole number, or -1 for the profile's own"
            raise SettingsError(f"parameter {name} is {value!r}: expected {expected}")


class _StrictLoader(yaml.SafeLoader):
    """A YAML loader that refuses a key written twice, of which YAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, each key once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} written twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _read_profile(path: Path) -> dict[str, Any]:
    """Read a profile file into a mapping of blocks.

    Raises:
        SettingsError: if it is not YAML, not a mapping, names itself, or a block is not a mapping.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"profile {path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise SettingsError(f"profile {path.name} is empty or not a mapping: start from {PROFILES.name}/demo.yaml")
    for name in ("profile", "run_name", "source_run"):
        if name in raw:
            raise SettingsError(f"profile {path.name} sets {name}, which follows from the file's name: remove it")
    if not is_safe(path.stem):
        raise SettingsError(f"profile {path.name}: expected a file name of letters, digits, '-' and '_'; rename it")
    for name, field in Settings.model_fields.items():
        is_block = isinstance(field.annotation, type) and issubclass(field.annotation, Block)
        if is_block and not isinstance(raw.setdefault(name, {}), dict):
            raise SettingsError(f"profile {path.name}: {name} is {raw[name]!r}, expected a block of settings")
    return raw


def _use_dataset_blocks(path: Path, raw: dict[str, Any], dataset: str) -> None:
    """Replace values by those the profile keeps for its data set under ``datasets: {NAME: {BLOCK: {...}}}``.

    Raises:
        SettingsError: if a name is no data set, or what stands under it is not blocks of settings.
    """
    own = raw.pop("datasets", {})
    known = get_args(DataSettings.model_fields["dataset"].annotation)
    if not isinstance(own, dict) or set(own) - set(known):
        raise SettingsError(f"profile {path.name}: datasets is {own!r}, expected names of {', '.join(known)}")
    blocks = own.get(dataset or raw["data"].get("dataset"), {})
    if not isinstance(blocks, dict):
        raise SettingsError(f"profile {path.name}: datasets holds {blocks!r}, expected blocks of settings")
    for name, values in blocks.items():
        if not (isinstance(values, dict) and isinstance(raw.get(name, {}), dict)):
            raise SettingsError(f"profile {path.name}: datasets sets {name} to {values!r}, expected a block")
        raw[name] = {**raw.get(name, {}), **values}


def _check_backbone(path: Path, backbone: BackboneSettings) -> None:
    """Refuse a random backbone without a shape, and a hub id that is not pinned to a commit."""
    if backbone.source == "random" and backbone.random is None:
        raise SettingsError(f"profile {path.name}: backbone.source 'random' needs backbone.random (a shape)")
    is_folder = (REPOSITORY / backbone.source).is_dir()
    if backbone.source != "random" and not is_folder and backbone.revision is None:
        raise SettingsError(
            f"profile {path.name}: backbone.source {backbone.source!r} is not a directory, and as a hub id it needs"
            " backbone.revision (the 40 hex digits of a commit), so that results can be repeated"
        )
