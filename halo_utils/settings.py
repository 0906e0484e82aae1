"""Profiles: one YAML file each, validated by frozen pydantic models, read once per notebook.

``load_settings("demo", seed=3)`` reads ``halo_utils/profiles/demo.yaml`` and applies the overrides; a
path to a YAML file of your own works in the place of the name. Values come from the paper (sections
2.1-2.3) unless the profile says otherwise; the released code's constants are listed in README.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from halo_utils.errors import SettingsError
from halo_utils.files import digest
from halo_utils.paths import PROFILES, RunPaths


class Block(BaseModel):
    """Base of every settings block: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(Block):
    """Which proteins enter a run."""

    dataset: Literal["synthetic", "deeploc2", "luo2024"]
    max_proteins: int = Field(0, ge=0)  # 0 keeps all; else a subset stratified by split and label set
    keep_structures: bool = True  # a subset keeps every protein that has a structure file
    synthetic_proteins: int = Field(500, ge=60)  # size of the demo proteome before the rounding to families


class RandomShape(Block):
    """Shape of an ESM-2 backbone with random weights, used where no pre-trained one is at hand."""

    layers: int = Field(ge=1)
    width: int = Field(ge=8)
    heads: int = Field(ge=1)
    ffn_ratio: int = Field(4, ge=1)
    init_std: float = Field(
        0.02, gt=0
    )  # ESM-2's own, made for widths of 320 up; narrow models learn faster near width**-0.5


class BackboneSettings(Block):
    """The protein language model."""

    source: str  # "random", a Hugging Face hub id, or a local Hugging Face directory
    revision: str | None = None  # commit of the hub repository
    random: RandomShape | None = None  # needed when source is "random"
    max_tokens: int = Field(1024, ge=8, le=1026)  # <cls> and <eos> included, paper section 2.1
    truncation: Literal["head", "head_tail"] = "head"  # head: keep the start (paper); head_tail: cut the middle out
    trainable_layers: int | Literal["all"] = 2  # last encoder blocks that learn, paper section 2.1


class FocalSettings(Block):
    """Focal loss, FL(p) = -alpha (1 - p)^gamma log p (Lin et al. 2017)."""

    gamma: float = Field(2.0, ge=0)
    alpha: float = Field(1.0, gt=0)


class EsmSettings(Block):
    """Fine-tuning of the sequence model."""

    learning_rate: float = Field(1e-5, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    epochs: int = Field(10, ge=1)
    tokens_per_batch: int = Field(4096, ge=64)
    focal: FocalSettings = FocalSettings()
    plateau_patience: int = Field(3, ge=0)  # epochs without a lower validation loss before the rate falls
    plateau_factor: float = Field(0.5, gt=0, lt=1)


class FeatureWeightSettings(Block):
    """Weights of the three blocks of node features, paper section 2.2."""

    mode: Literal["fixed", "grid", "learned"] = "fixed"
    coord: float = Field(0.5, ge=0)  # the released checkpoint is named for 0.5, 1.0, 0.5
    esm: float = Field(1.0, ge=0)
    bio: float = Field(0.5, ge=0)
    grid_coord: tuple[float, ...] = (0.0, 0.1, 0.5)
    grid_bio: tuple[float, ...] = (0.0, 0.5, 1.0)
    grid_epochs: int = Field(4, ge=1)


class GatSettings(Block):
    """The graph attention network and its graphs."""

    cutoff_angstrom: float = Field(10.0, gt=0)  # C-alpha distance, unscaled coordinates
    layers: int = Field(4, ge=2)
    heads: int = Field(4, ge=1)
    hidden: int = Field(128, ge=1)  # per head
    dropout: float = Field(0.6, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    epochs: int = Field(50, ge=1)
    patience: int = Field(5, ge=1)  # epochs without a better validation macro F1 before training stops
    nodes_per_batch: int = Field(8192, ge=64)
    focal: FocalSettings = FocalSettings()
    weights: FeatureWeightSettings = FeatureWeightSettings()


class GateSettings(Block):
    """The rule that joins the two models, paper section 2.3."""

    rule: Literal["paper", "released_code", "sequence_only"] = "paper"
    confident: float = Field(0.55, gt=0, le=1)  # at and above it the sequence model decides alone
    require_structure: bool = True  # proteins without a structure run sequence-only


class EvaluationSettings(Block):
    """How results are measured."""

    bootstrap: int = Field(1000, ge=10)  # resamples of proteins for the 95 % intervals
    threshold_step: float = Field(0.05, gt=0, lt=0.5)  # sweep 0.10..0.95, paper section 2.1


class ComputeSettings(Block):
    """Where and how arithmetic happens."""

    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    devices: int | Literal["auto"] = "auto"
    num_nodes: int = Field(1, ge=1)
    strategy: str = "auto"


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
    run_name: str

    @property
    def paths(self) -> RunPaths:
        """The folders of this run."""
        return RunPaths(self.run_name)

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
    **blocks: dict[str, Any],
) -> Settings:
    """Read a profile and apply overrides; an empty string, -1 or None leaves the profile's value.

    Args:
        profile: name of a shipped profile or path of a YAML file.
        dataset: data set to use instead of the profile's.
        max_proteins: size of the stratified subset instead of the profile's, 0 for all proteins.
        seed: seed instead of the profile's.
        **blocks: ``gate={"rule": "sequence_only"}`` replaces values inside a block.

    Returns:
        The validated settings; ``run_name`` is derived from data set, profile, size and seed.

    Raises:
        SettingsError: if the file, a key or a value is not valid; the message lists every problem.
    """
    path = profile_path(profile)
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise SettingsError(f"profile {path.name} is empty or not a mapping: start from {PROFILES.name}/demo.yaml")
    raw = {"profile": path.stem, **raw}
    chosen = {"dataset": dataset or None, "max_proteins": None if max_proteins < 0 else max_proteins}
    blocks = {"data": chosen, **blocks}
    for name, values in blocks.items():
        values = {key: value for key, value in values.items() if value not in (None, "")}
        raw[name] = {**(raw.get(name) or {}), **values}
    own_dataset = (yaml.safe_load(path.read_text(encoding="utf-8")).get("data") or {}).get("dataset")
    parts = [raw["data"].get("dataset")] if raw["data"].get("dataset") != own_dataset else []
    parts.append(raw["profile"])
    if raw["data"].get("max_proteins"):
        parts.append(str(raw["data"]["max_proteins"]))
    if seed >= 0 and seed != raw.get("seed", 7):
        raw["seed"] = seed
        parts.append(f"seed{seed}")
    raw["run_name"] = "-".join(str(part) for part in parts)
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"profile {path.name} is not valid: {problems}") from error
    if settings.backbone.source == "random" and settings.backbone.random is None:
        raise SettingsError(f"profile {path.name}: backbone.source 'random' needs backbone.random (a shape)")
    return settings
