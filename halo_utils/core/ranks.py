"""Several processes that run one notebook together (torchrun, srun): which one is the first, and where all meet.

The first process alone writes what all read; training shares its batches among them. Without such a start there is
one process, and nothing here does anything.
"""

import os


def launched() -> tuple[int, int]:
    """Return the number of this process, from 0, and how many were started together."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:  # torchrun
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if "SLURM_STEP_NUM_TASKS" in os.environ and "SLURM_PROCID" in os.environ:  # srun
        return int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
    return 0, 1


def is_first() -> bool:
    """Return whether this process writes what all read."""
    return launched()[0] == 0


def meet() -> None:
    """Wait until every process is here."""
    rank, world = launched()
    if world == 1:
        return
    import torch  # imported here: most notebooks run as one process and without torch

    if not torch.distributed.is_initialized():
        if "MASTER_ADDR" not in os.environ:  # srun: Lightning knows how to find the first node
            from lightning.fabric.plugins.environments import SLURMEnvironment

            found = SLURMEnvironment()
            os.environ |= {"MASTER_ADDR": found.main_address, "MASTER_PORT": str(found.main_port)}
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        torch.distributed.init_process_group(backend, rank=rank, world_size=world)
    torch.distributed.barrier()
