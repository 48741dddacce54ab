"""A rank of `torchrun`: each keeps as many times 10 MB as its number says, from one on."""

import torch
import torch.distributed

import memdeep

kept = []

if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    with memdeep.phase("keep"):
        kept.append(bytearray((rank + 1) * 10_000_000))
    total = torch.ones(1000) * (rank + 1)
    torch.distributed.all_reduce(total)
    assert float(total[0]) == 3.0
    torch.distributed.destroy_process_group()
