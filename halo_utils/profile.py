"""The groups of a profile: frozen pydantic models with the paper's values as defaults (sections 2.1-2.3)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from halo_utils.data.datasets import DATASETS

DatasetName = Literal[tuple(DATASETS)]
Weight = Annotated[float, Field(ge=0)]


class Group(BaseModel):
    """Base of every group of settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Group):
    """Which proteins enter a run."""

    dataset: DatasetName
    max_proteins: int = Field(0, ge=0, strict=True)  # 0 keeps all; else a subset stratified by split and label set
    keep_structures: bool = True  # a subset keeps every protein that has a structure file
    structures: Literal["local", "alphafold"] = "local"  # alphafold: missing ones are fetched from AlphaFold DB
    synthetic_proteins: int = Field(500, ge=60)  # size of the demo proteome before the rounding to families


class RandomShape(Group):
    """Shape of an ESM-2 backbone with random weights, used where no pre-trained one is at hand."""

    layers: int = Field(ge=1)
    width: int = Field(ge=8)
    heads: int = Field(ge=1)
    ffn_ratio: int = Field(4, ge=1)
    init_std: float = Field(0.02, gt=0)  # ESM-2's own, for widths of 320 up; narrow models want about width**-0.5


class BackboneSettings(Group):
    """The protein language model."""

    source: str  # "random", a Hugging Face hub id, or a local Hugging Face directory
    revision: str | None = Field(None, pattern="^[0-9a-f]{40}$")  # commit of the hub repository, never a branch
    random: RandomShape | None = None  # needed when source is "random"
    max_tokens: int = Field(1024, ge=8, le=1026)  # <cls> and <eos> included, paper section 2.1
    truncation: Literal["head", "head_tail"] = "head"  # head: keep the start (paper); head_tail: cut the middle out
    trainable_layers: int | Literal["all"] = 2  # last encoder layers that learn, paper section 2.1


class FocalSettings(Group):
    """Focal loss, FL(p) = -alpha (1 - p)^gamma log p (Lin et al. 2017)."""

    gamma: float = Field(2.0, ge=0)
    alpha: float = Field(1.0, gt=0)
    balance: float = Field(0.0, ge=0, le=1)  # share of a label's log-odds that is added to its logit; paper: none


class HeadSettings(Group):
    """What turns residues into logits; the defaults are the paper's, section 2.1."""

    pooling: Literal["attention", "regions"] = "attention"  # regions: ours, `RegionClassifier` and what follows here
    channels: int = Field(128, ge=1)  # of the convolutions
    composition: int = Field(0, ge=0)  # hidden units of a network on the composition of the whole protein; 0: none
    hidden: int = Field(0, ge=0)  # units of a hidden layer; 0: a linear head
    dropout: float = Field(0.0, ge=0, lt=1)
    learning_rate: float | None = Field(None, gt=0)  # of pooling, head and composition; None: the backbone's

    @model_validator(mode="after")
    def _belong_together(self) -> "HeadSettings":
        ours = self.pooling == "regions"
        if ours != bool(self.hidden) or (not ours and (self.composition or self.dropout)):
            raise ValueError("hidden, dropout and composition belong to pooling regions, which needs hidden above 0")
        return self


class EsmSettings(Group):
    """Fine-tuning of the sequence model."""

    learning_rate: float = Field(1e-5, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    epochs: int = Field(10, ge=1)
    tokens_per_batch: int = Field(4096, ge=64)
    train_tokens: int | None = Field(None, ge=8)  # shown of a protein in training; None: as many as the backbone reads
    focal: FocalSettings = FocalSettings()
    head: HeadSettings = HeadSettings()
    schedule: Literal["plateau", "linear"] = "plateau"  # linear: warm-up, then down to zero at the last step
    plateau_patience: int = Field(3, ge=0)  # epochs without a lower validation loss before the rate falls
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    compare_heads: Literal["all", "paper", "none"] = "all"  # also train the paper's head, and all steps from it to ours


class FeatureWeightSettings(Group):
    """Weights of the three groups of node features, paper section 2.2."""

    mode: Literal["fixed", "grid", "learned"] = "fixed"
    coord: float = Field(0.5, ge=0)  # the released checkpoint is named for 0.5, 1.0, 0.5
    esm: float = Field(1.0, ge=0)
    bio: float = Field(0.5, ge=0)
    grid_coord: tuple[Weight, ...] = Field((0.0, 0.1, 0.5), min_length=1)
    grid_bio: tuple[Weight, ...] = Field((0.0, 0.5, 1.0), min_length=1)
    grid_epochs: int = Field(4, ge=1)

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """The weights of coordinates and biochemistry that the grid tries, in order; the embedding's stays at 1."""
        return [(coord, bio) for coord in self.grid_coord for bio in self.grid_bio]


class GatSettings(Group):
    """The graph attention network and its graphs."""

    cutoff_angstrom: float = Field(10.0, gt=0)  # C-alpha distance, unscaled coordinates
    layers: int = Field(4, ge=2)
    heads: int = Field(4, ge=1)
    hidden: int = Field(128, ge=1)  # per head
    dropout: float = Field(0.6, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    epochs: int = Field(50, ge=1)
    steps: int | None = Field(
        None, ge=1
    )  # all of training, the same for few and many proteins; an epoch is a part of it
    patience: int = Field(5, ge=1)  # epochs without a better validation macro F1 before training stops
    schedule: Literal["constant", "linear"] = "constant"  # linear: warm-up, then down to zero at the last step
    coordinates: Literal["raw", "scaled"] = "raw"  # scaled: in units of 10 angstrom, turned at random in training
    nodes_per_batch: int = Field(8192, ge=64)
    focal: FocalSettings = FocalSettings()
    weights: FeatureWeightSettings = FeatureWeightSettings()
    hybrid: bool = True  # also train what the hybrid ground compares: on graphs only, with other edges, with letters

    @property
    def steps_per_epoch(self) -> int | None:
        """Optimiser steps between two validations; None for a pass over the training proteins."""
        return self.steps and max(1, self.steps // self.epochs)


class GateSettings(Group):
    """The rule that joins the two models, paper section 2.3."""

    rule: Literal["paper", "released_code", "sequence_only"] = "paper"
    confident: float = Field(0.55, gt=0, le=1)  # at and above it the sequence model decides alone


class EvaluationSettings(Group):
    """How results are measured."""

    bootstrap: int = Field(1000, ge=10)  # resamples of proteins, and of families, for the 95 % intervals
    threshold_step: float = Field(0.05, gt=0, lt=0.5)  # sweep 0.10..0.95, paper section 2.1


class ComputeSettings(Group):
    """Where and how arithmetic happens."""

    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"  # auto: bf16 where the hardware has units for it
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    num_nodes: int = Field(1, ge=1)
    strategy: str = "auto"
    compile: bool = False  # torch.compile for the layers of the language model: for hours of training, not minutes


class PretrainSettings(Group):
    """Masked-language-model training of a backbone of our own (Lin et al. 2023, scaled down)."""

    files: tuple[str, ...] = ()  # names in data/sources.yaml; none: the synthetic proteome
    shape: RandomShape = RandomShape(layers=2, width=32, heads=2)
    crop: int = Field(256, ge=16, le=1026)  # tokens
    tokens_per_batch: int = Field(8192, ge=64)
    steps_per_round: int = Field(100, ge=1)  # a round ends with validation and a checkpoint
    rounds: int = Field(10, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    held_out: float = Field(0.003, gt=0, lt=1)  # share of the sequences for validation
    workers: int = Field(0, ge=0)  # processes that prepare batches
